from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from search.cards import ModelCard
from search.log.credits import credited
from search.log.pool import Pool, PoolScores
from search.log.records import problem_rows, table_frame
from search.log.store import SearchLog
from search.problem import Problem
from search.scores import SCORES

MakePool = Callable[..., Pool]
MakeLog = Callable[..., SearchLog]


@pytest.fixture
def make_pool() -> MakePool:
    """A pool from groups, grades and scores; scores are the same under every name."""

    def make(group: list[int], correct: list[bool], scores: list[float] | None = None) -> Pool:
        size = len(group)
        values = (
            {name: np.asarray(scores, dtype=np.float64) for name in SCORES} if scores is not None else None
        )
        return Pool(
            "p",
            "m",
            np.arange(size),
            np.asarray(group, dtype=np.int64),
            np.asarray(correct, dtype=np.bool_),
            np.arange(10, 10 + size),
            7,
            np.zeros(size),
            np.zeros(size),
            MappingProxyType({"r": PoolScores(values, np.full(size, 3), 5)} if values is not None else {}),
        )

    return make


def sample(
    problem: Problem, draw: int, answer: str | None, *, policy: str = "m", tokens: int = 10
) -> dict[str, object]:
    return {
        "problem_id": problem.problem_id,
        "policy": policy,
        "sampling": "temperature=1, top_p=1, top_k=0" if draw >= 0 else "temperature=0, top_p=1, top_k=0",
        "draw": draw,
        "seed": 1,
        "text": f"so\n# {answer}" if answer is not None else "",
        "answer": answer,
        "correct": answer == problem.answer,
        "prompt_tokens": 4,
        "tokens": tokens,
        "step_tokens": [tokens],
        "mean_logprob": -0.5,
        "min_logprob": -2.0,
        "finish_reason": "end",
    }


def scored(
    problem: Problem, draw: int, rewards: list[float], *, prm: str = "r", policy: str = "m"
) -> dict[str, object]:
    return {
        "problem_id": problem.problem_id,
        "policy": policy,
        "sampling": "temperature=1, top_p=1, top_k=0",
        "prm": prm,
        "draw": draw,
        "step_rewards": rewards,
        "prompt_tokens": 6,
        "prm_tokens": 5,
        "physical_prm_tokens": 11,
    }


@pytest.fixture
def make_log(tmp_path: Path) -> MakeLog:
    """A log of text problems ``p0``, ``p1``, ... (answer "y"), answers as one string per problem:
    ``y`` right, ``n`` and other letters wrong, ``-`` unreadable. Greedy draws say ``y``.

    Rewards are 0.9, 0.8 for a right and 0.3, 0.6 for a wrong sample. ``credits``: of every problem.
    """

    def make(
        *answers: str,
        name: str = "log",
        prm: bool = True,
        first: int = 0,
        credits: Sequence[tuple[str, int, float]] = (),
    ) -> SearchLog:
        log = SearchLog.create(tmp_path / name)
        log.declare(
            {"sampling": "temperature=1, top_p=1, top_k=0"},
            policies=[ModelCard("m", 1000, "m1", 99)],
            prms=[ModelCard("r", 500, "r1", 99)] if prm else [],
        )
        meta = credited(credits) if credits else {}
        problems = [Problem(f"p{first + i}", "f", "text", "which?", "y", meta) for i in range(len(answers))]
        log.append("problems", table_frame("problems", problem_rows(problems)), unit=f"problems-{first}")
        draws = [
            (p, d, None if a == "-" else a)
            for p, row in zip(problems, answers, strict=True)
            for d, a in enumerate(row)
        ]
        rows = [sample(problem, draw, answer) for problem, draw, answer in draws]
        log.append("samples", table_frame("samples", rows), unit=f"samples-{first}")
        greedy = [sample(problem, -1, "y", tokens=12) for problem in problems]
        log.append("samples", table_frame("samples", greedy), unit=f"greedy-{first}")
        if prm:
            marks = [
                scored(problem, draw, [] if answer is None else [0.9, 0.8] if answer == "y" else [0.3, 0.6])
                for problem, draw, answer in draws
            ]
            log.append("scores", table_frame("scores", marks), unit=f"scores-{first}")
        return log

    return make
