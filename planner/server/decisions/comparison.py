"""What a decision is compared with: the planner's plan, the plain model's answer, the vote that is as good.

A server in shadow mode writes one beside every plain answer, and another beside each plan that it runs for a
sample of the requests. ``planner.server.decisions.savings`` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["BESIDE", "Comparison", "Expected", "beside_id"]

#: the endpoint of plans that are run beside plain answers
BESIDE = "beside"


def beside_id(response_id: str) -> str:
    """The id of the plan that is run beside a plain answer."""
    return f"{response_id}-{BESIDE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A choice and what the planner's model expects of it; None where that is unknown.

    ``accuracy`` is calibrated, in [0, 1]; ``tokens`` and ``flops`` are logical, of policy and PRM; ``usd`` is
    None without prices.
    """

    policy: str
    prm: str | None
    plan: str
    accuracy: float | None = None
    tokens: float | None = None
    flops: float | None = None
    usd: float | None = None

    def times(self, answers: int) -> Expected:
        """The cost of so many answers."""
        return replace(
            self,
            tokens=None if self.tokens is None else self.tokens * answers,
            flops=None if self.flops is None else self.flops * answers,
            usd=None if self.usd is None else self.usd * answers,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the planner would have done for a request, and what was done instead.

    Parameters
    ----------
    plain:
        One answer of the plain model.
    planned:
        What the first stage recommends; None where the planner would not have chosen.
    vote:
        The cheapest plain vote that is expected to be right as often as ``planned``; None where there is
        none.
    reason:
        Why the planner would not have chosen (``open_ended``, ``tools``, ...); None where it would.
    plain_answer:
        Of a plan that was run beside a plain answer: what that answer says, read as the plan's own
        candidates are; None where it cannot be read. The decision's own ``answer`` is the plan's.
    """

    plain: Expected
    planned: Expected | None = None
    vote: Expected | None = None
    reason: str | None = None
    plain_answer: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As responses and the log have it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Comparison:
        """From ``to_dict``."""
        choices = {name: None if said[name] is None else Expected(**said[name]) for name in _CHOICES}
        return cls(**{**said, **choices})


_CHOICES = ("plain", "planned", "vote")
