"""What ``planner extend`` learns of a policy from 50 and 100 problems, beside other ways to learn it.

    PLANNER_DATA=../shared/data python benchmarks/extend.py [--seeds 3] [--only LOG ...] [--work FOLDER]
        [--write]

Two logs with many policies. For each seed two thirds of the families are learned from: 100 problems are set
aside, and a planner is fitted on the others without one policy. It is then extended by that policy, from 50
or 100 of the problems set aside, and meets the families that nobody has seen. The policies left out are the
best, the third, the middle and the worst of a log, by one sample; they were fixed before the first run.

Measured on the families left out: the log-loss of whether the new policy's answers are right, and accuracy at
the same mean cost, averaged over six budgets of the log's own range, beside the planner without the policy.
Intervals are 95% and draw whole families. Cells that the work folder holds are not made again; ``--write``
puts ``benchmarks/extend.json`` and ``.md`` there.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from real_logs import DATA_SETS, read

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.folds.cross_validation import log_budgets
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler
from planner.evaluation.slices import calibration_rows, only, rows_of
from planner.evidence.matrix import Matrices
from planner.evidence.probe import question_features
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from planner.predicting.boosting import Shape, boost
from planner.predicting.lightgbm_text import parse
from planner.predicting.trees import Forest
from training.extending.extend import extend_training_data
from training.extending.pooling import logits
from training.study import ENOUGH_PROBLEMS, fit_training_data

_JSON = Path(__file__).with_suffix(".json")
_PAGE = Path(__file__).with_suffix(".md")
_LOGS = ("reasoning-gym", "llmrouter")
_SIZES = (50, 100)
_PROBLEMS, _TEST = 1500, 300
_LEARNED = 0.65
#: of each log, by the accuracy of one sample: the best, the third, the middle, the worst
_PLACES = (0.0, 0.25, 0.5, 1.0)
_SHAPE = Shape(trees=60, leaves=4, rate=0.06, min_data=20, l2=20.0, share=0.5)

WAYS = {
    "mean": "its mean on the problems",
    "alike": "the known policy most like it, moved to its mean",
    "stacked": "logistic on the known policies' predicted accuracies, shrunk to their mean",
    "boosted_on": "boosted trees on top of the planner's level",
    "boosted": "boosted trees on the problems alone",
    "pooled": "planner extend",
    "all": "boosted trees on all problems (a bound)",
}
PLANNERS = {
    "extended": "planner extend, known models in the log",
    "extended_alone": "planner extend, the new model alone in the log",
    "few": "planner fit on these problems alone",
    "all": "planner fit on all problems (a bound)",
}


def policies_of(data: TrainingData) -> tuple[str, ...]:
    """The policies that are left out in turn."""
    rate = {name: float(data.graded(pool.codes).mean()) for name, pool in data.pools.items()}
    ordered = sorted(rate, key=lambda name: (-rate[name], name))
    return tuple(dict.fromkeys(ordered[round(place * (len(ordered) - 1))] for place in _PLACES))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -40.0, 40.0))))


def right_of(data: TrainingData, policy: str) -> np.ndarray:
    """(P,) mean correctness of a policy's samples."""
    return np.asarray(data.graded(data.pools[policy].codes).mean(axis=1), np.float64)


def losses(expected: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(P,) log-losses; an expectation is held inside 0.005."""
    inside = np.clip(expected, 0.005, 0.995)
    return np.asarray(-(right * np.log(inside) + (1.0 - right) * np.log(1.0 - inside)))


def shrunk_logistic(
    design: np.ndarray, right: np.ndarray, mean: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """Weights of a logistic regression with a normal prior, by Newton's method."""
    found, precision = mean.copy(), np.diag(spread**-2.0)
    for _ in range(30):
        expected = sigmoid(design @ found)
        slope = design.T @ (expected - right) + precision @ (found - mean)
        bend = (design * (expected * (1.0 - expected))[:, None]).T @ design + precision
        found = found - np.clip(np.linalg.solve(bend, slope), -1.0, 1.0)
    return found


def boosted(rows: np.ndarray, labels: np.ndarray, asked: np.ndarray, probability: bool) -> np.ndarray:
    text = boost(rows, labels, np.ones(len(rows)), _SHAPE, probability=probability, seed=0, threads=1)
    return Forest([parse(text)]).predict(asked)[:, 0]


def told(planner: Planner, data: TrainingData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Question features, the level, and predicted accuracies of the first stage's choices."""
    stage = planner.stages[0]
    features = np.stack([question_features(text, planner.encoder) for text in data.questions])
    menu = stage.menu(features, np.array([float(len(text)) for text in data.questions]))
    return features, menu.level, menu.level[:, None] + menu.advantage


def ways(
    planner: Planner, extended: Planner, policy: str, new: TrainingData, old: TrainingData, test: TrainingData
) -> dict[str, np.ndarray]:
    """(P,) log-losses of each way to predict one sample of the new policy."""
    here, level, known = told(planner, new)
    there, asked_level, asked = told(planner, test)
    right, truth = right_of(new, policy), right_of(test, policy)
    moved, width = logits(known), known.shape[1]
    inside = np.column_stack([np.ones(len(moved)), moved - moved.mean(axis=0)])
    outside = np.column_stack([np.ones(len(asked)), logits(asked) - moved.mean(axis=0)])
    start, spread = np.array([0.0, *[1.0 / width] * width]), np.array([2.0, *[0.2] * width])
    offsets = known + (right.mean() - known.mean(axis=0))
    alike = int(((right[:, None] - offsets) ** 2).sum(axis=0).argmin())
    choices = extended.stages[0].choices
    single = [at for at, choice in enumerate(choices) if choice.policy == policy and not choice.plan.parts]
    # a policy that is far below the known ones gets no choice: its mean is all that is known of it
    pooled = np.full(len(truth), right.mean())
    if single:
        pooled = told(extended, test)[2][:, min(single, key=lambda at: choices[at].plan.n)]
    everything = np.concatenate([told(planner, old)[0], here])
    labels = np.concatenate([right_of(old, policy), right])
    expected = {
        "mean": np.full(len(truth), right.mean()),
        "alike": asked[:, alike] + (right.mean() - known[:, alike].mean()),
        "stacked": sigmoid(outside @ shrunk_logistic(inside, right, start, spread)),
        "boosted_on": asked_level + boosted(here, right - level, there, False),
        "boosted": sigmoid(boosted(here, right, there, True)),
        "pooled": pooled,
        "all": sigmoid(boosted(everything, labels, there, True)),
    }
    return {name: losses(values, truth) for name, values in expected.items()}


def met(planner: Planner, test: TrainingData, budgets: Sequence[float]) -> np.ndarray:
    """(P,) accuracy at equal mean cost, averaged over the budgets."""
    matrices = Matrices(test, planner.encoder, probes=2, resamples=8, seed=0)
    prices = np.geomspace(1e-4 / budgets[-1], 50.0 / budgets[0], 30)
    done = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices]).met
    track = Track("", done.accuracy, done.tokens, done.flops)
    return np.asarray(np.mean([track.at(budget)[0] for budget in budgets], axis=0))


def cells(name: str, data: TrainingData, seed: int, work: Path) -> list[dict[str, Any]]:
    """Every policy left out, at both sizes, for one seed; what the work folder holds is read there."""
    rng = np.random.default_rng(seed)
    families = np.array(sorted(set(data.families)))
    learned = set(rng.permutation(families)[: int(_LEARNED * len(families))])
    inside = np.array([family in learned for family in data.families])
    training, test = rows_of(data, np.flatnonzero(inside)), rows_of(data, np.flatnonzero(~inside))
    test = rows_of(test, calibration_rows(test, _TEST, seed)) if len(test) > _TEST else test
    aside = calibration_rows(training, max(_SIZES), seed)
    old = rows_of(training, np.setdiff1d(np.arange(len(training)), aside))
    budgets = log_budgets(test)
    shared: dict[object, np.ndarray] = {}

    def once(key: object, problems: TrainingData) -> np.ndarray:
        if key not in shared:
            shared[key] = met(fit_training_data(problems, trials=0, seed=seed), test, budgets)
        return shared[key]

    found = []
    for policy in policies_of(data):
        planner, before = None, None
        for size in _SIZES:
            file = work / f"{name}-{seed}-{policy}-{size}.json"
            if file.is_file():
                found.append(json.loads(file.read_text()))
                continue
            began = time.perf_counter()
            if planner is None:
                rest = [other for other in data.policies if other != policy]
                planner = fit_training_data(only(old, policies=rest), trials=0, seed=seed)
                before = met(planner, test, budgets)
            set_aside = rows_of(training, aside)
            new = rows_of(set_aside, calibration_rows(set_aside, size, seed + 1))
            extended = extend_training_data(planner, new, seed=seed)
            alone = extend_training_data(planner, only(new, policies=[policy]), seed=seed)
            reached = {
                "before": before,
                "extended": met(extended, test, budgets),
                "extended_alone": met(alone, test, budgets),
                "all": once("all", training),
            }
            if size >= ENOUGH_PROBLEMS:
                reached["few"] = once(size, new)
            cell = {
                "log": name,
                "seed": seed,
                "policy": policy,
                "size": size,
                "families": test.families,
                "losses": _plain(ways(planner, extended, policy, new, old, test)),
                "accuracy": _plain(reached),
                "verdict": extended.card["verdict"]["sentence"],
                "like": extended.card["extended"][-1]["like"],
                "seconds": round(time.perf_counter() - began, 1),
            }
            file.write_text(json.dumps(cell))
            found.append(cell)
            print(f"{name} seed {seed} {policy} {size}: {cell['seconds']} s", flush=True)
    return found


def _plain(values: Mapping[str, np.ndarray | None]) -> dict[str, list[float]]:
    return {name: np.round(one, 5).tolist() for name, one in values.items() if one is not None}


def judged(log: str, size: int, made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of one log and size, from all its seeds and policies."""
    families = [family for cell in made for family in cell["families"]]
    resampler = Resampler(len(families), clusters=families, seed=0)

    def stacked(part: str, way: str) -> np.ndarray | None:
        if not all(way in cell[part] for cell in made):
            return None
        return np.concatenate([cell[part][way] for cell in made])

    loss = {way: np.concatenate([cell["losses"][way] for cell in made]) for way in WAYS}
    base = stacked("accuracy", "before")
    assert base is not None
    gains: dict[str, Any] = {}
    for way in PLANNERS:
        reached = stacked("accuracy", way)
        gains[way] = None if reached is None else _points(resampler, reached - base)
    by_policy = {}
    for policy in dict.fromkeys(cell["policy"] for cell in made):
        mine = [cell["accuracy"] for cell in made if cell["policy"] == policy]
        by_policy[policy] = {
            way: round(100.0 * float(np.mean([np.mean(a[way]) - np.mean(a["before"]) for a in mine])), 2)
            for way in ("extended", "extended_alone", "all")
        }
    return {
        "log": log,
        "problems": size,
        "seeds": len({cell["seed"] for cell in made}),
        "policies": list(by_policy),
        "without_it": round(100.0 * float(base.mean()), 2),
        "log_loss": {way: round(float(values.mean()), 4) for way, values in loss.items()},
        "log_loss_below_mean": {
            way: _plain_interval(resampler, loss["mean"] - values) for way, values in loss.items()
        },
        "above_without": gains,
        "by_policy": by_policy,
    }


def _plain_interval(resampler: Resampler, values: np.ndarray) -> dict[str, float]:
    found = resampler.interval(values)
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def _points(resampler: Resampler, values: np.ndarray) -> dict[str, float]:
    found = resampler.interval(100.0 * values)
    return {"value": round(found.value, 2), "low": round(found.low, 2), "high": round(found.high, 2)}


_OPENING = """# A policy learned from 50 and 100 problems

    PLANNER_DATA=... python benchmarks/extend.py --write

Of two logs with many policies one policy at a time is left out of a fit and then added from a few problems;
figures are of families that nobody has seen, averaged over the policies left out and {seeds} seeds. Intervals
are 95% and draw whole families.
"""


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [_OPENING.format(seeds=results[0]["seeds"])]
    heads = [f"{one['log']}, {one['problems']}" for one in results]
    accuracies = [f"{one['without_it']:.1f}" for one in results]
    lines += [
        "\n## Log-loss of whether the new policy's answer is right\n\n",
        f"| way | {' | '.join(heads)} |\n",
        "|---|" + "---|" * len(heads) + "\n",
    ]
    for way, words in WAYS.items():
        values = [f"{one['log_loss'][way]:.3f}" for one in results]
        lines.append(f"| {words} | {' | '.join(values)} |\n")
    lines.append(
        "\nA policy far below the known ones gets no choice in planner extend: its mean stands there.\n"
    )
    lines.append("\nHow far below that of the mean, with intervals:\n\n")
    lines += [f"| way | {' | '.join(heads)} |\n", "|---|" + "---|" * len(heads) + "\n"]
    for way, words in WAYS.items():
        if way != "mean":
            values = [_cell(one["log_loss_below_mean"][way], 3) for one in results]
            lines.append(f"| {words} | {' | '.join(values)} |\n")
    lines += [
        "\n## Points above the planner without the policy, at the same mean cost\n\n",
        f"| planner | {' | '.join(heads)} |\n",
        "|---|" + "---|" * len(heads) + "\n",
        f"| without the policy, accuracy | {' | '.join(accuracies)} |\n",
    ]
    for way, words in PLANNERS.items():
        values = [_cell(one["above_without"][way]) for one in results]
        lines.append(f"| {words} | {' | '.join(values)} |\n")
    lines += [
        "\n## By the policy that was left out, points above the planner without it\n\n",
        "| log, problems | policy | planner extend | the new model alone | all problems |\n",
        "|---|---|---|---|---|\n",
    ]
    for one in results:
        for policy, gains in one["by_policy"].items():
            cells = " | ".join(f"{gains[way]:+.1f}" for way in ("extended", "extended_alone", "all"))
            lines.append(f"| {one['log']}, {one['problems']} | {policy} | {cells} |\n")
    lines.append("\nAn empty cell: `planner fit` refuses fewer than 60 problems.\n")
    return "".join(lines)


def _cell(found: Mapping[str, float] | None, digits: int = 1) -> str:
    if found is None:
        return ""
    return f"{found['value']:+.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=_LOGS, default=list(_LOGS))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "planner-extend")
    parser.add_argument("--write", action="store_true", help=f"write {_JSON.name} and {_PAGE.name}")
    asked = parser.parse_args()
    if "PLANNER_DATA" not in os.environ:
        parser.error("PLANNER_DATA names the folder of records by others, got nothing")
    asked.work.mkdir(parents=True, exist_ok=True)
    results = []
    for data in DATA_SETS:
        if data.name not in asked.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            whole, _ = read(data, Path(os.environ["PLANNER_DATA"]), Path(folder), _PROBLEMS, 0)
        made = [cell for seed in range(asked.seeds) for cell in cells(data.name, whole, seed, asked.work)]
        for size in _SIZES:
            results.append(judged(data.name, size, [cell for cell in made if cell["size"] == size]))
    text = page(results)
    print(text)
    if asked.write:
        _JSON.write_text(json.dumps(results, indent=1) + "\n")
        _PAGE.write_text(text)


if __name__ == "__main__":
    main()
