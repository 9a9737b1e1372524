"""What a request may spend, as clients say it, and whose word counts.

    {"tokens": 4000}   {"seconds": 2.5}   {"usd": 0.002}   {"flops": 1e12}   {"samples": 8}   8
    {"accuracy": 0.9}   {"accuracy": 0.9, "confidence": 0.95}   {"mean_flops": 4e8}   {"price": 1e-12}

The words are those of ``search.budget.Budget``; ``target_accuracy`` is an older name of ``accuracy``.

A header wins over the body's ``budget``, that over its ``reasoning_effort``, that over the model's name, that
over the server's default; the server's ceiling binds all of them. Samples are counted at the 90% quantile of
what one greedy answer of the planner's first policy costs for this question.

    >>> parse({"tokens": 4000, "seconds": 2.5})
    Budget(tokens=4000, seconds=2.5)
    >>> parse({"hours": 1})
    Traceback (most recent call last):
    planner.server.refusal.Refusal: a budget has the fields samples, tokens, flops, seconds, usd, \
mean_flops, mean_tokens, accuracy, price, confidence, price_unit, got 'hours'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypedDict

from planner.server.refusal import Refusal, brief
from search.budget import AIMS, UNLIMITED, Budget
from search.errors import BudgetError, PlanError
from search.plan import Plan

__all__ = [
    "EFFORTS",
    "HEADER",
    "PRESETS",
    "Granted",
    "Source",
    "check_time",
    "grant",
    "parse",
    "read",
    "to_wire",
]

#: carries a budget as the body's ``budget`` has it
HEADER = "x-planner-budget"

#: the name of the model, and what its variants begin with
_MODEL = "planner"

#: seconds below which no work is begun
_LEAST = 0.005

#: no figure of a budget is larger: whoever wants all says so with less
_MOST = 1e18


class Source(StrEnum):
    """Who said what a request may spend."""

    HEADER = "header"
    BODY = "body"
    EFFORT = "effort"
    MODEL = "model"
    DEFAULT = "default"


def parse(said: object) -> Budget:
    """The budget of a JSON value: an object, or a number of samples. Raises Refusal."""
    if isinstance(said, int) and not isinstance(said, bool):
        said = {"samples": said}
    if not isinstance(said, Mapping):
        raise Refusal(f"a budget is a whole number or an object, got {brief(said)}", param="budget")
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        raise Refusal(f"a budget has one of {', '.join(_WORDS)}, got none", param="budget")
    for old, name in _ALIASES.items():
        if old in given and name in given:
            raise Refusal(f"a budget has one of {name} and {old}, got both", param="budget")
        if old in given:
            given[name] = given.pop(old)
    for name, value in given.items():
        if name not in _WORDS:
            near = get_close_matches(str(name)[:40], (*_WORDS, *_ALIASES), n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise Refusal(
                f"a budget has the fields {', '.join(_WORDS)}, got {brief(name)}{hint}", param="budget"
            )
        if name == "price_unit":
            if value not in ("flops", "tokens"):
                raise Refusal(f"a price unit is flops or tokens, got {brief(value)}", param="budget")
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refusal(f"a budget is made of numbers, got {brief(value)} for {name}", param="budget")
        least = value >= 0 if name == "price" else value > 0
        if not (least and value <= _MOST):
            raise Refusal(f"{name} must be above 0 and at most {_MOST:g}, got {brief(value)}", param="budget")
        if name in ("samples", "tokens") and isinstance(value, float) and value.is_integer():
            given[name] = int(value)
    try:
        return Budget(**given)
    except BudgetError as error:
        raise Refusal(str(error), param="budget") from None


def read(header: str) -> Budget:
    """The budget of a header's text, which is JSON. Raises Refusal."""
    try:
        return parse(json.loads(header))
    except (ValueError, RecursionError) as error:
        if isinstance(error, Refusal):
            raise
        raise Refusal(f"{HEADER} holds JSON, got {brief(header)}", param=HEADER) from None


def to_wire(budget: Budget) -> dict[str, Any]:
    """A budget as responses have it: what was given, an accuracy under its older name.

    >>> to_wire(Budget(tokens=800, accuracy=0.9))
    {'tokens': 800, 'target_accuracy': 0.9}
    """
    former = {name: old for old, name in _ALIASES.items()}
    return {former.get(name, name): value for name, value in budget.given.items()}


#: what a budget may have on the wire, and the older names of its fields
_WORDS = ("samples", "tokens", "flops", "seconds", "usd", *AIMS, "confidence", "price_unit")
_ALIASES = {"target_accuracy": "accuracy"}

#: budgets by the endings of model names: ``planner-low``, ...
PRESETS: Mapping[str, Budget] = MappingProxyType(
    {"low": Budget(samples=4), "medium": Budget(samples=16), "high": Budget(samples=64)}
)


#: samples of an answer by ``reasoning_effort``; those of a preset are the preset's,
#: and ``max`` spends as ``xhigh``: only a policy tells them apart
EFFORTS: Mapping[str, Budget] = MappingProxyType(
    {
        "none": Budget(samples=1),
        "minimal": Budget(samples=2),
        **PRESETS,
        "xhigh": Budget(samples=256),
        "max": Budget(samples=256),
    }
)


class Granted(TypedDict):
    """Fields of an ``Ask``: what it may spend, who said so, and the plan and the policy that its model's name
    forces."""

    budget: Budget
    source: Source
    plan: Plan | None
    named: str | None


def grant(
    model: str,
    *,
    header: str | None,
    body: object,
    default: Budget,
    policies: tuple[str, ...] = (),
    presets: Mapping[str, Budget] = PRESETS,
    effort: str | None = None,
    answers: int = 1,
) -> Granted:
    """Read a request's budget and its model's name.

    Parameters
    ----------
    model:
        ``planner``, ``planner-low`` (or another preset), ``planner/<plan>``, or one of ``policies``, which
        means that policy's single greedy answer. A plan says itself what it takes: no default caps it.
    header, body:
        The header's text and the body's value, None where there is none.

    effort, answers:
        ``reasoning_effort``, one of ``EFFORTS``, which each of so many answers gets. A plan that is forced
        says itself what it takes: there the effort is for the policy.

    Raises Refusal: 404 for an unknown model, 400 for a plan or a budget that breaks a rule.
    """
    plan, policy, preset = None, None, None
    if model in policies:
        plan, policy = Plan.of("cot"), model
    elif model.startswith(f"{_MODEL}/"):
        try:
            plan = Plan.parse(model.removeprefix(f"{_MODEL}/"))
        except PlanError as error:
            raise Refusal(str(error)[:300], param="model", code="plan") from None
    elif model.removeprefix(f"{_MODEL}-") in presets and model != model.removeprefix(f"{_MODEL}-"):
        preset = presets[model.removeprefix(f"{_MODEL}-")]
    elif model != _MODEL:
        names = (_MODEL, *(f"{_MODEL}-{name}" for name in presets), f"{_MODEL}/<plan>", *policies)
        raise Refusal(
            f"model must be one of {', '.join(names)}, got {brief(model)}",
            404,
            param="model",
            code="model_not_found",
        )
    if header is not None:
        return Granted(budget=read(header), source=Source.HEADER, plan=plan, named=policy)
    if body is not None:
        return Granted(budget=parse(body), source=Source.BODY, plan=plan, named=policy)
    if plan is not None:  # says itself what it takes
        preset = UNLIMITED
    elif effort is not None:
        each = presets.get(effort, EFFORTS[effort])
        samples = None if each.samples is None else each.samples * answers
        each = replace(each, samples=samples)
        return Granted(budget=each, source=Source.EFFORT, plan=plan, named=policy)
    source = Source.DEFAULT if preset is None else Source.MODEL
    return Granted(budget=default if preset is None else preset, source=source, plan=plan, named=policy)


def check_time(seconds: float | None, passed: float) -> None:
    """Raise Refusal where a deadline, ``passed`` seconds after arrival, leaves no time for work.

    400 for one that never does; 504 where the time has passed: on a busy server, that is, as in its queue.
    """
    if seconds is None or seconds - passed >= _LEAST:
        return
    if seconds < _LEAST:
        raise Refusal(
            f"a budget must leave {_LEAST:g} s for the work, got {seconds:.3g} s",
            param="budget",
            code="budget",
        )
    raise Refusal(
        f"a budget must leave {_LEAST:g} s for the work, got {seconds:.3g} s and {passed:.3g} s passed",
        504,
        param="budget",
        code="deadline",
    )
