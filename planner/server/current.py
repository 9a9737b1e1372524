"""The planner in use: replaced as a whole, while requests that began with the old one end with it.

A new artefact is loaded and checked against the models beside the request path; a broken or foreign one
is refused and the old one stays.

What has been loaded is set apart from the garbage collector. Python's collector of reference cycles stops
everything while it scans all objects. Models, libraries and the planner hold so many that a scan takes as
long as a short deadline. Frozen objects are left out, so that a collection scans only what requests have
created since. Nearly all of that is freed by reference counting when a request ends, so the threshold is tens
of thousands of objects: at Python's default of 700, objects of running requests would be scanned again and
again.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cachetools import LRUCache

from planner.decider import Assigned, Decider
from planner.planner import Planner
from planner.rules_planner import RulesPlanner
from planner.solving.availability_filter import AvailabilityFilter
from search.cards import ModelCard
from search.errors import ArtefactError

__all__ = [
    "Current",
    "InUse",
    "Ruling",
    "Served",
    "freeze_gc",
    "freeze_gc_again",
]


#: questions whose domain is kept: those of the requests that are worked on now
_MOST_ASSIGNED = 256
#: sets of models that are left out
_MOST_FILTERS = 64


@dataclass(slots=True, eq=False)
class Served:
    """What decides, its fingerprint, and which of its models are not served."""

    planner: Decider
    fingerprint: str
    missing: frozenset[str]
    _assigned: LRUCache[tuple[str, str | None], Assigned] = field(
        init=False, repr=False, default_factory=lambda: LRUCache(_MOST_ASSIGNED)
    )

    _filters: LRUCache[tuple[frozenset[str], frozenset[str]], AvailabilityFilter | None] = field(
        init=False, repr=False, default_factory=lambda: LRUCache(_MOST_FILTERS)
    )

    def without(self, policies: frozenset[str], prms: frozenset[str]) -> AvailabilityFilter | None:
        """What leaves these models out; None where the planner has no choice left then."""
        key = policies, prms
        if key not in self._filters:
            found = AvailabilityFilter(policies, prms)
            self._filters[key] = found if found.leaves(self.planner) else None
        return self._filters[key]

    def assigned(self, question: str, domain: str | None) -> Assigned:
        """The domain of a question (``Decider.assign``), which several parts of a request ask for.

        Raises GradingError for a domain that nobody knows.
        """
        found = self._assigned.get((question, domain))
        if found is None:
            found = self._assigned[question, domain] = self.planner.assign(question, domain)
        return found


class InUse(ABC):
    """Holds what is in use. ``place`` says where it comes from, for people."""

    place: str
    served: Served
    reloads: int = 0

    @abstractmethod
    async def reload(self) -> Served:
        """Take what lies in its place now. Where that raises, the old one stays."""


class Current(InUse):
    """Holds a fitted planner and the folder of its artefact.

    ``models`` are the cards of everything that is served, as they are: each planner has its policies asked
    under its own promptings.
    """

    def __init__(
        self, folder: Path, models: Iterable[ModelCard] = (), *, allow_foreign: bool = False
    ) -> None:
        self.folder = folder
        self.place = str(folder)
        self._models = tuple(models)
        self._allow_foreign = allow_foreign
        self._loading = asyncio.Lock()
        self.served = self._load()

    async def reload(self) -> Served:
        """Take the artefact that lies in the folder now. Where loading raises, the old one stays."""
        async with self._loading:
            fresh = await asyncio.to_thread(self._load)
            self.served = fresh
            self.reloads += 1
            return fresh

    def _load(self) -> Served:
        before = _fingerprint(self.folder)
        planner = Planner.load(self.folder)
        planner.check(planner.asked(self._models), allow_foreign=self._allow_foreign)
        there = {card.name for card in self._models}
        missing = (planner.policies.keys() | planner.prms.keys()) - there
        if not AvailabilityFilter(missing, missing).leaves(planner):
            raise ArtefactError(
                "a planner chooses among the models that are there, "
                f"got no choice without {', '.join(sorted(missing))}"
            )
        if _fingerprint(self.folder) != before:
            raise ArtefactError(
                f"an artefact stays as it is while it is read, got a change in {str(self.folder)!r}"
            )
        return Served(planner, before, frozenset(missing))


class Ruling(InUse):
    """Holds rules, which stand in no folder: a server takes a fitted planner when it is started with one."""

    def __init__(self, rules: RulesPlanner) -> None:
        self.place = "the models file"
        self.served = Served(rules, rules.fingerprint, frozenset())

    async def reload(self) -> Served:
        """The same rules again."""
        return self.served


def _fingerprint(folder: Path) -> str:
    """Of the manifest, which holds the hashes of everything else."""
    try:
        return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    except OSError as error:
        raise ArtefactError(f"an artefact has a manifest.json, got none in {str(folder)!r}") from error


#: objects left over, then collections of the next younger generation, between two collections of one
_YOUNG, _MIDDLE, _OLD = 50_000, 10, 10


def freeze_gc() -> None:
    """Collect once, then set all that is left apart from later collections."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


def freeze_gc_again() -> None:
    """Set apart what has been loaded since, a new planner say; nothing where nothing was set apart.

    What was set apart before is looked through once, so that what nobody needs any more is freed: an old
    planner, and objects of requests that ran when it was set apart and refer to it in cycles.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        freeze_gc()
