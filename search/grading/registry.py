"""The domains by name: an open registry. A module is imported when its domain is first asked for."""

from __future__ import annotations

from search.errors import GradingError
from search.grading.protocol import Domain
from search.registry import Registry

__all__ = ["DOMAINS", "domain"]

#: name -> the class. Others come from the entry-point group ``planner.graders`` and from ``register``
DOMAINS: Registry[type[Domain]] = Registry(
    "domain",
    "planner.graders",
    Domain,
    {
        "math": "search.grading.mathematics.math:MathDomain",
        "python": "search.grading.programs.python:PythonDomain",
        "quantity": "search.grading.science.quantity:QuantityDomain",
        "formula": "search.grading.science.formula:FormulaDomain",
        "choice": "search.grading.choice:ChoiceDomain",
        "text": "search.grading.text:TextDomain",
        "game24": "search.grading.game24:Game24Domain",
        "json": "search.grading.structured:JsonDomain",
        "tool_call": "search.grading.structured:ToolCallDomain",
    },
    GradingError,
)

_built: dict[str, Domain] = {}


def domain(name: str) -> Domain:
    """The domain of this name, the same object every time.

    Names come from logs and requests, so a dotted path is not followed here: who trusts one asks
    ``DOMAINS.get`` for it, which registers it under its own name.

    Raises GradingError for an unknown name, PluginError for a plug-in that cannot be loaded.

    >>> domain("poetry")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    search.errors.GradingError: domain must be one of math, ..., got 'poetry'
    """
    wanted = DOMAINS.find(name)
    if wanted is None:
        raise DOMAINS.unknown(name)
    known = _built.get(name)
    if type(known) is not wanted:  # the first time, or another was registered under this name
        known = _built[name] = wanted()
    return known
