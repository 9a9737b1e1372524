"""Concessions: asking for less where a server refuses more, once, and saying so.

Servers speak one protocol and take different parts of it: one knows no ``n``, one no ``seed``, one at most
five logprobs. A refused request costs nothing, so all is asked for at first; what the refusal names is left
out from then on. Knows nothing of connections.

    >>> conceded = Concessions("the server")
    >>> body = {"model": "m", "messages": [], "seed": 3, "n": 4}
    >>> conceded.learn(body, "Unsupported parameter: 'seed'")
    True
    >>> conceded.applied(body)
    {'model': 'm', 'messages': [], 'n': 4}
    >>> conceded.notes
    ('seed: not taken by the server, so the same request may give other tokens',)
    >>> conceded.learn(body, "I do not feel like it")
    False
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import copy
from types import MappingProxyType
from typing import Any

__all__ = ["Concessions"]

#: what a request is not without
_NEEDED = ("model", "prompt", "messages", "stream")
#: what leaving out a field means
_MEANING: Mapping[str, str] = {
    "n": "samples of one question are separate requests, each with its own prompt",
    "seed": "the same request may give other tokens",
    "logprobs": "no logprobs are known",
    "top_logprobs": "no confidence or entropy is known",
    "stream_options": "tokens are counted here, by an estimate where no tokenizer is given",
    "temperature": "the server's own temperature is used",
    "top_p": "the server's own top_p is used",
    "top_k": "top_k is not kept",
    "return_token_ids": "token ids are not told",
    "chat_template_kwargs": "thinking is as the server has it",
    "reasoning_effort": "thinking is as the server has it",
}
#: sampling that was asked for is given up only where the server has none, not for a value out of range
_SAMPLING = ("temperature", "top_p")
#: names of the most tokens of an answer: what is asked for can be lowered, and is never left out
_LENGTHS = ("max_tokens", "max_completion_tokens")
_HAS_NONE = re.compile(
    r"unsupported|not supported|does not support|unknown|unrecognized|not permitted|only the default", re.I
)
#: a value that asks for nothing: where a server takes no such value, the field is left out with it
_NEUTRAL: Mapping[str, float] = MappingProxyType({"top_p": 1.0})
#: TGI's name of a field
_ALSO: Mapping[str, str] = MappingProxyType({"top_logprobs": "top_n_tokens"})
#: other names under which servers speak of a field
_N = re.compile(
    r"""[`'"]n[`'"]|\bn\s*(?:=|>|<|must|should|:|is not)|\bn_cmpl\b|only one (?:completion )?choice"""
    r"|number of (?:choices|completions)",
    re.I,
)
_MOST = re.compile(
    r"(?:at most|less than or equal to|(?:max(?:imum)?|limit)[a-z_ ]*?(?: allowed| value)?(?: is|:| of)?|<=?|"
    r"(?:between|from) \d+ (?:and|to)|\[\d+, ?)\s*(\d+)",
    re.I,
)


class Concessions:
    """What one server has refused. Shared by all requests to it.

    Parameters
    ----------
    who:
        What the notes call it.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._dropped: set[str] = set()
        self._most: dict[str, int] = {}
        self._notes: dict[str, str] = {}
        self._renames: dict[str, str] = {}
        self._needless: set[str] = set()
        self._kept: frozenset[str] = frozenset()
        self._proven: set[str] = set()

    def prove(self, field: str) -> None:
        """A request with this field was answered as asked for."""
        self._proven.add(field)

    def is_proven(self, field: str) -> bool:
        """Whether the server is known to take a field."""
        return field in self._proven and field not in self._dropped

    def keeping(self, fields: Iterable[str]) -> Concessions:
        """The same, shared, for requests that are not made without these fields: what refuses one of them
        refuses the request."""
        made = copy(self)
        made._kept = frozenset(fields)
        return made

    @property
    def notes(self) -> tuple[str, ...]:
        """What was given up and what it means, a line each."""
        return tuple(self._notes.values())

    def note(self, key: str, text: str) -> None:
        """Something else that is given up, told once."""
        self._notes.setdefault(key, text)

    def has_note(self, key: str) -> bool:
        """Whether something was noted under this key."""
        return key in self._notes

    def most(self, field: str) -> int | None:
        """The most that may be asked for of a field; None for no known limit, 0 where it is not taken."""
        return 0 if field in self._dropped else self._most.get(field)

    def lacks(self, field: str) -> bool:
        """Whether a field is left out."""
        return field in self._dropped

    def drop(self, field: str, how: str = "not taken by") -> None:
        """Leave a field out from now on."""
        self._dropped.add(field)
        meaning = _MEANING.get(field, "the server's own is used")
        self._notes[field] = f"{field}: {how} {self._who}, so {meaning}"

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request without what was given up. ``n`` without its field is 1."""
        if not (self._dropped or self._most or self._renames or self._needless) and body.get("logprobs"):
            return dict(body)
        found = {}
        for field, value in body.items():
            if (field in self._dropped and field not in self._kept) or (
                field in self._needless and value == _NEUTRAL[field]
            ):
                continue
            most = self._most.get(field)
            if most is not None and isinstance(value, int) and not isinstance(value, bool):
                value = min(value, most)
            found[self._renames.get(field, field)] = value
        if found.get("logprobs") is None or found.get("logprobs") is False:
            found.pop("top_logprobs", None)
        return found

    def learn(self, body: Mapping[str, Any], words: str) -> bool:
        """Whether a refusal, in these words, of what ``applied`` made of ``body`` says what to leave out."""
        if "max_completion_tokens" in words and "max_tokens" in body and "max_tokens" not in self._renames:
            self._renames["max_tokens"] = "max_completion_tokens"
            return True
        sent = self.applied(body)
        places = {field: _place(field, words) for field in sent if field not in _NEEDED}
        named = sorted((place, field) for field, place in places.items() if place is not None)
        for _, field in named:
            if field in self._kept:
                return False
            if field in _SAMPLING and not _HAS_NONE.search(words):
                if field in _NEUTRAL and sent[field] == _NEUTRAL[field]:
                    self._needless.add(field)
                    self._notes[field] = (
                        f"{field}: {sent[field]:g} is not taken by {self._who}, so it is left out then"
                    )
                    return True
                continue
            if field in _LENGTHS:
                if self._shorten(sent[field], words):
                    return True
                continue
            self._concede(field, sent, words)
            return True
        return False

    def _shorten(self, value: Any, words: str) -> bool:
        """Whether a refusal says how many tokens an answer may have."""
        limits = [int(number) for number in _MOST.findall(words) if 0 < int(number) < value]
        if limits:
            most = self._most["max_tokens"] = max(limits)
            self._notes["max_tokens"] = (
                f"max_tokens: {self._who} writes {most} at most, so answers are shorter"
            )
        return bool(limits)

    def _concede(self, field: str, sent: Mapping[str, Any], words: str) -> None:
        if field == "logprobs" and sent.get("top_logprobs"):
            field = "top_logprobs" if _MOST.search(words) else field
        value = sent[field]
        if field == "n":
            limits = [int(number) for number in _MOST.findall(words) if 1 < int(number) < value]
            if limits:
                self._most[field] = max(limits)
                self._notes[field] = (
                    f"n: {self._who} takes {max(limits)} at most, so more samples of one question are several"
                    " requests"
                )
                return
        if field in ("logprobs", "top_logprobs") and isinstance(value, int) and not isinstance(value, bool):
            limits = [int(number) for number in _MOST.findall(words) if 0 < int(number) < value]
            if limits:
                most = self._most[field] = max(limits)
                self._notes[field] = (
                    f"{field}: {self._who} tells {most} at most, so entropy and confidence are over"
                    f" {most} candidates, not {value}"
                )
                return
        self.drop(field)


def _place(field: str, words: str) -> int | None:
    """Where a refusal names a field, as a word of its own."""
    if field == "n":
        found = _N.search(words)
    else:
        names = "|".join(map(re.escape, (field, *([_ALSO[field]] if field in _ALSO else []))))
        found = re.search(rf"(?<![A-Za-z0-9_])(?:{names})(?![A-Za-z0-9_])", words)
    return None if found is None else found.start()
