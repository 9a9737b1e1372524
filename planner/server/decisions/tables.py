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
"""

from __future__ import annotations

import sqlalchemy as sa

__all__ = [
    "ASSIGNMENTS",
    "CANDIDATES",
    "COMPARISONS",
    "DECISIONS",
    "FEEDBACK",
    "METADATA",
    "SETTINGS",
    "STEPS",
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
