"""Flags from a settings model: one for each field, so that a command names no setting twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from planner.server.settings import Flag
from planner.server.settings_sources import kind_of

__all__ = ["given_flags", "with_flags"]


def with_flags(fields: Mapping[str, FieldInfo]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the flags of settings to those of a command, which takes them as keyword arguments.

    A flag that was not given is None, or empty: what a setting is then, other sources may say.
    """

    def add(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            one
            for one in inspect.signature(command, eval_str=True).parameters.values()
            if one.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        flags = [_parameter(name, field) for name, field in fields.items()]
        command.__signature__ = inspect.Signature([*flags, *own])  # type: ignore[attr-defined]
        return command

    return add


def given_flags(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in values.items() if value is not None and value != []}


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    shown = next(one for one in field.metadata if isinstance(one, Flag))
    kind = kind_of(field)
    default = shown.default(field.default)
    flag = f"--{name.replace('_', '-')}"
    types: dict[type, Any] = {
        bool: bool | None,
        int: int | None,
        float: float | None,
        Path: Path | None,
        tuple: list[str] | None,
        str: str | None,
    }
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if kind is bool else flag,
        *shown.also,
        metavar=shown.metavar,
        min=next((one.ge for one in field.metadata if isinstance(one, Ge)), None),  # type: ignore[arg-type]
        max=next((one.le for one in field.metadata if isinstance(one, Le)), None),  # type: ignore[arg-type]
        help=f"{field.description} Default: {default}." if default else field.description,
        rich_help_panel=shown.panel,
        show_default=False,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[types[kind], option]
    )
