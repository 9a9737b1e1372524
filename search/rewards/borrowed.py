"""A reward that belongs to others: what counts or watches a PRM begins with it."""

from __future__ import annotations

from collections.abc import Sequence

from search.rewards.protocol import Handle, Need, Reward, Scored

__all__ = ["BorrowedReward"]


class BorrowedReward(Reward):
    """Wraps a PRM and passes everything on. Closing it closes nothing."""

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        self.card = reward.card
        self.equal_bits = reward.equal_bits

    def open(self, question: str) -> Handle:
        return self.reward.open(question)

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        return self.reward.count(question, steps)

    def need(self, handle: Handle, steps: Sequence[str]) -> Need:
        return self.reward.need(handle, steps)

    def most_read(self, handle: Handle, steps: Sequence[str]) -> int:
        return self.reward.most_read(handle, steps)

    def worst(self, question: str, tokens: int, before: int = 0) -> Need:
        return self.reward.worst(question, tokens, before)

    def fits(self, question: str, steps: Sequence[str]) -> bool:
        return self.reward.fits(question, steps)

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        return await self.reward.extend(handle, steps)

    async def close(self) -> None:
        """Nothing."""
