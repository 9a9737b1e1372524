"""The tables of a decision log, the same on SQLite and PostgreSQL.

    decisions   one row per answered (or failed) request
    steps       one row per stage of a decision: what was known, what was taken, its propensity, its cost
    candidates  one row per candidate of a decision, in draw order
    feedback    what came of a decision; any number per decision
    comparisons  of answers in shadow mode: what the planner would have done, as JSON
    assignments  which of two planners a request was given to, champion or challenger, and with what chance
    settings    what the log knows of itself: the salt of its hashes, references for drift

A schema of another version is brought here by ``planner.server.decisions.migrations``; a test holds the
two together. Vectors (features, rewards, tokens of steps) are little-endian bytes: floats of 64 bits, or
whole numbers of 64 bits. A float that is no number is kept as NULL.

Decisions and feedback become rows, and rows become decisions and feedback again, equal ones. Two things do
not survive: a NUL or half a character in a text (replaced by U+FFFD, since PostgreSQL takes neither), and a
float that is no number where None is allowed (it becomes None).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from planner.server.decisions.comparison import Comparison
from planner.server.decisions.recorder import Assignment, Decision, Feedback, Step
from search.result import Candidate, Spend

__all__ = [
    "ASSIGNMENTS",
    "CANDIDATES",
    "COMPARISONS",
    "DECISIONS",
    "FEEDBACK",
    "METADATA",
    "SETTINGS",
    "STEPS",
    "Rows",
    "decision_of",
    "feedback_of",
    "feedback_row",
    "rows_of",
    "size_of",
]

METADATA = sa.MetaData()


def _spend() -> tuple[sa.Column[int] | sa.Column[float], ...]:
    """What was spent, as ``search.result.Spend`` has it."""
    return (
        sa.Column("policy_tokens", sa.BigInteger, nullable=False),
        sa.Column("prm_tokens", sa.BigInteger, nullable=False),
        sa.Column("physical_policy_tokens", sa.BigInteger, nullable=False),
        sa.Column("physical_prm_tokens", sa.BigInteger, nullable=False),
        sa.Column("spent_flops", sa.Double),
        sa.Column("spent_seconds", sa.Double),
    )


def _of() -> sa.Column[str]:
    """The decision that a row belongs to and goes with."""
    return sa.Column(
        "decision_id", sa.Text, sa.ForeignKey("decisions.decision_id", ondelete="CASCADE"), nullable=False
    )


DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column("decision_id", sa.Text, primary_key=True),
    sa.Column("created", sa.Double, nullable=False),  # seconds since the epoch
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("key", sa.Text),  # the API key's name
    sa.Column("question", sa.Text, nullable=False),  # or its keyed hash
    sa.Column("domain", sa.Text, nullable=False),
    sa.Column("planner", sa.Text),  # fingerprint of the artefact
    sa.Column("budget", sa.Text, nullable=False),  # JSON
    sa.Column("budget_source", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("prm", sa.Text),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("accuracy", sa.Double),  # expected, as tokens, flops, seconds and usd
    sa.Column("tokens", sa.Double),
    sa.Column("flops", sa.Double),
    sa.Column("seconds", sa.Double),
    sa.Column("usd", sa.Double),
    sa.Column("propensity", sa.Double),
    sa.Column("chosen", sa.Integer),
    *_spend(),
    sa.Column("spent_usd", sa.Double),
    sa.Column("error", sa.Text),
    sa.Column("bytes", sa.BigInteger, nullable=False),  # about what the decision takes, all tables
    sa.Index("decisions_by_age", "created", "bytes"),
    sa.Index("decisions_by_planner", "planner", "created"),
)

STEPS = sa.Table(
    "steps",
    METADATA,
    _of(),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("look", sa.Text, nullable=False),
    sa.Column("next_look", sa.Text),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("prm", sa.Text),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("accuracy", sa.Double),
    sa.Column("tokens", sa.Double),
    sa.Column("flops", sa.Double),
    sa.Column("propensity", sa.Double),
    sa.Column("features", sa.LargeBinary, nullable=False),
    *_spend(),
    sa.PrimaryKeyConstraint("decision_id", "place"),
)

CANDIDATES = sa.Table(
    "candidates",
    METADATA,
    _of(),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),  # "" where questions are hashed
    sa.Column("answer", sa.Text),
    sa.Column("step_rewards", sa.LargeBinary, nullable=False),
    sa.Column("step_tokens", sa.LargeBinary, nullable=False),
    sa.Column("finish_reason", sa.Text, nullable=False),
    sa.Column("mean_logprob", sa.Double),
    sa.Column("min_logprob", sa.Double),
    sa.PrimaryKeyConstraint("decision_id", "place"),
)

FEEDBACK = sa.Table(
    "feedback",
    METADATA,
    sa.Column(
        "feedback_id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    _of(),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("correct", sa.Boolean),
    sa.Column("score", sa.Double),
    sa.Column("candidate", sa.Integer),
    sa.Column("key", sa.Text),
    sa.Index("feedback_by_decision", "decision_id"),
)

COMPARISONS = sa.Table(
    "comparisons",
    METADATA,
    sa.Column(
        "decision_id", sa.Text, sa.ForeignKey("decisions.decision_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("said", sa.Text, nullable=False),
)

ASSIGNMENTS = sa.Table(
    "assignments",
    METADATA,
    sa.Column(
        "decision_id", sa.Text, sa.ForeignKey("decisions.decision_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("champion", sa.Text, nullable=False),  # fingerprints
    sa.Column("challenger", sa.Text, nullable=False),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("chance", sa.Double, nullable=False),  # of this arm
    sa.Index("assignments_by_pair", "champion", "challenger"),
)

SETTINGS = sa.Table(
    "settings",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


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
