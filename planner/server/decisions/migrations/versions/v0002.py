"""Comparisons: what the planner would have done, beside answers of shadow mode."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Create the table. Written out: what tables.py says later must not change what was."""
    op.create_table(
        "comparisons",
        sa.Column(
            "decision_id",
            sa.Text,
            sa.ForeignKey("decisions.decision_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("said", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("comparisons")
