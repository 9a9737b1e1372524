"""Search logs of any size out of thin air, for benchmarks, in the shape of the lab's.

A problem has two policies with pools of 144 draws, each scored by two PRMs, and runs of six tree searches:
64 choices, so 64 rows of ``outcomes``. How right a policy is falls with the problem's size, wrong answers
agree now and then, one PRM sees errors and the other hardly, so that there is something to learn. The
accuracies in ``outcomes`` are those of the latent skill, not counted from the pools: fitting reads only
which choices there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from search.cards import ModelCard
from search.choice import Choice
from search.log.manifest import Manifest
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan

__all__ = ["CHOICES", "DRAWS", "PARTS", "generated_log"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POLICIES = (ModelCard("small", 440_000, "p-small", 512), ModelCard("large", 1_550_000, "p-large", 512))
PRMS = (ModelCard("good", 450_000, "r-good", 512), ModelCard("weak", 120_000, "r-weak", 512))
#: draws of each pool: twice the largest n, and a probe
DRAWS = 144
#: problems of one part
PARTS = 1024

_FAMILIES = 48
_STEPS = 8
_RUNS = 2
_CANDIDATES = 4
_TREES = (
    ("small", Plan.of("beam_search", n=16, width=4)),
    ("large", Plan.of("beam_search", n=16, width=4)),
    ("small", Plan.of("dvts", n=16, width=4)),
)


def _choices() -> tuple[Choice, ...]:
    out = []
    for policy in (card.name for card in POLICIES):
        out += [Choice(policy, None, Plan.of("cot"))]
        out += [Choice(policy, None, Plan.of("majority", n=n)) for n in (1, 4, 16, 64)]
        for prm in (card.name for card in PRMS):
            out += [
                Choice(policy, prm, Plan.of(strategy, n=n, score=score))
                for strategy in ("best_of_n", "weighted_vote")
                for n in (4, 16, 64)
                for score in ("last", "min")
            ]
    return (*out, *(Choice(policy, card.name, plan) for policy, plan in _TREES for card in PRMS))


#: what every problem has an outcome of
CHOICES = _choices()


def generated_log(path: Path, problems: int, *, text: int = 0, seed: int = 0) -> SearchLog:
    """Write a log of ``problems`` x 64 outcomes. ``text`` is the length of each sample's text in characters,
    a column that no fit reads. The same seed gives the same log."""
    log = SearchLog.create(
        path, Manifest({}, {card.name: card for card in POLICIES}, {card.name: card for card in PRMS})
    )
    for number, begin in enumerate(range(0, problems, PARTS)):
        count = min(PARTS, problems - begin)
        rng = np.random.default_rng([seed, number])
        for table, frame in _part(begin, count, text, rng):
            log.append(table, frame, unit=f"g{number:05d}")
    return log


def _part(begin: int, count: int, text: int, rng: np.random.Generator) -> Iterator[tuple[str, pl.DataFrame]]:
    numbers = np.arange(begin, begin + count)
    ids = pl.Series([f"q{i:07d}" for i in numbers])
    family = numbers % _FAMILIES
    puzzle = family % 2 == 1
    level = rng.random(count)
    size = 1 + (level * 8).astype(np.int64)
    questions = [
        ("Reach the target from " if puzzle[i] else "Work out the sum of ")
        + " + ".join(map(str, rng.integers(1, 99, size[i]).tolist()))
        for i in range(count)
    ]
    yield (
        "problems",
        _frame(
            "problems",
            problem_id=ids,
            family=[f"f{f}" for f in family],
            domain=np.where(puzzle, "puzzle", "arithmetic"),
            question=questions,
            answer=["1"] * count,
            meta=["{}"] * count,
        ),
    )
    skill = np.where(puzzle, 0.25 - 0.2 * level, np.clip(1.1 - 1.3 * level, 0.03, 0.99))
    samples, scores, runs = [], [], []
    for policy in (card.name for card in POLICIES):
        right = np.clip(skill + (0.15 if policy == "large" else 0.0), 0.0, 1.0)
        made, graded, steps = _samples(ids, policy, right, puzzle, size, text, rng)
        samples.append(made)
        pooled = made.filter(pl.col("draw") >= 0).select("problem_id", "policy", "sampling", "draw")
        for prm in (card.name for card in PRMS):
            scores.append(_scores(pooled, prm, graded, steps, size, rng))
            runs += [
                _runs(ids, Choice(policy, prm, plan), right, size, rng)
                for owner, plan in _TREES
                if owner == policy
            ]
    yield "samples", pl.concat(samples)
    yield "scores", pl.concat(scores)
    yield "runs", pl.concat(runs)
    rows = count * len(CHOICES)
    accuracy = np.repeat(skill, len(CHOICES))
    yield (
        "outcomes",
        _frame(
            "outcomes",
            problem_id=ids.gather(np.repeat(np.arange(count), len(CHOICES))),
            policy=[choice.policy for choice in CHOICES] * count,
            prm=[choice.prm or "" for choice in CHOICES] * count,
            plan=[str(choice.plan) for choice in CHOICES] * count,
            accuracy=accuracy,
            accuracy_se=np.full(rows, 0.03),
            draws=np.full(rows, DRAWS),
            reward=np.full(rows, 0.5),
            tokens=rng.gamma(4.0, 100.0, rows),
            tokens_p90=rng.gamma(4.0, 200.0, rows),
            flops=rng.gamma(4.0, 1e8, rows),
            flops_p90=rng.gamma(4.0, 2e8, rows),
            seconds=np.full(rows, 0.1),
        ),
    )


def _samples(
    ids: pl.Series,
    policy: str,
    right: Floats,
    puzzle: NDArray[np.bool_],
    size: Ints,
    text: int,
    rng: np.random.Generator,
) -> tuple[pl.DataFrame, NDArray[np.bool_], Ints]:
    """The pool and the greedy draw of every problem; which pool draws are right, and their steps."""
    each = DRAWS + 1
    rows = len(ids) * each
    at = np.repeat(np.arange(len(ids)), each)
    draw = np.tile(np.arange(-1, DRAWS), len(ids))
    correct = rng.random(rows) < right[at]
    answer = pl.Series(np.where(correct, 1, _wrong(puzzle[at], rng))).cast(pl.String)
    answer = answer.set(pl.Series((rng.random(rows) < 0.04) & ~correct), None)
    steps = np.minimum(1 + (size[at] + rng.integers(0, 2, rows)) // 2 + 1, _STEPS)
    tokens = rng.integers(4, 12, (rows, _STEPS), dtype=np.int32)
    texts = [""]
    if text:
        letters = rng.integers(97, 123, (997, text), dtype=np.uint8)
        texts = [bytes(row).decode() for row in letters]
    frame = _frame(
        "samples",
        problem_id=ids.gather(at),
        policy=pl.repeat(policy, rows, eager=True),
        sampling=pl.Series(["temperature=0", "temperature=1"]).gather((draw >= 0).astype(np.int64)),
        draw=draw,
        seed=rng.integers(0, 2**62, rows),
        text=pl.Series(texts).gather(rng.integers(0, len(texts), rows)),
        answer=answer,
        correct=correct,
        prompt_tokens=10 + 2 * size[at],
        tokens=np.where(np.arange(_STEPS) < steps[:, None], tokens, 0).sum(axis=1),
        step_tokens=_ragged(tokens, steps),
        mean_logprob=-0.1 - 0.3 * (1.0 - right[at]) * rng.random(rows),
        min_logprob=-2.0 * rng.random(rows),
        finish_reason=pl.Series(["end", "length"]).gather((rng.random(rows) < 0.02).astype(np.int64)),
    )
    pooled = draw >= 0
    return frame, correct[pooled], steps[pooled]


def _wrong(puzzle: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """Wrong answers: those of arithmetic crowd on a few, those of puzzles are all over."""
    crowd = rng.geometric(0.35, len(puzzle)) + 1
    return np.where(puzzle | (rng.random(len(puzzle)) < 0.4), rng.integers(20, 80, len(puzzle)), crowd)


def _scores(
    pooled: pl.DataFrame,
    prm: str,
    right: NDArray[np.bool_],
    steps: Ints,
    size: Ints,
    rng: np.random.Generator,
) -> pl.DataFrame:
    quality = np.float32(1.2 if prm == "good" else 0.1)
    logits = rng.standard_normal((len(right), _STEPS), np.float32)
    logits += np.where(right, quality, -quality)[:, None]
    tokens = 9 * steps
    return _frame(
        "scores",
        **{name: pooled[name] for name in pooled.columns},
        prm=pl.repeat(prm, len(right), eager=True),
        step_rewards=_ragged(1.0 / (1.0 + np.exp(-logits)), steps),
        prompt_tokens=np.repeat(12 + 2 * size, DRAWS),
        prm_tokens=tokens,
        physical_prm_tokens=tokens,
    )


def _runs(
    ids: pl.Series, choice: Choice, right: Floats, size: Ints, rng: np.random.Generator
) -> pl.DataFrame:
    rows = len(ids) * _RUNS
    at = np.repeat(np.arange(len(ids)), _RUNS)
    chance = np.clip(right[at] + (0.25 if choice.prm == "good" else -0.1), 0.0, 0.97)
    inside = rows * _CANDIDATES
    correct = rng.random(inside) < np.repeat(chance, _CANDIDATES)
    answers = pl.Series(np.where(correct, 1, rng.integers(2, 80, inside))).cast(pl.String)
    steps = rng.integers(2, _STEPS, inside)
    candidates = (
        pl.DataFrame(
            {
                "row": np.repeat(np.arange(rows), _CANDIDATES),
                "text": pl.repeat("", inside, eager=True),
                "answer": answers,
                "step_rewards": _ragged(rng.random((inside, _STEPS), np.float32), steps),
                "step_tokens": _ragged(rng.integers(4, 12, (inside, _STEPS), dtype=np.int32), steps),
                "finish_reason": pl.repeat("end", inside, eager=True),
            }
        )
        .group_by("row", maintain_order=True)
        .agg(pl.struct(pl.exclude("row")).alias("candidates"))["candidates"]
    )
    first = np.arange(0, inside, _CANDIDATES)
    tokens = 10 + size[at] * 120
    return _frame(
        "runs",
        problem_id=ids.gather(at),
        policy=pl.repeat(choice.policy, rows, eager=True),
        sampling=pl.repeat("temperature=1", rows, eager=True),
        prm=pl.repeat(choice.prm, rows, eager=True),
        plan=pl.repeat(str(choice.plan), rows, eager=True),
        run=np.tile(np.arange(_RUNS), len(ids)),
        seed=rng.integers(0, 2**62, rows),
        candidates=candidates,
        answer=answers.gather(first),
        correct=correct[first],
        outcome=pl.repeat("answered", rows, eager=True),
        policy_tokens=tokens,
        prm_tokens=tokens + 12,
        physical_policy_tokens=tokens,
        physical_prm_tokens=tokens,
        flops=tokens * 1e6,
        seconds=np.full(rows, 0.1),
    )


def _ragged(padded: NDArray[np.generic], lengths: Ints) -> pl.Series:
    """Rows of an array cut to their lengths."""
    frame = pl.DataFrame({"values": pl.Series(padded), "length": lengths})
    return frame.select(pl.col("values").arr.to_list().list.head("length"))["values"]


def _frame(table: str, **columns: object) -> pl.DataFrame:
    """A frame with the table's columns and types; a column that is not given holds nothing."""
    kinds = TABLES[table].columns
    known = pl.DataFrame(columns)
    return known.select(
        (pl.col(name) if name in columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in kinds.items()
    )
