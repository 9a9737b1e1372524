"""Other ways to learn the decisions, beside the planner's: what wins at equal mean FLOPs.

    python benchmarks/recipes.py [--learn LOG] [--test LOG] [--planner MODEL] [--write]

Learns on one log, decides on another: the shipped planner (values of choices, fitted backwards, shrunk);
the solve-then-learn recipe (arXiv 2604.14853: classify each problem's best option at a Lagrange multiplier),
from the question alone and in the planner's stages; and cost-sensitive classification (the same, examples
weighed by what a wrong option loses), both ways. All see the same features and choices. Differences are
paired by problem, with 95% intervals. ``--write`` keeps the table in ``recipes.md``. It asserts nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from studies.imitation import imitate

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData, read_training_data
from planner.models import find_model
from planner.planner import Planner
from search.log.store import SearchLog

BUDGETS = (2.0, 4.0, 8.0, 16.0, 64.0)


def read(path: Path, planner: Planner) -> TrainingData:
    """A log as far as the planner knows its models."""
    log = SearchLog.open(path)
    policies = {name: card for name, card in log.manifest.policies.items() if name in planner.policies}
    prms = {name: card for name, card in log.manifest.prms.items() if name in planner.prms}
    return read_training_data(log, policies, prms)


def tracks(planner: Planner, learned: TrainingData, asked: TrainingData, count: int) -> list[Track]:
    """Every recipe at ``count`` prices."""
    prices = np.geomspace(1e-4, 1.0, count) / planner.sample_flops
    test = Matrices(asked, planner.encoder)
    training = Matrices(learned, planner.encoder)
    met = replay(planner.stages, test, [Rule(price=float(price)) for price in prices]).met
    out = [Track("planner", met.accuracy, met.tokens, met.flops)]
    chains = [[side.at(stage.probe, stage.choices) for stage in planner.stages] for side in (training, test)]
    for staged in (False, True):
        there, here = chains if staged else (chains[0][:1], chains[1][:1])
        for weighed in (False, True):
            name = "cost-sensitive classification" if weighed else "solve then learn"
            name += ", in stages" if staged else ", question only"
            began = time.perf_counter()
            met = imitate(there, here, prices, learned.problem_ids, weighed=weighed)
            print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
            out.append(Track(name, met.accuracy, met.tokens, met.flops))
    return out


def table(found: list[Track], sample_flops: float, problems: int, learned: int) -> str:
    """Accuracy at each budget, and the planner's lead."""
    resampler = Resampler(problems, clusters=None, resamples=2000, seed=0)
    met = {track.name: [track.at(budget * sample_flops)[0] for budget in BUDGETS] for track in found}
    lines = [
        "# Other recipes",
        "",
        f"Accuracy (%) at mean budgets of so many samples, {problems} problems, learned on {learned} others.",
        "In brackets: the planner above it, in points, with its 95% interval (paired by problem).",
        "",
        "| recipe | " + " | ".join(f"{budget:g}" for budget in BUDGETS) + " |",
        "|---" * (1 + len(BUDGETS)) + "|",
    ]
    for name, reached in met.items():
        cells = []
        for ours, theirs in zip(met["planner"], reached, strict=True):
            above = resampler.interval(ours - theirs)
            lead = "" if name == "planner" else f" ({_points(above)})"
            cells.append(f"{100 * theirs.mean():.1f}{lead}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _points(above: object) -> str:
    value, low, high = (100 * getattr(above, name) for name in ("value", "low", "high"))
    return f"{value:+.1f} [{low:.1f}, {high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learn", type=Path, default=Path("runs/learn"))
    parser.add_argument("--test", type=Path, default=Path("runs/held-out"))
    parser.add_argument("--planner", default="models/planner", help="folder of a planner")
    parser.add_argument("--prices", type=int, default=10)
    parser.add_argument("--write", action="store_true", help="keep the table in recipes.md")
    asked = parser.parse_args()
    planner = Planner.load(find_model(asked.planner))
    learned, test = read(asked.learn, planner), read(asked.test, planner)
    text = table(tracks(planner, learned, test, asked.prices), planner.sample_flops, len(test), len(learned))
    print(text)
    if asked.write:
        Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
