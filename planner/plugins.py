"""Plug-ins: everything that can be added from outside, in one place.

    >>> from dataclasses import dataclass
    >>> from search.strategies.sampling import SamplingStrategy
    >>> @register
    ... @dataclass(frozen=True)
    ... class Quintet(SamplingStrategy):
    ...     name = "quintet"
    ...     caption = "five samples, the most frequent answer"
    ...     n: int = 5
    >>> from search.plan import Plan
    >>> Plan.parse("quintet()").n
    5
    >>> [(one.kind, one.origin) for one in all_plugins() if one.name == "quintet"]
    [('strategy', 'registered')]
    >>> unregister("quintet")

A distribution announces its members as entry points instead, in the groups ``planner.strategies``,
``planner.graders``, ``planner.engines``, ``planner.prm_families``, ``planner.importers`` and
``planner.baselines`` (``docs/extending.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, TypeVar, overload

from search.errors import PluginError
from search.registry import Plugin, Registry, is_path, load_path

__all__ = ["all_plugins", "load_plugins", "register", "registries", "unregister"]

M = TypeVar("M", bound=type)

#: where the registries are; the name of graders' differs between versions
_PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("search.strategies.registry", ("STRATEGIES",)),
    ("search.grading.registry", ("GRADERS", "DOMAINS")),
    ("search.engines.registry", ("ENGINES",)),
    ("search.rewards.family", ("PRM_FAMILIES",)),
    ("search.importing.registry", ("FORMATS",)),
    ("planner.evaluation.baseline", ("BASELINES",)),
)


def registries() -> tuple[Registry[Any], ...]:
    """Every registry that can be added to."""
    found = []
    for module, names in _PLACES:
        there = import_module(module)
        known = [getattr(there, name, None) for name in names]
        found += [one for one in known if isinstance(one, Registry)][:1]
    return tuple(found)


def all_plugins() -> tuple[Plugin, ...]:
    """What there is, where it comes from, and what is wrong with it. Everything is loaded."""
    return tuple(one for registry in registries() for one in registry.plugins())


@overload
def register(member: M, *, name: str = ...) -> M: ...


@overload
def register(*, name: str = ...) -> Callable[[M], M]: ...


def register(member: M | None = None, *, name: str = "") -> M | Callable[[M], M]:
    """Add a strategy, grader, engine, PRM family, importer or baseline; what it is its base class says.

    A decorator, with or without a name: ``@register`` or ``@register(name="trio")``. A name that is taken
    stands for the new member from then on. Raises PluginError for a class of no known kind, or one without a
    name. Returns the class.

    >>> from dataclasses import dataclass
    >>> import planner
    >>> from search.strategies.sampling import SamplingStrategy
    >>> @register
    ... @dataclass(frozen=True)
    ... class Trio(SamplingStrategy):
    ...     name = "trio"
    ...     caption = "the most frequent answer of three samples"
    ...     n: int = 3
    >>> print(planner.Plan.parse("trio"))
    trio(n=3)
    >>> unregister("trio")
    """
    if member is None:
        return lambda later: _registered(later, name)
    return _registered(member, name)


def unregister(name: str) -> None:
    """Take back what ``register`` has added under a name. Raises PluginError where it added nothing."""
    held = [registry for registry in registries() if registry.is_registered(name)]
    if not held:
        raise PluginError(f"only what was registered can be taken back, got {name!r}")
    for registry in held:
        registry.unregister(name)


def load_plugins(paths: Iterable[str]) -> None:
    """Register the classes at dotted paths (``my.module:Trio``). Raises PluginError."""
    for path in paths:
        if not is_path(path):
            raise PluginError(f"a plug-in is a dotted path (package.module:Class), got {path!r}")
        member = load_path(path)
        if not isinstance(member, type):
            raise PluginError(f"a plug-in is a class, got {member!r} at {path!r}")
        register(member)


def _registered(member: M, name: str) -> M:
    fitting = [registry for registry in registries() if registry.takes(member)]
    if not fitting:
        kinds = ", ".join(f"a {registry.kind}" for registry in registries())
        raise PluginError(f"a plug-in is derived from the base class of {kinds}, got {member!r}")
    fitting[0].register(member, name)
    return member
