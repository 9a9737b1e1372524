"""Results become rows: problems, samples, scores and runs as frames of the log's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import polars as pl

from search.engines.protocol import Sampling
from search.grading.registry import domain
from search.log.tables import TABLES
from search.problem import Problem
from search.problem_sets.problem_set import canonical_json
from search.result import Candidate, Result

__all__ = ["problem_rows", "run_row", "sample_rows", "table_frame"]


def table_frame(table: str, rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Rows as a frame with the table's columns and types. A row may lack what is optional: null."""
    known = TABLES[table]
    held = {
        name: [row.get(name) if name in known.optional else row[name] for row in rows]
        for name in known.columns
    }
    return pl.DataFrame(held, schema=dict(known.columns), strict=True)


def problem_rows(problems: Sequence[Problem]) -> list[dict[str, object]]:
    """Rows of ``problems``."""
    return [
        {
            "problem_id": problem.problem_id,
            "family": problem.family,
            "domain": problem.domain,
            "question": problem.question,
            "answer": problem.answer,
            "meta": canonical_json(dict(problem.meta)),
        }
        for problem in problems
    ]


def sample_rows(
    problem: Problem, policy: str, sampling: Sampling, first: int, seed: int, result: Result
) -> list[dict[str, object]]:
    """Rows of ``samples``: the candidates of one request as draws ``first``, ``first + 1``, ...

    ``seed`` is the request's: draw d is its child d - first. Grading happens here, after the run.
    """
    prompt_tokens = result.spend.policy_tokens - sum(candidate.tokens for candidate in result.candidates)
    grader = domain(problem.domain)
    return [
        {
            "problem_id": problem.problem_id,
            "policy": policy,
            "sampling": str(sampling),
            "draw": first + child,
            "seed": seed,
            "text": candidate.text,
            "answer": candidate.answer,
            "correct": grader.grade(problem, candidate.answer),
            "prompt_tokens": prompt_tokens,
            "tokens": candidate.tokens,
            "step_tokens": list(candidate.step_tokens),
            "mean_logprob": candidate.mean_logprob,
            "min_logprob": candidate.min_logprob,
            "finish_reason": candidate.finish_reason,
            "token_ids": list(candidate.token_ids) or None,
            "lowest_window_logprob": candidate.lowest_window_logprob,
            "step_logprobs": list(candidate.step_logprobs) or None,
            "mean_entropy": candidate.mean_entropy,
            "mean_confidence": candidate.mean_confidence,
            "lowest_confidence": candidate.lowest_confidence,
            "thought": candidate.thought,
            "thought_tokens": candidate.thought_tokens,
            "thought_cut": candidate.thought_cut,
        }
        for child, candidate in enumerate(result.candidates)
    ]


def run_row(
    problem: Problem, policy: str, sampling: Sampling, prm: str, run: int, seed: int, result: Result
) -> dict[str, object]:
    """A row of ``runs``, graded. ``prm`` is "" where none was asked."""
    spend = result.spend
    return {
        "problem_id": problem.problem_id,
        "policy": policy,
        "sampling": str(sampling),
        "prm": prm,
        "plan": str(result.plan),
        "run": run,
        "seed": seed,
        "candidates": [_candidate(candidate) for candidate in result.candidates],
        "answer": result.answer,
        "correct": domain(problem.domain).grade(problem, result.answer),
        "outcome": str(result.outcome),
        "policy_tokens": spend.policy_tokens,
        "prm_tokens": spend.prm_tokens,
        "physical_policy_tokens": spend.physical_policy_tokens,
        "physical_prm_tokens": spend.physical_prm_tokens,
        "flops": spend.flops,
        "seconds": spend.seconds,
        "calls": [asdict(call) for call in result.calls],
        "jail_seconds": result.jail_seconds,
        "thought_tokens": [candidate.thought_tokens for candidate in result.candidates],
        "thought_cut": [candidate.thought_cut for candidate in result.candidates],
    }


def _candidate(candidate: Candidate) -> dict[str, object]:
    return {
        "text": candidate.text,
        "answer": candidate.answer,
        "step_rewards": list(candidate.step_rewards),
        "step_tokens": list(candidate.step_tokens),
        "finish_reason": candidate.finish_reason,
    }
