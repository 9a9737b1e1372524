"""Reads what a client sends by another protocol, where a schema would say too little about what is wrong.

The fields that are ours are in every protocol, and become those of a chat.

>>> text_of({"name": 3}, "name", "tools.0")
Traceback (most recent call last):
planner.server.refusal.Refusal: tools.0.name must be a text, got a number
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from planner.server.refusal import Refusal, brief, invalid
from planner.server.schema import ChatBody, Wishes

__all__ = [
    "chat",
    "kind_of",
    "list_of",
    "object_of",
    "text_of",
    "unknown",
    "wishes_of",
]


def kind_of(value: Any) -> str:
    """What a value is, in a word: messages say this, not the value, which may be a question."""
    if value is None:
        return "nothing"
    for kind, word in ((bool, "a truth"), (int | float, "a number"), (str, "a text"), (Mapping, "an object")):
        if isinstance(value, kind):
            return word
    return "a list"


def text_of(found: Mapping[str, Any], name: str, place: str, default: str | None = None) -> str:
    """A text, or the default where there is none. Raises Refusal."""
    value = found.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise _wrong(f"{place}.{name}", "a text", value)
    return value


def object_of(value: Any, place: str) -> Mapping[str, Any]:
    """An object. Raises Refusal."""
    if not isinstance(value, Mapping):
        raise _wrong(place, "an object", value)
    return value


def list_of(value: Any, place: str) -> list[Mapping[str, Any]]:
    """A list of objects. Raises Refusal."""
    if not isinstance(value, list):
        raise _wrong(place, "a list", value)
    return [object_of(each, f"{place}.{number}") for number, each in enumerate(value)]


def unknown(place: str, known: Sequence[str], got: Any) -> Refusal:
    """A kind that is none of those."""
    return Refusal(f"{place} must be one of {', '.join(known)}, got {brief(got)}", param=place)


def _wrong(place: str, wanted: str, got: Any) -> Refusal:
    return Refusal(f"{place} must be {wanted}, got {kind_of(got)}", param=place)


def wishes_of(body: Wishes) -> dict[str, Any]:
    """Those that the client gave."""
    return {name: getattr(body, name) for name in Wishes.model_fields if name in body.model_fields_set}


def chat(fields: dict[str, Any]) -> ChatBody:
    """A chat of these fields, without those that are None. Raises Refusal for one that breaks its schema."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return ChatBody.model_validate(given)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False)) from None
