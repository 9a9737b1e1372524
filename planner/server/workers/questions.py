"""Questions that any process of a server can be asked, and how it answers them for all.

Figures of several processes are one text in which each series has the label ``worker``. They are not added
up: the counters of a worker that was started again begin at zero, which Prometheus understands of one series
and not of a sum. Ask for ``sum without (worker) (rate(...))``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from planner.server.decisions.log import DecisionLog
from planner.server.observing.metrics import set_gauges
from planner.server.observing.rolling_metrics import summed
from planner.server.service import Service

__all__ = [
    "answer_peers",
    "beside_of_all",
    "merged",
    "metrics_text",
    "now_of_all",
    "to_wire",
]


def to_wire(registry: CollectorRegistry) -> list[Any]:
    """All figures of a process, in JSON."""
    return [
        [
            family.name,
            family.documentation,
            family.type,
            [[s.name, s.labels, s.value] for s in family.samples],
        ]
        for family in registry.collect()
    ]


def merged(figures: Mapping[int, Sequence[Any]]) -> bytes:
    """The figures of processes, by their numbers, in the exposition format."""
    registry = CollectorRegistry()
    registry.register(_Told(figures))
    return generate_latest(registry)


class _Told(Collector):
    """Tells what processes have told."""

    def __init__(self, figures: Mapping[int, Sequence[Any]]) -> None:
        self._figures = figures

    def describe(self) -> Iterator[Metric]:
        """Nothing that may be anywhere else."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for number in sorted(self._figures):
            for name, documentation, kind, samples in self._figures[number]:
                family = families.get(name)
                if family is None:
                    family = families[name] = Metric(name, documentation, kind)
                for sample, labels, value in samples:
                    family.add_sample(sample, {**labels, "worker": str(number)}, float(value))
        yield from families.values()


#: seconds for others to write what waits
_FLUSH = 1.0


def answer_peers(service: Service) -> None:
    """Have the service answer the other processes, and itself."""
    recorder = service.recorder

    async def figures(_: object) -> list[Any]:
        set_gauges(service)
        return to_wire(service.metrics.registry)

    async def now(window: int) -> dict[str, Any]:
        admission = service.admission
        return {
            "rolling": service.rolling.state(window),
            "running": admission.running,
            "waiting": admission.waiting,
            "share": admission.share,
            "in_flight": [list(each) for each in admission.flights.limits()],
            "log": dict(service.recorder.state()),
            "explored": list(service.metrics.explored),
            "down": [name for name in service.models.known if not service.models.is_up(name)],
        }

    async def reload(_: object) -> dict[str, Any]:
        served = await service.reload()
        return {"planner": served.fingerprint, "keys": len(service.keys)}

    async def flush(_: object) -> bool:
        return await recorder.flush(_FLUSH) if isinstance(recorder, DecisionLog) else True

    async def beside(_: object) -> dict[str, int]:
        return {"ran": service.background.begun, "dropped": service.background.dropped}

    known = {"figures": figures, "now": now, "reload": reload, "flush": flush, "beside": beside}
    for what, how in known.items():
        service.peers.answer(what, how)
    if isinstance(recorder, DecisionLog) and service.peers.count > 1:
        recorder.others = lambda: _asked(service)


async def _asked(service: Service) -> None:
    await service.peers.ask("flush")


async def metrics_text(service: Service) -> bytes:
    """The figures of all processes for Prometheus; those of several have a label for each."""
    if service.peers.count == 1:
        set_gauges(service)
        return service.metrics.text()
    found = await service.peers.ask("figures")
    service.metrics.set("workers", len(found), "Processes that answer.")
    service.metrics.set("worker_restarts", service.peers.restarts, "Processes that were started again.")
    own = service.peers.number
    return merged({**found, own: to_wire(service.metrics.registry)})


async def now_of_all(service: Service, window: int) -> dict[str, Any]:
    """What goes on in all processes together."""
    found = list((await service.peers.ask("now", window)).values())
    down = {name for each in found for name in each["down"]}
    body = summed([each["rolling"] for each in found])
    body["requests"] |= {name: sum(each[name] for each in found) for name in ("running", "waiting")}
    return {
        **body,
        "share": min(each["share"] for each in found),
        "in_flight": _in_flight(found),
        "log": _log([each["log"] for each in found]),
        "models": [
            {"name": name, "kind": model.kind, "up": name not in down}
            for name, model in service.models.known.items()
        ],
        "workers": len(found),
        **_explored(service, found),
    }


def _explored(service: Service, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What exploration costs, where it is switched on."""
    if not service.rules.explore:
        return {}
    decisions, accuracy, flops = (sum(each["explored"][place] for each in found) for place in range(3))
    return {"exploration": {"decisions": decisions, "accuracy": accuracy, "flops": flops}}


async def beside_of_all(service: Service) -> dict[str, int]:
    """How many plans all processes have run beside plain answers, and dropped."""
    found = list((await service.peers.ask("beside")).values())
    return {name: sum(each[name] for each in found) for name in ("ran", "dropped")}


def _in_flight(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[str, list[int]] = {}
    for each in found:
        for policy, load, limit in each["in_flight"]:
            whole = sums.setdefault(policy, [0, 0])
            whole[0] += load
            whole[1] += limit
    return [{"policy": policy, "load": load, "limit": limit} for policy, (load, limit) in sums.items()]


def _log(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers of all, and words of the first that has any."""
    whole: dict[str, Any] = {}
    for state in states:
        for name, value in state.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                whole[name] = whole.get(name, 0) + value
            else:
                whole[name] = whole.get(name) or value
    return whole
