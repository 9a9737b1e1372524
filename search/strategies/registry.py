"""The strategies by the names that plans use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from search.strategies.beam_search import BeamSearch
from search.strategies.best_of_n import BestOfN
from search.strategies.cot import Cot
from search.strategies.dvts import Dvts
from search.strategies.majority import Majority
from search.strategies.protocol import Strategy
from search.strategies.weighted_vote import WeightedVote

__all__ = ["STRATEGIES"]

#: every strategy of the plan grammar
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (Cot(), Majority(), BestOfN(), WeightedVote(), BeamSearch(), Dvts())
    }
)
