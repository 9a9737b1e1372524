"""What a request may spend, as clients say it, and whose word counts.

    {"tokens": 4000}   {"seconds": 2.5}   {"usd": 0.002}   {"flops": 1e12}   {"samples": 8}   8
    {"target_accuracy": 0.9}   {"target_accuracy": 0.9, "seconds": 2.5}

A header wins over the body, the body over the model's name, that over the server's default; the server's
ceiling binds all of them. Samples are counted at the 90% quantile of what one greedy answer of the
planner's first policy costs for this question.

    >>> Allowance.parse({"tokens": 4000, "seconds": 2.5}).asked
    {'tokens': 4000, 'seconds': 2.5}
    >>> Allowance.parse({"hours": 1})
    Traceback (most recent call last):
    planner.server.refusal.Refusal: a budget has the fields samples, tokens, flops, seconds, usd, \
target_accuracy, got 'hours'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from planner.server.refusal import Refusal
from search.errors import PlanError
from search.plan import Plan

__all__ = ["HEADER", "PRESETS", "Allowance", "Granted", "Source", "grant"]

#: carries a budget as the body's ``budget`` has it
HEADER = "x-planner-budget"

#: the name of the model, and what its variants begin with
_MODEL = "planner"

#: no figure of a budget is larger: whoever wants all says so with less
_MOST = 1e18


class Source(StrEnum):
    """Who said what a request may spend."""

    HEADER = "header"
    BODY = "body"
    MODEL = "model"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Caps, and perhaps an accuracy to reach at the least cost within them. None at all caps nothing."""

    samples: int | None = None
    tokens: int | None = None
    flops: float | None = None
    seconds: float | None = None
    usd: float | None = None
    target_accuracy: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.asked.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise Refusal(f"a budget is made of numbers, got {_brief(value)} for {name}", param="budget")
            if not 0 < value <= _MOST:
                raise Refusal(
                    f"{name} must be above 0 and at most {_MOST:g}, got {_brief(value)}", param="budget"
                )
            if name in ("samples", "tokens") and not isinstance(value, int):
                raise Refusal(f"{name} are whole, got {value!r}", param="budget")
        if self.target_accuracy is not None and self.target_accuracy > 1:
            raise Refusal(f"target_accuracy is at most 1, got {self.target_accuracy}", param="budget")

    @classmethod
    def parse(cls, said: object) -> Allowance:
        """Of a JSON value: an object, or a number of samples. Raises Refusal."""
        if isinstance(said, int) and not isinstance(said, bool):
            return cls(samples=said)
        if not isinstance(said, Mapping):
            raise Refusal(f"a budget is a whole number or an object, got {_brief(said)}", param="budget")
        given = {name: value for name, value in said.items() if value is not None}
        if not given:
            raise Refusal(f"a budget has one of {', '.join(_NAMES)}, got none", param="budget")
        for name in given:
            if name not in _NAMES:
                raise Refusal(
                    f"a budget has the fields {', '.join(_NAMES)}, got {_brief(name)}", param="budget"
                )
        for name in ("samples", "tokens"):
            value = given.get(name)
            if isinstance(value, float) and value.is_integer() and value <= _MOST:
                given[name] = int(value)
        return cls(**given)

    @classmethod
    def read(cls, header: str) -> Allowance:
        """Of a header's text, which is JSON. Raises Refusal."""
        try:
            return cls.parse(json.loads(header))
        except (ValueError, RecursionError) as error:
            if isinstance(error, Refusal):
                raise
            raise Refusal(f"{HEADER} holds JSON, got {_brief(header)}", param=HEADER) from None

    @property
    def asked(self) -> dict[str, Any]:
        """The figures that were given."""
        found = {name: getattr(self, name) for name in _NAMES}
        return {name: value for name, value in found.items() if value is not None}

    def under(self, ceiling: Allowance | None) -> Allowance:
        """The same within a ceiling: its caps join, the lower one binds. Its target says nothing."""
        if ceiling is None:
            return self
        lower = {
            name: min(value, self.asked.get(name, value))
            for name, value in ceiling.asked.items()
            if name != "target_accuracy"
        }
        return replace(self, **lower)

    def shrunk(self, share: float) -> Allowance:
        """A share in (0, 1] of every cap but time, which a client waits for as before."""
        if share >= 1.0:
            return self
        less: dict[str, Any] = {}
        for name in ("samples", "tokens"):
            value = getattr(self, name)
            if value is not None:
                less[name] = max(1, int(value * share))
        for name in ("flops", "usd"):
            value = getattr(self, name)
            if value is not None:
                less[name] = value * share
        return replace(self, **less)


_NAMES = tuple(field.name for field in fields(Allowance))

#: budgets by the endings of model names: ``planner-low``, ...
PRESETS: Mapping[str, Allowance] = MappingProxyType(
    {"low": Allowance(samples=4), "medium": Allowance(samples=16), "high": Allowance(samples=64)}
)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a request may spend, who said so, and the plan or the policy that its model's name forces."""

    allowance: Allowance
    source: Source
    plan: Plan | None = None
    policy: str | None = None


def grant(
    model: str,
    *,
    header: str | None,
    body: object,
    default: Allowance,
    policies: tuple[str, ...] = (),
    presets: Mapping[str, Allowance] = PRESETS,
) -> Granted:
    """Read a request's budget and its model's name.

    Parameters
    ----------
    model:
        ``planner``, ``planner-low`` (or another preset), ``planner/<plan>``, or one of ``policies``, which
        means that policy's single greedy answer. A plan says itself what it takes: no default caps it.
    header, body:
        The header's text and the body's value, None where there is none.

    Raises Refusal: 404 for an unknown model, 400 for a plan or a budget that breaks a rule.
    """
    plan, policy, named = None, None, None
    if model in policies:
        plan, policy = Plan.of("cot"), model
    elif model.startswith(f"{_MODEL}/"):
        try:
            plan = Plan.parse(model.removeprefix(f"{_MODEL}/"))
        except PlanError as error:
            raise Refusal(str(error)[:300], param="model", code="plan") from None
    elif model.removeprefix(f"{_MODEL}-") in presets and model != model.removeprefix(f"{_MODEL}-"):
        named = presets[model.removeprefix(f"{_MODEL}-")]
    elif model != _MODEL:
        names = (_MODEL, *(f"{_MODEL}-{name}" for name in presets), f"{_MODEL}/<plan>", *policies)
        raise Refusal(
            f"model must be one of {', '.join(names)}, got {_brief(model)}",
            404,
            param="model",
            code="model_not_found",
        )
    if header is not None:
        return Granted(Allowance.read(header), Source.HEADER, plan, policy)
    if body is not None:
        return Granted(Allowance.parse(body), Source.BODY, plan, policy)
    if plan is not None:  # says itself what it takes
        named = Allowance()
    if named is not None:
        return Granted(named, Source.MODEL, plan, policy)
    return Granted(default, Source.DEFAULT, plan, policy)


def _brief(value: object) -> str:
    """A value for a message, cut: clients may send anything."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        text = "a number of very many digits"
    return text if len(text) <= 80 else text[:77] + "..."
