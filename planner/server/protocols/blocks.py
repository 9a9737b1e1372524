"""Blocks: an assistant's message as a row of thoughts, texts and calls, one after another.

Chat completions tell text and tool calls side by side, each in a field of its own, in pieces that may
alternate. OpenAI's Responses and Anthropic's Messages tell one block after another. A call that begins before
another has ended waits; its pieces come when it is its turn, so nothing is lost and nothing is mixed.

    >>> blocks = Blocks()
    >>> for delta in ({"content": "Let me "}, {"content": "see."}, {"tool_calls": [{"id": "1", "function":
    ...     {"name": "look", "arguments": "{}"}}]}):
    ...     for change in blocks.hear(delta):
    ...         print(type(change).__name__, change.block.kind, repr(getattr(change, "text", "")))
    Opened text ''
    Written text 'Let me '
    Written text 'see.'
    Closed text ''
    Opened call ''
    Written call '{}'

``Used`` has the tokens that an answer took, as these protocols tell them.

>>> Used.of({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}})
Used(prompt=9, completion=4, cached=3, reasoning=0)
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from planner.server.direct.upstream import failed
from search.engines.thinking import REASONING

__all__ = [
    "Block",
    "Blocks",
    "Change",
    "Closed",
    "Opened",
    "Used",
    "Written",
    "arguments_of",
    "blocks_of",
    "reason_of",
]


@dataclass(slots=True)
class Block:
    """One block. ``kind``: ``thought``, ``text`` or ``call``.

    Parameters
    ----------
    index:
        Its place among the blocks; -1 while it waits for its turn.
    text:
        What has come of it: of a call, its arguments, in JSON.
    call_id, name:
        Of a call.
    """

    kind: str
    index: int = -1
    text: str = ""
    call_id: str = ""
    name: str = ""
    is_closed: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it may end here: a call needs arguments that are an object."""
        if self.kind != "call":
            return True
        try:
            return isinstance(json.loads(self.text), dict)
        except (ValueError, RecursionError):
            return False


@dataclass(frozen=True, slots=True)
class Opened:
    """A block begins."""

    block: Block


@dataclass(frozen=True, slots=True)
class Written:
    """A block goes on."""

    block: Block
    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A block has ended."""

    block: Block


Change = Opened | Written | Closed


class Blocks:
    """Hears deltas of one choice and tells what they change. Raises Refusal (502) for what is no delta."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []  # in order, those that have begun
        self._open: Block | None = None
        self._calls: dict[int, Block] = {}  # by the number that the server gives them
        self._last = -1  # that of the call which was told of last

    def hear(self, delta: Any) -> Iterator[Change]:
        """The next delta, or a whole message."""
        if not isinstance(delta, Mapping):
            raise failed("a message that is none")
        thought = next((delta[name] for name in REASONING if delta.get(name)), None)
        text, more = _texts(delta.get("content"))
        yield from self._write("thought", _texts(thought)[0] + more)
        yield from self._write("text", text)
        refused = delta.get("refusal")
        if isinstance(refused, str):
            yield from self._write("text", refused)
        calls = delta.get("tool_calls") or ()
        if not isinstance(calls, list | tuple):
            raise failed("tool calls that are none")
        for call in calls:
            yield from self._call(call)

    def end(self) -> Iterator[Change]:
        """The message has ended: what is open closes, and calls that wait come now. One that says nothing is
        an empty text."""
        yield from self._close()
        for block in self._calls.values():
            if block.index < 0:
                if not block.name:
                    raise failed("a tool call without a name")
                yield from self._begin(block)
                if block.text:
                    yield Written(block, block.text)
                yield from self._close()
        if all(block.kind == "thought" for block in self.blocks):
            yield from self._begin(Block("text"))
            yield from self._close()

    def _write(self, kind: str, text: str) -> Iterator[Change]:
        if not text:
            return
        block = self._open
        if block is None or block.kind != kind:
            yield from self._close()
            block = Block(kind)
            yield from self._begin(block)
        block.text += text
        yield Written(block, text)

    def _call(self, call: Any) -> Iterator[Change]:
        number, call_id, name, arguments = _read(call)
        if number is None:  # some servers do not number them: an id begins the next one
            number = self._last + bool(call_id or self._last < 0)
        self._last = number
        block = self._calls.get(number)
        if block is None:
            block = self._calls[number] = Block("call", call_id=call_id or f"call_{secrets.token_hex(12)}")
        if block.is_closed:
            if arguments.strip():
                raise failed("a tool call that goes on after the next one has begun")
            return
        block.name = block.name or name
        block.text += arguments
        if block is self._open:
            if arguments:
                yield Written(block, arguments)
            return
        yield from self._advance()

    def _advance(self) -> Iterator[Change]:
        """Let calls begin that wait, as far as nothing else is in the middle of being written."""
        for block in self._calls.values():
            if block.index >= 0:
                continue
            if not block.name or (self._open is not None and not self._open.is_whole):
                return
            yield from self._close()
            yield from self._begin(block)
            if block.text:
                yield Written(block, block.text)

    def _begin(self, block: Block) -> Iterator[Change]:
        block.index = len(self.blocks)
        self.blocks.append(block)
        self._open = block
        yield Opened(block)

    def _close(self) -> Iterator[Change]:
        if self._open is not None:
            block, self._open = self._open, None
            block.is_closed = True
            yield Closed(block)


def blocks_of(message: Any) -> list[Block]:
    """The blocks of a whole message. Raises Refusal (502)."""
    blocks = Blocks()
    for _ in (*blocks.hear(message), *blocks.end()):
        pass
    return blocks.blocks


#: reasons to end in the words of Mistral, Anthropic's likes -> in OpenAI's
_REASONS = {"max_tokens": "length", "model_length": "length", "refusal": "content_filter"}


def reason_of(choice: Mapping[str, Any]) -> str | None:
    """Why a choice of a chat ended, in OpenAI's words; None where it has not.

    >>> reason_of({"finish_reason": "model_length"}), reason_of({"finish_reason": None})
    ('length', None)
    """
    said = choice["finish_reason"] or None
    return None if said is None else _REASONS.get(said, str(said))


def arguments_of(block: Block, *, is_cut: bool) -> dict[str, Any]:
    """The arguments of a call as an object; of one that was cut off, what has come of them.

    Raises Refusal (502) for others than an object.

    >>> arguments_of(Block("call", text='{"a": 1}'), is_cut=False), arguments_of(Block("call"), is_cut=False)
    ({'a': 1}, {})
    >>> arguments_of(Block("call", text='{"a": [1, 2'), is_cut=True)
    {'a': [1, 2]}
    """
    text = block.text.strip()
    try:
        found = from_json(text, allow_partial=True) if is_cut and text else json.loads(text or "{}")
        json.dumps(found, allow_nan=False)  # what JSON has no word for is no argument either
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise failed("a tool call whose arguments are no JSON object")
    return found


def _read(call: Any) -> tuple[int | None, str, str, str]:
    """(number, id, name, arguments) of a piece of a call; empty where it does not say."""
    if not isinstance(call, Mapping):
        raise failed("a tool call that is none")
    function = call.get("function") or {}
    if not isinstance(function, Mapping):
        raise failed("a tool call that is none")
    number, call_id, name = call.get("index"), call.get("id") or "", function.get("name") or ""
    arguments = function.get("arguments") or ""
    if isinstance(arguments, Mapping):  # as some servers send them
        arguments = json.dumps(arguments, ensure_ascii=False)
    if not (isinstance(call_id, str) and isinstance(name, str) and isinstance(arguments, str)):
        raise failed("a tool call that is none")
    return number if type(number) is int else None, call_id, name, arguments


def _texts(content: Any) -> tuple[str, str]:
    """(text, thought) of a content: a text, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if not isinstance(content, list):
        raise failed("a content that is none")
    text = thought = ""
    for part in content:
        if not isinstance(part, Mapping):
            raise failed("a content that is none")
        if part.get("type") == "thinking":
            thought += _texts(part.get("thinking"))[0]
        else:
            said = part.get("text") or ""
            text += said if isinstance(said, str) else ""
    return text, thought


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens of the prompt, those of them that were cached, of the completion, those of it not shown."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    @classmethod
    def of(cls, usage: Any) -> Used:
        """Of a chat completion's ``usage``; what it does not tell counts as 0."""
        prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        cached = _count(_inner(usage, "prompt_tokens_details"), "cached_tokens")
        reasoning = _count(_inner(usage, "completion_tokens_details"), "reasoning_tokens")
        return cls(prompt, completion, min(cached, prompt), min(reasoning, completion))


def _inner(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, Mapping) else None


def _count(found: Any, name: str) -> int:
    value = _inner(found, name)
    return value if type(value) is int and value >= 0 else 0
