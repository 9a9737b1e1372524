"""What a server's answer means when it is not the answer that was asked for: one named error each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from search.errors import BrokenError, ContextError, EngineError, RefusedError, UnreachableError

__all__ = ["failure", "failure_in_stream", "seconds_of"]

#: most characters of a server's own words in a message
_MOST = 300
#: servers say a prompt is too long by status 400 and words; one of these is in all that are known
_TOO_LONG = (
    "context length",
    "context window",
    "context size",
    "maximum model length",
    "max_model_len",
    "`inputs` must have less than",  # TGI
    "`inputs` tokens + `max_new_tokens` must be",
)
#: where an error that is told inside a stream has its status, in an OpenAI error and in TGI's
_STATUS = ("code", "http_status_code", "status_code", "status")
#: TGI's kinds of errors
_KINDS = {"validation": 422, "template_error": 422, "overloaded": 429}


def failure(status: int, retry_after: str | None, body: bytes, url: str) -> EngineError:
    """The error for an answer with this status.

    | status | error |
    |---|---|
    | 429, 503 | UnreachableError with what ``Retry-After`` says |
    | 400, 413, 422 that speak of the context | ContextError |
    | other 4xx, and 3xx | RefusedError |
    | other 5xx | BrokenError |
    """
    words = _words(body)
    where = f"{status} from {url}" + (f": {words}" if words else "")
    if status in (429, 503):
        return UnreachableError(f"a server must take requests, got {where}", seconds_of(retry_after))
    if status >= 500:
        return BrokenError(f"a server must answer, got {where}")
    if status in (400, 413, 422) and any(phrase in words.lower() for phrase in _TOO_LONG):
        return ContextError(f"a prompt must fit into the server's context, got {where}")
    if status in (401, 403):
        return RefusedError(f"a server must accept the API key, got {where}", status, words)
    if status in (404, 405) or status < 400:
        return RefusedError(
            f"a base URL must lead to an OpenAI-compatible server that serves the model, got {where}",
            status,
            words,
        )
    return RefusedError(f"a server must take the request, got {where}", status, words)


def failure_in_stream(event: Mapping[str, Any], url: str) -> EngineError:
    """The error that an event of a stream tells, before anything was written.

    vLLM and TGI check part of a request after they have answered 200: what such an event says means what its
    status would have meant. Without one of 400 to 499 in it, the answer has broken off.

    >>> error = {"message": "max allowed: 5", "code": 400}
    >>> type(failure_in_stream({"error": error}, "http://host")).__name__
    'RefusedError'
    """
    error = event.get("error")
    told = error if isinstance(error, Mapping) else {}
    found = [told.get(key) for key in _STATUS] + [_KINDS.get(str(event.get("error_type")))]
    status = next((value for value in found if isinstance(value, int) and 400 <= value < 500), None)
    if status is None:
        return BrokenError(f"a stream must not end in an error, got {error!r:.300}")
    return failure(status, None, json.dumps(dict(event)).encode(), url)


def seconds_of(retry_after: str | None) -> float | None:
    """A ``Retry-After`` header in seconds, from seconds or a date (RFC 9110); None when there is none."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _words(body: bytes) -> str:
    """The server's own words, on one line: the message of an OpenAI error, else the text itself."""
    text = body.decode("utf-8", "replace")
    try:
        content = json.loads(text)
        error = content.get("error", content.get("detail", content))
        found = error.get("message", error) if isinstance(error, dict) else error
        text = found if isinstance(found, str) else json.dumps(found)
    except (ValueError, AttributeError):
        pass
    line = " ".join(text.split())
    return line if len(line) <= _MOST else line[: _MOST - 3] + "..."
