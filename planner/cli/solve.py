"""``planner solve``: plans a question, probes, decides again, and answers."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from planner.cli.printing import number, output_console, percent, print_json, print_table
from planner.cli.question import read_question
from planner.cli.recommend import (
    DomainName,
    ModelsFileName,
    PlannerFolder,
    Question,
    domain_named,
    planner_folder,
    recommendation_to_dict,
)
from planner.models import find_model
from planner.solving.sourcing import Sourcing
from search.budget import Budget
from search.errors import ModelsError
from search.rewards.prm_names import asks_policies

if TYPE_CHECKING:
    from planner.decider import Decider
    from planner.deciding.recommendation import Recommendation
    from planner.planner import Planner
    from planner.solving.events import Event
    from planner.solving.models_given import ModelsGiven
    from planner.solving.solution import Solution
    from search.budget import Prices

__all__ = ["solution_to_dict", "solve"]


def solve(
    question: Question,
    planner: PlannerFolder = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="Where a policy of the planner lies; default: the shipped one."),
    ] = None,
    prm: Annotated[
        list[str] | None,
        typer.Option(metavar="R", help="Where a PRM of the planner lies; default: the shipped one."),
    ] = None,
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
    seed: Annotated[int, typer.Option(min=0, help="Determines every draw.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    draw_all: Annotated[
        bool, typer.Option("--draw-all", help="Draw on where what is missing cannot change the vote.")
    ] = False,
    plan: Annotated[
        str | None,
        typer.Option(metavar="PLAN", help="Run this plan instead of deciding: 'aggregate(n=4)'."),
    ] = None,
    open_plan: Annotated[
        str | None,
        typer.Option(metavar="PLAN", help="What answers an open-ended question; default: cot()."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="How policies run: embedded, vllm, or a plug-in (planner plugins).")
    ] = "embedded",
    engine_option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="For the engine; may be repeated."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A policy or PRM that is left out; may be repeated."),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Say on standard error what happens, as it happens.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Plan a question and answer it."""
    asked = read_question(question)
    figures: dict[str, Any] = {
        "tokens": tokens,
        "flops": flops,
        "seconds": seconds,
        "usd": usd,
        "samples": samples,
        "mean_flops": mean_flops,
        "mean_tokens": mean_tokens,
        "accuracy": accuracy,
        "confidence": confidence,
        "price": price,
    }
    is_free = plan is not None and all(value is None for value in figures.values())
    budget = Budget.unlimited() if is_free else budget_of(**figures)
    costs = prices_of(prices)
    if models is not None and (policy or prm):
        flag = "--policy" if policy else "--prm"
        raise ModelsError("", [f"{flag} says where a model lies, as --models does: give one, got both"])
    decider = _decider(
        planner,
        models,
        _Places(policy or (), prm or (), engine, engine_option or ()),
        domain=domain_named(domain),
        prices=costs,
        threads=threads,
    )
    try:
        found = decider.solve(
            asked,
            budget=budget,
            seed=seed,
            abstain_below=abstain_below,
            draw_all=draw_all,
            plan=plan,
            open_plan=open_plan,
            without=without or (),
            on_event=_tell if events else None,
        )
    finally:
        decider.close()
    if as_json:
        print_json(solution_to_dict(found))
        return
    _print(found)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the models of a fitted planner are, as the options say without a models file."""

    policies: Sequence[str]
    prms: Sequence[str]
    engine: str
    options: Sequence[str]

    def of(self, planner: Planner, threads: int) -> ModelsGiven:
        """As ``Planner.with_models`` takes it."""
        if self.engine != "embedded" or self.options:
            sourcing = Sourcing(self.engine, self.policies, self.prms, options=self.options, threads=threads)
            return sourcing.loader([*planner.policies], [*planner.prms])
        places = [*self.policies, *(prm for prm in self.prms if not asks_policies(prm))]
        given = {folder.resolve().name: folder for folder in map(find_model, places)}
        own = (*planner.policies, *planner.prms)
        return {name: folder for name, folder in given.items() if name in own}


def _decider(
    planner: str | None,
    models: Path | None,
    places: _Places,
    *,
    domain: str | None,
    prices: Prices | None,
    threads: int,
) -> Decider:
    """What solves: a fitted planner, or rules between the policies of a models file where none is named."""
    from planner.planner import Planner
    from planner.solving.models_given import rules_over
    from search.models_file import ModelsFile

    told = None if models is None else ModelsFile.read(models)
    if planner is None and told is not None:
        return rules_over(told, domain=domain, prices=prices, threads=threads)
    fitted = Planner.load(planner_folder(planner))
    given = places.of(fitted, threads) if told is None else told
    return fitted.with_models(given, domain=domain, prices=prices, threads=threads)


def _print(found: Solution) -> None:
    """The solution, its answer, and what was expected beside what came."""
    console = output_console()
    if found.candidates:
        shown = next((one for one in found.candidates if one.answer == found.answer), found.candidates[0])
        console.print(shown.text, markup=False)
    if found.reason:
        what = "One plain answer" if found.choice.plan.is_greedy else f"The answer of {found.choice.plan}"
        console.print(f"{found.reason[:1].upper()}{found.reason[1:]}. {what}:", markup=False)
    console.print(
        f"Answer: {found.answer if found.answer is not None else f'none ({found.outcome})'}", markup=False
    )
    print_table(
        f"Plan {found.choice}",
        ["", "expected", "actual"],
        [
            ("accuracy %", "unknown" if math.isnan(found.accuracy) else percent(found.accuracy), ""),
            ("tokens", number(found.tokens), f"{found.spend.tokens:,}"),
            ("MFLOPs", number(found.flops / 1e6, 1), f"{found.spend.flops / 1e6:,.1f}"),
            ("seconds", "", f"{found.spend.seconds:.2f}"),
            *([] if found.usd is None else [("US dollars", "", f"{found.usd:.6f}")]),
        ],
        notes=_notes(found.stages[-1].advice) if found.stages else (),
    )


def _notes(advice: Recommendation) -> tuple[str, ...]:
    """What was promised of a stream under a target accuracy, and warnings."""
    return advice.warnings if advice.target is None else (str(advice.target), *advice.warnings)


def _tell(event: Event) -> None:
    print(event, file=sys.stderr, flush=True)


def solution_to_dict(found: Solution) -> dict[str, Any]:
    """A solution as JSON has it."""
    return {
        "answer": found.answer,
        "outcome": str(found.outcome),
        "domain": found.domain,
        "reason": found.reason or None,
        "ended": None if found.ended is None else str(found.ended),
        "policy": found.choice.policy,
        "prm": found.choice.prm,
        "plan": str(found.choice.plan),
        "expected": {"accuracy": found.accuracy, "tokens": found.tokens, "flops": found.flops},
        "spend": asdict(found.spend) | {"tokens": found.spend.tokens},
        "usd": found.usd,
        "stages": [
            {
                "look": stage.probe.to_dict(),
                "advice": recommendation_to_dict(stage.advice),
                "spend": asdict(stage.spend),
            }
            for stage in found.stages
        ],
        "candidates": [asdict(candidate) for candidate in found.candidates],
        "calls": [asdict(call) for call in found.calls],
        "jail_seconds": found.jail_seconds,
    }
