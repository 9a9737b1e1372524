"""The fields that are ours, which every protocol has, and what becomes of them in a chat."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from planner.server.refusal import invalid
from planner.server.schema import ChatBody, Wishes

__all__ = ["chat", "wishes_of"]


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
