"""Errors as Anthropic's API has them, on the paths that are its.

>>> error_body(Refusal("a key must be known, got none", 401), "/v1/messages", "req_1")["error"]["type"]
'authentication_error'
>>> error_body(Refusal("n is at least 1, got 0"), "/v1/chat/completions", "req_1")["error"]["type"]
'invalid_request_error'
"""

from __future__ import annotations

from typing import Any

from planner.server.refusal import Refusal

__all__ = ["error_body", "is_messages", "messages_error"]

_PATH = "/v1/messages"

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def is_messages(path: str) -> bool:
    """Whether a path is of Anthropic's protocol."""
    return path == _PATH or path.startswith(f"{_PATH}/")


def error_body(refusal: Refusal, path: str, request_id: str | None = None) -> dict[str, Any]:
    """The JSON of a refusal on a path: Anthropic's there, else OpenAI's."""
    return messages_error(refusal, request_id) if is_messages(path) else refusal.body


def messages_error(refusal: Refusal, request_id: str | None = None) -> dict[str, Any]:
    """The JSON of a refusal. ``param`` and ``code`` are ours: they say what OpenAI's errors say."""
    default = "api_error" if refusal.status >= 500 else "invalid_request_error"
    told = refusal.body["error"]
    error = {**told, "type": _TYPES.get(refusal.status, default)}
    return {"type": "error", "error": error, "request_id": request_id}
