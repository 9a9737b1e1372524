"""The domains by name. A module is imported when its domain is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from search.errors import GradingError
from search.grading.protocol import Domain

__all__ = ["DOMAINS", "domain", "guess_domain"]

#: name -> the class, as module and attribute, in the order in which ``guess_domain`` asks
DOMAINS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "puzzle": ("search.grading.puzzle", "PuzzleDomain"),
        "game24": ("search.grading.game24", "Game24Domain"),
        "code": ("search.grading.code", "CodeDomain"),
        "python": ("search.grading.python", "PythonDomain"),
        "formula": ("search.grading.formula", "FormulaDomain"),
        "chemistry": ("search.grading.chemistry", "ChemistryDomain"),
        "choice": ("search.grading.choice", "ChoiceDomain"),
        "quantity": ("search.grading.quantity", "QuantityDomain"),
        "math": ("search.grading.math", "MathDomain"),
        "arithmetic": ("search.grading.arithmetic", "ArithmeticDomain"),
        "text": ("search.grading.text", "TextDomain"),
    }
)


@cache
def domain(name: str) -> Domain:
    """The domain of this name, the same object every time. Raises GradingError for an unknown one.

    >>> domain("poetry")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    search.errors.GradingError: domain must be one of puzzle, ..., text, got 'poetry'
    """
    if name not in DOMAINS:
        raise GradingError(f"domain must be one of {', '.join(DOMAINS)}, got {name!r}")
    module, attribute = DOMAINS[name]
    built = getattr(import_module(module), attribute)()
    if not isinstance(built, Domain):
        raise TypeError(f"a domain must be a Domain, got {type(built).__name__} for {name!r}")
    return built


def guess_domain(question: str) -> Domain | None:
    """The first domain that claims a bare question; None when none does (open-ended chat, say)."""
    return next((found for found in map(domain, DOMAINS) if found.claims(question)), None)
