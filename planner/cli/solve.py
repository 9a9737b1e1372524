"""``planner solve``: plans a question, probes, decides again, and answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.objective import AbstainBelow, Flops, Price, Target, Tokens, objective_of
from planner.cli.printing import output_console, percent, print_json, print_table
from planner.cli.question import read_question
from planner.cli.recommend import PlannerFolder, Question, planner_folder, recommendation_to_dict
from planner.cli.sourcing import Sourcing

if TYPE_CHECKING:
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
    tokens: Tokens = None,
    flops: Flops = None,
    target: Target = None,
    price: Price = None,
    abstain_below: AbstainBelow = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Determines every draw.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    engine: Annotated[
        str, typer.Option(help="How policies run: embedded, vllm, or a plug-in (planner plugins).")
    ] = "embedded",
    engine_option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="For the engine; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Plan a question and answer it."""
    asked, wanted = read_question(question), objective_of(tokens, flops, target, price)
    from planner.executor import solve_sync
    from planner.planner import Planner
    from planner.settings import settings_of
    from search.grading.registry import guess_domain
    from search.sync import run_sync

    decider = Planner.load(planner_folder(planner))
    loader = Sourcing(engine, policy or (), prm or (), options=engine_option or (), threads=threads).loader(
        [*decider.policies], [*decider.prms]
    )
    reader = guess_domain(asked)
    try:
        found = solve_sync(
            asked,
            decider,
            settings_of(decider, loader),
            objective=wanted,
            domain="text" if reader is None else reader.name,
            seed=seed,
            voteable=reader is not None,
            abstain_below=abstain_below,
        )
    finally:
        run_sync(loader.close())
    if as_json:
        print_json(solution_to_dict(found))
        return
    console = output_console()
    if found.candidates:
        shown = next((one for one in found.candidates if one.answer == found.answer), found.candidates[0])
        console.print(shown.text, markup=False)
    console.print(
        f"Answer: {found.answer if found.answer is not None else f'none ({found.outcome})'}", markup=False
    )
    print_table(
        f"Plan {found.choice}",
        ["", "expected", "actual"],
        [
            ("accuracy %", percent(found.accuracy), ""),
            ("tokens", f"{found.tokens:,.0f}", f"{found.spend.tokens:,}"),
            ("MFLOPs", f"{found.flops / 1e6:,.1f}", f"{found.spend.flops / 1e6:,.1f}"),
            ("seconds", "", f"{found.spend.seconds:.2f}"),
        ],
    )


def solution_to_dict(found: Solution) -> dict[str, Any]:
    """A solution as JSON has it."""
    return {
        "answer": found.answer,
        "outcome": str(found.outcome),
        "policy": found.choice.policy,
        "prm": found.choice.prm,
        "plan": str(found.choice.plan),
        "expected": {"accuracy": found.accuracy, "tokens": found.tokens, "flops": found.flops},
        "spend": asdict(found.spend) | {"tokens": found.spend.tokens},
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
