"""The policy's own server: requests that nothing is planned for go there as they came.

Nothing is sent twice but what was never accepted: a refused connection. Answers come back with our id and a
receipt; their ``usage`` is the server's.

What it answers is whole or an error. A client must never take a text that was cut off for a whole one. An
answer is whole when each of its choices says why it ended. Errors come in many places: in a status, in an
answer with status 200, in the middle of a stream, as a reason to end.

    >>> ended = Ended()
    >>> ended.hear(chunk_of({"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": ""}]}))
    >>> ended.check()
    Traceback (most recent call last):
    planner.server.refusal.Refusal: the policy's server must answer, got a stream that ended in the middle \
of 1 of 1 choices
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from planner.server.refusal import Refusal
from search.errors import BrokenError, EngineError, UnreachableError
from search.remote.client import Client
from search.remote.events import Events
from search.remote.refusal import seconds_of

__all__ = [
    "OURS",
    "Ended",
    "Upstream",
    "check_whole",
    "chunk_of",
    "failed",
    "refused",
    "says",
    "told",
    "words_of",
]

#: statuses of a policy's server that are the client's business, and the one of a server that is too busy
_KNOWN = (400, 401, 403, 404, 408, 409, 413, 422, 429, 503)

#: reasons to end that are none, in the words of vLLM and SGLang
_GIVEN_UP = ("abort", "error")

#: where an error that is told in an answer has its status
_STATUS = ("code", "http_status_code", "status_code", "status")


def failed(got: str) -> Refusal:
    """The policy's server did something that is no answer."""
    return Refusal(f"the policy's server must answer, got {got}", 502, code="policy_failed")


def refused(status: int, said: str, retry_after: float | None = None) -> Refusal:
    """The policy's server answered with this status."""
    shown = status if status in _KNOWN else 502
    return Refusal(
        f"the policy's server must answer, got {status}: {said}",
        shown if shown not in (401, 403) else 502,  # those are about our key, not the client's
        code="policy_refused" if shown < 500 else "policy_failed",
        retry_after=retry_after,
    )


def told(error: Any) -> Refusal:
    """An error in an answer with status 200, or in a stream.

    >>> told({"message": "too long", "code": 400}).status, told({"message": "out of memory"}).status
    (400, 502)
    """
    places = [error.get(name) for name in _STATUS] if isinstance(error, Mapping) else []
    status = next((code for code in places if type(code) is int and 400 <= code < 600), None)
    return failed(f"an error: {words_of(error)}") if status is None else refused(status, words_of(error))


def words_of(error: Any) -> str:
    """What an error says, cut."""
    said = error.get("message") or error.get("type") or "" if isinstance(error, Mapping) else error
    return str(said)[:500]


def chunk_of(found: dict[str, Any]) -> dict[str, Any]:
    """A chunk of a stream as the protocol has it: no reason to end is None, in whatever way it was said.

    Raises Refusal for what is no chunk, and for a choice that the server gave up.
    """
    choices = found.get("choices")
    if choices is None:
        return found
    if not isinstance(choices, list):
        raise failed("a chunk without a list of choices")
    for choice in choices:
        if not isinstance(choice, dict) or type(choice.setdefault("index", 0)) is not int:
            raise failed("a choice that is none")
        if not isinstance(choice.get("delta") or {}, dict) or not _is_text(choice.get("delta") or choice):
            raise failed("a choice that is none")
        reason = _reason(choice)
        if reason is None:
            choice["finish_reason"] = None
    return found


def check_whole(found: Mapping[str, Any], text: str) -> None:
    """Raise Refusal for a body that is no whole answer. ``text``: the field of a choice that holds it."""
    choices = found.get("choices")
    if not isinstance(choices, list) or not choices:
        raise failed("an answer without choices")
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get(text), dict | str):
            raise failed("a choice that is none")
        if isinstance(choice[text], dict) and not _is_text(choice[text]):
            raise failed("a choice that is none")
        if _reason(choice) is None:
            raise failed(f"an answer that does not say why it ended: {choice.get('finish_reason')!r}")


def says(choice: Mapping[str, Any]) -> bool:
    """Whether a choice of a chunk brings more than its beginning: some text, a call, a thought."""
    delta = choice.get("delta")
    if isinstance(delta, Mapping):
        return any(value for name, value in delta.items() if name != "role")
    return bool(choice.get("text"))


class Ended:
    """Which choices of a stream have begun, and which have ended."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._ended: set[int] = set()

    def hear(self, chunk: Mapping[str, Any]) -> None:
        """The next chunk, as ``chunk_of`` returns it."""
        for choice in chunk.get("choices") or ():
            self._begun.add(choice["index"])
            if choice["finish_reason"] is not None:
                self._ended.add(choice["index"])

    @property
    def is_whole(self) -> bool:
        """Whether something has come, and all of it to its end."""
        return bool(self._begun) and self._begun == self._ended

    def check(self) -> None:
        """Raise Refusal where the stream has ended and is not whole."""
        if not self._begun:
            raise failed("a stream without an answer")
        if not self.is_whole:
            missing = len(self._begun - self._ended)
            raise failed(f"a stream that ended in the middle of {missing} of {len(self._begun)} choices")


def _is_text(said: Mapping[str, Any]) -> bool:
    """Whether what is said is text, or a list of parts, or nothing."""
    content, text = said.get("content"), said.get("text")
    return (content is None or isinstance(content, str | list)) and (text is None or isinstance(text, str))


def _reason(choice: Mapping[str, Any]) -> str | None:
    """Why a choice ended; None where it has not, or does not say so. Raises Refusal for one given up."""
    reason = choice.get("finish_reason")
    if reason is None or reason == "":
        return None
    if not isinstance(reason, str):
        raise failed("a choice that is none")
    if reason in _GIVEN_UP:
        raise failed(f"an answer that it gave up: {reason!r}")
    return reason


#: fields of a request that are ours, not the policy server's
OURS = frozenset({"budget", "domain", "abstain_below", "draw_all", "include", "policy", "prm"})


class Upstream:
    """An OpenAI-compatible server.

    Parameters
    ----------
    base_url:
        ``http://127.0.0.1:8000/v1``, with or without ``/v1``.
    model:
        What the server calls the policy.
    policy:
        What the planner calls it.
    api_key:
        Sent as a bearer token; never shown.
    client:
        What an engine asks the same server through: both together keep its limits of connections and of
        requests a minute. One of its own by default.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        policy: str,
        *,
        api_key: str | None = None,
        silence: float = 600.0,
        client: Client | None = None,
    ) -> None:
        self.model = model
        self.policy = policy
        client = client or Client(base_url, api_key=api_key, silence=silence)
        self._pool, self._rate_limit = client.pool, client.rate_limit
        self._unkeyed = client.unkeyed

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the answer, of which ``check_whole`` knows more. Raises Refusal."""
        async with self._answer(path, body) as answer:
            return _object(await answer.read())

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Send a request and yield its chunks. Raises Refusal, also for a stream that ends too early."""
        async with self._answer(path, body) as answer:
            if answer.headers.get("Content-Type", "").startswith("application/json"):
                _object(await answer.read())  # an error, mostly
            ended = Ended()
            try:
                async for found in Events(answer, _read):
                    chunk = chunk_of(_checked(found))
                    ended.hear(chunk)
                    yield chunk
            except BrokenError:
                if not ended.is_whole:
                    raise
            ended.check()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    @asynccontextmanager
    async def _answer(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to our own words, if it is one. Raises Refusal for whatever goes wrong."""
        said = {name: value for name, value in body.items() if name not in OURS} | {"model": self.model}
        for last in (False, True):
            try:
                await self._rate_limit.enter()
                async with self._pool.answer(f"/v1{path}", said) as answer:
                    await _check(answer)
                    yield answer
                    return
            except UnreachableError as error:  # nothing was accepted, so nothing is charged twice
                if last:
                    raise _failed(error) from error
            except EngineError as error:
                raise _failed(error) from error
            except Refusal as refusal:
                refusal.args = (self._unkeyed(str(refusal)),)
                raise


async def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status == 200:
        return
    try:
        said = _message(await answer.read())
    except aiohttp.ClientError:
        said = ""
    raise refused(answer.status, said, seconds_of(answer.headers.get("Retry-After")))


def _read(content: bytes) -> Any:
    """JSON that a client can be given. Raises ValueError for numbers that JSON has no word for, which
    Python's reader takes: ``NaN``, ``Infinity`` and those that are too large.

    >>> _read(b'{"logprob": -Infinity}')
    Traceback (most recent call last):
    ValueError: a number must be finite, got -Infinity
    """
    return json.loads(content, parse_constant=_number, parse_float=_number)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"a number must be finite, got {text[:20]}")
    return value


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = _read(content)
    except (ValueError, RecursionError):
        found = None
    return _checked(found)


def _checked(found: Any) -> dict[str, Any]:
    """An object that tells no error."""
    if not isinstance(found, dict):
        raise failed("something other than a JSON object")
    if found.get("error"):
        raise told(found["error"])
    if found.get("object") == "error":
        raise told(found)
    return found


def _message(content: bytes) -> str:
    """What the server says of a refusal: its words, about the client's own request."""
    try:
        found = json.loads(content)
        return words_of(found.get("error", found) if isinstance(found, dict) else found)
    except (ValueError, RecursionError):
        return ""


def _failed(error: Exception) -> Refusal:
    return failed(f"{type(error).__name__}: {error}"[:400])
