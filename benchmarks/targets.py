"""Target accuracies on the lab: what a stream met, what it cost, and whether promises hold.

    python benchmarks/targets.py [--log LOG] [--problems 320] [--splits 6]

Makes a search log of lab problems with the three shipped policies where there is none (minutes). Then it
splits the problems again and again, two thirds to fit a planner on and a third to meet its decisions on: by
problem, for requests of the logged kinds, and by family, for requests of new kinds. It tells

- what a stream under a target accuracy met, beside what was done before: each question took the cheapest plan
  whose own expectation reached the target;
- how often the price that is certified with a confidence of 95% reaches the target, on logs drawn again from
  the left-out decisions of one fit, families whole;
- FLOPs and accuracies that advice promised before any token, and what was met, by domain and by what decided,
  with the corrections of ``planner.predicting.calibration`` and without.

Three splits hold out every problem once, so that no luck of the draw makes streams easy or hard. Every
problem's figures are averaged over the splits that held it out; intervals draw problems, or families where
the splits leave out families. Writes ``targets.json`` and ``targets.md`` beside itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.cli.printing import json_text
from planner.deciding.decision import Menu, Rule
from planner.deciding.replay import ReplayOutcome, aligned, follow, replay
from planner.deciding.stages import Stage
from planner.evaluation.baselines.rules import with_rules
from planner.evaluation.intervals import Resampler
from planner.evaluation.overhead import PER_CHARACTER, PER_DECISION, with_overhead
from planner.evaluation.slices import rows_of
from planner.evaluation.target_accuracy import streams
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData, read_training_data
from planner.models import shipped
from planner.planner import Planner
from planner.predicting.bounds import Bounds
from planner.predicting.frontier import Frontier
from planner.predicting.targets import target_of
from search.budget import Budget
from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.loader import FolderLoader
from search.log.manifest import MANIFEST_NAME
from search.log.outcomes import rebuild_outcomes
from search.log.store import SearchLog
from search.sync import run_sync
from training.lab.problems import problem_set
from training.study import fit_training_data
from training.study_cache import FoldsBy

HERE = Path(__file__).resolve().parent
POLICIES = ("lab-policy-s", "lab-policy-m", "lab-policy-l")
#: targets that are asked for
ASKED = (0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8)
CONFIDENCE = 0.95
_PARTS = 3
#: logs that are drawn again for the coverage
DRAWN = 1000

Floats = NDArray[np.float64]
Found = dict[str, Any]


def log_of(path: Path, problems: int) -> SearchLog:
    """The search log at ``path``; where there is none, of that many lab problems."""
    if (path / MANIFEST_NAME).exists():
        return SearchLog.open(path)
    asked = [worked.problem for worked in problem_set("search", problems, 23)]
    grid = Grid.of(
        {
            "pair": [{"policy": name} for name in POLICIES],
            "strategies": ["cot", "majority"],
            "n": [1, 4],
            "samples": 12,
            "group": 80,
            "seed": 23,
        }
    )
    loader = FolderLoader({name: shipped(name) for name in POLICIES}, {})
    log = SearchLog.at(path)
    try:
        Campaign(asked, grid, log, loader).run(lambda done: None)
    finally:
        run_sync(loader.close())
    with log.writing():
        rebuild_outcomes(log, sorted(plan for plan in grid.plans() if not plan.must_run))
    return log


def parts(data: TrainingData, folds: FoldsBy, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places to learn from, two thirds, and those that are held out; three splits hold out each one once."""
    rng = np.random.default_rng(seed // _PARTS)
    labels = np.array(data.problem_ids if folds == "problem" else data.families)
    out = np.isin(labels, rng.permutation(sorted(set(labels.tolist())))[seed % _PARTS :: _PARTS])
    return np.flatnonzero(~out), np.flatnonzero(out)


def one_by_one(planner: Planner, matrices: Matrices, asked: float) -> tuple[Floats, Floats]:
    """(P,) accuracy and FLOPs where every question takes the cheapest plan, or probe, whose own calibrated
    expectation reaches the target, and the most accurate one where none does."""
    after: ReplayOutcome | None = None
    reached: list[Floats] = []
    made = []
    tables = [matrices.at(stage.probe, stage.choices) for stage in planner.stages]
    for stage, table in zip(planner.stages, tables, strict=True):
        menu = stage.menu(table.features, table.characters)
        made.append(_cheapest(stage, menu, asked))
        if not reached:
            reached.append(np.ones(len(table.problem)))
        else:
            before = tables[len(made) - 2]
            went = reached[-1] * (made[-2] == len(before.choices))
            reached.append(np.repeat(went, table.probes // before.probes))
    for place in range(len(tables) - 1, -1, -1):
        following = None if after is None else aligned(after, tables[place], tables[place + 1])
        after = follow(tables[place], [made[place]], following)
    assert after is not None
    deciding = sum(table.per_problem(went) for table, went in zip(tables, reached, strict=True))
    characters = np.array([len(question) for question in matrices.data.questions])
    return after.accuracy[:, 0], after.flops[:, 0] + PER_DECISION * deciding + PER_CHARACTER * characters


def _cheapest(stage: Stage, menu: Menu, asked: float) -> NDArray[np.int64]:
    accuracy, cost = stage.accuracy(menu), menu.costs.flops
    if menu.probe is not None and menu.advance_net.shape[1]:
        gained = menu.level[:, None] + menu.advance_net + menu.prices * menu.advance_cost
        accuracy = np.concatenate([accuracy, stage.calibration.apply(gained)], axis=1)
        cost = np.concatenate([cost, menu.advance_cost], axis=1)
    enough = accuracy >= asked
    chosen = np.where(
        enough.any(axis=1), np.where(enough, cost, np.inf).argmin(axis=1), accuracy.argmax(axis=1)
    )
    return np.asarray(np.minimum(chosen, len(stage.choices)))


def promised(planner: Planner, data: TrainingData, matrices: Matrices) -> list[Found]:
    """Per price: what decided, and (P,) FLOPs and accuracy promised with and without corrections, and met."""
    prices = planner.frontier.prices[::2]
    done = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices])
    spent = with_overhead(done, matrices)
    bare = replace(planner, stages=tuple(replace(stage, promises=None) for stage in planner.stages))
    out = []
    for j, price in enumerate(prices):
        said = [
            [
                each.decide(question, budget=Budget(price=float(price)), domain=domain)
                for question, domain in zip(data.questions, data.domains, strict=True)
            ]
            for each in (planner, bare)
        ]
        out.append(
            {
                "by_rule": said[0][0].by_rule,
                "flops": [np.array([one.flops for one in each]) for each in said],
                "accuracy": [np.array([one.accuracy for one in each]) for each in said],
                "flops_met": spent[:, j],
                "accuracy_met": done.met.accuracy[:, j],
            }
        )
    return out


def run(data: TrainingData, folds: FoldsBy, splits: int) -> Found:
    """Everything over some splits."""
    met: dict[str, list[tuple[NDArray[np.int64], Floats, Floats]]] = {}
    expected: dict[str, list[tuple[float, float, bool]]] = {}
    told: list[tuple[NDArray[np.int64], Found]] = []
    unit = 0.0
    for seed in range(splits):
        began = time.perf_counter()
        learn, out = parts(data, folds, seed)
        planner = fit_training_data(rows_of(data, learn), trials=0, seed=seed, folds=folds)
        held = with_rules(rows_of(data, out), seed=0)
        matrices = Matrices(held, planner.encoder, probes=2, resamples=8, seed=seed)
        unit += planner.sample_flops / splits
        for confidence in (None, CONFIDENCE):
            budgets = [Budget(accuracy=asked, confidence=confidence) for asked in ASKED]
            for budget, (target, accuracy, flops) in zip(
                budgets, streams(planner, matrices, budgets), strict=True
            ):
                name = f"{budget.accuracy:g} {'mean' if confidence is None else 'sure'}"
                met.setdefault(name, []).append((out, accuracy, flops))
                expected.setdefault(name, []).append((target.accuracy, target.flops, target.reached))
        for asked in ASKED:
            accuracy, flops = one_by_one(planner, matrices, asked)
            met.setdefault(f"{asked:g} before", []).append((out, accuracy, flops))
        told += [(out, one) for one in promised(planner, held, matrices)]
        say(f"{folds} split {seed}: {time.perf_counter() - began:.0f} s")
    clusters = data.families if folds == "family" else None
    resampler = Resampler(len(data), clusters=clusters, seed=0)
    return {
        "splits": splits,
        "sample_flops": unit,
        "targets": [_row(asked, met, expected, resampler, len(data), unit) for asked in ASKED],
        "promises": _promises(data, told, resampler),
    }


def _mean(pieces: Sequence[tuple[NDArray[np.int64], Floats]], count: int, resampler: Resampler) -> Found:
    """The mean over splits and problems with its interval."""
    total, times = np.zeros(count), np.zeros(count)
    for places, values in pieces:
        total[places] += values
        times[places] += 1.0
    found = resampler.ratio(total, times)
    return {"value": found.value, "low": found.low, "high": found.high}


def _row(
    asked: float,
    met: dict[str, list[tuple[NDArray[np.int64], Floats, Floats]]],
    expected: dict[str, list[tuple[float, float, bool]]],
    resampler: Resampler,
    count: int,
    unit: float,
) -> Found:
    row: Found = {"asked": asked}
    for kind in ("mean", "sure", "before"):
        found = met[f"{asked:g} {kind}"]
        row[kind] = _mean([(out, accuracy) for out, accuracy, _ in found], count, resampler)
        flops = _mean([(out, spent) for out, _, spent in found], count, resampler)
        row[kind] |= {"samples": flops["value"] / unit}
        per_split = [float(accuracy.mean()) for _, accuracy, _ in found]
        row[kind]["missed_per_split"] = float(np.mean([abs(one - asked) for one in per_split]))
        row[kind]["splits_below"] = float(np.mean([one < asked for one in per_split]))
        if kind != "before":
            said = expected[f"{asked:g} {kind}"]
            row[kind]["reached"] = float(np.mean([reached for _, _, reached in said]))
            row[kind]["expected"] = float(np.mean([accuracy for accuracy, _, _ in said]))
            row[kind]["samples_expected"] = float(np.mean([flops for _, flops, _ in said])) / unit
    return row


def _promises(
    data: TrainingData, told: Sequence[tuple[NDArray[np.int64], Found]], resampler: Resampler
) -> Found:
    """Ratios of FLOPs and differences of accuracies, promised against met: in all, by domain, by decider."""
    homes = np.array(data.domains)
    groups: dict[str, Any] = {"all": lambda out, one: np.ones(len(out), bool)}
    for name in sorted(set(data.domains)):
        groups[name] = lambda out, one, name=name: homes[out] == name
    groups["by a rule"] = lambda out, one: np.full(len(out), one["by_rule"])
    groups["by what was learned"] = lambda out, one: np.full(len(out), not one["by_rule"])
    found: Found = {}
    for group, mine in groups.items():
        kept = [(out, one, mine(out, one)) for out, one in told]
        if not any(here.any() for _, _, here in kept):
            continue
        sums = np.zeros((len(data), 7))  # FLOPs corrected, predicted, met; accuracies likewise; how many
        for out, one, here in kept:
            scale = one["flops_met"].mean()  # so that every price counts alike
            columns = [*one["flops"], one["flops_met"]]
            sums[out, :3] += np.stack([here * values / scale for values in columns], axis=1)
            columns = [*one["accuracy"], one["accuracy_met"]]
            sums[out, 3:6] += np.stack([here * values for values in columns], axis=1)
            sums[out, 6] += here
        row: Found = {}
        for place, name in enumerate(("corrected", "predicted")):
            cost = resampler.ratio(sums[:, place], sums[:, 2])
            said = resampler.ratio(sums[:, 3 + place] - sums[:, 5], sums[:, 6])
            row[name] = {
                "flops_off_percent": [100.0 * (x - 1.0) for x in (cost.value, cost.low, cost.high)],
                "accuracy_off_points": [100.0 * x for x in (said.value, said.low, said.high)],
            }
        found[group] = row
    return found


def coverage(data: TrainingData, drawn: int, seed: int = 0) -> Found:
    """How often certified prices reach their target where a log's families are drawn again.

    The world is the decisions of one planner on the whole log, replayed on it; each log has as many families
    as this one, drawn with replacement, and its frontier and bounds are measured on it.
    """
    planner = fit_training_data(data, trials=0, seed=seed)
    prices = planner.frontier.prices
    matrices = Matrices(with_rules(data, seed=0), planner.encoder, probes=2, resamples=8, seed=seed)
    done = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices]).met
    truth, families = done.accuracy.mean(axis=0), np.array(data.families)
    names = sorted(set(data.families))
    rng = np.random.default_rng(seed)
    rows: dict[float, list[tuple[bool, float]]] = {asked: [] for asked in ASKED}
    for _ in range(drawn):
        picked = rng.integers(0, len(names), len(names))
        places = [np.flatnonzero(families == names[at]) for at in picked]
        labels = [f"{at}" for at, held in enumerate(places) for _ in held]
        rows_ = np.concatenate(places)
        accuracy = done.accuracy[rows_]
        frontier = Frontier(
            prices,
            accuracy.mean(axis=0),
            done.tokens[rows_].mean(axis=0),
            done.flops[rows_].mean(axis=0),
            Bounds.of(accuracy, labels),
        )
        for asked in ASKED:
            found = target_of(frontier, asked, CONFIDENCE)
            at = [int(np.abs(prices - price).argmin()) for price in found.prices]
            rows[asked].append((found.reached, found.share * truth[at[0]] + (1 - found.share) * truth[at[1]]))
    return {
        "logs": drawn,
        "families": len(names),
        "most": float(truth.max()),
        "targets": [
            {
                "asked": asked,
                "certified": float(np.mean([reached for reached, _ in found])),
                "wrongly": float(np.mean([reached and mean < asked for reached, mean in found])),
                "mean": _mean_of([mean for reached, mean in found if reached]),
            }
            for asked, found in rows.items()
        ],
    }


def _mean_of(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def page(found: Found) -> str:
    """The figures as Markdown."""
    lines = ["# Target accuracies and promises", "", f"`{found['command']}`", ""]
    lines += [
        f"{found['problems']} lab problems of {found['families']} families, three policies. Costs are in "
        "samples of the planner's main policy. Intervals are 95%.",
        "",
    ]
    for folds, title in (("problem", "Requests of the logged kinds"), ("family", "Requests of new families")):
        one = found[folds]
        lines += [f"## {title}: {one['splits']} splits by {folds}", ""]
        lines += _table(
            (
                "target, %", "stream met, %", "95%", "off by, a split", "samples", "expected",
                "with a confidence of 95%: met, %", "samples", "splits certified, %",
                "before: met, %", "samples",
            ),
            [
                (
                    f"{100 * row['asked']:g}" + ("" if row["mean"]["reached"] else " (never reached)"),
                    f"{100 * row['mean']['value']:.1f}",
                    f"{100 * row['mean']['low']:.1f} to {100 * row['mean']['high']:.1f}",
                    f"{100 * row['mean']['missed_per_split']:.1f}",
                    f"{row['mean']['samples']:.2f}",
                    f"{row['mean']['samples_expected']:.2f}",
                    f"{100 * row['sure']['value']:.1f}" if row["sure"]["reached"] else "-",
                    f"{row['sure']['samples']:.2f}" if row["sure"]["reached"] else "-",
                    f"{100 * row['sure']['reached']:.0f}",
                    f"{100 * row['before']['value']:.1f}",
                    f"{row['before']['samples']:.2f}",
                )
                for row in one["targets"]
            ],
        )  # fmt: skip
        lines += ["", "Promised before any token, against what was met:", ""]
        lines += _table(
            ("", "FLOPs off by, %", "as predicted", "accuracy off by, points", "as predicted"),
            [
                (
                    name,
                    *(
                        f"{row[kind][what][0]:+.1f} ({row[kind][what][1]:+.1f} to {row[kind][what][2]:+.1f})"
                        for what in ("flops_off_percent", "accuracy_off_points")
                        for kind in ("corrected", "predicted")
                    ),
                )
                for name, row in one["promises"].items()
            ],
        )
        lines.append("")
    one = found["coverage"]
    lines += [
        "## Coverage of what is certified",
        "",
        f"{one['logs']} logs of {one['families']} families drawn again, a confidence of 95%; "
        f"at most {100 * one['most']:.1f}% can be reached. Wrongly: a price was certified and its mean lies "
        "below the target. At most 5% may be.",
        "",
        *_table(
            ("target, %", "certified, % of logs", "wrongly, % of logs", "mean where certified, %"),
            [
                (
                    f"{100 * row['asked']:g}",
                    f"{100 * row['certified']:.1f}",
                    f"{100 * row['wrongly']:.1f}",
                    "-" if row["mean"] is None else f"{100 * row['mean']:.1f}",
                )
                for row in one["targets"]
            ],
        ),
        "",
    ]
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def say(text: str) -> None:
    """Progress, apart from results."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--log", type=Path, default=Path("runs/targets"), help="a search log, made if missing"
    )
    parser.add_argument("--problems", type=int, default=320, help="lab problems of a log that is made")
    parser.add_argument("--splits", type=int, default=6)
    parser.add_argument("--output", type=Path, default=HERE / "targets", help="without its suffix")
    asked = parser.parse_args()
    log = log_of(asked.log, asked.problems)
    data = read_training_data(log, log.manifest.policies, log.manifest.prms)
    found: Found = {
        "command": " ".join(["python benchmarks/targets.py", *sys.argv[1:]]),
        "problems": len(data),
        "families": len(set(data.families)),
        "coverage": coverage(data, DRAWN),
        "problem": run(data, "problem", asked.splits),
        "family": run(data, "family", asked.splits),
    }
    asked.output.with_suffix(".json").write_text(json_text(found) + "\n")
    text = page(found)
    asked.output.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
