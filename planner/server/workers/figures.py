"""Figures of several processes in one text: each series has the label ``worker``.

They are not added up: the counters of a worker that was started again begin at zero, which Prometheus
understands of one series and not of a sum. Ask for ``sum without (worker) (rate(...))``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

__all__ = ["merged", "to_wire"]


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
