from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from search.errors import BrokenError, ContextError, EngineError, RefusedError, UnreachableError
from search.remote.refusal import failure, seconds_of


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, b"", UnreachableError),
        (503, b"", UnreachableError),
        (500, b"", BrokenError),
        (502, b"", BrokenError),
        (400, b'{"error": {"message": "maximum context length is 9"}}', ContextError),
        (400, b"the request exceeds the available context size", ContextError),
        (413, b"longer than max_model_len", ContextError),
        (400, b'{"error": "no"}', RefusedError),
        (401, b"", RefusedError),
        (404, b"", RefusedError),
        (302, b"", RefusedError),
    ],
)
def test_a_status_is_a_named_error(status: int, body: bytes, error: type[EngineError]) -> None:
    found = failure(status, None, body, "http://h/v1")
    assert type(found) is error
    assert f"got {status} from http://h/v1" in str(found)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "one\\ntwo"}}', ": one two"),
        (b'{"detail": [{"msg": "x"}]}', ': [{"msg": "x"}]'),
        (b"<html>\n no </html>", ": <html> no </html>"),
        (b"[1]", ": [1]"),
        (b"\xff", ": \N{REPLACEMENT CHARACTER}"),
        (b"", "http://h"),
        (b"a" * 1000, "a" * 50 + "..."),
    ],
)
def test_the_servers_words_are_told_on_one_short_line(body: bytes, said: str) -> None:
    message = str(failure(400, None, body, "http://h"))
    assert message.endswith(said)
    assert "\n" not in message
    assert len(message) < 400


def test_retry_after_is_seconds_or_a_date() -> None:
    assert seconds_of(None) is None
    assert seconds_of("7") == 7.0
    assert seconds_of("-7") == 0.0
    assert seconds_of("soon") is None
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    later = seconds_of(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert later is not None
    assert 3000 < later <= 3600
    found = failure(503, "7", b"", "http://h")
    assert isinstance(found, UnreachableError)
    assert found.retry_after == 7.0
