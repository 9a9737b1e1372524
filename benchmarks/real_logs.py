"""What a planner gains on records that others have written, by cross-validation, beside every rule.

    PLANNER_DATA=../shared/data python benchmarks/real_logs.py [--only NAME ...] [--seeds 3] [--trials 0]
        [--problems 1200] [--write]

For each data set that the folder ``PLANNER_DATA`` holds, and for the campaign of ``benchmarks/logs/real``:
import it, leave out a fifth of the families at a time, fit a planner on the rest and meet what it would have
decided on the fifth; rivals pick on the same four fifths (``training.cross_validation``). The endpoint is
points above the rule that the training folds chose, averaged over the budgets that can be spent. Each seed
shuffles the folds and the draws; gains are averaged over seeds per problem, and intervals draw families.

It prints a table. ``--write`` puts ``benchmarks/real_logs.json`` and ``.md`` there; of data sets that are not
named by ``--only`` what was there stays.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from planner.evaluation.folds.cross_validation import BEST_FIXED, CHOSEN, PLANNER, CrossValidation
from planner.evaluation.folds.verdict import sentence_of, verdict_of
from planner.evaluation.intervals import Interval, Resampler
from planner.evaluation.rivals import BOUNDS
from planner.evaluation.slices import calibration_rows, rows_of
from planner.evidence.training_data import TrainingData, read_training_data
from search.importing.registry import importer
from search.importing.write import import_records
from search.log.store import SearchLog
from training.cross_validation import cross_validate

_JSON = Path(__file__).with_suffix(".json")
_PAGE = Path(__file__).with_suffix(".md")
_CAMPAIGN = Path(__file__).parent / "logs" / "real" / "math"


@dataclass(frozen=True)
class DataSet:
    """One set of records: ``format`` of ``planner import`` and files, or a search log ("log")."""

    name: str
    format: str
    files: tuple[str, ...]


DATA_SETS = (
    DataSet("gsm8k-solutions", "gsm8k-solutions", ("problem_sets/gsm8k_example_model_solutions.jsonl",)),
    DataSet(
        "game-of-24",
        "tree-of-thoughts",
        (
            "tot_game24/propose1_value3_greedy5.json.gz",
            "tot_game24/naive_cot_sample_100.json.gz",
            "tot_game24/naive_standard_sample_100.json.gz",
        ),
    ),
    DataSet("qwen-math-rm8", "qwen-math-rm", ("qwen_math_rm8/math_cot_100.jsonl",)),
    DataSet("qwen-coder-gsm8k", "log", ("qwen_coder_gsm8k/log",)),
    DataSet("compute-optimal-tts", "compute-optimal-tts", ("compute_optimal_tts/output.tar.gz",)),
    DataSet("reasoning-gym", "reasoning-gym", ("reasoning_gym/easy.jsonl.gz",)),
    DataSet("llmrouter", "llmrouter", ("llmrouter/prices.json", "llmrouter/train.json.gz")),
    DataSet("real-campaign", "log", (str(_CAMPAIGN),)),
)


def read(data: DataSet, folder: Path, work: Path, problems: int, seed: int) -> tuple[TrainingData, int]:
    """The problems of a data set, ``problems`` of them at most, and how many there are."""
    if data.format == "log":
        log = SearchLog.open(folder / data.files[0])
    else:
        output = work / data.name
        import_records(importer(data.format), [folder / file for file in data.files], output)
        log = SearchLog.open(output)
    whole = read_training_data(log, log.manifest.policies, log.manifest.prms)
    if len(whole) <= problems:
        return whole, len(whole)
    return rows_of(whole, calibration_rows(whole, problems, seed)), len(whole)


def judged(name: str, runs: Sequence[CrossValidation], total: int) -> dict[str, Any]:
    """The figures of one data set, points throughout, from one cross-validation per seed."""
    first = runs[0]
    resampler = Resampler(len(first.problems), clusters=first.families, seed=0)
    gains: dict[str, np.ndarray] = {}
    accuracy: dict[str, float] = {}
    for method in (CHOSEN, *(name for name in first.methods if name not in (PLANNER, CHOSEN))):
        met = [
            [one for one in run.spendable if method == CHOSEN or one.within(method)]
            for run in runs
            if method == CHOSEN or method in run.methods
        ]
        if len(met) < len(runs) or not all(met):
            continue
        ours = [np.mean([one.accuracy[PLANNER] for one in budgets], axis=0) for budgets in met]
        theirs = [np.mean([one.accuracy[method] for one in budgets], axis=0) for budgets in met]
        gains[method] = np.mean(ours, axis=0) - np.mean(theirs, axis=0)
        accuracy[method] = float(np.mean(theirs))
    above = resampler.interval(gains[CHOSEN])
    verdicts = [verdict_of(run) for run in runs]
    per_seed = [100.0 * one.above_rule.value for one in verdicts if one.above_rule is not None]
    return {
        "log": name,
        "problems": len(first.problems),
        "problems_in_records": total,
        "families": len(set(first.families)),
        "seeds": len(runs),
        "trials": first.trials,
        "unit": "points",
        "above_best_rule": _points(above),
        "above_best_rule_per_seed": [round(value, 3) for value in per_seed],
        "rule": verdicts[0].rule,
        "verdict": sentence_of(above, verdicts[0].rule),
        "rules": {
            method: {
                "accuracy": round(100.0 * accuracy[method], 3),
                "planner_above": _points(resampler.interval(gain)),
                "deployable": method not in BOUNDS,
            }
            for method, gain in gains.items()
            if method != CHOSEN
        },
        "missing": dict(first.missing),
        "budgets": [
            {
                "samples": round(one.budget / first.unit, 4),
                "flops": float(f"{one.budget:.6g}"),
                "of": first.unit_policy,
                "planner": round(100.0 * float(one.accuracy[PLANNER].mean()), 3),
                "chosen_rule": round(100.0 * float(one.accuracy[CHOSEN].mean()), 3),
                "best_fixed": round(100.0 * float(one.accuracy[BEST_FIXED].mean()), 3),
                "counted": one.spendable,
                "accuracy": {
                    method: round(100.0 * float(one.accuracy[method].mean()), 3)
                    for method in first.methods
                    if one.within(method)
                },
            }
            for one in first.budgets
        ],
        "notes": list(first.notes),
    }


def _points(interval: Interval) -> dict[str, float]:
    return {
        "value": round(100.0 * interval.value, 3),
        "low": round(100.0 * interval.low, 3),
        "high": round(100.0 * interval.high, 3),
    }


_OPENING = """# Records by others, and our own campaign

    PLANNER_DATA=... python benchmarks/real_logs.py --write

Points of the planner above the rule that its training folds chose, averaged over the budgets that can be
spent: five folds over families, figures averaged over {seeds} seeds, 95% intervals that draw whole families.
The rules are the best mixture of two fixed choices, Adaptive-Consistency, the same with weighted votes, a
cascade and nearest neighbours; each picks its settings on the same problems as the planner, and everything is
charged. The oracle knows half of the samples: it shows how much room there is, luck included.

| log | problems | families | above chosen rule | mostly | above best fixed | above best two | oracle above |
|---|---|---|---|---|---|---|---|
"""


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [_OPENING.format(seeds=max(one["seeds"] for one in results))]
    for one in results:
        rules = one["rules"]
        cells = [
            one["log"],
            f"{one['problems']:,} of {one['problems_in_records']:,}",
            str(one["families"]),
            _cell(one["above_best_rule"]),
            one["rule"],
            _cell(rules.get("best_fixed", {}).get("planner_above")),
            _cell(rules.get("mixture", {}).get("planner_above")),
            _cell(_turned(rules.get("oracle", {}).get("planner_above"))),
        ]
        lines.append("| " + " | ".join(cells) + " |\n")
    for one in results:
        lines.append(f"\n## {one['log']}\n\n")
        lines.append(f"{one['verdict'][0].upper()}{one['verdict'][1:]}. By seed: ")
        lines.append(", ".join(f"{value:+.2f}" for value in one["above_best_rule_per_seed"]) + ".\n\n")
        unit = one["budgets"][0]["of"]
        lines.append(f"| budget, samples of {unit} | planner | chosen rule | best fixed |\n")
        lines.append("|---|---|---|---|\n")
        for row in one["budgets"]:
            star = "" if row["counted"] else " (not counted)"
            lines.append(
                f"| {row['samples']:g}{star} | {row['planner']:.1f} | {row['chosen_rule']:.1f} "
                f"| {row['best_fixed']:.1f} |\n"
            )
        lines.append("\n| against | its accuracy | planner above |\n|---|---|---|\n")
        for method, met in one["rules"].items():
            told = method if met["deployable"] else f"{method} (a bound)"
            lines.append(f"| {told} | {met['accuracy']:.1f} | {_cell(met['planner_above'])} |\n")
        lines += [f"\n- {method}: left out, {why}." for method, why in one["missing"].items()]
        lines += [f"\n- {note}." for note in one["notes"]]
        lines.append("\n")
    return "".join(lines)


def _cell(found: Mapping[str, float] | None) -> str:
    return "" if found is None else f"{found['value']:+.1f} [{found['low']:.1f}, {found['high']:.1f}]"


def _turned(found: Mapping[str, float] | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {"value": -found["value"], "low": -found["high"], "high": -found["low"]}


def results(asked: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """One data set after the other."""
    with tempfile.TemporaryDirectory() as work:
        for data in DATA_SETS:
            if asked.only and data.name not in asked.only:
                continue
            if not all((folder / file).exists() for file in data.files):
                print(f"{data.name}: not there, passed over", flush=True)
                continue
            began = time.perf_counter()
            whole, total = read(data, folder, Path(work), asked.problems, 0)
            runs = [cross_validate(whole, trials=asked.trials, seed=seed) for seed in range(asked.seeds)]
            found = judged(data.name, runs, total)
            seconds = time.perf_counter() - began
            told = f"{_cell(found['above_best_rule'])} {found['verdict']}"
            print(f"{data.name}: {told} ({seconds:.0f} s)", flush=True)
            yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=0, help="Optuna trials per fold; 0: default settings")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=1200, help="of each data set, at most")
    parser.add_argument("--only", nargs="+", choices=[data.name for data in DATA_SETS])
    parser.add_argument("--write", action="store_true", help=f"write {_JSON.name} and {_PAGE.name}")
    asked = parser.parse_args()
    if "PLANNER_DATA" not in os.environ:
        parser.error("PLANNER_DATA names the folder of records by others, got nothing")
    found = {one["log"]: one for one in json.loads(_JSON.read_text())} if _JSON.is_file() else {}
    for one in results(asked, Path(os.environ["PLANNER_DATA"])):
        found[one["log"]] = one
        if asked.write:
            ordered = [found[data.name] for data in DATA_SETS if data.name in found]
            _JSON.write_text(json.dumps(ordered, indent=1) + "\n")
            _PAGE.write_text(page(ordered))


if __name__ == "__main__":
    main()
