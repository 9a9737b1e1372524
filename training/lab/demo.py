"""The whole loop on the lab, in one folder: problems, search log, planner, evaluation, three live solves.

    FOLDER/problems.jsonl, held-out.jsonl, new.jsonl   lab problems that no model was trained on
    FOLDER/log, FOLDER/held-out-log                    their search logs
    FOLDER/planner                                     the planner learned from the first log
    FOLDER/demo.json                                   every figure, written by whoever runs this

It makes no table and prints nothing. Equal seeds give equal figures, timings aside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from planner.deciding.recommendation import Recommendation
from planner.evaluation.evaluate import Evaluation, evaluate
from planner.evidence.training_data import read_training_data
from planner.planner import Planner
from planner.solving.settings import settings_of
from planner.solving.solution import Solution
from planner.solving.solver import solve
from search.budget import Budget
from search.campaigns.campaign import Campaign, Progress
from search.campaigns.grid import Grid
from search.grading.registry import domain
from search.loader import FolderLoader
from search.log.outcomes import rebuild_outcomes
from search.log.store import SearchLog
from search.problem import Problem
from search.problem_sets.problem_set import write_problems
from search.sync import run_sync
from training.lab.problems import Mix, problem_set
from training.study import fit

__all__ = ["FULL", "PRICE", "QUICK", "Demo", "Sizes", "Solved"]

#: what a sample more must add in accuracy (1.0 is a hundred points) to be drawn in the live solves
PRICE = 0.005

_POLICY = "lab-policy-m"

#: a PRM that helps, for every plan, and a weak one, for plans that replay the pool: trees cost the most
_PRMS = {
    "lab-prm-good": ("best_of_n", "weighted_vote", "beam_search"),
    "lab-prm-weak": ("best_of_n", "weighted_vote"),
}

#: the problems solved live: an easy one, one in the middle, a hard one
_NEW = (("arithmetic", 2), ("puzzle", 4), ("chemistry", 7))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    learn: int
    held_out: int
    samples: int
    n: tuple[int, ...]
    tree_n: tuple[int, ...]
    trials: int
    budgets: tuple[float, ...]  # mean, in samples of the main policy


FULL = Sizes(
    learn=448, held_out=224, samples=32, n=(1, 4, 16), tree_n=(8,), trials=12, budgets=(2.0, 4.0, 16.0)
)
#: to see that everything works; its figures say nothing
QUICK = Sizes(learn=96, held_out=48, samples=16, n=(1, 4), tree_n=(4,), trials=2, budgets=(2.0, 4.0))


@dataclass(frozen=True, slots=True)
class Solved:
    """A new problem: the advice before any token was spent, what came of it, and whether it is right."""

    problem: Problem
    advice: Recommendation
    solution: Solution
    right: bool


class Demo:
    """The steps of the demo, to be called in order.

    Parameters
    ----------
    folder:
        New or empty.
    find:
        Name of a lab model -> its folder.
    seed:
        Of problems, campaign and study.
    """

    def __init__(self, folder: Path, sizes: Sizes, seed: int, find: Callable[[str], Path]) -> None:
        self.folder = folder
        self.sizes = sizes
        self.seed = seed
        self.loader = FolderLoader({_POLICY: find(_POLICY)}, {name: find(name) for name in _PRMS})
        self.grids = [
            Grid.of(
                {
                    "pair": [{"policy": _POLICY, "prm": prm}],
                    "strategies": ["cot", "majority", *strategies],
                    "n": list(sizes.n),
                    "tree_n": list(sizes.tree_n),
                    "score": ["last"],
                    "vote": ["weighted"],
                    "samples": sizes.samples,
                    "block": min(16, sizes.samples),
                    "group": 48,
                    "seed": seed,
                }
            )
            for prm, strategies in _PRMS.items()
        ]

    def problems(self) -> tuple[list[Problem], list[Problem], list[Problem]]:
        """Draw and write the problems to learn from, those held out, and three new ones."""
        count = self.sizes.learn + self.sizes.held_out
        drawn = [worked.problem for worked in problem_set("search", count, self.seed)]
        learn, held_out = drawn[: self.sizes.learn], drawn[self.sizes.learn :]
        known = {problem.problem_id for problem in drawn}
        new = [self._like(subject, difficulty, known) for subject, difficulty in _NEW]
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, problems in (("problems", learn), ("held-out", held_out), ("new", new)):
            write_problems(self.folder / f"{name}.jsonl", problems)
        return learn, held_out, new

    def search(
        self, name: str, problems: list[Problem], progress: Callable[[Progress], None]
    ) -> tuple[SearchLog, int]:
        """Run the grids on a problem set into the log ``name``. Returns it and the tokens that took.

        ``progress`` counts each grid anew; what the first has drawn the second finds.
        """
        log = SearchLog.at(self.folder / name)
        tokens = sum(Campaign(problems, grid, log, self.loader).run(progress).tokens for grid in self.grids)
        plans = {plan for grid in self.grids for plan in grid.plans() if not plan.must_run}
        with log.writing():
            rebuild_outcomes(log, sorted(plans))
        return log, tokens

    def fit(self, log: SearchLog, progress: Callable[[int, int, float], None]) -> Planner:
        """Learn a planner from a log and save it."""
        planner = fit(
            log,
            log.manifest.policies,
            log.manifest.prms,
            trials=self.sizes.trials,
            seed=self.seed,
            folds="problem",
            progress=progress,
        )
        planner.save(self.folder / "planner")
        return planner

    def evaluate(self, planner: Planner, held_out: SearchLog, learned: SearchLog) -> Evaluation:
        """Compare on the held-out log; the baselines pick on the log that the planner learned from."""
        tested, training = (
            read_training_data(log, log.manifest.policies, log.manifest.prms) for log in (held_out, learned)
        )
        return evaluate(planner, tested, training=training, budgets=self.sizes.budgets, seed=self.seed)

    def solve(self, planner: Planner, problem: Problem) -> Solved:
        """Recommend, solve live and grade one problem, at the planner's own lowest price of compute."""
        found = run_sync(
            solve(
                problem,
                planner,
                settings_of(planner, self.loader),
                budget=Budget(price=PRICE / planner.sample_flops),
                seed=self.seed,
            )
        )
        right = domain(problem.domain).grade(problem, found.answer)
        return Solved(problem=problem, advice=found.stages[0].advice, solution=found, right=right)

    def close(self) -> None:
        """Free the models."""
        run_sync(self.loader.close())

    def _like(self, subject: str, difficulty: int, known: set[str]) -> Problem:
        """A problem of one domain and difficulty that is not ``known``."""
        drawn = problem_set("search", len(known) + 1, self.seed + 1, Mix({subject: 1.0}, (difficulty,)))
        return next(worked.problem for worked in drawn if worked.problem.problem_id not in known)
