"""``planner recommend``: the plan for a question, before any token is spent."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.budget import (
    AbstainBelow,
    Accuracy,
    Confidence,
    Flops,
    MeanFlops,
    MeanTokens,
    Price,
    PriceTable,
    Samples,
    Seconds,
    Tokens,
    Usd,
    budget_of,
    prices_of,
)
from planner.cli.printing import brief, number, percent, print_json, print_table
from planner.cli.question import read_question
from planner.models import find_model, shipped

if TYPE_CHECKING:
    from planner.decider import Decider
    from planner.deciding.recommendation import Recommendation, RunnerUp

__all__ = [
    "DomainName",
    "ModelsFileName",
    "PlannerFolder",
    "Question",
    "decider_of",
    "domain_named",
    "planner_folder",
    "print_advice",
    "recommend",
    "recommendation_to_dict",
]

#: the planner that ships with the project
_SHIPPED = "planner"

Question = Annotated[str, typer.Argument(help="The question; - reads standard input.")]
PlannerFolder = Annotated[
    str | None,
    typer.Option("--planner", metavar="MODEL", help="A fitted planner: a folder. Default: the shipped one."),
]
ModelsFileName = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="FILE",
        help="A models file (TOML) with the models, and their prices. Without --planner rules decide.",
    ),
]

DomainName = Annotated[
    str | None,
    typer.Option(
        "--domain",
        metavar="DOMAIN",
        help="What the question belongs to, a name or a dotted path. Default: the planner says it.",
    ),
]


def recommend(
    question: Question,
    planner: PlannerFolder = None,
    models: ModelsFileName = None,
    domain: DomainName = None,
    tokens: Tokens = None,
    flops: Flops = None,
    seconds: Seconds = None,
    usd: Usd = None,
    samples: Samples = None,
    accuracy: Accuracy = None,
    confidence: Confidence = None,
    mean_flops: MeanFlops = None,
    mean_tokens: MeanTokens = None,
    price: Price = None,
    prices: PriceTable = None,
    abstain_below: AbstainBelow = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Name the plan for a question. No token is spent."""
    asked = read_question(question)
    budget = budget_of(
        tokens=tokens,
        flops=flops,
        seconds=seconds,
        usd=usd,
        samples=samples,
        mean_flops=mean_flops,
        mean_tokens=mean_tokens,
        accuracy=accuracy,
        confidence=confidence,
        price=price,
    )
    costs = prices_of(prices)
    decider = decider_of(planner, models)
    advice = decider.recommend(
        asked, budget=budget, domain=domain_named(domain), prices=costs, abstain_below=abstain_below
    )
    if as_json:
        print_json(recommendation_to_dict(advice))
        return
    print_advice(advice)


def domain_named(given: str | None) -> str | None:
    """The name of the domain that was given; a dotted path is imported and registered."""
    from search.grading.registry import DOMAINS

    return None if given is None else DOMAINS.get(given).name


def planner_folder(given: str | None) -> Path:
    """The planner that was named, or else the shipped one."""
    return shipped(_SHIPPED) if given is None else find_model(given)


def decider_of(planner: str | None, models: Path | None) -> Decider:
    """What decides: a fitted planner, or rules between the policies of a models file where none is named."""
    from planner.api import load

    if planner is None and models is not None:
        return load(models=models)
    return load(planner_folder(planner), models=models)


def print_advice(advice: Recommendation) -> None:
    """The choice and its runner-up, and why."""
    rows = [_row("take", advice)]
    if advice.runner_up is not None:
        rows.append(_row("next best", advice.runner_up))
    low, high = advice.interval
    expected = f"{percent(advice.accuracy)} % ({percent(low)} to {percent(high)})"
    if math.isnan(advice.accuracy):
        expected = "unknown"
    first = f"First draw {advice.probe}, then decide again. " if advice.probe is not None else ""
    reasons = [
        f"{why.feature} = {why.value:.4g}: {100 * why.effect:+z.1f} points over the next best"
        for why in advice.why
    ]
    if advice.by_rule:
        over = (
            f"the {advice.neighbours} training questions most like this one" if advice.neighbours else "all"
        )
        reasons = [
            f"A rule decided: at this price it is best on average over {over}.",
            "What the planner has learned of questions was not surely better there.",
        ]
    if advice.target is not None:
        reasons = [str(advice.target), *reasons]
    if advice.abstain:
        first = "Abstain: no affordable plan is likely to help. "
    print_table(
        f"{first}Expected accuracy {expected}",
        ["", "policy", "PRM", "plan", "accuracy %", "tokens", "MFLOPs"],
        rows,
        left=4,
        notes=[*reasons, *(f"Warning: {warning}" for warning in advice.warnings)],
        emphasised=[0],
    )


def _row(name: str, option: Recommendation | RunnerUp) -> tuple[str, ...]:
    cost = (number(option.tokens), number(option.flops / 1e6, 1))
    choice = option.choice
    return (name, choice.policy, choice.prm or "-", brief(choice.plan), percent(option.accuracy), *cost)


def recommendation_to_dict(advice: Recommendation) -> dict[str, Any]:
    """A recommendation as JSON has it."""
    runner = advice.runner_up
    return {
        "policy": advice.choice.policy,
        "prm": advice.choice.prm,
        "plan": str(advice.choice.plan),
        "look": None if advice.probe is None else advice.probe.to_dict(),
        "accuracy": advice.accuracy,
        "interval": advice.interval,
        "tokens": advice.tokens,
        "flops": advice.flops,
        "tokens_p90": advice.tokens_p90,
        "flops_p90": advice.flops_p90,
        "abstain": advice.abstain,
        "by_rule": advice.by_rule,
        "neighbours": advice.neighbours,
        **({} if advice.target is None else {"target": advice.target.to_dict()}),
        "runner_up": None if runner is None else asdict(runner) | {"choice": str(runner.choice)},
        "why": [asdict(reason) for reason in advice.why],
        "warnings": advice.warnings,
    }
