"""How far the figures of a cross-validation can be trusted: controls, seeds, learning curves, AIQ.

    planner demo --output runs/demo
    PLANNER_DATA=../shared/data python benchmarks/evaluation_controls.py [--lab runs/demo/log]
        [--only lab qwen-coder-gsm8k] [--parts controls seeds sizes] [--problems 240] [--seeds 3] [--write]

On a lab log (of ``planner demo``) and on one real log (16 samples of a 0.5B model on 96 questions of GSM8K):

- the endpoint: points of the planner above the rule that the training folds chose, and above the rule that is
  best on the test, with the static ceiling and the oracle beside it;
- controls: the same where questions, logprobs or PRM scores are shuffled. A safe planner loses nothing there;
- seeds: the endpoint of several fits, and its standard deviation, the luck of fitting;
- a learning curve: the endpoint where folds learn from 60, 100, 300 or 1,000 problems at most;
- AIQ and quality-neutral costs (``planner.evaluation.folds.deferral``).

Planners have default settings (no trials). It prints tables; ``--write`` puts ``evaluation_controls.json``
and ``.md`` there. Logs that ``--only`` does not name, and parts that ``--parts`` does not, stay as they were.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from planner.cli.printing import json_text
from planner.evaluation.folds.cross_validation import CrossValidation
from planner.evaluation.folds.deferral import deferral_of
from planner.evaluation.folds.refits import refits_of
from planner.evaluation.folds.verdict import verdict_of
from planner.evaluation.slices import calibration_rows, rows_of
from planner.evidence.training_data import TrainingData, read_training_data
from search.log.store import SearchLog
from training.controls import controls
from training.cross_validation import cross_validate, room_of
from training.learning_curve import SIZES, learning_curve

_JSON = Path(__file__).with_suffix(".json")
_PAGE = Path(__file__).with_suffix(".md")

_REAL = "qwen_coder_gsm8k/log"

#: log -> folds: few problems leave enough to learn from in many folds only
LOGS = {"lab": 3, "qwen-coder-gsm8k": 5}

#: what is measured beside the endpoint and AIQ
PARTS = ("controls", "seeds", "sizes")

#: methods of the table of AIQ
_SHOWN = (
    "planner",
    "chosen_rule",
    "best_fixed",
    "mixture",
    "adaptive_consistency",
    "weighted_consistency",
    "knn",
)
_BOUNDS = ("static_ceiling", "oracle")


def read(path: Path, problems: int) -> tuple[TrainingData, int]:
    """At most so many problems of a log, over families in turn, and how many it holds."""
    log = SearchLog.open(path)
    whole = read_training_data(log, log.manifest.policies, log.manifest.prms)
    if len(whole) <= problems:
        return whole, len(whole)
    return rows_of(whole, calibration_rows(whole, problems, 0)), len(whole)


def measured(
    name: str, data: TrainingData, total: int, *, seeds: int, parts: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Figures of one log in shares of 1, part after part."""
    began = time.perf_counter()
    folds = LOGS[name]

    def validate(log: TrainingData = data, *, seed: int = 0, most: int | None = None) -> CrossValidation:
        plain = log is data and seed == 0 and most is None
        found = cross_validate(log, folds=folds, trials=0, seed=seed, most=most, curves=plain)
        told = verdict_of(found, bootstrap=200).sentence
        seconds = time.perf_counter() - began
        print(f"{name}: seed {seed}, learns from {most or 'all'}: {told} ({seconds:.0f} s)", flush=True)
        return found

    found = validate()
    verdict = verdict_of(found)
    yield {
        "log": name,
        "command": " ".join(["python benchmarks/evaluation_controls.py", *sys.argv[1:]]),
        "problems": len(data),
        "problems_in_log": total,
        "families": len(set(data.families)),
        "folds": int(found.fold.max()) + 1,
        "verdict": verdict.sentence,
        "above": {method: asdict(one) for method, one in verdict.above.items()},
        "deferral": deferral_of(found).to_json(),
        "notes": list(found.notes),
    }
    if "controls" in parts:
        yield {"controls": [one.to_json() for one in controls(data, validate)]}
    if "seeds" in parts:
        runs = [found, *(validate(seed=seed) for seed in range(1, seeds))]
        yield {"refits": asdict(refits_of(runs))}
    if "sizes" in parts:
        room = room_of(data, folds=folds)
        curve = learning_curve(lambda size: validate(most=size), SIZES, room=room)
        yield {"learning_curve": [one.to_json() for one in curve]}


_OPENING = """# Controls and further figures of cross-validation

Points of the planner above the rule that its training folds chose, averaged over the budgets that can be
spent; 95% intervals draw whole families. `docs/evaluation.md` says what each figure means.
"""


def page(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [_OPENING]
    for one in found["logs"]:
        lines += _log(one)
    return "\n".join(lines)


def _log(one: Mapping[str, Any]) -> list[str]:
    deferral, above = one["deferral"], one["above"]
    rows = [
        ("the rule that folds chose", "chosen_rule"),
        ("the rule that is best on the test (bound)", "best_rule"),
        ("the best mixture of two fixed choices", "mixture"),
        ("the static ceiling (bound)", "static_ceiling"),
        ("the oracle (bound)", "oracle"),
    ]
    lines = [
        f"\n## {one['log']}\n",
        f"```\n{one['command']}\n```\n",
        f"{one['problems']} of {one['problems_in_log']} problems, {one['families']} families, "
        f"{one['folds']} folds. The planner is {one['verdict']}.\n",
        *_table(
            ("planner above", "points", "95%"),
            ((label, *_points(above[name])) for label, name in rows if name in above),
        ),
    ]
    if "controls" in one:
        lines += [
            "\nControls: the same where evidence is shuffled, for learning and for the test.\n",
            *_table(
                ("shuffled", "points above the rule of the folds", "95%", "rule"),
                ((c["control"], *_points(c["above_rule"]), c["rule"] or c["why"]) for c in one["controls"]),
            ),
        ]
    if "refits" in one:
        refits = one["refits"]
        by_seed = ", ".join("-" if value is None else f"{100 * value:+.2f}" for value in refits["per_seed"])
        spread = "" if refits["spread"] is None else f"; standard deviation {100 * refits['spread']:.2f}"
        lines.append(f"\nSeeds: {by_seed}{spread}; mean {_inline(refits['above_rule'])}.")
    if "learning_curve" in one:
        lines += [
            "\nLearning curve:\n",
            *_table(
                ("problems learned from", "points above the rule of the folds", "95%", "rule"),
                (
                    (str(p["problems"]), *_points(p["above_rule"]), p["rule"] or p["why"])
                    for p in one["learning_curve"]
                ),
            ),
        ]
    return [
        *lines,
        f"\nDeferral, from {deferral['low']:.3g} to {deferral['high']:.3g} samples:\n",
        *_table(
            ("method", "AIQ, %", "planner above", "95%", "quality-neutral cost"),
            (
                (
                    f"{name} (bound)" if name in _BOUNDS else name,
                    f"{100 * curve['aiq']['value']:.1f}",
                    *(("", "") if name == "planner" else _points(curve["above"])),
                    _neutral(curve["quality_neutral_cost"]),
                )
                for name, curve in deferral["curves"].items()
                if name in (*_SHOWN, *_BOUNDS)
            ),
        ),
        *(f"\n- {note}." for note in one["notes"]),
    ]


def _neutral(value: float | None) -> str:
    """Empty cells say why: the method never gets there."""
    return "never as accurate" if value is None else f"{value:.2f}"


def _points(found: Mapping[str, float] | None) -> tuple[str, str]:
    if found is None:
        return ("", "")
    return (f"{100 * found['value']:+.2f}", f"{100 * found['low']:.2f} to {100 * found['high']:.2f}")


def _inline(found: Mapping[str, float] | None) -> str:
    return (
        "empty: at some seed no budget can be spent" if found is None else "{} ({})".format(*_points(found))
    )


def _table(heads: Sequence[str], rows: Any) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--lab", type=Path, default=Path("runs/demo/log"), help="a log of the lab")
    parser.add_argument("--only", nargs="+", choices=list(LOGS), default=list(LOGS))
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--problems", type=int, default=240, help="of each log, at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {_JSON.name} and {_PAGE.name}")
    asked = parser.parse_args()
    if "PLANNER_DATA" not in os.environ:
        parser.error("PLANNER_DATA names the folder of records by others, got nothing")
    paths = dict(zip(LOGS, (asked.lab, Path(os.environ["PLANNER_DATA"]) / _REAL), strict=True))
    kept = json.loads(_JSON.read_text())["logs"] if _JSON.is_file() else []
    found = {one["log"]: one for one in kept}
    for name in asked.only:
        data, total = read(paths[name], asked.problems)
        for part in measured(name, data, total, seeds=asked.seeds, parts=asked.parts):
            found[name] = {**found.get(name, {}), **part}
            body = {"logs": [found[log] for log in LOGS if log in found]}
            if asked.write:
                _JSON.write_text(json_text(body) + "\n")
                _PAGE.write_text(page(json.loads(json_text(body))) + "\n")
    print(page(json.loads(json_text(body))))


if __name__ == "__main__":
    main()
