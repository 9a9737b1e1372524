"""Cards: what stands beside each shipped model. Which command, seed and data made it, how good it is.

Policies: Pass@1 per domain and the share of each difficulty bin. PRMs: ``training.prm_measures``. Both
are measured on the ``check`` split, which nothing is trained or tuned on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from search.checkpoint import read_checkpoint
from search.engines.protocol import ChildFinished, Engine, FinishReason, Request, Sampling
from search.grading.registry import domain
from search.rewards.protocol import Reward
from search.seeds import seed_of
from training.checkpoint import write_json
from training.lab.family import Worked
from training.lab.problems import family_of, problem_set
from training.prm_measures import ScoredSample, measure_prm

__all__ = ["Drawn", "describe_policy", "describe_prm", "draw_samples", "read_card"]

_LONGEST = 224
#: a drawn sample: its problem's place in the set, its text, whether it ended by itself, its grade
Drawn = tuple[int, str, bool, bool]


async def draw_samples(
    engine: Engine, problems: Sequence[Worked], samples: int, seed: int, temperature: float = 1.0
) -> list[Drawn]:
    """Sample and grade, all problems in flight together."""

    async def one(index: int, worked: Worked) -> list[Drawn]:
        problem = worked.problem
        grader = domain(problem.domain)
        request = Request(
            prompt=engine.prompt(problem.question),
            n=samples,
            max_tokens=_LONGEST,
            sampling=Sampling(temperature),
            seed=seed_of(seed, problem.problem_id),
        )
        children = [event async for event in engine.submit(request) if isinstance(event, ChildFinished)]
        children.sort(key=lambda child: child.child)
        return [
            (
                index,
                child.text,
                child.finish_reason == FinishReason.END,
                grader.grade(problem, grader.read(problem, child.text)),
            )
            for child in children
        ]

    groups = await asyncio.gather(*(one(index, worked) for index, worked in enumerate(problems)))
    return [drawn for group in groups for drawn in group]


def describe_policy(
    folder: Path,
    engine: Engine,
    command: str,
    *,
    problems: int = 400,
    samples: int = 16,
    seed: int = 11,
    run: Callable[[Any], Any] = asyncio.run,
) -> dict[str, Any]:
    """Measure a policy on held-out problems and write ``card.json`` into its folder."""
    worked = list(problem_set("check", problems, seed))

    async def measure() -> tuple[list[Drawn], list[Drawn]]:
        return (
            await draw_samples(engine, worked, samples, seed),
            await draw_samples(engine, worked, 1, seed, temperature=0.0),
        )

    sampled, greedy = run(measure())
    rates = np.zeros(problems)
    for index, _, _, correct in sampled:
        rates[index] += correct / samples
    names = np.array([item.problem.domain for item in worked])
    first = np.zeros(problems)
    for index, _, _, correct in greedy:
        first[index] = correct
    card = {
        **_about(folder, command),
        "measured_on": {"split": "check", "problems": problems, "samples": samples, "seed": seed},
        "pass_at_1": {"all": _percent(rates), **{d: _percent(rates[names == d]) for d in sorted(set(names))}},
        "greedy": {"all": _percent(first), **{d: _percent(first[names == d]) for d in sorted(set(names))}},
        "difficulty_bins": {
            "easy >= 0.5": _percent(rates >= 0.5),
            "medium 0.1-0.5": _percent((rates >= 0.1) & (rates < 0.5)),
            "hard < 0.1": _percent(rates < 0.1),
        },
    }
    write_json(folder / "card.json", card)
    return card


def describe_prm(
    folder: Path,
    engine: Engine,
    reward: Reward,
    command: str,
    *,
    problems: int = 300,
    samples: int = 16,
    seed: int = 12,
    run: Callable[[Any], Any] = asyncio.run,
) -> dict[str, Any]:
    """Measure a PRM on a policy's samples of held-out problems and write ``card.json``."""
    worked = list(problem_set("check", problems, seed))

    async def measure() -> list[ScoredSample]:
        drawn = await draw_samples(engine, worked, samples, seed)
        kept = [
            (i, text.split("\n"), right) for i, text, ended, right in drawn if ended and all(text.split("\n"))
        ]
        scored = await asyncio.gather(
            *(reward.extend(reward.open(worked[i].problem.question), steps) for i, steps, _ in kept)
        )
        return [
            ScoredSample(
                problem_id=worked[i].problem.problem_id,
                domain=worked[i].problem.domain,
                rewards=result.rewards,
                exact=family_of(worked[i].problem).right_so_far(worked[i].problem, steps),
                correct=right,
            )
            for (i, steps, right), result in zip(kept, scored, strict=True)
        ]

    measures = measure_prm(run(measure()))
    card = {
        **_about(folder, command),
        "measured_on": {
            "split": "check",
            "problems": problems,
            "samples": samples,
            "seed": seed,
            "policy": engine.card.name,
        },
        **_rounded(asdict(measures)),
    }
    write_json(folder / "card.json", card)
    return card


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a shipped model."""
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


def _about(folder: Path, command: str) -> dict[str, Any]:
    checkpoint = read_checkpoint(folder)
    return {
        "name": folder.name,
        "parameters": checkpoint.card.parameters,
        "fingerprint": checkpoint.card.fingerprint,
        "command": command,
        "recipe": json.loads((folder / "recipe.json").read_text()),
    }


def _percent(values: Any) -> float:
    return round(100.0 * float(np.mean(values)), 1)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None  # undefined, say no problem of both kinds
    return value
