"""A campaign on a cluster, as the commands ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from search.budget import Prices
from search.campaigns.grid import Grid
from search.campaigns.spending import SpendLimit
from search.cluster.campaign import ClusterCampaign
from search.cluster.placement import Placement
from search.cluster.ray_session import ray_session
from search.loader import Loader
from search.log.store import SearchLog
from search.problem import Problem

__all__ = ["cluster_campaign"]


@contextmanager
def cluster_campaign(
    address: str,
    problems: Sequence[Problem],
    grid: Grid,
    log: SearchLog,
    loader: Loader,
    *,
    make_loader: Callable[[], Loader],
    placements: Mapping[str, Placement],
    actors: int,
    in_flight: int | None,
    prices: Mapping[str, Prices],
    limit: SpendLimit | None,
    plugins: Sequence[str] = (),
) -> Iterator[ClusterCampaign]:
    """Connected as long as the block runs.

    ``placements``: of models that say how they are placed; the others get ``actors`` each. ``plugins``: paths
    of classes that actors load too. Raises ClusterError, MissingExtraError.
    """
    placed = {name: Placement(replicas=actors) for name in grid.policies} | dict(placements)
    with ray_session(address) as ray:
        yield ClusterCampaign(
            problems,
            grid,
            log,
            loader,
            ray=ray,
            make_loader=make_loader,
            placements=placed,
            setup=partial(_load_plugins, [*plugins]) if plugins else None,
            in_flight=in_flight,
            prices=prices,
            limit=limit,
        )


def _load_plugins(paths: list[str]) -> None:
    from planner.plugins import load_plugins

    load_plugins(paths)
