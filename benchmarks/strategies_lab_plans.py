"""What the lab part of ``strategies.py`` runs: plans, models, questions.

Budgets are told in samples of a plain vote. A sample that the PRM scores costs two of them, since the PRM is
as large as the policy, and a tree of n places some 1.3 n; sizes are chosen so that plans come near the
budgets.
"""

from __future__ import annotations

from search.campaigns.grid import Grid
from search.plan import Plan
from search.problem import Problem
from training.lab.problems import DOMAINS, problem_set

__all__ = [
    "BLOCK",
    "BUDGETS",
    "COUNT",
    "JUDGED",
    "LARGER",
    "LARGER_DRAWS",
    "NOT_RUN",
    "POLICY",
    "PRM",
    "TREES",
    "VOTED",
    "grids",
    "plans",
    "questions",
]

POLICY, LARGER, PRM = "lab-policy-m", "lab-policy-l", "lab-prm-good"
#: in samples of a plain vote
BUDGETS = (4, 16, 64)
#: draws that plans are replayed from, and those after them, which say how hard a question is
VOTED, JUDGED = 64, 16
#: draws of the larger policy, for cascades
LARGER_DRAWS = 16
COUNT, BLOCK, SEED = 200, 40, 2027
#: tree search -> sizes for the budgets. ``lookahead(n=16)`` lies between two and is asked all the same
TREES = {
    "beam_search": (4, 12, 48),
    "dvts": (4, 12, 48),
    "rebase": (4, 12, 48),
    "particle_filter": (4, 12, 48),
    "lookahead": (4, 8, 16, 36),
}
VOTES = ("max", "weighted")
NOT_RUN = (
    "`aggregate`, `refine` and `program` are not run: the lab's policies know nothing but questions and "
    "their solutions, and a prompt that shows answers, asks for a critique or for Python is noise to them."
)


def questions(count: int = COUNT) -> list[Problem]:
    """The first questions of a split that nothing is trained or fitted on, domains in turn.

    Every block of four has one of each domain. Raises ValueError where the split gives too few.
    """
    found: dict[str, list[Problem]] = {domain: [] for domain in DOMAINS}
    for worked in problem_set("check", 2 * max(count, COUNT), SEED):
        found[worked.problem.domain].append(worked.problem)
    each = -(-count // len(DOMAINS))
    if short := {domain: len(some) for domain, some in found.items() if len(some) < each}:
        raise ValueError(f"{count} questions need {each} of each domain, got {short}")
    return [problem for four in zip(*found.values(), strict=False) for problem in four][:count]


def plans() -> dict[str, list[Plan]]:
    """Strategy -> its plans, smallest first."""
    cascades = [
        f"cascade(first={POLICY}: majority(n={n}), tau=0.75, then={LARGER}: {then})"
        for n, then in ((2, "cot()"), (8, "majority(n=4)"), (32, "majority(n=16)"))
    ]
    found = {
        "cot": [Plan.of("cot")],
        "majority": [Plan.of("majority", n=n) for n in (1, 2, 4, 8, 16, 32, 64)],
        "best_of_n": [Plan.of("best_of_n", n=n) for n in (2, 8, 32)],
        "weighted_vote": [Plan.of("weighted_vote", n=n) for n in (2, 8, 32)],
        "adaptive_vote": [Plan.of("adaptive_vote", n=n) for n in (5, 32, 64)],
        "cascade": [Plan.parse(text) for text in cascades],
    }
    for name, sizes in TREES.items():
        found[name] = [Plan.of(name, n=n, vote=vote) for vote in VOTES for n in sizes]
    return found


def grids() -> tuple[Grid, Grid]:
    """What is drawn, scored and run of the policy, and what is drawn of the larger one, for one log."""
    common: dict[str, object] = {"block": JUDGED, "group": BLOCK, "runs": 1, "seed": SEED}
    trees = [str(plan) for name in TREES for plan in plans()[name]]
    own = {
        **common,
        "pair": [{"policy": POLICY, "prm": PRM}],
        "strategies": ["cot", "best_of_n"],
        "score": ["last"],
        "n": [VOTED],
        "samples": VOTED + JUDGED,
        "plan": trees,
    }
    larger = {
        **common,
        "pair": [{"policy": LARGER}],
        "strategies": ["cot", "majority"],
        "n": [LARGER_DRAWS],
        "samples": LARGER_DRAWS,
    }
    return Grid.of(own), Grid.of(larger)
