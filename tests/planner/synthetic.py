"""Search logs out of thin air: latent skill per problem, PRMs of any quality, schemas of the real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from search.cards import ModelCard
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan

POLICIES = {
    "small": ModelCard("small", 1_000_000, "p-small", 512),
    "large": ModelCard("large", 4_000_000, "p-large", 512),
}
PRMS = {"good": ModelCard("good", 1_000_000, "r-good", 512), "bad": ModelCard("bad", 1_000_000, "r-bad", 512)}
GRID = ("cot()", "majority(n=1)", "majority(n=4)", "majority(n=16)", "majority(n=64)")


@dataclass
class Log:
    """Frames by table name, with the face of a search log."""

    frames: dict[str, pl.DataFrame]

    def scan(self, table: str) -> pl.LazyFrame:
        return self.frames[table].lazy()


def make_log(
    problems: int = 120,
    *,
    families: int = 12,
    draws: int = 40,
    seed: int = 0,
    signal: bool = True,
    policies: tuple[str, ...] = ("small",),
    prms: tuple[str, ...] = ("good", "bad"),
    trees: bool = False,
    ns: tuple[int, ...] = (4, 16),
    skill: float | None = None,
) -> Log:
    """A log whose arithmetic is easy or hopeless for votes, and whose puzzles a good PRM solves.

    ``signal=False``: every problem is alike but for luck, and no feature tells anything.
    ``skill``: the same for all problems (0 all wrong, 1 all right).
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in TABLES}
    for i in range(problems):
        family, puzzle = i % families, (i % families) % 2 == 1
        level = rng.random() if signal else 0.5
        puzzle = puzzle and signal
        name = f"q{i:05d}"
        size = 1 + int(level * 8)
        kind = "reach the target from" if puzzle else "work out the sum of"
        question = f"{kind} " + " + ".join(str(rng.integers(1, 99)) for _ in range(size if signal else 4))
        base = (
            skill
            if skill is not None
            else (0.25 - 0.2 * level if puzzle else np.clip(1.1 - 1.3 * level, 0.03, 0.99))
        )
        if not signal and skill is None:
            base = float(np.clip(rng.normal(0.45, 0.02), 0.1, 0.9))
        domain = "puzzle" if puzzle else "arithmetic"  # both compare answers as texts
        rows["problems"].append(
            {
                "problem_id": name,
                "family": f"f{family}",
                "domain": domain,
                "question": question,
                "answer": "1",
                "meta": "{}",
            }
        )
        for policy in policies:
            p = base if policy == "small" else (base if skill is not None else min(1.0, base + 0.15))
            for draw in range(-1, draws):
                right = bool(rng.random() < p)
                if right:
                    answer: str | None = "1"
                elif rng.random() < 0.05:
                    answer = None
                else:
                    # wrong arithmetic often agrees on one wrong answer, wrong puzzles never do
                    answer = "2" if (not puzzle and rng.random() < 0.4) else str(rng.integers(3, 1000))
                steps = [int(x) for x in rng.integers(4, 9, size + 1)]
                rows["samples"].append(
                    {
                        "problem_id": name,
                        "policy": policy,
                        "sampling": "temperature=1" if draw >= 0 else "temperature=0",
                        "draw": draw,
                        "seed": draw + 1,
                        "text": "",
                        "answer": answer,
                        "correct": right,
                        "prompt_tokens": 10 + size,
                        "tokens": sum(steps),
                        "step_tokens": steps,
                        "mean_logprob": float(-0.1 - (0.3 if signal else 0.0) * (1 - p) * rng.random()),
                        "min_logprob": float(-2 * rng.random()),
                        "finish_reason": "end",
                    }
                )
                if draw < 0:
                    continue
                for prm in prms:
                    rows["scores"].append(
                        {
                            "problem_id": name,
                            "policy": policy,
                            "sampling": "temperature=1",
                            "prm": prm,
                            "draw": draw,
                            "step_rewards": _rewards(rng, right, prm, len(steps)),
                            "prompt_tokens": 12 + size,
                            "prm_tokens": sum(steps) + len(steps),
                            "physical_prm_tokens": sum(steps) + len(steps),
                        }
                    )
        if trees:
            for policy in policies:
                _add_trees(rows, rng, name, policy, prms, base, size, puzzle)
    for name in sorted({str(row["problem_id"]) for row in rows["problems"]}):
        for policy in policies:
            for plan in ("cot()", "majority(n=1)", *(f"majority(n={n})" for n in ns)):
                rows["outcomes"].append(_outcome(name, policy, "", plan))
            for prm in prms:
                for n in ns:
                    for strategy in ("best_of_n", "weighted_vote"):
                        rows["outcomes"].append(_outcome(name, policy, prm, f"{strategy}(n={n}, score=last)"))
                if trees:
                    for n in ns:
                        rows["outcomes"].append(
                            _outcome(name, policy, prm, str(Plan.of("beam_search", n=n, width=4)))
                        )
    return Log({name: pl.DataFrame(rows[name], schema=dict(table.columns)) for name, table in TABLES.items()})


def write_log(
    path: Path,
    made: Log,
    policies: Sequence[str] = tuple(POLICIES),
    prms: Sequence[str] = tuple(PRMS),
    settings: Mapping[str, str] | None = None,
) -> Path:
    """Put a log on disk."""
    log = SearchLog.create(path)
    log.declare(settings, policies=[POLICIES[one] for one in policies], prms=[PRMS[one] for one in prms])
    with log.writing():
        for table, frame in made.frames.items():
            if table == "outcomes":
                log.replace(table, frame)
            else:
                log.append(table, frame, unit="all")
    return path


def _rewards(rng: np.random.Generator, right: bool, prm: str, steps: int) -> list[float]:
    quality = {"good": 1.6, "bad": 0.0}[prm]
    logits = rng.normal((quality if right else -quality), 1.0, steps)
    return [float(x) for x in 1 / (1 + np.exp(-logits))]


def _add_trees(rows, rng, name, policy, prms, base, size, puzzle) -> None:  # type: ignore[no-untyped-def]
    for prm in prms:
        for n in (4, 16):
            for run in range(2):
                p = min(0.97, base + (0.15 + 0.02 * n if prm == "good" else -0.1))
                candidates = []
                for _ in range(4):
                    right = bool(rng.random() < p)
                    answer = "1" if right else str(rng.integers(3, 1000))
                    candidates.append(
                        {
                            "text": "",
                            "answer": answer,
                            "step_rewards": _rewards(rng, right, prm, size + 1),
                            "step_tokens": [6] * (size + 1),
                            "finish_reason": "end",
                        }
                    )
                best = max(candidates, key=lambda c: c["step_rewards"][-1])
                tokens = 10 + size + 7 * n * (size + 1)
                rows["runs"].append(
                    {
                        "problem_id": name,
                        "policy": policy,
                        "sampling": "temperature=1",
                        "prm": prm,
                        "run": run,
                        "seed": run,
                        "plan": str(Plan.of("beam_search", n=n, width=4)),
                        "candidates": candidates,
                        "answer": best["answer"],
                        "correct": best["answer"] == "1",
                        "outcome": "answered",
                        "policy_tokens": tokens,
                        "prm_tokens": tokens + 2,
                        "physical_policy_tokens": tokens,
                        "physical_prm_tokens": tokens,
                        "flops": 1.0,
                        "seconds": 0.1,
                    }
                )


def _outcome(name: str, policy: str, prm: str, plan: str) -> dict[str, object]:
    return {
        "problem_id": name,
        "policy": policy,
        "prm": prm,
        "plan": plan,
        "accuracy": 0.0,
        "accuracy_se": 0.0,
        "draws": 1,
        "reward": None,
        "tokens": 1.0,
        "tokens_p90": 1.0,
        "flops": 1.0,
        "flops_p90": 1.0,
        "seconds": None,
    }
