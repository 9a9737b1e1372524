"""A choice: policy x PRM x plan, what the planner picks among."""

from __future__ import annotations

from dataclasses import dataclass

from search.errors import PlanError
from search.plan import Plan

__all__ = ["Choice"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which policy runs which plan under which PRM (``None`` where the plan asks none)."""

    policy: str
    prm: str | None
    plan: Plan

    def __post_init__(self) -> None:
        if self.plan.needs_prm and self.prm is None:
            raise PlanError(f"{self.plan.strategy} needs a PRM, got none for {self.plan}")
        if not self.plan.needs_prm and self.prm is not None:
            raise PlanError(f"{self.plan.strategy} asks no PRM, got {self.prm!r} for {self.plan}")

    def __str__(self) -> str:
        return f"{self.policy} x {self.prm or '-'} x {self.plan}"
