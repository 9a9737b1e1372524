"""Faults of a models file, one clear line each: which model, which key, the rule, the value.

Values of unknown keys are not repeated: one of them may be a secret that stands in the wrong place.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

__all__ = ["faults_of"]

#: keys under which people write secrets
_SECRETS = ("api_key", "key", "token", "secret", "password", "bearer", "authorization")
#: what is said of a value of another type
_TYPES: Mapping[str, str] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "list_type": "a list of tables, each under [[...]]",
    "date_type": "a date, such as 2026-11-01",
    "date_from_datetime_inexact": "a date, such as 2026-11-01",
}
#: what is said of a number out of its range
_RANGES: Mapping[str, str] = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "below {lt:g}",
}


def faults_of(error: ValidationError, content: Mapping[str, object], model: type[BaseModel]) -> list[str]:
    """A line per fault of what a file holds, in the order of the file's entries."""
    return list(dict.fromkeys(_line(dict(fault), content, model) for fault in error.errors()))


def _line(fault: Mapping[str, Any], content: Mapping[str, object], model: type[BaseModel]) -> str:
    place = [part for part in fault["loc"] if part != "function-before"]
    where, rest = _where(place, content)
    key = ".".join(map(str, rest))
    rule = _rule(fault, key, _known(place, model))
    return f"{where}{rule}"


def _where(place: list[Any], content: Mapping[str, object]) -> tuple[str, list[Any]]:
    """Which model: by its name where it has one, else by its number."""
    if len(place) < 2 or not isinstance(place[1], int):
        return "", place
    kind, number = str(place[0]), place[1]
    entries = content.get(kind)
    entry = entries[number] if isinstance(entries, list) and number < len(entries) else None
    name = entry.get("name") if isinstance(entry, Mapping) else None
    called = repr(name) if isinstance(name, str) and name else f"number {number + 1}"
    return f"{kind} {called}: ", place[2:]


def _rule(fault: Mapping[str, Any], key: str, known: list[str]) -> str:
    kind, value = fault["type"], _shown(fault["input"])
    if kind == "extra_forbidden":
        last = key.rpartition(".")[2]
        if last.lower() in _SECRETS:
            return f"unknown key {key!r}: keys come from the environment, by api_key_env = NAME"
        close = get_close_matches(last, known, 1, 0.6)
        return f"unknown key {key!r}" + (
            f", did you mean {close[0]!r}?" if close else f", known are {', '.join(known)}"
        )
    if kind == "missing":
        return f"{key} must be given, got none"
    if kind == "value_error":
        return str(fault["ctx"]["error"])
    if kind in _TYPES:
        return f"{key} must be {_TYPES[kind]}, got {value}"
    if kind in _RANGES:
        return f"{key} must be {_RANGES[kind].format(**fault['ctx'])}, got {value}"
    if kind == "literal_error":
        choices = str(fault["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        return f"{key} must be one of {choices}, got {value}"
    if kind == "string_pattern_mismatch":
        return f"{key} must be three capital letters such as USD, got {value}"
    if kind == "string_too_short":
        return f"{key} cannot be empty, got {value}"
    message = str(fault["msg"])
    return f"{key}: {message[0].lower()}{message[1:]}, got {value}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _known(place: list[Any], model: type[BaseModel]) -> list[str]:
    """The keys that are known where an unknown one stands."""
    found: type[BaseModel] = model
    for part in place[:-1]:
        if isinstance(part, int):
            continue
        field = found.model_fields.get(str(part))
        inner = None if field is None else _model_in(field.annotation)
        if inner is None:
            break
        found = inner
    return sorted(found.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)
