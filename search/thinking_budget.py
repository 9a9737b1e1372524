"""How much a policy is to think, in the words of plans: ``effort=``, ``think=`` and ``wait=``.

>>> str(ThinkingBudget(think=512))
'think=512'
>>> ThinkingBudget(think=8, wait=9)
Traceback (most recent call last):
search.errors.PlanError: wait must be at most think, got think=8, wait=9
"""

from __future__ import annotations

from dataclasses import dataclass

from search.errors import PlanError

__all__ = ["EFFORTS", "ThinkingBudget"]

#: every effort there is: on and off for models that know no more, the others as OpenAI's API has them
#: (``ReasoningEffort`` of its Python client 2.x, also vLLM 0.32's)
EFFORTS = ("on", "off", "none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class ThinkingBudget:
    """What a plan asks.

    Parameters
    ----------
    effort:
        One of ``EFFORTS``; "": as the server has it.
    think:
        Most tokens of a thought, its end included; None: as many as there are.
    wait:
        Fewest tokens of a thought: one that ends before is gone on with. 0: none.

    Raises PlanError.
    """

    effort: str = ""
    think: int | None = None
    wait: int = 0

    def __post_init__(self) -> None:
        if self.effort and self.effort not in EFFORTS:
            raise PlanError(f"effort must be one of {', '.join(EFFORTS)}, got {self.effort!r}")
        if self.wait and self.think is None:
            raise PlanError(f"wait needs think, the most that a thought may take, got wait={self.wait}")
        if self.think is not None and self.wait > self.think:
            raise PlanError(f"wait must be at most think, got think={self.think}, wait={self.wait}")

    def __str__(self) -> str:
        told = [f"effort={self.effort}"] if self.effort else []
        told += [] if self.think is None else [f"think={self.think}"]
        return ", ".join([*told, *([f"wait={self.wait}"] if self.wait else [])])
