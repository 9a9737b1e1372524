"""Strategies spend compute: they take a problem, a plan, an engine, a reward and a ledger, and
return a result. They import no engine library, never grade and never touch a log.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from search.budget import Ledger
from search.engines.protocol import Engine, Sampling
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Result
from search.rewards.protocol import Reward
from search.strategies.observer import Observer

__all__ = ["Limits", "Setting", "Strategy"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Per solution: most generated tokens and most steps. Reaching one is an ordinary ending."""

    max_tokens: int = 224
    max_steps: int = 32

    def __post_init__(self) -> None:
        for name, value in (("max_tokens", self.max_tokens), ("max_steps", self.max_steps)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a strategy works with, the same for every plan of a policy-PRM pair.

    ``reward`` is None where no plan asks a PRM. ``delimiter`` ends a step. ``observer`` is one request's.
    ``cancel_within``: seconds that the engine has to end what was cancelled; what has not ended by then
    is left alone and charged in full. ``top_logprobs``: candidates per token that the engine reduces to
    entropy and confidence, 0 for none (``Request.top_logprobs``).
    """

    engine: Engine
    reward: Reward | None = None
    sampling: Sampling = field(default_factory=Sampling)
    limits: Limits = field(default_factory=Limits)
    delimiter: str = "\n"
    observer: Observer | None = None
    cancel_within: float = 2.0
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        if not self.cancel_within >= 0.0:
            raise ValueError(f"cancel_within cannot be negative, got {self.cancel_within}")


class Strategy(ABC):
    """One way to spend compute. Stateless; one class per file."""

    #: the name that plans use
    name: str

    @abstractmethod
    async def run(
        self,
        problem: Problem,
        plan: Plan,
        setting: Setting,
        ledger: Ledger,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        """Run ``plan`` on ``problem`` and return what came of it.

        Parameters
        ----------
        ledger:
            Charged for everything; holds the request's hard budget. It may already carry the
            spend of a probe: ``Result.spend`` is what this run added.
        seed:
            Determines every draw where the engine promises so.
        prior:
            Candidates drawn before (the probe). They are paid for and compete for the answer. For
            sampling strategies they count towards n, so ``n - len(prior)`` are drawn; for tree
            searches they join the final vote under the plan's rule. Prior candidates without
            step rewards are scored first if the plan needs a PRM, and that is charged.

        Raises
        ------
        PlanError
            The plan belongs to another strategy, or needs a PRM that the setting lacks.
        EngineError, RewardError
            The policy failed, or the PRM did (that is no EngineError). Running out of budget, steps or
            tokens is a result, not an error.
        """
