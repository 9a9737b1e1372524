"""``cot()``: one greedy chain of thought. Doing nothing more is a member of the family too."""

from __future__ import annotations

from dataclasses import dataclass

from search.engines.protocol import Sampling
from search.strategies.kinds import Replay
from search.strategies.protocol import Setting
from search.strategies.sampling import SamplingStrategy

__all__ = ["Cot"]


@dataclass(frozen=True)
class Cot(SamplingStrategy):
    """The greedy solution (temperature 0), whatever the setting's sampling is.

    With prior candidates nothing is drawn (they count towards n = 1): their majority answers. A planner does
    not choose it after a probe of the same policy, since the probe's samples would be lost.
    """

    name = "cot"
    caption = "one greedy answer"

    replays = Replay.GREEDY
    joins_probe = False
    most_prior = 0

    def sampling(self, setting: Setting) -> Sampling:
        """Greedy."""
        return Sampling(temperature=0.0)
