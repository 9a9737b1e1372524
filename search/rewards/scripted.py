"""A public fake reward: a function says what a step is worth, characters are the tokens.

>>> import asyncio
>>> reward = ScriptedReward(lambda question, steps: 0.0 if "?" in steps[-1] else 1.0)
>>> scored = asyncio.run(reward.extend(reward.open("1+1"), ["1+1=2", "so?"]))
>>> scored.rewards
(1.0, 0.0)
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

from search.cards import ModelCard
from search.errors import RewardError
from search.rewards.protocol import Handle, Reward, RewardUsage, Scored

__all__ = ["ScriptedReward"]


class ScriptedReward(Reward):
    """Scores steps with a function of the question and the steps up to and including the one scored.

    Tokens are characters, one more per prompt and per step for a separator. It keeps no state but
    counts as a backend that does: physical tokens are the new steps, and the prompt once per handle
    that ``open`` returned.

    Parameters
    ----------
    script:
        ``(question, steps) -> reward of the last step``, in [0, 1]; RewardError otherwise.
    context:
        Longest prompt plus steps, in characters.
    """

    equal_bits = True

    def __init__(
        self,
        script: Callable[[str, tuple[str, ...]], float],
        *,
        name: str = "scripted-prm",
        context: int = 65536,
        parameters: int = 1000,
    ) -> None:
        self.script = script
        self._closed = False
        fingerprint = hashlib.sha256(f"scripted-prm:{name}".encode()).hexdigest()
        self.card = ModelCard(name, parameters, fingerprint, context)

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        return len(question) + 1, sum(len(step) + 1 for step in steps)

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        if self._closed:
            raise RewardError("a closed reward scores nothing, got steps")
        if not steps:
            raise RewardError("steps must not be empty, got none")
        longer = Handle(handle.question, (*handle.steps, *steps), state=True)
        total = sum(self.count(handle.question, longer.steps))
        if total > self.card.context:
            raise RewardError(f"a prefix must fit into a context of {self.card.context} tokens, got {total}")
        await asyncio.sleep(0)  # as a real backend would: others run meanwhile
        rewards = tuple(
            float(self.script(handle.question, longer.steps[: len(handle.steps) + i + 1]))
            for i in range(len(steps))
        )
        for reward in rewards:
            if not 0.0 <= reward <= 1.0:
                raise RewardError(f"a reward must be in [0, 1], got {reward}")
        prompt, new = self.count(handle.question, steps)
        return Scored(rewards, longer, RewardUsage(prompt, new, new if handle.state else prompt + new))

    async def close(self) -> None:
        self._closed = True
