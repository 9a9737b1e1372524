"""What a driver and its actors say to each other. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from search import errors
from search.budget import Prices
from search.campaigns.grid import Grid
from search.campaigns.spending import SpendLimit, Usage
from search.campaigns.unit import Unit
from search.engines.protocol import Sampling
from search.errors import EngineError, PlannerError
from search.loader import Loader
from search.strategies.protocol import Limits

__all__ = ["Assignment", "Failed", "GivenUp", "Job", "Made", "Reply", "Told"]

#: errors that another actor, or the same one later, may not meet
_PASSING = ("UnreachableError", "BrokenError", "CutOffError")
#: errors that every unit would meet
_GENERAL = (
    "BudgetError",
    "CheckpointError",
    "GridError",
    "MissingExtraError",
    "ModelsError",
    "PlanError",
    "PluginError",
)


@dataclass(frozen=True, slots=True)
class Job:
    """One campaign, as every actor of it knows it.

    ``loader`` makes the models' loader on the actor's node: folders and keys are looked up there. ``setup``
    is called before (plug-ins). ``in_flight`` is that of ``UnitWork``.
    """

    grid: Grid
    loader: Callable[[], Loader]
    samplings: Mapping[str, Sampling]
    limits: Limits
    prices: Mapping[str, Prices] = field(default_factory=dict)
    in_flight: int | None = None
    setup: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What an actor says of itself: of its engine or PRM, and where it runs."""

    equal_bits: bool
    concurrency: int
    backend: str
    node: str = ""
    process: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """A unit to do. ``samples``: what a unit of scores is about. ``limit``: what it may spend."""

    unit: Unit
    samples: pl.DataFrame | None = None
    limit: SpendLimit | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """The rows of a unit, what was spent, and the seconds that the actor worked."""

    rows: pl.DataFrame
    usage: Mapping[str, Usage]
    seconds: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A unit that reached its limit."""

    usage: Mapping[str, Usage]


@dataclass(frozen=True, slots=True)
class Failed:
    """An error, by the name of its class and its message: an exception may not survive the way."""

    kind: str
    message: str
    usage: Mapping[str, Usage] = field(default_factory=dict)

    @classmethod
    def of(cls, error: BaseException, usage: Mapping[str, Usage] | None = None) -> Failed:
        """What is told of an error: its first line."""
        return cls(type(error).__name__, str(error).partition("\n")[0][:500], usage or {})

    @property
    def is_passing(self) -> bool:
        """Whether trying again may help."""
        return self.kind in _PASSING

    @property
    def is_general(self) -> bool:
        """Whether no unit can be done."""
        return self.kind in _GENERAL

    def error(self) -> PlannerError:
        """The exception, as near as it can be had."""
        known = getattr(errors, self.kind, None)
        if isinstance(known, type) and issubclass(known, PlannerError):
            try:
                return known(self.message)
            except TypeError:  # it takes more than a message
                return EngineError(f"{self.kind}: {self.message}")
        return EngineError(f"an actor must do its work, got {self.kind}: {self.message}")

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


Reply = Made | GivenUp | Failed
