"""The strategies by the names that plans use. A class is imported when its name is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.errors import PlanError
from search.registry import Registry

if TYPE_CHECKING:
    from search.strategies.protocol import Strategy

__all__ = ["STRATEGIES"]


def _is_strategy(member: object) -> bool:
    """a class derived from search.strategies.protocol.Strategy"""
    from search.strategies.protocol import Strategy

    return isinstance(member, type) and issubclass(member, Strategy)


#: every strategy of the plan grammar
STRATEGIES: Registry[type[Strategy]] = Registry(
    "strategy",
    "planner.strategies",
    _is_strategy,
    {
        "cot": "search.strategies.cot:Cot",
        "majority": "search.strategies.majority:Majority",
        "best_of_n": "search.strategies.best_of_n:BestOfN",
        "weighted_vote": "search.strategies.weighted_vote:WeightedVote",
        "beam_search": "search.strategies.trees.beam_search:BeamSearch",
        "dvts": "search.strategies.trees.dvts:Dvts",
        "particle_filter": "search.strategies.trees.particle_filter:ParticleFilter",
        "lookahead": "search.strategies.trees.lookahead:Lookahead",
        "rebase": "search.strategies.trees.rebase:Rebase",
        "adaptive_vote": "search.strategies.adaptive.adaptive_vote:AdaptiveVote",
        "cascade": "search.strategies.cascade:Cascade",
        "aggregate": "search.strategies.asking.aggregate:Aggregate",
        "refine": "search.strategies.asking.refine:Refine",
        "program": "search.strategies.asking.program:Program",
    },
    PlanError,
)
