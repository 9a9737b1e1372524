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
        Why it cannot be loaded; "" where it can.
    """

    kind: str
    name: str
    origin: str
    location: str
    error: str = ""


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
    the others: ``names`` and ``plugins`` leave it out or name its fault, and one line in the log says so.
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

    # ---- asking

    def get(self, name: str) -> T:
        """The member of this name, or at this dotted path. Raises the registry's error, PluginError."""
        known = self._known(name)
        if known is not None:
            return known
        if is_path(name):
            member = self._checked(load_path(name), name)
            return self.register(member, str(getattr(member, "name", "") or name))
        raise self._error(f"{self.kind} must be one of {', '.join(self)}, got {name!r}")

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
            try:
                self.get(name)
                error = ""
            except PlannerError as fault:
                error = str(fault)
            found.append(
                Plugin(
                    kind=self.kind,
                    name=name,
                    origin=self._origin(name),
                    location=self._location(name),
                    error=error,
                )
            )
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
            raise PluginError(f"a {self.kind} needs a name, got none for {member!r}")
        self._registered[chosen] = checked
        self._broken.pop(chosen, None)
        return checked

    def unregister(self, name: str) -> None:
        """Take back what ``register`` has added. Raises the registry's error for another name."""
        if name not in self._registered:
            raise self._error(f"only what was registered can be taken back, got {name!r}")
        del self._registered[name]

    # ---- inside

    def _known(self, name: str) -> T | None:
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

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._found is None:
            self._found = {}
            for point in sorted(entry_points(group=self.group), key=lambda one: (one.name, one.value)):
                if point.name not in self._builtin:
                    self._found.setdefault(point.name, point)
        return self._found

    def _checked(self, member: object, name: str) -> T:
        accepts = self._accepts
        if isinstance(accepts, type):
            fits = isinstance(member, type) and issubclass(member, accepts)
            wanted = f"a class derived from {accepts.__module__}.{accepts.__qualname__}"
        else:
            fits, wanted = accepts(member), (accepts.__doc__ or "another object").strip().splitlines()[0]
        if not fits:
            raise PluginError(f"a {self.kind} must be {wanted}, got {member!r} for {name!r}")
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
    except (ImportError, AttributeError) as fault:
        raise PluginError(f"a dotted path must lead to an object, got {path!r}: {_line(fault)}") from fault
    finally:
        if added:
            sys.path.remove(here)


def _distribution(point: EntryPoint) -> str:
    owner = point.dist
    return "an unknown distribution" if owner is None else f"{owner.name} {owner.version}"


def _line(fault: BaseException) -> str:
    return " ".join(str(fault).split())
