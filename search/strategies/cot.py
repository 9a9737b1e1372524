"""``cot()``: one greedy chain of thought. Doing nothing more is a member of the family too."""

from __future__ import annotations

from search.engines.protocol import Sampling
from search.strategies.protocol import Setting
from search.strategies.sampling import SamplingStrategy

__all__ = ["Cot"]


class Cot(SamplingStrategy):
    """The greedy solution (temperature 0), whatever the setting's sampling is.

    With prior candidates nothing is drawn (they count towards n = 1): their majority answers.
    """

    name = "cot"
    vote = "majority"

    def sampling(self, setting: Setting) -> Sampling:
        """Greedy."""
        return Sampling(temperature=0.0)
