"""Decisions and feedback become rows, and rows become decisions and feedback again, equal ones.

Two things do not survive: a NUL or half a character in a text (replaced by U+FFFD, since PostgreSQL
takes neither), and a float that is no number where None is allowed (it becomes None).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from planner.server.decisions.comparison import Comparison
from planner.server.decisions.recorder import Assignment, Decision, Feedback, Step
from search.result import Candidate, Spend

__all__ = ["Rows", "decision_of", "feedback_of", "feedback_row", "rows_of", "size_of"]

_Row = Mapping[str, Any]

_PLAIN = ("created", "accuracy", "tokens", "flops", "seconds", "usd", "propensity", "spent_usd")
_TEXTS = (
    *("decision_id", "endpoint", "key", "question", "domain", "planner", "budget_source", "reason"),
    *("policy", "prm", "plan", "answer", "outcome", "error"),
)


@dataclass(slots=True)
class Rows:
    """Rows of the tables that a decision lies in."""

    decisions: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    candidates: list[dict[str, Any]] = field(default_factory=list)
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    assignments: list[dict[str, Any]] = field(default_factory=list)


def rows_of(decisions: Sequence[Decision]) -> Rows:
    """Rows of decisions."""
    rows = Rows()
    for decision in decisions:
        rows.decisions.append(
            {
                **{name: _text(getattr(decision, name)) for name in _TEXTS},
                **{name: _number(getattr(decision, name)) for name in _PLAIN},
                "budget": _text(json.dumps(dict(decision.budget), sort_keys=True)),
                "chosen": decision.chosen,
                **_spend_row(decision.spend),
                "bytes": size_of(decision),
            }
        )
        rows.steps += [_step_row(decision.decision_id, *one) for one in enumerate(decision.steps)]
        rows.candidates += [
            _candidate_row(decision.decision_id, *one) for one in enumerate(decision.candidates)
        ]
        if decision.comparison is not None:
            rows.comparisons.append(
                {
                    "decision_id": _text(decision.decision_id),
                    "said": _text(json.dumps(decision.comparison.to_dict(), sort_keys=True)),
                }
            )
        if decision.assignment is not None:
            rows.assignments.append(
                {"decision_id": _text(decision.decision_id), **asdict(decision.assignment)}
            )
    return rows


def size_of(decision: Decision) -> int:
    """About how many bytes a decision takes on disk."""
    return decision.size


def feedback_row(feedback: Feedback) -> dict[str, Any]:
    """The row of feedback."""
    return {
        "decision_id": _text(feedback.decision_id),
        "created": feedback.created,
        "correct": feedback.correct,
        "score": feedback.score,
        "candidate": feedback.candidate,
        "key": _text(feedback.key),
    }


def feedback_of(row: _Row) -> Feedback:
    """Feedback from its row."""
    return Feedback(
        decision_id=row["decision_id"],
        created=row["created"],
        correct=row["correct"],
        score=row["score"],
        candidate=row["candidate"],
        key=row["key"],
    )


def decision_of(
    row: _Row,
    steps: Sequence[_Row],
    candidates: Sequence[_Row],
    *,
    comparisons: Sequence[_Row] = (),
    assignments: Sequence[_Row] = (),
) -> Decision:
    """A decision from its row, its steps and its candidates, both in order, its comparison and its
    assignment, if any."""
    return Decision(
        **{name: row[name] for name in (*_TEXTS, *_PLAIN, "chosen") if name != "propensity"},
        propensity=_known(row["propensity"]),
        budget=json.loads(row["budget"]),
        steps=tuple(_step_of(step) for step in steps),
        candidates=tuple(_candidate_of(candidate) for candidate in candidates),
        spend=_spend_of(row),
        comparison=next((Comparison.from_dict(json.loads(one["said"])) for one in comparisons), None),
        assignment=next(
            (
                Assignment(**{name: one[name] for name in ("champion", "challenger", "arm", "chance")})
                for one in assignments
            ),
            None,
        ),
    )


def _step_row(decision_id: str, place: int, step: Step) -> dict[str, Any]:
    return {
        "decision_id": _text(decision_id),
        "place": place,
        **{name: _text(getattr(step, name)) for name in ("look", "next_look", "policy", "prm", "plan")},
        **{name: _number(getattr(step, name)) for name in ("accuracy", "tokens", "flops", "propensity")},
        "features": np.asarray(step.features, "<f8").tobytes(),
        **_spend_row(step.spend),
    }


def _step_of(row: _Row) -> Step:
    return Step(
        look=row["look"],
        next_look=row["next_look"],
        policy=row["policy"],
        prm=row["prm"],
        plan=row["plan"],
        accuracy=row["accuracy"],
        tokens=_known(row["tokens"]),
        flops=_known(row["flops"]),
        propensity=_known(row["propensity"]),
        features=tuple(np.frombuffer(row["features"], "<f8").tolist()),
        spend=_spend_of(row),
    )


def _candidate_row(decision_id: str, place: int, candidate: Candidate) -> dict[str, Any]:
    return {
        "decision_id": _text(decision_id),
        "place": place,
        "text": _text(candidate.text),
        "answer": _text(candidate.answer),
        "step_rewards": np.asarray(candidate.step_rewards, "<f8").tobytes(),
        "step_tokens": np.asarray(candidate.step_tokens, "<i8").tobytes(),
        "finish_reason": _text(candidate.finish_reason),
        "mean_logprob": _number(candidate.mean_logprob),
        "min_logprob": _number(candidate.min_logprob),
    }


def _candidate_of(row: _Row) -> Candidate:
    return Candidate(
        text=row["text"],
        answer=row["answer"],
        step_rewards=tuple(np.frombuffer(row["step_rewards"], "<f8").tolist()),
        step_tokens=tuple(np.frombuffer(row["step_tokens"], "<i8").tolist()),
        finish_reason=row["finish_reason"],
        mean_logprob=row["mean_logprob"],
        min_logprob=row["min_logprob"],
    )


def _spend_row(spend: Spend) -> dict[str, Any]:
    return {
        "policy_tokens": spend.policy_tokens,
        "prm_tokens": spend.prm_tokens,
        "physical_policy_tokens": spend.physical_policy_tokens,
        "physical_prm_tokens": spend.physical_prm_tokens,
        "spent_flops": _number(spend.flops),
        "spent_seconds": _number(spend.seconds),
    }


def _spend_of(row: _Row) -> Spend:
    return Spend(
        policy_tokens=row["policy_tokens"],
        prm_tokens=row["prm_tokens"],
        physical_policy_tokens=row["physical_policy_tokens"],
        physical_prm_tokens=row["physical_prm_tokens"],
        flops=_known(row["spent_flops"]),
        seconds=_known(row["spent_seconds"]),
    )


def _text(text: str | None) -> str | None:
    if text is None or (text.isascii() and "\0" not in text):
        return text
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\ufffd")


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
