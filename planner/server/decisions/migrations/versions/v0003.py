"""Assignments: which of two planners a request was given to, champion or challenger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Create the table. Written out: what tables.py says later must not change what was."""
    op.create_table(
        "assignments",
        sa.Column(
            "decision_id",
            sa.Text,
            sa.ForeignKey("decisions.decision_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("challenger", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("chance", sa.Double, nullable=False),
    )
    op.create_index("assignments_by_pair", "assignments", ["champion", "challenger"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("assignments")
