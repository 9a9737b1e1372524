"""What a planner gains on records that others have written, by cross-validation, beside its rivals.

    PLANNER_DATA=../shared/data python benchmarks/real_logs.py [--trials 10] [--only NAME] [--write]

For each data set that the folder ``PLANNER_DATA`` holds: import it, leave out a fifth of the families at a
time, fit a planner on the rest, and meet what its decisions would have met on the fifth. Rivals pick on the
same four fifths. Figures are means over all problems, each decided for by models that have not seen its
family; differences are paired by problem, with 95% bootstrap intervals. It prints the tables, and with
``--write`` puts them into ``benchmarks/real_logs.md``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.decision import Rule
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines import BASELINES
from planner.evaluation.fixed import best_fixed
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Interval, Resampler
from planner.evaluation.overhead import with_overhead
from planner.evaluation.split_half import doubts
from planner.matrix import Matrices
from planner.replay import replay
from planner.training_data import TrainingData, read_training_data
from search.importing.registry import importer
from search.importing.report import Report
from search.importing.write import import_records
from search.log.store import SearchLog
from training.crossfit import folds_of
from training.study import fit_training_data

Floats = NDArray[np.float64]

_FOLDS = 5
_PAGE = Path(__file__).with_suffix(".md")


@dataclass(frozen=True)
class DataSet:
    """One import: ``budgets`` are multiples of the mean FLOPs of one answer of policy ``unit``."""

    name: str
    format: str
    files: tuple[str, ...]
    unit: str
    budgets: tuple[float, ...]


DATA_SETS = (
    DataSet(
        "Game of 24",
        "tree-of-thoughts",
        (
            "tot_game24/propose1_value3_greedy5.json.gz",
            "tot_game24/naive_cot_sample_100.json.gz",
            "tot_game24/naive_standard_sample_100.json.gz",
        ),
        "gpt-4-standard",
        (2.0, 8.0, 32.0, 64.0),
    ),
    DataSet(
        "GSM8K",
        "gsm8k-solutions",
        ("problem_sets/gsm8k_example_model_solutions.jsonl",),
        "gpt3-175b",
        (0.5, 2.0, 8.0, 32.0, 64.0),
    ),
    DataSet(
        "MATH",
        "qwen-math-rm",
        ("qwen_math_rm8/math_cot_100.jsonl",),
        "qwen2.5-math",
        (1.5, 3.0, 8.0, 24.0, 40.0),
    ),
)


@dataclass(frozen=True)
class Part:
    """Some problems of a log, with the face of one."""

    log: SearchLog
    problems: tuple[str, ...]

    def scan(self, table: str) -> pl.LazyFrame:
        """The rows of these problems."""
        return self.log.scan(table).filter(pl.col("problem_id").is_in(list(self.problems)))


def read(log: SearchLog, problems: Iterable[str] | None = None) -> TrainingData:
    """A log, or some problems of it, as a planner reads it."""
    tables = log if problems is None else Part(log, tuple(problems))
    return read_training_data(tables, log.manifest.policies, log.manifest.prms)


def cross_validated(
    log: SearchLog, data: DataSet, *, trials: int, seed: int
) -> tuple[TrainingData, float, list[dict[str, Floats]]]:
    """The whole log, FLOPs of one answer of the unit, and per budget each method's accuracy (P,)."""
    whole = read(log)
    pool = whole.pools[data.unit]
    unit = whole.policies[data.unit].flops(float(pool.prompt.mean() + pool.tokens.mean()))
    fold = folds_of(whole.families, _FOLDS, seed)
    reached: list[dict[str, Floats]] = [{} for _ in data.budgets]
    for left_out in range(_FOLDS):
        held = np.flatnonzero(fold == left_out)
        names = {whole.problem_ids[i] for i in held}
        training = read(log, [name for name in whole.problem_ids if name not in names])
        began = time.perf_counter()
        planner = fit_training_data(training, trials=trials, seed=seed)
        prices = np.geomspace(1e-6, 50.0, 80) / unit
        context = BaselineContext(read(log, names), training, planner.encoder, prices, seed=seed)
        tracks = [_own(planner.stages, context.test, prices), *_rivals(context)]
        for multiple, found in zip(data.budgets, reached, strict=True):
            here = [*tracks, best_fixed(context, multiple * unit)]
            for track in here:
                values = found.setdefault(track.name, np.full(len(whole), np.nan))
                values[held] = track.at(multiple * unit)[0]
        print(f"  fold {left_out + 1} of {_FOLDS}: {time.perf_counter() - began:.0f} s", flush=True)
    return whole, unit, reached


def _own(stages: Sequence[object], matrices: Matrices, prices: Floats) -> Track:
    done = replay(stages, matrices, [Rule(price=float(price)) for price in prices])  # type: ignore[arg-type]
    return Track("planner", done.met.accuracy, done.met.tokens, with_overhead(done, matrices))


def _rivals(context: BaselineContext) -> list[Track]:
    names = ["best_of_n", "mixture", "oracle", "oracle_steady"]
    if any(pool.draws > 1 for pool in context.data.pools.values()):
        names.append("majority")
    made = [BASELINES[name](context) for name in names]
    return [track for track in made if track is not None]


#: method -> what it is called
_NAMES = {
    "planner": "planner",
    "majority": "majority vote",
    "best_of_n": "best of n",
    "best_fixed": "best fixed choice",
    "mixture": "best two, mixed",
    "oracle": "oracle",
    "oracle_steady": "steady oracle",
}


def section(
    data: DataSet, report: Report, log: SearchLog, *, trials: int, seed: int
) -> tuple[list[str], dict[str, Interval]]:
    """The page's lines on one data set, and the differences that its summary needs."""
    whole, unit, reached = cross_validated(log, data, trials=trials, seed=seed)
    resampler = Resampler(len(whole), clusters=whole.families, seed=seed)
    lines = [f"## {data.name}: `{data.format}`", ""]
    taken = ", ".join(f"{report.taken[name]:,} {name}" for name in ("problems", "samples", "scores", "runs"))
    lines += [f"- Taken: {taken}."]
    lines += [f"- Left out: {entry.count:,} x {why}." for why, entry in report.left_out.items()] or [
        "- Left out: nothing."
    ]
    lines += [f"- Assumed: {note}." for note in report.notes]
    lines += [
        "",
        f"{len(whole)} problems in {len(set(whole.families))} families. What each choice is worth alone:",
        "",
    ]
    lines += ["| choice | accuracy % | cost in answers of " + data.unit + " |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {100 * accuracy:.1f} | {flops / unit:.2f} |"
        for name, accuracy, flops in _choices(log, whole)
    ]
    head = " | ".join(f"{budget:g}" for budget in data.budgets)
    lines += ["", f"Accuracy (%) at mean budgets of so many answers of {data.unit}:", ""]
    lines += [f"| method | {head} |", "|---|" + "---|" * len(data.budgets)]
    for name, called in _NAMES.items():
        if name in reached[0]:
            cells = " | ".join(f"{100 * found[name].mean():.1f}" for found in reached)
            lines.append(f"| {called} | {cells} |")
    lines += ["", "Points, with 95% intervals (families drawn whole):", ""]
    lines += [f"| difference | {head} |", "|---|" + "---|" * len(data.budgets)]
    summary: dict[str, Interval] = {}
    pairs = [("planner", other) for other in ("mixture", "best_fixed", "majority") if other in reached[0]]
    for first, second in (*pairs, ("oracle_steady", "mixture")):
        found = [resampler.interval(here[first] - here[second]) for here in reached]
        cells = " | ".join(f"{100 * i.value:+.1f} [{100 * i.low:.1f}, {100 * i.high:.1f}]" for i in found)
        lines.append(f"| {_NAMES[first]} above {_NAMES[second]} | {cells} |")
        over = np.mean([here[first] - here[second] for here in reached], axis=0)
        summary[f"{first}-{second}"] = resampler.interval(over)
        if (first, second) == ("planner", "mixture"):
            shown = 2.8 * float(resampler.means(over).std())
            summary["shown"] = Interval(shown, shown, shown)
    lines += ["", *_caveats(whole), ""]
    return lines, summary


def _caveats(whole: TrainingData) -> list[str]:
    """Where the oracle's figure is an upper bound, and why."""
    lines = [
        f"- Problems that {name} solves in some samples only: {_mixed(whole, name)} of {len(whole)}; "
        "on the rest no number of samples changes anything."
        for name, pool in whole.pools.items()
        if pool.draws > 1
    ]
    once = [name for name, pool in whole.pools.items() if pool.draws == 1]
    if once:
        lines += [
            f"- Each of {', '.join(once)} has one answer per question: the oracle is scored on the outcome "
            "that it picks by. Its figure is an upper bound; how much of it is luck this log cannot tell."
        ]
    else:
        lines += [f"- The oracle: {doubt}." for doubt in doubts(whole)]
    return lines


def _mixed(whole: TrainingData, policy: str) -> int:
    rates = whole.graded(whole.pools[policy].codes).mean(axis=1)
    return int(((rates > 0) & (rates < 1)).sum())


def _choices(log: SearchLog, whole: TrainingData) -> list[tuple[str, float, float]]:
    """Every choice that the planner picks among, by cost: name, mean accuracy, mean FLOPs."""
    known = {(c.policy, c.prm or "", str(c.plan)) for c in whole.choices}
    means = (
        log.scan("outcomes")
        .group_by("policy", "prm", "plan")
        .agg(pl.col("accuracy").mean(), pl.col("flops").mean())
        .sort("flops", "policy", "prm", "plan")
        .collect()
    )
    return [
        (f"{policy} x {prm or '-'} x {plan}", accuracy, flops)
        for policy, prm, plan, accuracy, flops in means.iter_rows()
        if (policy, prm, plan) in known
    ]


def _verdict(name: str, summary: dict[str, Interval]) -> str:
    gain, room = summary["planner-mixture"], summary["oracle_steady-mixture"]
    if gain.low > 0:
        said = "a gain"
    elif gain.high < 0:
        said = "a loss"
    else:
        said = "no difference that so many problems show"
    return (
        f"| {name} | {100 * gain.value:+.1f} [{100 * gain.low:.1f}, {100 * gain.high:.1f}] "
        f"| {100 * summary['shown'].value:.1f} "
        f"| {100 * room.value:+.1f} [{100 * room.low:.1f}, {100 * room.high:.1f}] | {said} |"
    )


def characters_per_token(log: SearchLog) -> str:
    """Characters a token per policy, where the records count tokens."""
    measured = (
        log.scan("samples")
        .group_by("policy")
        .agg((pl.col("text").str.len_chars().sum() / pl.col("tokens").sum()).alias("ratio"))
        .sort("policy")
        .collect()
    )
    return ", ".join(f"{policy} {ratio:.2f}" for policy, ratio in measured.iter_rows())


_OPENING = """# Records by others

    PLANNER_DATA=../shared/data python benchmarks/real_logs.py --trials {trials} --write

imports each data set, fits planners by five-fold cross-validation over families and writes this page.
Families are buckets of questions alike but for their numbers: none of these sets has templates. Every
figure is about problems whose family the planner and its rivals had not seen; probes, PRMs and the
planner's own decisions are charged. "Best two, mixed" is the best that fixed choices do at a mean budget:
what a planner that learns nothing of the problem should reach.

Mean over the budgets of each table below, points above the best two fixed choices; the third column is the
difference that this number of problems would show in four tests of five:

| data set | planner | what so many problems show | steady oracle (headroom) | |
|---|---|---|---|---|
{verdicts}

The oracle picks per problem on one half of its samples and runs and is scored on the other; the steady one
discounts the luck of a half. Where a choice was logged once both are scored on the very outcome that they
pick by: there the figure is luck and headroom together, an upper bound (each section says where).

{characters}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=10, help="Optuna trials per fold; 0: default settings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[data.name for data in DATA_SETS])
    parser.add_argument("--write", action="store_true", help=f"write {_PAGE.name}")
    asked = parser.parse_args()
    if "PLANNER_DATA" not in os.environ:
        parser.error("PLANNER_DATA names the folder of records by others, got nothing")
    folder = Path(os.environ["PLANNER_DATA"])
    body, verdicts, characters = [], [], ""
    with tempfile.TemporaryDirectory() as work:
        for data in DATA_SETS:
            if asked.only not in (None, data.name):
                continue
            output = Path(work) / data.format
            report = import_records(importer(data.format), [folder / file for file in data.files], output)
            log = SearchLog.open(output)
            print(f"{data.name}: {dict(report.taken)}", flush=True)
            lines, summary = section(data, report, log, trials=asked.trials, seed=asked.seed)
            body += lines
            verdicts.append(_verdict(data.name, summary))
            if data.format == "tree-of-thoughts":
                characters = f"Characters a token, where tokens are counted: {characters_per_token(log)}."
            print("\n".join(lines), flush=True)
    page = _OPENING.format(trials=asked.trials, verdicts="\n".join(verdicts), characters=characters)
    page += "\n" + "\n".join(body).rstrip() + "\n"
    print(page)
    if asked.write:
        _PAGE.write_text(page)


if __name__ == "__main__":
    main()
