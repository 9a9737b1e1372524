"""The first schema: decisions, steps, candidates, feedback, settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Create the tables. Written out: what tables.py says later must not change what was."""
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.Text, primary_key=True),
        sa.Column("created", sa.Double, nullable=False),
        *(sa.Column(name, sa.Text, nullable=null) for name, null in _DECISION_TEXTS),
        *(sa.Column(name, sa.Double) for name in ("accuracy", "tokens", "flops", "seconds", "usd")),
        sa.Column("propensity", sa.Double),
        sa.Column("chosen", sa.Integer),
        *_spend(),
        sa.Column("spent_usd", sa.Double),
        sa.Column("error", sa.Text),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_index("decisions_by_age", "decisions", ["created", "bytes"])
    op.create_index("decisions_by_planner", "decisions", ["planner", "created"])
    op.create_table(
        "steps",
        _of(),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("look", sa.Text, nullable=False),
        sa.Column("next_look", sa.Text),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("prm", sa.Text),
        sa.Column("plan", sa.Text, nullable=False),
        *(sa.Column(name, sa.Double) for name in ("accuracy", "tokens", "flops", "propensity")),
        sa.Column("features", sa.LargeBinary, nullable=False),
        *_spend(),
        sa.PrimaryKeyConstraint("decision_id", "place"),
    )
    op.create_table(
        "candidates",
        _of(),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("step_rewards", sa.LargeBinary, nullable=False),
        sa.Column("step_tokens", sa.LargeBinary, nullable=False),
        sa.Column("finish_reason", sa.Text, nullable=False),
        sa.Column("mean_logprob", sa.Double),
        sa.Column("min_logprob", sa.Double),
        sa.PrimaryKeyConstraint("decision_id", "place"),
    )
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "feedback",
        sa.Column("feedback_id", number, primary_key=True, autoincrement=True),
        _of(),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("correct", sa.Boolean),
        sa.Column("score", sa.Double),
        sa.Column("candidate", sa.Integer),
        sa.Column("key", sa.Text),
    )
    op.create_index("feedback_by_decision", "feedback", ["decision_id"])
    op.create_table(
        "settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop everything."""
    for table in ("settings", "feedback", "candidates", "steps", "decisions"):
        op.drop_table(table)


#: name, nullable
_DECISION_TEXTS = (
    ("endpoint", False),
    ("key", True),
    ("question", False),
    ("domain", False),
    ("planner", True),
    ("budget", False),
    ("budget_source", False),
    ("reason", True),
    ("policy", False),
    ("prm", True),
    ("plan", False),
    ("answer", True),
    ("outcome", False),
)


def _of() -> sa.Column[str]:
    return sa.Column(
        "decision_id", sa.Text, sa.ForeignKey("decisions.decision_id", ondelete="CASCADE"), nullable=False
    )


def _spend() -> list[sa.Column[int] | sa.Column[float]]:
    tokens = ("policy_tokens", "prm_tokens", "physical_policy_tokens", "physical_prm_tokens")
    counted: list[sa.Column[int] | sa.Column[float]] = [
        sa.Column(name, sa.BigInteger, nullable=False) for name in tokens
    ]
    return [*counted, sa.Column("spent_flops", sa.Double), sa.Column("spent_seconds", sa.Double)]
