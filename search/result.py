"""What one run of a plan returned: candidates, the answer (or a named reason why none), the spend.

Results are never graded here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from search.plan import Plan

__all__ = ["Call", "Candidate", "Outcome", "Result", "Spend"]


class Outcome(StrEnum):
    """How a run ended."""

    ANSWERED = "answered"
    UNREADABLE = "unreadable"  # candidates there are, but no answer can be read from any
    BUDGET = "budget"  # the budget let no candidate finish
    DEADLINE = "deadline"  # time was up before any candidate finished
    STEP_LIMIT = "step_limit"  # every beam hit the step or token limit without an answer
    ABSTAINED = "abstained"  # whoever decided expected no affordable plan to help


@dataclass(frozen=True, slots=True)
class Spend:
    """What a run cost. Logical figures do not depend on traffic, physical ones do.

    ``policy_tokens`` / ``prm_tokens`` (logical): the prompt once per problem and model, every
    generated token (discarded beams and the probe included), every step scored once.
    ``physical_*``: what the backends really processed. ``flops``: logical, policy and PRM together.
    ``seconds``: measured wall clock.
    """

    policy_tokens: int = 0
    prm_tokens: int = 0
    physical_policy_tokens: int = 0
    physical_prm_tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Logical tokens of policy and PRM together. Compare models of different size in FLOPs."""
        return self.policy_tokens + self.prm_tokens

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            policy_tokens=self.policy_tokens + other.policy_tokens,
            prm_tokens=self.prm_tokens + other.prm_tokens,
            physical_policy_tokens=self.physical_policy_tokens + other.physical_policy_tokens,
            physical_prm_tokens=self.physical_prm_tokens + other.physical_prm_tokens,
            flops=self.flops + other.flops,
            seconds=self.seconds + other.seconds,
        )

    def __sub__(self, other: Spend) -> Spend:
        return Spend(
            policy_tokens=self.policy_tokens - other.policy_tokens,
            prm_tokens=self.prm_tokens - other.prm_tokens,
            physical_policy_tokens=self.physical_policy_tokens - other.physical_policy_tokens,
            physical_prm_tokens=self.physical_prm_tokens - other.physical_prm_tokens,
            flops=self.flops - other.flops,
            seconds=self.seconds - other.seconds,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """One solution that competes for the answer.

    ``step_rewards`` is empty when no PRM scored it. ``step_tokens`` are the generated tokens per
    step and sum to ``tokens``. ``answer`` is canonical (``Domain.read``), None if unreadable.
    ``mean_logprob`` / ``min_logprob`` are per token, None when they were not asked for;
    ``lowest_window_logprob`` and ``step_logprobs`` likewise (``search.strategies.running.candidates``).
    ``mean_entropy``, ``mean_confidence`` and ``lowest_confidence`` are the engine's (``ChildFinished``).
    ``token_ids`` are empty where the engine tells none. ``thought`` is what a thinking model wrote before the
    text, and ``thought_tokens`` how many of the tokens are its; ``thought_cut`` says that a budget ended it.
    All these are not compared: what was measured of a solution does not make it another one.
    """

    text: str
    answer: str | None
    step_rewards: tuple[float, ...]
    step_tokens: tuple[int, ...]
    finish_reason: str
    mean_logprob: float | None = None
    min_logprob: float | None = None
    lowest_window_logprob: float | None = field(default=None, compare=False)
    step_logprobs: tuple[float, ...] = field(default=(), compare=False)
    mean_entropy: float | None = field(default=None, compare=False)
    mean_confidence: float | None = field(default=None, compare=False)
    lowest_confidence: float | None = field(default=None, compare=False)
    token_ids: tuple[int, ...] = field(default=(), compare=False)
    thought: str = field(default="", compare=False)
    thought_tokens: int = field(default=0, compare=False)
    thought_cut: bool = field(default=False, compare=False)

    @property
    def tokens(self) -> int:
        """Generated tokens."""
        return sum(self.step_tokens)


@dataclass(frozen=True, slots=True)
class Call:
    """What a run did beyond drawing solutions of the question: it asked the policy about them (``kind``:
    ``select``, ``critique``, ``revise``, ...), or ran a program or tests (``run``, ``tests``).

    ``text`` is what came back. ``prompt_tokens`` and ``tokens`` are part of the run's spend, where equal
    prompts count once; 0 for what no model wrote.
    """

    kind: str
    text: str
    prompt_tokens: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a plan returned. ``chosen`` indexes ``candidates``; None without an answer.

    ``calls`` are in the order of the rounds. ``jail_seconds``: measured, of programs and tests that ran.
    """

    problem_id: str
    plan: Plan
    candidates: tuple[Candidate, ...]
    answer: str | None
    chosen: int | None
    outcome: Outcome
    spend: Spend
    calls: tuple[Call, ...] = field(default=(), compare=False)
    jail_seconds: float = field(default=0.0, compare=False)
