"""A backbone: the decoder under a reward model, run over many prefixes at once with kept keys and values.

Two members: ``search.rewards.computed.embedded`` is the project's own decoder (float32, CPU; a row's bits do
not depend on its neighbours), ``search.rewards.computed.transformer`` wraps the models of transformers for
everything that one does not compute: other rotary scalings, half precision, accelerators.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from search.engines.cache import Prefix

__all__ = ["Backbone"]


class Backbone(ABC):
    """Runs tokens after prefixes. Used from one thread."""

    @abstractmethod
    def extend(
        self, prefixes: Sequence[Prefix | None], tokens: Sequence[Sequence[int]]
    ) -> tuple[list[Prefix], list[Tensor]]:
        """The longer prefixes and, per sequence, states [T_i, hidden] that ``final`` takes.

        No sequence of tokens may be empty. Prefixes are never written to.
        """

    @abstractmethod
    def final(self, states: Tensor) -> Tensor:
        """What transformers calls the last hidden state [S, hidden], float32 on the CPU."""
