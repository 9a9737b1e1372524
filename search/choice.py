"""A choice: policy x PRM x plan, what the planner picks among."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from search.errors import PlanError
from search.plan import Plan

__all__ = ["Choice"]

#: how a choice is written inside a plan; names of models may hold colons and slashes
_SHORT = re.compile(
    r"\s*(?P<policy>[^\s|(),=]+)\s*(?:\|\s*(?P<prm>[^\s|(),=]+)\s*)?:\s+(?P<plan>\S.*)", re.DOTALL
)
_NAME = re.compile(r"[^\s|(),=]+")


@total_ordering
@dataclass(frozen=True, slots=True)
class Choice:
    """Which policy runs which plan under which PRM (``None`` where the plan asks none).

    A plan of several policies is named by the policy that draws first. Raises PlanError for a PRM that the
    plan does not ask, one that is missing, and another policy than the plan begins with.

    >>> print(Choice("small", None, Plan.parse("majority(n=4)")))
    small x - x majority(n=4)
    """

    policy: str
    prm: str | None
    plan: Plan

    def __post_init__(self) -> None:
        if self.plan.needs_prm and self.prm is None:
            raise PlanError(f"{self.plan.strategy} needs a PRM, got none for {self.plan}")
        if not self.plan.needs_prm and self.prm is not None:
            raise PlanError(f"{self.plan.strategy} asks no PRM, got {self.prm!r} for {self.plan}")
        parts = self.plan.parts
        if parts and parts[0].policy != self.policy:
            raise PlanError(
                f"a choice names the policy that its plan begins with, got {self.policy!r} for {self.plan}"
            )

    @classmethod
    def parse(cls, text: str) -> Choice:
        """The choice that ``policy: plan`` or ``policy | PRM: plan`` spells. Raises PlanError.

        >>> Choice.parse("m: majority(n=4)").plan.n
        4
        >>> str(Choice.parse("qwen2.5:0.5b | prm: best_of_n()"))
        'qwen2.5:0.5b x prm x best_of_n(n=16, score=last)'
        """
        found = _SHORT.fullmatch(text)
        if found is None:
            raise PlanError(f"a choice is written policy: plan, or policy | PRM: plan, got {text!r}")
        return cls(found["policy"], found["prm"], Plan.parse(found["plan"]))

    @property
    def short(self) -> str:
        """As ``parse`` reads it. Raises PlanError for a model's name that a plan cannot hold."""
        for name in (self.policy, self.prm):
            if name is not None and not _NAME.fullmatch(name):
                raise PlanError(
                    f"a plan holds names without spaces, commas, =, | and parentheses, got {name!r}"
                )
        return f"{self.policy}{'' if self.prm is None else f' | {self.prm}'}: {self.plan}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Choice):
            return NotImplemented
        return str(self) < str(other)

    def __str__(self) -> str:
        return f"{self.policy} x {self.prm or '-'} x {self.plan}"
