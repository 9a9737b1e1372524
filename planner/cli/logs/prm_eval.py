"""``planner prm-eval``: how far a PRM can be trusted, by ProcessBench and PRMBench."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import percent, print_json, print_table
from planner.cli.progress import bar
from planner.models import find_model
from search.errors import CheckpointError

if TYPE_CHECKING:
    from search.prm_benchmarks.evaluate import PrmEvaluation
    from search.rewards.protocol import Reward

__all__ = ["prm_eval"]


def prm_eval(
    prm: Annotated[
        str,
        typer.Argument(
            help="A checkpoint folder or a head, a shipped PRM, judge:POLICY, implicit:POLICY/REFERENCE, "
            "or a name of --models."
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES", help="Records of ProcessBench or PRMBench: files, or hf:NAME@SPLIT."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Writes the reliability (JSON).")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, metavar="T", help="A step is wrong below it; else chosen on gsm8k."),
    ] = None,
    family: Annotated[
        str | None, typer.Option(metavar="NAME", help="The PRM's family, where its config does not tell.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A models file (TOML) that says where PRM is.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first records of each file alone.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a PRM on ProcessBench and PRMBench; write the reliability that follows."""
    from search.prm_benchmarks.evaluate import evaluate_prm, read_benchmark
    from search.sync import run_sync

    benchmark = read_benchmark(files, limit)
    reward = _opened(prm, models, family, threads)
    try:
        with bar("prm-eval") as tell:
            found = run_sync(
                evaluate_prm(
                    reward,
                    benchmark,
                    threshold=threshold,
                    progress=lambda done, total: tell(done, total, f"{done:,} solutions"),
                )
            )
    finally:
        run_sync(reward.close())
    if output is not None:
        found.reliability.write(output)
    if as_json:
        print_json(_to_dict(found))
    else:
        _print(found, output)


def _opened(prm: str, models: Path | None, family: str | None, threads: int) -> Reward:
    """The PRM, wherever it is. Raises CheckpointError, ModelsError."""
    from search.models_file import ModelsFile
    from search.rewards.families import open_reward
    from search.rewards.prm_names import asks_policies
    from search.sources import EmbeddedPolicy, asked_prm

    if family is not None and (models is not None or asks_policies(prm)):
        raise CheckpointError(f"--family is for a checkpoint folder, got {family!r} for {prm}")
    if models is not None:
        known = ModelsFile.read(models)
        name = known.prm_name(prm)
        return known.loader([], [name], find=find_model, threads=threads).reward(name)
    if asks_policies(prm):
        return asked_prm(prm, lambda name: EmbeddedPolicy(find_model(name), {"threads": threads})).open()
    return open_reward(find_model(prm), threads=threads, family=family)


def _to_dict(found: PrmEvaluation) -> dict[str, object]:
    bench = found.prmbench
    return {
        "processbench": {
            "threshold": found.threshold,
            "chosen_on": found.chosen_on,
            "subsets": {name: asdict(subset) for name, subset in found.subsets.items()},
            "average_f1": found.average,
        }
        if found.subsets
        else None,
        "prmbench": None
        if bench is None
        else {
            "threshold": found.threshold,
            "categories": {name: asdict(category) for name, category in bench.categories.items()},
            "overall": asdict(bench.overall),
            "mean": bench.mean,
        },
        "reliability": asdict(found.reliability),
        "prm_tokens": found.tokens,
        "left_out": found.left_out,
    }


def _print(found: PrmEvaluation, output: Path | None) -> None:
    where = "" if found.chosen_on is None else f", chosen on {found.chosen_on}"
    if found.subsets:
        rows = [
            (
                name,
                percent(s.erroneous),
                percent(s.correct),
                percent(s.f1),
                _count(s.erroneous_samples, s.correct_samples),
            )
            for name, s in found.subsets.items()
        ]
        print_table(
            f"ProcessBench, {found.reliability.prm}",
            ["subset", "erroneous %", "correct %", "F1", "samples"],
            [*rows, ("average", "", "", percent(found.average), "")],
            notes=[f"A step is called wrong below {found.threshold:.4g}{where}."],
            emphasised=[len(rows)],
        )
    if found.prmbench is not None:
        scores = {**found.prmbench.categories, "overall": found.prmbench.overall}
        print_table(
            f"PRMBench, {found.reliability.prm}",
            ["category", "F1", "negative F1", "PRMScore", "steps"],
            [
                (
                    name,
                    percent(s.f1),
                    percent(s.negative_f1),
                    percent(s.prm_score),
                    _count(s.wrong_steps, s.right_steps),
                )
                for name, s in scores.items()
            ],
            notes=[f"Overall: all steps together. Mean of categories: {percent(found.prmbench.mean)}."],
            emphasised=[len(scores) - 1],
        )
    said = [f"{found.tokens:,} PRM tokens."]
    if found.left_out:
        said.append(f"{found.left_out:,} solutions are longer than the PRM's context and were left out.")
    if output is not None:
        said.append(f"Reliability: {output}")
    typer.echo(" ".join(said))


def _count(wrong: int, right: int) -> str:
    return f"{wrong:,} + {right:,}"
