"""``planner solve``: plans a question, probes, decides again, and answers."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.budget import (
    AbstainBelow,
    Accuracy,
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
    PlannerFolder,
    Question,
    domain_named,
    planner_folder,
    recommendation_to_dict,
)
from planner.cli.sourcing import Sourcing
from planner.models import find_model
from search.errors import ModelsError

if TYPE_CHECKING:
    from planner.events import Event
    from planner.executor import Solution

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
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A models file (TOML) with the planner's models, and their prices."
        ),
    ] = None,
    domain: DomainName = None,
    tokens: Tokens = None,
    flops: Flops = None,
    seconds: Seconds = None,
    usd: Usd = None,
    samples: Samples = None,
    accuracy: Accuracy = None,
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
    budget = budget_of(
        tokens=tokens,
        flops=flops,
        seconds=seconds,
        usd=usd,
        samples=samples,
        mean_flops=mean_flops,
        mean_tokens=mean_tokens,
        accuracy=accuracy,
        price=price,
    )
    costs = prices_of(prices)
    from planner.planner import Planner
    from search.models_file import ModelsFile

    if models is not None and (policy or prm):
        flag = "--policy" if policy else "--prm"
        raise ModelsError("", [f"{flag} says where a model lies, as --models does: give one, got both"])
    told = None if models is None else ModelsFile.read(models)
    decider = Planner.load(planner_folder(planner))
    places: Any
    if told is not None:
        places = told
    elif engine != "embedded" or engine_option:
        sourcing = Sourcing(engine, policy or (), prm or (), options=engine_option or (), threads=threads)
        places = sourcing.loader([*decider.policies], [*decider.prms])
    else:
        given = {folder.resolve().name: folder for folder in map(find_model, [*(policy or []), *(prm or [])])}
        own = (*decider.policies, *decider.prms)
        places = {name: folder for name, folder in given.items() if name in own}
    decider = decider.with_models(places, domain=domain_named(domain), prices=costs, threads=threads)
    try:
        found = decider.solve(
            asked,
            budget=budget,
            seed=seed,
            abstain_below=abstain_below,
            draw_all=draw_all,
            without=without or (),
            on_event=_tell if events else None,
        )
    finally:
        decider.close()
    if as_json:
        print_json(solution_to_dict(found))
        return
    console = output_console()
    if found.candidates:
        shown = next((one for one in found.candidates if one.answer == found.answer), found.candidates[0])
        console.print(shown.text, markup=False)
    if found.reason:
        console.print(f"{found.reason[:1].upper()}{found.reason[1:]}. One plain answer:", markup=False)
    console.print(
        f"Answer: {found.answer if found.answer is not None else f'none ({found.outcome})'}", markup=False
    )
    print_table(
        f"Plan {found.choice}",
        ["", "expected", "actual"],
        [
            ("accuracy %", percent(found.accuracy), ""),
            ("tokens", number(found.tokens), f"{found.spend.tokens:,}"),
            ("MFLOPs", number(found.flops / 1e6, 1), f"{found.spend.flops / 1e6:,.1f}"),
            ("seconds", "", f"{found.spend.seconds:.2f}"),
            *([] if found.usd is None else [("US dollars", "", f"{found.usd:.6f}")]),
        ],
    )


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
                "look": asdict(stage.probe),
                "advice": recommendation_to_dict(stage.advice),
                "spend": asdict(stage.spend),
            }
            for stage in found.stages
        ],
        "candidates": [asdict(candidate) for candidate in found.candidates],
    }
