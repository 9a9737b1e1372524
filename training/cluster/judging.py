"""Who judges the trials of one fit: this process, or actors for as long as the fit runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from search.cluster.ray_session import ray_session
from training.cluster.judges import Judge, RayJudge
from training.fidelities import Fidelity

__all__ = ["judging"]


@contextmanager
def judging(
    address: str | None, actors: int, cpus: float
) -> Iterator[Callable[[Callable[[], Sequence[Fidelity]]], Judge] | None]:
    """What ``training.study.fit`` takes as ``judges``; ``address`` of a cluster, None for this process."""
    if address is None:
        yield None
        return
    with ray_session(address) as ray, ExitStack() as ended:

        def made(make: Callable[[], Sequence[Fidelity]]) -> Judge:
            judge = RayJudge(ray, make, actors, cpus)
            ended.callback(judge.close)
            return judge

        yield made
