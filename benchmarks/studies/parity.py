"""Parity: the decisions of the offline evaluation and of the live planner, on the same inputs, one by one.

Offline, ``planner.deciding.replay`` decides for thousands of rows at once on arrays read from a log. Live,
``Planner.recommend`` and ``Planner.decide`` see one question and the candidates that an engine returned. Here
the very samples that a replay drew are handed over as candidates, text by text, and the answers compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.deciding.budgeting import rule
from planner.deciding.recommendation import Recommendation
from planner.deciding.replay import replay
from planner.deciding.stages import Stage
from planner.evaluation.slices import rows_of
from planner.evidence.labels import draw_probes
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe
from planner.evidence.training_data import Tables, TrainingData, read_training_data
from planner.planner import Planner
from search.budget import Budget
from search.engines.protocol import FinishReason
from search.grading.registry import domain
from search.problem import Problem
from search.result import Candidate
from search.voting.votes import group

__all__ = ["Parity", "draws_of", "parity"]

Ints = NDArray[np.int64]

#: accuracy per sample: cheap enough to probe far, and dear enough to stop early
_PRICES = (1e-3, 3e-2)


@dataclass(frozen=True, slots=True)
class Parity:
    """Decisions that were compared, those that agreed, and the first that did not, in words."""

    decisions: int
    agreed: int
    first_difference: str | None

    @property
    def exact(self) -> bool:
        """Whether every one agreed."""
        return self.agreed == self.decisions


def parity(
    planner: Planner,
    tables: Tables,
    *,
    problems: int = 50,
    budgets: Sequence[float] = (4.0, 16.0, 64.0),
    probes: int = 2,
    seed: int = 0,
) -> Parity:
    """Compare at mean budgets of so many samples and at two prices, on the first ``problems`` of a log.

    Every stage that a replay reaches is asked, for each of ``probes`` random probes.
    """
    whole = read_training_data(tables, planner.policies, planner.prms)
    data = rows_of(whole, np.arange(min(problems, len(whole))))
    matrices = Matrices(data, planner.encoder, probes=probes, resamples=1, seed=seed)
    run = _ReplayedRun(planner, tables, data)
    unit = planner.sample_flops
    aims: list[Budget] = [Budget(mean_flops=budget * unit) for budget in budgets]
    aims += [Budget(price=price / unit) for price in _PRICES]
    compared = agreed = 0
    first: str | None = None
    for aim in aims:
        rules = [rule(planner, aim, question) for question in data.questions]
        done = replay(planner.stages, matrices, rules.__getitem__)
        for stage, matrix, options, reached in zip(
            planner.stages, done.matrices, done.made, done.reached, strict=True
        ):
            drawn = draws_of(data, stage.probe, probes, seed)
            for row in np.flatnonzero(reached[:, 0]):
                place = int(matrix.problem[row])
                live = run.advice(stage.probe, place, drawn[place, row % matrix.probes], aim)
                same = _same(stage, int(options[row, 0]), live)
                compared += 1
                agreed += same
                if not same and first is None:
                    name, said = data.problem_ids[place], live.probe or live.choice
                    first = f"{name} after {stage.probe} under {aim}: live says {said}"
    return Parity(compared, agreed, first)


def draws_of(data: TrainingData, probe: Probe, probes: int, seed: int) -> Ints:
    """(P, probes, samples) the draws that a replay of so many probes shows at a probe; -1 is the greedy
    one."""
    pool = data.pools[probe.policy]
    held, first = probe.samples, int(probe.greedy)
    drawn = draw_probes(
        len(data),
        pool.draws + first,
        held=held,
        probes=probes,
        resamples=1,
        seed=seed,
        longest=max(held, 1),
        greedy=probe.greedy,
    )
    return drawn.probe(held) - first


class _ReplayedRun:
    """Hands the samples of a log to a planner as an engine would have returned them."""

    def __init__(self, planner: Planner, tables: Tables, data: TrainingData) -> None:
        self._planner = planner
        self._questions = data.questions
        self._ids = data.problem_ids
        wanted = pl.col("problem_id").is_in(list(data.problem_ids))
        self._problems = {
            row["problem_id"]: Problem(
                problem_id=row["problem_id"],
                family=row["family"],
                domain=row["domain"],
                question=row["question"],
                answer=row["answer"],
                meta=json.loads(row["meta"] or "{}"),
            )
            for row in tables.scan("problems").filter(wanted).collect().iter_rows(named=True)
        }
        self._samples: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._greedy: dict[tuple[str, str], dict[str, Any]] = {}
        samples = tables.scan("samples").filter(wanted).sort("draw").collect()
        for row in samples.iter_rows(named=True):
            key = row["problem_id"], row["policy"]
            if row["draw"] < 0:
                self._greedy[key] = row
            else:
                self._samples.setdefault(key, []).append(row)
        self._rewards: dict[tuple[str, str, str, int], tuple[float, ...]] = {
            (row["problem_id"], row["policy"], row["prm"], row["draw"]): tuple(row["step_rewards"] or ())
            for row in tables.scan("scores").filter(wanted).collect().iter_rows(named=True)
        }

    def advice(self, probe: Probe, place: int, draws: Ints, aim: Budget) -> Recommendation:
        """What the live planner says of a problem once these draws of its pool are there."""
        question, name = self._questions[place], self._ids[place]
        if not probe.samples:
            return self._planner.decide(question, budget=aim, domain=self._problems[name].domain)
        candidates = [self._candidate(name, probe, int(draw)) for draw in draws]
        problem = self._problems[name]
        groups = group(problem, domain(problem.domain), [candidate.answer for candidate in candidates])
        return self._planner.decide(question, probe, candidates, budget=aim, groups=groups)

    def _candidate(self, name: str, probe: Probe, draw: int) -> Candidate:
        key = name, probe.policy
        row = self._greedy[key] if draw < 0 else self._samples[key][draw]
        rewards = () if probe.prm is None else self._rewards[name, probe.policy, probe.prm, row["draw"]]
        return Candidate(
            text=row["text"],
            answer=row["answer"],
            step_rewards=rewards,
            step_tokens=tuple(row["step_tokens"]),
            finish_reason=row["finish_reason"],
            mean_logprob=row["mean_logprob"],
            min_logprob=row["min_logprob"],
            thought_tokens=row["thought_tokens"] or 0,
            thought_cut=bool(row["thought_cut"]) or row["finish_reason"] == FinishReason.THOUGHT,
        )


def _same(stage: Stage, option: int, live: Recommendation) -> bool:
    """Whether the live advice is the option of a replay: a choice, or probing further."""
    probes = option >= len(stage.choices)
    return live.probe is not None if probes else live.probe is None and live.choice == stage.choices[option]
