"""How good the planner's decisions are: the table of targets, each figure with its interval.

    python benchmarks/decision_quality.py [--set locked|spent] [--learn LOG] [--test LOG] [--planner MODEL]
                                          [--seeds 5] [--live 200] [--only PART ...] [--refit]

Reads the log that the planner was fitted on (baselines pick on it) and the log of the test problems; a log
that is not there is made first, by the lab's campaigns on the problems of ``--set``
(``training.lab.held_out``), which takes an hour for the locked ones and several for the spent. Then:

- ``endpoint``: ``above_best_rule``, the primary endpoint: points above the rule that the learning log chose,
  averaged over the budgets that can be spent, with the rule that is best on the test beside it as a bound;
- ``evaluation``: ``planner evaluate`` with several seeds of probes and continuations; figures are means;
- ``alone``: planners of one policy and its PRMs each: between models that differ in size an oracle that knows
  which of their greedy answers is right stands far above anyone;
- ``cells``: the headline figures of planners learned for one policy and one PRM each;
- ``parity``: replayed decisions against live ones on the same samples, one by one;
- ``live``: problems solved by the shipped models, against the accuracy that the replay expected for them;
- ``safety``: PRMs replaced by random, length-biased and over-critical ones, the planner untold, or made anew
  from a hundred problems;
- ``transfer``: families, a domain, a policy or a PRM left out, then (but for families) 200 problems of it.

Intervals are by bootstrap over whole families.

Writes ``decision_quality.json`` and ``decision_quality.md`` beside itself and prints the targets. Of parts
that ``--only`` does not name what was there stays. It asserts nothing.

The endpoint alone takes minutes on the logs of the demo, with planners fitted anew for each seed:

    planner demo --output runs/demo
    python benchmarks/decision_quality.py --only endpoint --refit --seeds 3 --learn runs/demo/log
        --test runs/demo/held-out-log
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from studies.live import live
from studies.page import page
from studies.paired_comparison import ComparisonSpec
from studies.parity import parity
from studies.safety import safety
from studies.specialists import specialists
from studies.targets import targets
from studies.transfer import (
    Move,
    left_out_domain,
    left_out_families,
    left_out_policy,
    left_out_prm,
)

from planner.cli.printing import json_text
from planner.evaluation.budget_adherence import budget_adherence
from planner.evaluation.evaluate import context_of, evaluate
from planner.evaluation.folds.meeting import held_out
from planner.evaluation.folds.refits import refits_of
from planner.evaluation.intervals import Interval
from planner.evaluation.slices import only
from planner.evidence.training_data import TrainingData, read_training_data
from planner.models import find_model, shipped
from planner.planner import Planner
from planner.solving.settings import settings_of
from search.errors import TooLittleDataError
from search.loader import FolderLoader
from search.log.manifest import MANIFEST_NAME
from search.log.store import SearchLog
from search.problem import Problem
from search.sync import run_sync
from training.lab.held_out import LOCKED, SPENT
from training.study import fit_training_data

HERE = Path(__file__).resolve().parent
PARTS = ("endpoint", "evaluation", "alone", "cells", "parity", "live", "safety", "transfer")

#: the test problems by name
SETS = {"locked": LOCKED, "spent": SPENT}

#: the lab's campaigns: the main policy, and those that it may hand over to
GRIDS = ("main", "hand-over")

#: mean budget of the live runs, in samples
LIVE = 16.0

#: what only the first seed's figures keep
CURVES = ("curves", "fixed", "made", "reliability")

#: decisions that are timed
TIMED = 1000

Fit = Callable[[TrainingData], Planner]
Found = dict[str, Any]


def log_of(path: Path, problems: Callable[[], Path]) -> SearchLog:
    """A search log; where there is none yet, the lab's campaigns make it, each in a log of its own."""
    if not (path / MANIFEST_NAME).exists():
        from planner.cli.main import app

        asked = str(problems())
        parts = []
        for name in GRIDS:
            parts.append(str(path.with_name(f"{path.name}-{name}")))
            grid = str(shipped("lab") / f"{name}.toml")
            app(["search", asked, "--grid", grid, "-o", parts[-1]], standalone_mode=False)
        app(["merge", *parts, "-o", str(path)], standalone_mode=False)
    return SearchLog.open(path)


def learning_problems(folder: Path) -> Path:
    """The problems that the shipped planner was learned from, drawn again."""
    from planner.cli.main import app

    path = folder / "learn.jsonl.gz"
    if not path.exists():
        app(["train", "problems", "search", "1024", "--seed", "7", "-o", str(path)], standalone_mode=False)
    return path


def read_all(log: SearchLog) -> TrainingData:
    """A log with every model that it holds."""
    return read_training_data(log, log.manifest.policies, log.manifest.prms)


def read(log: SearchLog, planner: Planner) -> TrainingData:
    """A log as far as the planner knows its models."""
    manifest = log.manifest
    policies = {name: card for name, card in manifest.policies.items() if name in planner.policies}
    prms = {name: card for name, card in manifest.prms.items() if name in planner.prms}
    planner.check([*policies.values(), *prms.values()])
    return read_training_data(log, policies, prms)


def endpoint(test: TrainingData, learned: TrainingData, seeds: int, made: Callable[[int], Planner]) -> Found:
    """Points above the rule that the learning log chose: averaged over budgets and seeds.

    ``made`` gives the planner of a seed.
    """
    runs = []
    for seed in range(seeds):
        began = time.perf_counter()
        runs.append(held_out(made(seed), test, learned, seed=seed))
        say(f"endpoint, seed {seed}: {time.perf_counter() - began:.0f} s")
    found = refits_of(runs)
    return {
        **points(found.above_rule),
        "unit": "points",
        "above_best_on_test": points(found.above_best_rule),
        "per_seed": [None if one is None else 100.0 * one for one in found.per_seed],
        "spread": None if found.spread is None else 100.0 * found.spread,
        "chosen": [[met.chosen[0] for met in run.budgets] for run in runs],
        "budgets_in_samples": [met.budget / runs[0].unit for met in runs[0].budgets],
        "counted": [[met.spendable for met in run.budgets] for run in runs],
        "problems": len(test),
        "families": len(set(test.families)),
        "learned_from": len(learned),
        "command": command(),
    }


def points(interval: Interval | None) -> Found:
    """An interval of shares in points; empty where no budget can be spent."""
    if interval is None:
        return {"value": None, "low": None, "high": None, "why": "no budget can be spent"}
    return {name: 100.0 * value for name, value in asdict(interval).items()}


def command() -> str:
    """What makes the figures."""
    return " ".join(["python benchmarks/decision_quality.py", *sys.argv[1:]])


def evaluations(
    planner: Planner, test: TrainingData, learned: TrainingData, budgets: Sequence[float], seeds: int
) -> list[Found]:
    """``planner evaluate`` under several seeds; decisions are timed once."""
    out = []
    for seed in range(seeds):
        began = time.perf_counter()
        timed = 0 if seed else TIMED
        found = evaluate(
            planner, test, training=learned, budgets=budgets, seed=seed, timed=timed, clustered=True
        )
        figures = found.to_json()
        # the curves of one seed are enough to draw
        out.append({name: value for name, value in figures.items() if not seed or name not in CURVES})
        say(f"evaluation, seed {seed}: {time.perf_counter() - began:.0f} s")
    return out


def alive(planner: Planner, log: SearchLog, test: TrainingData, count: int, seed: int = 0) -> Found:
    """Solve some of the test problems live, at a mean budget."""
    places = np.sort(np.random.default_rng(seed).permutation(len(test))[:count]).tolist()
    rows = {row["problem_id"]: row for row in log.read("problems").iter_rows(named=True)}
    problems = [problem_of(rows[test.problem_ids[place]]) for place in places]
    expected = budget_adherence(planner, context_of(planner, test).test, LIVE * planner.sample_flops)
    loader = FolderLoader(
        {name: find_model(name) for name in planner.policies},
        {name: find_model(name) for name in planner.prms},
    )
    try:
        settings = settings_of(planner, loader)
        return asdict(live(planner, settings, problems, places, expected, seed=seed + 1))
    finally:
        run_sync(loader.close())


def problem_of(row: Found) -> Problem:
    """A problem from its row in a log."""
    texts = (row["problem_id"], row["family"], row["domain"], row["question"])
    return Problem(*texts, row["answer"], json.loads(row["meta"] or "{}"))


def alone(test: TrainingData, learned: TrainingData, budgets: Sequence[float], fit: Fit) -> dict[str, Found]:
    """``planner evaluate`` of a planner for each policy alone; without curves."""
    out = {}
    for name in test.policies:
        mine, theirs = only(learned, policies=(name,)), only(test, policies=(name,))
        found = evaluate(fit(mine), theirs, training=mine, budgets=budgets, clustered=True).to_json()
        out[name] = {key: value for key, value in found.items() if key not in CURVES}
    return out


def sabotages(
    planner: Planner, test: TrainingData, learned: TrainingData, spec: ComparisonSpec, fit: Fit
) -> list[Found]:
    """Every bad PRM, the planner told and untold."""
    done = safety(planner, test, learned, spec, refit=fit)
    return [asdict(trial) | {"safe": trial.safe} for trial in done]


def moves(test: TrainingData, learned: TrainingData, spec: ComparisonSpec, fit: Fit) -> list[Found]:
    """Families, and every domain, policy and PRM that can be left out."""
    tries: dict[str, Callable[[], tuple[Move, ...]]] = {
        "families": partial(left_out_families, learned, test, fit, spec)
    }
    if len(set(learned.domains)) > 1:
        for name in sorted(set(test.domains)):
            tries[name] = partial(left_out_domain, learned, test, name, fit, spec)
    if len(learned.policies) > 1:
        for name in sorted(test.policies):
            tries[name] = partial(left_out_policy, learned, test, name, fit, spec)
    for name in sorted(test.prms):
        for other in sorted(set(learned.prms) - {name})[:1]:
            tries[name] = partial(left_out_prm, learned, test, name, other, fit, spec)
    out = []
    for name, attempt in tries.items():
        began = time.perf_counter()
        try:
            out += [asdict(move) for move in attempt()]
        except TooLittleDataError as error:
            say(f"{name} cannot be left out: {error}")
        say(f"{name} left out: {time.perf_counter() - began:.0f} s")
    return out


def say(text: str) -> None:
    """Progress, apart from results."""
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--learn", type=Path, default=Path("runs/learn"), help="what the planner learned from"
    )
    parser.add_argument("--set", choices=sorted(SETS), default="locked", help="the test problems")
    parser.add_argument("--test", type=Path, help="log of the test problems; default: runs/SET")
    parser.add_argument("--planner", default="models/planner", help="folder of a planner")
    parser.add_argument("--budgets", type=float, nargs="+", default=[4.0, 16.0, 64.0, 256.0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--trials", type=int, default=0, help="Optuna trials of the planners that are made anew"
    )
    parser.add_argument("--live", type=int, default=200, help="problems that are solved live")
    parser.add_argument(
        "--refit",
        action="store_true",
        help="endpoint: a planner fitted on LEARN for each seed, not --planner",
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--output", type=Path, default=HERE / "decision_quality", help="without its suffix")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    planner = Planner.load(find_model(asked.planner))
    learned_log = log_of(asked.learn, lambda: learning_problems(asked.learn.parent))
    learned = read(learned_log, planner)
    log = log_of(asked.test or Path("runs", asked.set), lambda: shipped("lab") / SETS[asked.set].file)
    test = read(log, planner)
    say(f"{len(test)} test problems, {len(learned)} to pick on, {len(test.choices)} choices")
    spec = ComparisonSpec(tuple(asked.budgets))
    fit = partial(fit_training_data, trials=asked.trials)

    def made(seed: int) -> Planner:
        return fit(learned, seed=seed) if asked.refit else planner

    steps: dict[str, Callable[[], Any]] = {
        "endpoint": lambda: endpoint(test, learned, asked.seeds, made),
        "evaluation": lambda: evaluations(planner, test, learned, asked.budgets, asked.seeds),
        "alone": lambda: alone(test, learned, asked.budgets, fit),
        "cells": lambda: asdict(specialists(read_all(learned_log), read_all(log), fit)),
        "parity": lambda: asdict(parity(planner, log)),
        "live": lambda: alive(planner, log, test, asked.live),
        "safety": lambda: sabotages(planner, test, learned, spec, fit),
        "transfer": lambda: moves(test, learned, spec, fit),
    }
    kept = asked.output.with_suffix(".json")
    found: Found = json.loads(kept.read_text()) if kept.is_file() and len(asked.only) < len(PARTS) else {}
    if "evaluation" in asked.only or "about" not in found:
        found["about"] = {
            "command": command(),
            "problems": len(test),
            "families": len(set(test.families)),
            "learned_from": len(learned),
            "seeds": asked.seeds,
        }
    for name in (part for part in PARTS if part in asked.only):
        began = time.perf_counter()
        found["above_best_rule" if name == "endpoint" else name] = steps[name]()
        say(f"{name}: {time.perf_counter() - began:.0f} s")
    # as it will be read again: without numbers that JSON lacks
    found = json.loads(json_text(found))
    found["targets"] = targets(found)
    kept.write_text(json_text(found) + "\n")
    text = page(found)
    asked.output.with_suffix(".md").write_text(text)
    print("\n## ".join(text.split("\n## ")[:2]))


if __name__ == "__main__":
    main()
