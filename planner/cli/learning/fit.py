"""``planner fit``: learns a planner from a search log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from planner.cli.learning.likeness import warnings_of
from planner.cli.printing import percent, print_json, print_table
from planner.cli.progress import bar
from search.cards import ModelCard
from search.errors import ArtefactError, RecordError

__all__ = ["Folds", "fit", "price_rows", "print_verdict", "reliability_of"]


#: trials at a time on a cluster
_PARALLEL = 4


class Folds(StrEnum):
    """What is left out together when a fit judges itself."""

    FAMILY = "family"
    PROBLEM = "problem"


def fit(
    log: Annotated[Path, typer.Argument(help="A search log.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="A new folder.")],
    trials: Annotated[int, typer.Option(min=0, help="Optuna trials; 0 takes the default settings.")] = 20,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    folds: Annotated[
        Folds,
        typer.Option(
            help="Requests will be of families that LOG does not hold, or other problems of its own."
        ),
    ] = Folds.FAMILY,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="Keep the Optuna study in this SQLite file, journal:FILE or postgresql://...; continue it.",
        ),
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trials at a time; the planner depends on it. Default: 1, and 4 with --ray."
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]", help="Have actors of a Ray cluster judge trials: the same planner."
        ),
    ] = None,
    reliability: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What planner prm-eval wrote of a PRM that LOG cannot judge; may be repeated.",
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Folds fitted at the same time; the planner is the same.")
    ] = 1,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A models file: the numbers of weights that it tells count in the place of the log's.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn a planner from a search log."""
    if output.exists():
        raise ArtefactError(f"a planner is written to a new folder, got {str(output)!r}, which exists")
    from search.log.store import SearchLog
    from search.models_file import ModelsFile

    told = None if models is None else ModelsFile.read(models)
    logged = SearchLog.open(log)
    policies = logged.manifest.policies if told is None else told.known(logged.manifest.policies)
    known = reliability_of(reliability or [], logged.manifest.prms)
    from training.cluster.judging import judging
    from training.cluster.storages import storage_of
    from training.study import fit as learn

    # a fit by problems says of itself that requests will be of the logged kinds
    warnings = warnings_of(logged) if folds is Folds.FAMILY else []
    storage = None if study is None else storage_of(study)
    width = parallel or (1 if ray is None else _PARALLEL)
    with bar("fit") as tell, judging(ray, width, threads) as judges:
        planner = learn(
            logged,
            policies,
            logged.manifest.prms,
            trials=trials,
            seed=seed,
            threads=threads,
            storage=storage,
            folds=folds.value,
            reliability=known,
            promptings=logged.manifest.promptings,
            drawings=logged.manifest.drawings,
            words=logged.manifest.words,
            width=width,
            judges=judges,
            date=date.today().isoformat(),
            progress=lambda done, total, best: tell(done, total, f"best utility {best:.4f}"),
        )
    planner.save(output)
    card = dict(planner.card)
    if as_json:
        print_json({"planner": str(output), "card": card, "warnings": warnings})
        return
    quality = card["quality"]
    print_table(
        f"Planner {output}",
        ["price of a sample-equivalent", "accuracy %", "cost in sample-equivalents"],
        price_rows(
            [price * planner.sample_flops for price in quality["prices"]],
            [percent(accuracy) for accuracy in quality["accuracy"]],
            [f"{cost:z.1f}" for cost in quality["sample_equivalents"]],
        ),
        notes=[
            "A price of 0.01: another sample-equivalent is spent only where it is expected to add a point of "
            "accuracy. A sample-equivalent: the FLOPs of one sample of the main policy, on average.",
            f"Learned from {card['problems']} problems of {len(card['families'])} families, "
            f"{card['trials']} trials, {card['pruned']} of them pruned. "
            f"Accuracy and cost: what decisions met on problems whose {quality['folds']} was left out.",
            *(f"{gap[0].upper()}{gap[1:]}." for gap in card.get("gaps", ())),
            *(f"Not tried: {note}." for note in card["notes"] if card["trials"]),
            f"The honest test is another log: planner evaluate LOG --planner {output}",
        ],
    )
    print_verdict(card["verdict"], planner.sample_flops)


def price_rows(
    prices: Sequence[float], accuracies: Sequence[str], costs: Sequence[str]
) -> list[tuple[str, str, str]]:
    """A row of the table for each price; neighbours with equal figures share one.

    >>> price_rows([0.001, 0.002, 0.004], ["71", "71", "70"], ["2.0", "2.0", "1.0"])
    [('0.001 to 0.002', '71', '2.0'), ('0.004', '70', '1.0')]
    """
    rows = []
    for (accuracy, cost), alike in groupby(
        zip(prices, accuracies, costs, strict=True), key=lambda row: row[1:]
    ):
        asked = [f"{row[0]:.2g}" for row in alike]
        rows.append((asked[0] if len(asked) == 1 else f"{asked[0]} to {asked[-1]}", accuracy, cost))
    return rows


def print_verdict(verdict: Mapping[str, Any], sample_flops: float) -> None:
    """The table of a fit's verdict on itself, and its sentence."""
    print_table(
        "Against the rules, on problems that were left out",
        ["mean cost in sample-equivalents", "planner %", "rule %", "best fixed choice %"],
        [
            (
                f"{row['flops'] / sample_flops:.2g}",
                *(_interval(row[name]) for name in ("planner", "rule", "best_fixed")),
            )
            for row in verdict["budgets"]
        ],
        notes=[verdict["sentence"]],
    )


def _interval(found: Mapping[str, float]) -> str:
    return f"{percent(found['value'])} [{percent(found['low'])},{percent(found['high'])}]"


def reliability_of(files: list[Path], prms: Mapping[str, ModelCard]) -> dict[str, float]:
    """PRM -> how well it ranks the solutions of one problem. Raises RecordError for a PRM that LOG lacks."""
    from search.prm_benchmarks.reliability import PrmReliability

    found = {}
    for file in files:
        measured = PrmReliability.read(file)
        card = prms.get(measured.prm)
        if card is None or card.fingerprint != measured.fingerprint:
            raise RecordError(
                f"a reliability must be of a PRM of the log ({', '.join(prms) or 'none'}), "
                f"got {measured.prm!r} with fingerprint {measured.fingerprint!r}"
            )
        if math.isfinite(measured.within):
            found[measured.prm] = measured.within
    return found
