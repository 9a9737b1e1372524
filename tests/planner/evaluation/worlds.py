"""Experiences made of arrays at once, for baselines and measures: no log, no answers as texts, no planner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.evaluation.baseline_context import BaselineContext
from planner.evidence.pools import PolicyPool, PrmPool, TreeRuns
from planner.evidence.training_data import TrainingData
from planner.features.probe import summarise_padded
from planner.features.question import NgramEncoder
from planner.planner import Planner
from search.cards import ModelCard
from search.choice import Choice
from search.plan import Plan
from training.crossfit import Settings
from training.design import Design
from training.study_cache import StudyCache

FLOPS = ModelCard("small", 1_000_000, "p-small", 512).flops(1.0)


def world(
    problems: int = 120,
    *,
    draws: int = 24,
    ns: Sequence[int] = (1, 4, 8),
    families: int = 12,
    seed: int = 0,
    trees: bool = False,
    codes: np.ndarray | None = None,
    right: np.ndarray | None = None,
    quality: float = 1.6,
) -> TrainingData:
    """Sums are easy for votes or hopeless, puzzles need the PRM ``judge``; answer 0 is right.

    ``codes`` (P, D) and ``right`` (P, codes) replace what was drawn; ``quality`` is the PRM's.
    """
    rng = np.random.default_rng(seed)
    family = np.arange(problems) % families
    puzzle = family % 2 == 1
    level = rng.random(problems)
    skill = np.where(puzzle, 0.3 - 0.2 * level, np.clip(1.1 - 1.3 * level, 0.03, 0.99))
    drawn = np.where(rng.random((problems, draws)) < skill[:, None], 0, rng.integers(1, 9, (problems, draws)))
    drawn = np.where((drawn > 0) & ~puzzle[:, None] & (rng.random(drawn.shape) < 0.4), 1, drawn)
    drawn[rng.random(drawn.shape) < 0.03] = -1
    codes = drawn if codes is None else codes
    if right is None:
        right = np.zeros((len(codes), 9), bool)
        right[:, 0] = True
    good = codes == 0
    steps = 2.0 + (level * 6).astype(int)[:, None] + rng.integers(0, 2, codes.shape)
    tokens = 6.0 * steps + rng.integers(0, 9, codes.shape)
    logits = rng.normal(np.where(good, quality, -quality)[..., None], 1.0, (*codes.shape, 3))
    rewards = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32).reshape(-1, 3)
    summary = summarise_padded(rewards, np.full(len(rewards), 3)).reshape(*codes.shape, -1).astype(np.float32)
    pool = PolicyPool(
        codes,
        np.full(len(codes), 12.0),
        tokens,
        steps,
        -0.1 - 0.2 * rng.random(codes.shape),
        -2.0 * rng.random(codes.shape),
        np.zeros(codes.shape),
        np.where(rng.random(len(codes)) < skill, 0, 1),
        tokens.mean(axis=1),
        {"judge": PrmPool(np.full(len(codes), 14.0), tokens + steps, summary)},
    )
    choices = [Choice("small", None, Plan.of("cot"))]
    choices += [Choice("small", None, Plan.of("majority", n=n)) for n in ns]
    choices += [Choice("small", "judge", Plan.of("best_of_n", n=n)) for n in ns if n > 1]
    runs = {}
    if trees:
        choice = Choice("small", "judge", Plan.of("beam_search", n=8, width=4))
        inside = np.where(rng.random((problems, 2, 2)) < 0.5, 0, 1)
        cost = np.full((problems, 2), 300.0)
        runs[choice] = TreeRuns(inside[:, :, 0], cost, cost, inside, np.full(inside.shape, 0.5, np.float32))
        choices.append(choice)
    kinds = np.where(puzzle, "reach the target from", "work out the sum of")
    return TrainingData(
        problem_ids=tuple(f"{seed}-{i:05d}" for i in range(problems)),
        families=tuple(f"f{f}" for f in family),
        domains=tuple(np.where(puzzle, "puzzle", "arithmetic").tolist()),
        questions=tuple(
            f"{kind} " + " + ".join("7" * (1 + i % 3) for i in range(1 + int(8 * hard)))
            for kind, hard in zip(kinds, level, strict=True)
        ),
        right=right,
        pools={"small": pool},
        trees=runs,
        choices=tuple(sorted(choices, key=str)),
        policies={"small": ModelCard("small", 1_000_000, "p-small", 512)},
        prms={"judge": ModelCard("judge", 1_000_000, "r-judge", 512)},
    )


def context(data: TrainingData, training: TrainingData | None = None, **how: int) -> BaselineContext:
    """A baseline context at a coarse grid of prices."""
    sample = FLOPS * (12.0 + data.pools["small"].tokens.mean())
    encoder = NgramEncoder.fit(data.questions, dimensions=4)
    prices = np.geomspace(1e-5, 5.0, 12) / sample
    return BaselineContext(data, training, encoder, prices, resamples=how.get("resamples", 2), probes=2)


def learned(data: TrainingData) -> Planner:
    """A planner with two probes, by default settings: quick to make."""
    cache = StudyCache(data, 0, 1)
    return cache.finished(Design(cache.main, (1, 4), 0, 6, Settings()), {}, "")
