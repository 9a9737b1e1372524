"""Rewards score steps: a handle per solution prefix, extended step by step.

A backend that can keep state scores only what is new; one that cannot rescores the prefix behind
the same face and says so in its usage. Calls made concurrently are batched by the backend.
A reward model knows nothing of policies, strategies or logs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from search.cards import ModelCard

__all__ = ["Handle", "Need", "Reward", "RewardUsage", "Scored"]


@dataclass(frozen=True, slots=True)
class Handle:
    """A scored prefix: the question and the steps so far. Immutable; extending gives a new one.

    ``state`` is the backend's own (a KV cache, say). A handle may be extended several times, with
    different steps: that is how beams branch.
    """

    question: str
    steps: tuple[str, ...] = ()
    state: object = None


@dataclass(frozen=True, slots=True)
class Need:
    """PRM tokens that work takes at most, its prompt left out; ``written`` of them it writes itself."""

    tokens: int
    written: int = 0


@dataclass(frozen=True, slots=True)
class RewardUsage:
    """PRM tokens of one call.

    ``logical_tokens``: the prompt (on the first extension of an opened handle only, so once per
    candidate tree; strategies count it once per problem) is NOT included; the new steps and their
    separators are. ``prompt_tokens``: length of the prompt in this PRM's tokens.
    ``physical_tokens``: what the backend really processed for this call, rescoring included.
    ``written_tokens``: those of the logical tokens that the PRM wrote itself, as a judge does.
    ``sent_tokens``: what was sent to the backend, whether or not it had kept some of it, where that is not
    what it processed without what it wrote (None).
    """

    prompt_tokens: int
    logical_tokens: int
    physical_tokens: int
    written_tokens: int = 0
    sent_tokens: int | None = None

    @property
    def read_tokens(self) -> int:
        """What the backend was sent for this call, for which money is paid."""
        if self.sent_tokens is not None:
            return self.sent_tokens
        return max(0, self.physical_tokens - self.written_tokens)


@dataclass(frozen=True, slots=True)
class Scored:
    """What ``extend`` returns: one reward in [0, 1] per new step, the longer handle, the cost."""

    rewards: tuple[float, ...]
    handle: Handle
    usage: RewardUsage


class Reward(ABC):
    """Who scores steps. Used on one event loop; ``async with`` closes it.

    >>> from search.rewards.scripted import ScriptedReward
    >>> reward = ScriptedReward(lambda question, steps: 0.9, name="good")
    >>> isinstance(reward, Reward), reward.open("What is 3 + 4?").question
    (True, 'What is 3 + 4?')
    """

    #: what is known of the PRM
    card: ModelCard
    #: whether equal work that is sent together, and alone, gets equal rewards, bit for bit
    equal_bits: bool = False

    def open(self, question: str) -> Handle:
        """The empty prefix of a solution of ``question``. Costs nothing until extended."""
        return Handle(question)

    @abstractmethod
    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        """(prompt tokens, step tokens with separators) that scoring these steps takes logically.

        Costs nothing; lets a budget reserve before anything is sent.
        """

    def need(self, handle: Handle, steps: Sequence[str]) -> Need:
        """The most that ``extend`` is charged for, prompt left out; costs nothing. By default ``count``."""
        return Need(self.count(handle.question, steps)[1])

    def most_read(self, handle: Handle, steps: Sequence[str]) -> int:
        """The most tokens that ``extend`` may send to the backend (``RewardUsage.read_tokens``): by default
        the prompt and all steps again."""
        return sum(self.count(handle.question, (*handle.steps, *steps)))

    def worst(self, question: str, tokens: int, before: int = 0) -> Need:
        """About what scoring at most ``tokens`` more tokens of a policy takes, before they are written.

        ``before``: tokens of the solution that stand already. Held while the rest is being written, so that
        it can be scored: by default that text again, and a separator where it is cut off.
        """
        return Need(tokens + 1)

    def fits(self, question: str, steps: Sequence[str]) -> bool:
        """Whether a solution of these steps stays within the context; costs nothing."""
        return sum(self.count(question, steps)) <= self.card.context

    @abstractmethod
    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        """Score new steps (text without the newline) after a prefix. Raises RewardError.

        ``steps`` must not be empty. A prefix longer than the context raises RewardError.
        """

    @abstractmethod
    async def close(self) -> None:
        """Free everything. Safe to call twice."""

    async def __aenter__(self) -> Reward:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
