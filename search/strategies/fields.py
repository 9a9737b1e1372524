"""Fields: the parameters of a strategy, as plans spell them.

A strategy is a frozen dataclass, and its fields are the grammar of its plans: names, order, values left out,
rules. ``n: int = whole(16)`` is a whole number from 1 on; a field that is only annotated (``n: int = 4``)
gets the rule of its type.

    >>> whole(16, most=64)  # doctest: +ELLIPSIS
    Field(...)
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from search.errors import PlanError, PluginError
from search.thinking_budget import EFFORTS

__all__ = [
    "LARGEST",
    "THINKING",
    "Nested",
    "OneOf",
    "Parameter",
    "Real",
    "Value",
    "Whole",
    "grammar_of",
    "nested",
    "one_of",
    "real",
    "whole",
]

#: largest n and width that parse: a plan beyond it is a slip of the keyboard
LARGEST = 65536

#: what a parameter of a plan may be
Value = "int | float | str | Choice"


@dataclass(frozen=True, slots=True)
class Parameter(ABC):
    """One parameter of a strategy. ``default`` is ``MISSING`` where a plan must give it.

    ``is_quiet``: the canonical text leaves it out where it has its usual value.
    """

    default: Any = dataclasses.field(default_factory=lambda: MISSING)
    is_quiet: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def is_required(self) -> bool:
        """Whether a plan must give it."""
        return self.default is MISSING

    @abstractmethod
    def parse(self, name: str, text: str) -> Any:
        """The value that a text spells. What ``check`` refuses may pass."""

    @abstractmethod
    def check(self, name: str, value: Any) -> None:
        """Raises PlanError, with rule and value, for a value that this parameter cannot have."""

    def write(self, value: Any) -> str:
        """The canonical text of a value."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Whole(Parameter):
    """A whole number from ``least`` to ``most``."""

    least: int = 1
    most: int = LARGEST

    def parse(self, name: str, text: str) -> Any:
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,9}", text) else text

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise PlanError(
                f"{name} must be a whole number from {self.least} to {self.most}, got {name}={value}"
            )


@dataclass(frozen=True, slots=True)
class Real(Parameter):
    """A finite number from ``least`` to ``most``, or one of some ``words``."""

    least: float = 0.0
    most: float = math.inf
    words: tuple[str, ...] = ()

    def parse(self, name: str, text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, str) and value in self.words:
            return
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not self.least <= value <= self.most:
            most = f" to {self.most:g}" if math.isfinite(self.most) else " on"
            words = "".join(f" or {word}" for word in self.words)
            raise PlanError(f"{name} must be a number from {self.least:g}{most}{words}, got {name}={value}")

    def write(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        return repr(float(value)) if float(f"{value:g}") != float(value) else f"{value:g}"


@dataclass(frozen=True, slots=True)
class OneOf(Parameter):
    """One of some words."""

    options: tuple[str, ...] = ()

    def parse(self, name: str, text: str) -> Any:
        return text

    def check(self, name: str, value: Any) -> None:
        if value not in self.options:
            raise PlanError(f"{name} must be one of {', '.join(self.options)}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Nested(Parameter):
    """A choice of its own: ``policy: plan``, or ``policy | PRM: plan``."""

    def parse(self, name: str, text: str) -> Any:
        from search.choice import Choice  # a choice holds a plan, and a plan may hold choices

        return Choice.parse(text)

    def check(self, name: str, value: Any) -> None:
        from search.choice import Choice

        if not isinstance(value, Choice):
            raise PlanError(f"{name} must be a choice, written policy: plan, got {value!r}")

    def write(self, value: Any) -> str:
        return str(value.short)


#: what every plan may have beside its strategy's own parameters (``search.thinking_budget``)
THINKING: Mapping[str, Parameter] = MappingProxyType(
    {"effort": OneOf(options=EFFORTS), "think": Whole(least=0), "wait": Whole()}
)


def whole(default: Any = MISSING, *, least: int = 1, most: int = LARGEST) -> Any:
    """A field that is a whole number."""
    return _field(Whole(default, least, most))


def real(
    default: Any = MISSING,
    *,
    least: float = 0.0,
    most: float = math.inf,
    words: Sequence[str] = (),
    quiet: bool = False,
) -> Any:
    """A field that is a number, or one of some words. ``quiet``: written only where it is not as usual."""
    return _field(Real(default, least, most, tuple(words), is_quiet=quiet))


def one_of(options: Sequence[str], default: Any = MISSING, *, quiet: bool = False) -> Any:
    """A field that is one of some words. ``quiet``: written only where it is not as usual."""
    return _field(OneOf(default, tuple(options), is_quiet=quiet))


def nested() -> Any:
    """A field that is a choice: a policy (and PRM) with a plan of its own. Plans must give it."""
    return _field(Nested())


@cache
def grammar_of(strategy: type) -> Mapping[str, Parameter]:
    """Name -> parameter, in canonical order, of a strategy's class.

    Raises PluginError for a class that is no frozen dataclass, or a field of a type that has no rule.
    """
    settings = getattr(strategy, "__dataclass_params__", None)
    if settings is None or not settings.frozen:
        raise PluginError(f"a strategy is a frozen dataclass, got {strategy.__qualname__}, which is none")
    hints = typing.get_type_hints(strategy)
    return MappingProxyType(
        {one.name: _parameter(one, hints[one.name]) for one in dataclasses.fields(strategy)}
    )


def _parameter(field: dataclasses.Field[Any], kind: Any) -> Parameter:
    known = field.metadata.get("parameter")
    if isinstance(known, Parameter):
        return known
    if kind is int:
        return Whole(field.default)
    if kind is float:
        return Real(field.default)
    if typing.get_origin(kind) is typing.Literal:
        return OneOf(field.default, tuple(str(option) for option in typing.get_args(kind)))
    raise PluginError(
        f"a strategy's field is int, float, a Literal of words or nested(), got {field.name}: {kind}"
    )


def _field(parameter: Parameter) -> Any:
    return dataclasses.field(default=parameter.default, metadata={"parameter": parameter}, kw_only=True)
