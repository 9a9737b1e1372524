"""Registries: what can be plugged in, by name, from three places.

A registry knows the members that ship with this project, those that other distributions announce as entry
points, and those that a program registers while it runs. Members are loaded when they are first asked for, so
a registry imports nothing by itself.

    >>> from search.errors import PlanError
    >>> known = {"ordered": "collections:OrderedDict"}
    >>> colours = Registry("colour", "planner.colours", dict, known, PlanError)
    >>> colours.get("ordered").__name__
    'OrderedDict'
    >>> colours.get("red")
    Traceback (most recent call last):
    search.errors.PlanError: colour must be one of ordered, got 'red'

A dotted path (``package.module:Class``) is a name too: it is imported, also from the working directory, and
registered under the name that the class gives itself.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from search.errors import PlannerError, PluginError

__all__ = ["Plugin", "Registry", "is_path", "load_path"]

T = TypeVar("T")

_log = logging.getLogger("planner.plugins")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One member of a registry, for people.

    Parameters
    ----------
    kind, name:
        The registry's word (``strategy``) and the member's name.
    origin:
        ``built in``, ``registered``, or the distribution and its version.
    location:
        ``module:attribute``.
    error:
        Why it cannot be used; "" where it can.
    caption:
        What it says of itself; "" where it says nothing or cannot be loaded.
    """

    kind: str
    name: str
    origin: str
    location: str
    error: str = ""
    caption: str = ""


class Registry(Generic[T]):
    """Members of one kind by name.

    Parameters
    ----------
    kind:
        What a member is called in messages: ``strategy``.
    group:
        The entry-point group: ``planner.strategies``.
    accepts:
        The base class of members (classes derive from it), or a check that returns whether a loaded object is
        a member.
    builtin:
        Name -> ``module:attribute`` of the members that ship with this project.
    error:
        Raised for an unknown name.

    Raises PluginError for a member that cannot be loaded or is of another kind. A broken member does not stop
    the others: ``items`` leaves it out, ``plugins`` names its fault, and one line in the log says so.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        accepts: type | Callable[[object], bool],
        builtin: Mapping[str, str],
        error: type[PlannerError],
    ) -> None:
        self.kind = kind
        self.group = group
        self._accepts = accepts
        self._builtin = dict(builtin)
        self._error = error
        self._loaded: dict[str, T] = {}
        self._registered: dict[str, T] = {}
        self._broken: dict[str, str] = {}
        self._found: dict[str, EntryPoint] | None = None
        self._shadowed: list[EntryPoint] = []
        #: raised by each ``register`` and ``unregister``: what was derived from members may be out of date
        self.generation = 0

    # ---- asking

    def get(self, name: str) -> T:
        """The member of this name, or at this dotted path. Raises the registry's error, PluginError."""
        known = self.find(name)
        if known is not None:
            return known
        if is_path(name):
            member = self._checked(load_path(name), name)
            own = str(getattr(member, "name", "") or name)
            # the same class by its path once more is no news; under a name that is taken it is a fault
            if own in self:
                taken = self.get(own)
                if own in self._registered and _same_source(taken, member):
                    return self.register(member, own)  # a module that was imported anew
                if taken is member or _same_source(taken, member):
                    return taken
                raise PluginError(
                    f"{_with_article(self.kind)} by its dotted path needs a name of its own, got {own!r} of "
                    f"{name!r}, which is {self._location(own)} ({self._origin(own)})"
                )
            return self.register(member, own)
        raise self.unknown(name)

    def find(self, name: str) -> T | None:
        """The member of this name, or None; dotted paths are not followed. Raises PluginError."""
        for members in (self._registered, self._loaded):
            if name in members:
                return members[name]
        if name in self._builtin:
            self._loaded[name] = self._checked(load_path(self._builtin[name]), name)
            return self._loaded[name]
        point = self._entry_points().get(name)
        if point is None:
            return None
        if name in self._broken:
            raise PluginError(self._broken[name])
        try:
            self._loaded[name] = self._checked(point.load(), name)
        except Exception as fault:  # a plug-in's own code: whatever it raises must not end ours
            self._broken[name] = (
                f"{self.kind} {name!r} of {_distribution(point)} cannot be loaded: "
                f"{type(fault).__name__}: {_line(fault)}"
            )
            _log.warning("%s", self._broken[name])
            raise PluginError(self._broken[name]) from fault
        return self._loaded[name]

    def unknown(self, name: str) -> PlannerError:
        """The error for a name that is not there, for callers that follow no dotted paths."""
        return self._error(f"{self.kind} must be one of {', '.join(self)}, got {name!r}")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (
            name in self._registered or name in self._builtin or name in self._entry_points()
        )

    def __iter__(self) -> Iterator[str]:
        """Names: the built-in ones in their own order, then the others by name. Broken ones are left out."""
        others = sorted({*self._registered, *self._entry_points()} - {*self._builtin})
        return iter([*self._builtin, *(name for name in others if name not in self._broken)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def items(self) -> Iterator[tuple[str, T]]:
        """Name and member, loaded; broken plug-ins are named in the log and left out."""
        for name in list(self):
            try:
                yield name, self.get(name)
            except PluginError:
                if name in self._builtin:
                    raise

    def plugins(self) -> tuple[Plugin, ...]:
        """What there is and where it comes from. Everything is loaded, so faults are seen."""
        found = []
        for name in [*self._builtin, *sorted({*self._registered, *self._entry_points()} - {*self._builtin})]:
            caption = error = ""
            try:
                caption = _caption(self.get(name))
            except PlannerError as fault:
                error = str(fault)
            found.append(Plugin(self.kind, name, self._origin(name), self._location(name), error, caption))
        for point in self._shadowed:
            taken = f"its name is taken by {self._location(point.name)} ({self._origin(point.name)})"
            found.append(Plugin(self.kind, point.name, _distribution(point), point.value, taken))
        return tuple(found)

    # ---- adding

    def register(self, member: T, name: str = "") -> T:
        """Add a member under ``name`` (by default its attribute ``name``), in place of one of that name.

        Raises PluginError for a member of another kind or without a name. Returns the member, so that it
        serves as a decorator.
        """
        checked = self._checked(member, name or repr(member))
        chosen = name or str(getattr(member, "name", "") or "")
        if not chosen:
            raise PluginError(f"{_with_article(self.kind)} needs a name, got none for {member!r}")
        self._registered[chosen] = checked
        self._broken.pop(chosen, None)
        self.generation += 1
        return checked

    def unregister(self, name: str) -> None:
        """Take back what ``register`` has added. Raises the registry's error for any other name."""
        if name not in self._registered:
            raise self._error(f"only what was registered can be taken back, got {name!r}")
        del self._registered[name]
        self.generation += 1

    def fresh(self) -> Registry[T]:
        """A registry of the same kind as if the process had just begun: nothing loaded or registered."""
        return Registry(self.kind, self.group, self._accepts, self._builtin, self._error)

    def is_registered(self, name: str) -> bool:
        """Whether ``register`` has added the member of this name."""
        return name in self._registered

    def is_builtin(self, name: str) -> bool:
        """Whether the member of this name is one that ships with this project."""
        return name in self._builtin and name not in self._registered

    def takes(self, member: object) -> bool:
        """Whether an object is of this registry's kind."""
        accepts = self._accepts
        if isinstance(accepts, type):
            return isinstance(member, type) and issubclass(member, accepts)
        return accepts(member)

    # ---- inside

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._found is None:
            self._found = {}
            for point in sorted(entry_points(group=self.group), key=lambda one: (one.name, one.value)):
                first = self._found.get(point.name)
                if point.name in self._builtin or (first is not None and first.value != point.value):
                    self._shadowed.append(point)
                    _log.warning(
                        "%s %r of %s is left out: its name is taken",
                        *(self.kind, point.name, _distribution(point)),
                    )
                else:
                    self._found.setdefault(point.name, point)
        return self._found

    def _checked(self, member: object, name: str) -> T:
        if not self.takes(member):
            accepts = self._accepts
            wanted = (
                f"a class derived from {accepts.__module__}.{accepts.__qualname__}"
                if isinstance(accepts, type)
                else (accepts.__doc__ or "another object").strip().splitlines()[0]
            )
            raise PluginError(f"{_with_article(self.kind)} must be {wanted}, got {member!r} for {name!r}")
        return member  # type: ignore[return-value]

    def _origin(self, name: str) -> str:
        if name in self._registered:
            return "registered"
        return "built in" if name in self._builtin else _distribution(self._entry_points()[name])

    def _location(self, name: str) -> str:
        if name in self._registered:
            member = self._registered[name]
            owner = member if isinstance(member, type) else type(member)
            return f"{owner.__module__}:{owner.__qualname__}"
        return self._builtin[name] if name in self._builtin else self._entry_points()[name].value


def is_path(name: str) -> bool:
    """Whether a name is a dotted path: ``package.module:Class`` or ``package.module.Class``."""
    head, _, tail = name.rpartition(":") if ":" in name else name.rpartition(".")
    return bool(head) and tail.isidentifier() and all(part.isidentifier() for part in head.split("."))


def load_path(path: str) -> object:
    """The object at a dotted path. The working directory is searched last.

    Raises PluginError where there is none.
    """
    module, _, attribute = path.rpartition(":") if ":" in path else path.rpartition(".")
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        return getattr(import_module(module), attribute)
    except Exception as fault:  # the module's own code runs here: whatever it raises is told in one line
        raise PluginError(
            f"a dotted path must lead to an object, got {path!r}: {type(fault).__name__}: {_line(fault)}"
        ) from fault
    finally:
        if added:
            sys.path.remove(here)


def _distribution(point: EntryPoint) -> str:
    owner = point.dist
    return "an unknown distribution" if owner is None else f"{owner.name} {owner.version}"


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _same_source(one: object, other: object) -> bool:
    """Whether two classes come from one place: a module may have been imported under one name only."""
    places = [(getattr(a, "__module__", None), getattr(a, "__qualname__", None)) for a in (one, other)]
    return places[0] == places[1] and places[0] != (None, None)


def _caption(member: object) -> str:
    """What a member says of itself: its caption, else the first sentence of its own docstring."""
    said = getattr(member, "caption", "")
    if not isinstance(said, str) or not said:
        text = vars(member).get("__doc__") if isinstance(member, type) else getattr(member, "__doc__", None)
        first = (text or "").strip().partition("\n\n")[0]
        # a dataclass without a docstring of its own is given its signature
        said = "" if first.startswith(f"{getattr(member, '__name__', '')}(") else first.partition(". ")[0]
    return _line(said).rstrip(".")


def _line(text: object) -> str:
    """In one line."""
    return " ".join(str(text).split())
