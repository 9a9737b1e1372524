"""Off-policy estimates where the truth is known: a complete log replayed as if it had been traffic.

    python benchmarks/traffic.py --log LOG [--only coverage] [--runs 1000] [--problems 600]
    python benchmarks/traffic.py --only drawn [--runs 1000]
    python benchmarks/traffic.py --only size [--rows 1000000]
    python benchmarks/traffic.py --only challenge [--runs 1000]
    python benchmarks/traffic.py --only recovery --log LOG [--seeds 5]

A planner is fitted on part of the log. Another one has the same choices, and expects other accuracies of
them. (Two that are fitted on different problems have votes with learned weights of their own, which the
other one never takes, so every run would be refused for want of support.) Traffic is drawn from problems
that were not learned from: the first planner serves it and explores, an outcome is right with the chance
that the log has for it, and some decisions get feedback. The second planner was never live. What it would
have met is known exactly, from the same log. ``coverage`` draws such traffic again and again and counts how
often the 95% intervals hold the truth. Questions repeat, and feedback depends on the question's length.

``size`` makes SQLite decision logs of a million decisions, all on different questions, and runs ``planner
ope``, ``planner refit`` and ``planner savings`` on them (``traffic_size.py``).

Writes ``traffic.json`` and ``traffic.md`` beside itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from traffic_challenge import simulate
from traffic_recovery import Setting, recover, simplified, summary
from traffic_size import size, size_page

from planner.cli.printing import json_text
from planner.deciding.decision import Menu, Rule
from planner.evaluation.baselines.rules import with_rules
from planner.evaluation.slices import rows_of
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from planner.solving.exploration import Exploration
from planner.traffic.follow import decided, menu_rows
from planner.traffic.gather import Gathered
from planner.traffic.ope import OpeReport, evaluate_offline
from planner.traffic.sources import ANYONE, Sources, Word
from search.log.store import SearchLog
from training.study import fit_training_data

HERE = Path(__file__).resolve().parent

#: what is measured
_PARTS = ("coverage", "drawn", "size", "challenge", "recovery")

#: how far the second planner's expectations lie from the first one's, in accuracy (a standard deviation)
_MOVED = 0.02

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Found = dict[str, Any]


class _Scripted(Random):
    """Explores always, and takes the option that it is told."""

    def __init__(self) -> None:
        super().__init__(0)
        self.take, self.count = 0, 0

    def random(self) -> float:
        return 0.0

    def randrange(self, stop: int, *_: Any) -> int:  # type: ignore[override]
        self.count = stop
        return min(self.take, stop - 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """One stage of the planner that serves, R rows: what it may take and with what chance, (R, K) and -1
    where there is nothing more; what comes of its C choices, (R, C); what the other planner takes there, in
    the numbers of the first (-1: something else), and expects, (3, R)."""

    options: Ints
    chance: Floats
    value: Floats
    tokens: Floats
    flops: Floats
    paid_tokens: Floats
    paid_flops: Floats
    other: Ints
    expected: Floats
    probes: int


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Problems, the planner that serves them, and the one that never did with what it would have met."""

    stages: tuple[_Stage, ...]
    problems: int
    covariates: Floats
    truth: tuple[float, float, float]

    @classmethod
    def of(
        cls, data: TrainingData, old: Planner, new: Planner, *, tokens: float, share: float, seed: int = 0
    ) -> World:
        """Traffic on the problems of ``data`` under a cap in tokens; ``share`` of requests explore."""
        own = Matrices(data, old.encoder, probes=4, resamples=8, seed=seed)
        others = Matrices(data, new.encoder, probes=4, resamples=8, seed=seed)
        stages = tuple(
            _stage(own, others, old, new, place, tokens=tokens, share=share)
            for place in range(len(old.stages))
        )
        logs = np.log1p([len(question) for question in data.questions])
        return cls(stages, len(data), (logs - logs.mean()) / logs.std(), _truth(others, new, tokens))

    @classmethod
    def drawn(cls, problems: int, *, share: float, seed: int = 0) -> World:
        """A world out of thin air: problems of a hidden difficulty, five choices, a probe, five again.

        Both planners see the difficulty through noise, the second one a little differently; what that expects
        is too hopeful and too blunt."""
        rng = np.random.default_rng(seed)
        hard = rng.normal(size=problems)
        costs = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
        stages = []
        for place, looks in ((0, 1), (1, 4)):
            rows = np.repeat(hard, looks)
            skill = np.array([0.2, 0.6, 0.9, 1.2, 1.4])
            value = 1.0 / (1.0 + np.exp(1.5 * rows[:, None] - skill - 0.3 * rng.normal(size=(len(rows), 5))))
            noise = 1.0 if place == 0 else 0.4
            first_seen = rows + noise * rng.normal(size=len(rows))
            seen = [first_seen, first_seen + 0.3 * rng.normal(size=len(rows))]
            takes = [np.clip(np.round(2.0 + one), 0, 4).astype(int) for one in seen]
            if place == 0:  # those in the middle are looked at more closely
                takes = [np.where(np.abs(one) < 0.7, 5, take) for one, take in zip(seen, takes, strict=True)]
            options = 6 - place
            chance = np.full((len(rows), options), share / options)
            chance[np.arange(len(rows)), takes[0]] += 1.0 - share
            at = np.minimum(takes[1], 4)
            said = 0.2 + 0.8 * (skill[at] - 1.5 * seen[1])
            expected = np.stack([1.0 / (1.0 + np.exp(-said)), 1.3 * costs[at], 1.3e6 * costs[at]])
            paid = np.full(len(rows), float(place))
            table = np.tile(costs, (len(rows), 1)) * rng.uniform(0.8, 1.2, (len(rows), 1))
            stages.append(
                _Stage(
                    np.tile(np.arange(options), (len(rows), 1)), chance, value, table, 1e6 * table,
                    paid, 1e6 * paid, takes[1], expected, looks,
                )
            )  # fmt: skip
        first, second = stages
        after = np.stack(
            [part[np.arange(len(part)), second.other] for part in (second.value, second.tokens, second.flops)]
        ) + np.stack([np.zeros(4 * problems), second.paid_tokens, second.paid_flops])
        later = after.reshape(3, problems, 4).mean(axis=2)
        at = np.minimum(first.other, 4)
        now = np.stack([part[np.arange(problems), at] for part in (first.value, first.tokens, first.flops)])
        met = np.where(first.other == 5, later, now).mean(axis=1)
        return cls((first, second), problems, hard + rng.normal(size=problems), tuple(met.tolist()))

    def traffic(self, questions: int, rng: np.random.Generator, feedback: float) -> Gathered:
        """So many questions, each asked once or more, as ``gather`` would have them from a decision log."""
        asked = rng.geometric(0.7, questions)
        problem = np.repeat(rng.integers(0, self.problems, questions), asked)
        count, most = len(problem), len(self.stages)
        weights, expected = np.ones((count, most)), np.zeros((3, count, most))
        spent, last = np.zeros((2, count, most)), np.zeros(count, np.int64)
        value = np.zeros(count)
        there, row, weight = np.arange(count), problem.copy(), np.ones(count)
        probe = rng.integers(0, 4, count)
        for place, stage in enumerate(self.stages):
            row = problem if stage.probes == 1 else problem * stage.probes + probe
            at = row[there]
            took = (rng.random((len(there), 1)) > np.cumsum(stage.chance[at], axis=1)).sum(axis=1)
            took = np.minimum(took, (stage.options[at] >= 0).sum(axis=1) - 1)
            option = stage.options[at, took]
            weight[there] *= (stage.other[at] == option) / stage.chance[at, took]
            weights[there, place:] = weight[there, None]
            expected[:, there, place] = stage.expected[:, at]
            last[there] = place
            further = option == stage.value.shape[1]
            ends, goes = there[~further], there[further]
            value[ends] = stage.value[row[ends], option[~further]]
            spent[0, ends, place] = stage.tokens[row[ends], option[~further]]
            spent[1, ends, place] = stage.flops[row[ends], option[~further]]
            if len(goes):
                after = self.stages[place + 1]
                then = problem[goes] * after.probes + probe[goes]
                spent[0, goes, place] = after.paid_tokens[then] - stage.paid_tokens[row[goes]]
                spent[1, goes, place] = after.paid_flops[then] - stage.paid_flops[row[goes]]
            there = goes
        right = rng.random(count) < value
        covariate = self.covariates[problem]
        odds = np.log(feedback / (1.0 - feedback)) + 0.8 * covariate
        known = rng.random(count) < 1.0 / (1.0 + np.exp(-odds))
        return Gathered(
            weights=weights,
            expected=expected,
            spent=spent,
            last=last,
            clusters=np.repeat(np.arange(questions), asked),
            covariates=np.column_stack([covariate, np.log1p(spent[1].sum(axis=1)), last]),
            promised=np.full(count, np.nan),
            logged=np.full(count, np.nan),
            choice=np.zeros(count, np.int64),
            choices=(),
            domain=np.zeros(count, np.int64),
            domains=(),
            propensity=np.ones(count),
            words={i: (Word(ANYONE, float(right[i]), 0.0),) for i in np.flatnonzero(known).tolist()},
            left_out={},
            policies=frozenset(),
        )


def _menu(planner: Planner, matrices: Matrices, place: int) -> tuple[Menu, Any]:
    stage = planner.stages[place]
    table = matrices.at(stage.probe, stage.choices)
    return stage.menu(table.features, table.characters), table


def _options(
    planner: Planner, matrices: Matrices, place: int, tokens: float
) -> tuple[Menu, Any, Ints, Floats, Floats]:
    menu, table = _menu(planner, matrices, place)
    rule = Rule(price=float(planner.frontier.prices[0]))
    left = tokens - table.paid_tokens
    domains = [matrices.data.domains[problem] for problem in table.problem]
    free = np.full(len(left), np.inf)
    options, said = decided(planner.stages[place], menu, [rule] * len(left), (left, free), domains)
    return menu, table, options, said, left


def _stage(
    own: Matrices, others: Matrices, old: Planner, new: Planner, place: int, *, tokens: float, share: float
) -> _Stage:
    menu, table, options, _, left = _options(old, own, place, tokens)
    stage = old.stages[place]
    script = _Scripted()
    exploring = Exploration(share, old.most_decisions, script)
    rule = Rule(price=float(old.frontier.prices[0]))
    rows = []
    for row, option in enumerate(options.tolist()):
        if option < 0:
            rows.append({0: 1.0})
            continue
        one = _row(menu, row)
        capped = replace(rule, tokens_left=float(left[row]))
        script.take, script.count = 0, 1
        found: dict[int, float] = {}
        while script.take < script.count:
            taken, chance = exploring.pick(stage, one, capped, option)
            found[taken] = chance
            script.take += 1
        rows.append(found)
    width = max(map(len, rows))
    numbers, chances = np.full((len(rows), width), -1), np.zeros((len(rows), width))
    for row, found in enumerate(rows):
        numbers[row, : len(found)], chances[row, : len(found)] = list(found), list(found.values())
    other, said = _others(others, old, new, place, tokens, len(rows))
    return _Stage(
        numbers, chances, table.values, table.tokens, table.flops, table.paid_tokens, table.paid_flops,
        other, said, table.probes,
    )  # fmt: skip


def _row(menu: Menu, row: int) -> Menu:
    return menu_rows(menu, np.array([row]))


def _others(
    matrices: Matrices, old: Planner, new: Planner, place: int, tokens: float, rows: int
) -> tuple[Ints, Floats]:
    """What the other planner takes at a stage of the first, in the first one's numbers, and expects."""
    stage = old.stages[place]
    same = [i for i, one in enumerate(new.stages) if one.probe == stage.probe]
    if not same:
        return np.full(rows, -1), np.zeros((3, rows))
    mine = new.stages[same[0]]
    _, _, options, said, _ = _options(new, matrices, same[0], tokens)
    numbers = [stage.choices.index(c) if c in stage.choices else -1 for c in mine.choices]
    further = len(stage.choices) if mine.actions.next_probe == stage.actions.next_probe else -1
    # the last is for rows where nothing fits: both planners then take the first choice
    table = np.array([*numbers, further, 0])
    return table[options], np.where(options >= 0, said, 0.0)


def _truth(matrices: Matrices, new: Planner, tokens: float) -> tuple[float, float, float]:
    """The mean share right, tokens and FLOPs that the planner meets on every problem."""
    after: Floats | None = None
    for place in range(len(new.stages) - 1, -1, -1):
        _, table, options, _, _ = _options(new, matrices, place, tokens)
        rows, count = np.arange(len(options)), len(table.choices)
        at = np.clip(options, 0, count - 1)
        paid = np.stack([np.zeros(len(rows)), table.paid_tokens, table.paid_flops])
        met = paid + np.stack([table.values[rows, at], table.tokens[rows, at], table.flops[rows, at]])
        if after is not None:
            later = after
            if after.shape[1] != len(rows):
                later = after.reshape(3, len(rows), -1).mean(axis=2)
            met = np.where(options == count, later, met)
        after = met
    assert after is not None
    return tuple(float(one) for one in after.mean(axis=1))  # type: ignore[return-value]


def coverage(world: World, *, runs: int, questions: int, feedback: float = 0.4, seed: int = 0) -> Found:
    """How often intervals hold the truth, of the runs whose effective size is enough."""
    counts: dict[str, list[bool]] = {}
    values: dict[str, list[float]] = {}
    sizes: list[float] = []
    refused = 0
    for run in range(runs):
        report = evaluate_offline(
            world.traffic(questions, np.random.default_rng((seed, run)), feedback), Sources()
        )
        if report.value is None:
            refused += 1
            continue
        sizes.append(report.value.effective)
        for name, estimate, truth in _estimates(report, world.truth):
            counts.setdefault(name, []).append(estimate.low <= truth <= estimate.high)
            values.setdefault(name, []).append(estimate.value - truth)
    return {
        "runs": runs,
        "questions": questions,
        "refused": refused,
        "truth": {"value": world.truth[0], "tokens": world.truth[1], "flops": world.truth[2]},
        "effective_size": [float(one) for one in np.quantile(sizes, [0.05, 0.5, 0.95])] if sizes else [],
        "coverage": {name: float(np.mean(held)) for name, held in counts.items()},
        "bias": {name: float(np.mean(off)) for name, off in values.items()},
        "spread": {name: float(np.std(off)) for name, off in values.items()},
    }


def _estimates(report: OpeReport, truth: tuple[float, float, float]) -> Sequence[tuple[str, Any, float]]:
    found = []
    for name, one, true in zip(
        ("value", "tokens", "flops"), (report.value, report.tokens, report.flops), truth, strict=True
    ):
        if one is not None:
            found += [(f"{name} doubly robust", one.doubly_robust, true), (f"{name} SNIPS", one.snips, true)]
    return found


def split(data: TrainingData, parts: Sequence[int], seed: int) -> list[TrainingData]:
    """Parts of so many problems each, none in two of them."""
    order = np.random.default_rng(seed).permutation(len(data))
    ends = np.cumsum([0, *parts])
    return [rows_of(data, np.sort(order[a:b])) for a, b in pairwise(ends)]


def coverage_of_log(path: Path, *, problems: int, runs: int) -> Found:
    """The benchmark's table: traffic of several sizes on a log."""
    log = SearchLog.open(path)
    data = read_training_data(log, log.manifest.policies, log.manifest.prms)
    first, asked = split(data, (problems, problems), 0)
    old = fit_training_data(first, trials=0, folds="problem")
    new = moved(old, _MOVED, seed=1)
    asked = with_rules(asked, seed=0)
    tokens = 3.0 * float(data.pools[data.main].tokens.mean())
    world = World.of(asked, old, new, tokens=tokens, share=0.3)
    rows = []
    for questions in (500, 1000, 2000):
        print(f"coverage, {questions} questions", file=sys.stderr)
        rows.append({"share": 0.3, **coverage(world, runs=runs, questions=questions)})
    return {
        "log": path.name,
        "problems": problems,
        "tokens": tokens,
        "share": 0.3,
        "moved": _MOVED,
        "served": str(Probe(old.first, 0)),
        "rows": rows,
    }


def moved(old: Planner, spread: float, *, seed: int) -> Planner:
    """A planner of the same choices that expects other accuracies of them."""
    rng = np.random.default_rng(seed)
    stages = tuple(
        replace(stage, centre=stage.centre + spread * rng.normal(size=len(stage.centre)))
        for stage in old.stages
    )
    return replace(old, stages=stages)


def coverage_of_drawn(runs: int) -> Found:
    """The same on worlds out of thin air, one for every share of exploration."""
    rows = []
    for share in (0.3, 0.6):
        world = World.drawn(2000, share=share)
        for questions in (1000, 2000):
            print(f"coverage, {questions} questions, {share:.0%} explore", file=sys.stderr)
            rows.append({"share": share, **coverage(world, runs=runs, questions=questions)})
    return {"rows": rows}


def page(found: Found) -> str:
    """The figures for people."""
    lines = ["# Learning from traffic, where the truth is known", ""]
    if "coverage" in found:
        lines += _coverage_page(found["coverage"])
    if "drawn" in found:
        lines += _drawn_page(found["drawn"])
    if "size" in found:
        lines += size_page(found["size"])
    if "challenge" in found:
        lines += _challenge_page(found["challenge"])
    if "recovery" in found:
        lines += _recovery_page(found["recovery"])
    return "\n".join(lines) + "\n"


def recovery(path: Path, *, problems: int, seeds: int, keep: Path | None = None) -> Found:
    """Curves of traffic that changes, over several seeds; those that ``keep`` holds already are read
    there."""
    log = SearchLog.open(path)
    read = read_training_data(log, log.manifest.policies, log.manifest.prms)
    data = simplified(read, [*read.policies][-2:], next(iter(read.prms)))
    setting = Setting(tokens=16.0 * float(data.pools[data.main].tokens.mean()))
    found = []
    for seed in range(seeds):
        place = None if keep is None else keep / f"recovery-{problems}-{seed}.json"
        if place is not None and place.exists():
            found.append(json.loads(place.read_text()))
            continue
        one = recover(
            data, next(iter(data.prms)), campaign=problems, asked=problems, setting=setting, seed=seed
        )
        found.append(one)
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json_text(one))
    return {
        "log": path.name,
        "problems": problems,
        "seeds": seeds,
        "tokens": setting.tokens,
        "size": setting.size,
        "window": setting.window,
        "feedback": setting.feedback,
        "explore": setting.explore,
        "batches": list(setting.batches),
        **summary(found, setting),
        "refits": [one["refits"] for one in found],
    }


def _challenge_page(found: Found) -> list[str]:
    lines = [
        "## Champion and challenger",
        "",
        f"`{found['command']}`",
        "",
        f"The champion is right in {found['right']:.0%} of requests, the test looks after every word of "
        f"feedback at {found['alpha']:.0%} (half of it on each side). Words are those on both arms together.",
        "",
        "| share | points better | runs | words | called better | called worse | median words |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found["rows"]:
        median = "-" if row["median_words"] is None else f"{row['median_words']:,.0f}"
        lines.append(
            f"| {row['share']:.0%} | {100 * row['better']:.0f} | {row['runs']:,} | {row['words']:,} | "
            f"{row['called_better']:.1%} | {row['called_worse']:.1%} | {median} |"
        )
    return [*lines, ""]


def _recovery_page(found: Found) -> list[str]:
    names = ("served", "fixed", "oracle", "rules")
    lines = [
        "## Recovery",
        "",
        f"`{found['command']}`",
        "",
        f"{found['seeds']} seeds; {found['problems']} problems of a campaign and as many that are asked, "
        f"under a cap of {found['tokens']:.0f} tokens; {found['size']:,} requests a batch, "
        f"{found['feedback']:.0%} of the answers get feedback, {found['explore']:.0%} explore; a refit after "
        f"each batch from the newest {found['window']:,} decisions. Share right in %, by the log's truth.",
        "",
        "| batch | " + " | ".join(names) + " |",
        "|---:|" + "---:|" * len(names),
    ]
    for batch, values in enumerate(zip(*(found["curves"][name] for name in names), strict=True)):
        lines.append(f"| {batch + 1} | " + " | ".join(f"{100 * value:.1f}" for value in values) + " |")
    lines += [
        "",
        "| time | served over fixed, points | oracle over fixed | rules over fixed |",
        "|---|---:|---:|---:|",
    ]
    for time_ in found["times"]:
        told = []
        for name in ("served", "oracle", "rules"):
            value, low, high = time_[f"{name} over fixed"]
            told.append(f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})")
        lines.append(f"| {time_['time']} | " + " | ".join(told) + " |")
    return [*lines, ""]


def _coverage_page(found: Found) -> list[str]:
    lines = [
        "## Coverage of 95% intervals",
        "",
        f"`{found['command']}`",
        "",
        f"A planner fitted on {found['problems']} problems of a complete lab log, and one of the same "
        f"choices whose expectations are moved by {100 * found['moved']:.0f} points (a standard deviation); "
        f"traffic on {found['problems']} other problems under a cap of {found['tokens']:.0f} tokens. The "
        f"first planner serves and explores in {found['share']:.0%} of requests; 40% of the decisions get "
        "feedback, more of them "
        "on longer questions. What the second planner would have met is known. Only runs whose effective "
        "size is at least 50 count; in the others no number is told.",
        "",
        *_coverage_table(found["rows"]),
    ]
    return lines


def _drawn_page(found: Found) -> list[str]:
    return [
        "## Coverage in made-up worlds",
        "",
        f"`{found['command']}`",
        "",
        "2,000 problems of a hidden difficulty, two stages of five choices, a probe between them. Each of "
        "two planners sees the difficulty through noise, a little differently; what the second one expects "
        "is too hopeful and too blunt. The first one serves and explores in the share of requests named; "
        "questions repeat; 40% of the decisions get feedback, more of them on longer questions.",
        "",
        *_coverage_table(found["rows"]),
    ]


def _coverage_table(rows: Sequence[Found]) -> list[str]:
    lines = [
        "| explored | questions | runs | refused | effective size | estimate | bias | spread | covered |",
        "|---:|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        size = f"{row['effective_size'][1]:.0f}" if row["effective_size"] else "-"
        for name, held in row["coverage"].items():
            points = name.startswith("value")
            scale, digits = (100.0, 2) if points else (1.0 / row["truth"][name.split()[0]], 4)
            lines.append(
                f"| {row['share']:.0%} | {row['questions']:,} | {row['runs']:,} | {row['refused']:,} | "
                f"{size} | {name} | {scale * row['bias'][name]:+.{digits}f} | "
                f"{scale * row['spread'][name]:.{digits}f} | {held:.1%} |"
            )
    return [
        *lines,
        "",
        "Bias and spread are in points for the share right, and as a share of the truth for costs. The "
        "effective size is the median. Runs that are refused for their overlap tell no number and do not "
        "count.",
        "",
    ]


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--only", choices=_PARTS, default="coverage")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--problems", type=int, default=600)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a folder for each seed's result, read when run again")
    given = parser.parse_args()
    if given.only in ("coverage", "recovery") and given.log is None:
        parser.error(f"{given.only} is measured on a complete search log, got no --log")
    target = HERE / "traffic.json"
    command = f"python benchmarks/traffic.py --only {given.only}"
    if given.only == "coverage":
        measured = coverage_of_log(given.log, problems=given.problems, runs=given.runs)
        command += f" --log LOG --runs {given.runs} --problems {given.problems}"
    elif given.only == "drawn":
        measured = coverage_of_drawn(given.runs)
        command += f" --runs {given.runs}"
    elif given.only == "challenge":
        measured = simulate(given.runs)
        command += f" --runs {given.runs}"
    elif given.only == "recovery":
        measured = recovery(given.log, problems=given.problems, seeds=given.seeds, keep=given.keep)
        command += f" --log LOG --problems {given.problems} --seeds {given.seeds}"
    else:
        with tempfile.TemporaryDirectory() as folder:
            measured = size(given.rows, Path(folder))
        command += f" --rows {given.rows}"
    # read last: another part may have been measured meanwhile
    found: Found = json.loads(target.read_text()) if target.exists() else {}
    found[given.only] = {"command": command, **measured}
    target.write_text(json_text(found) + "\n")
    (HERE / "traffic.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
