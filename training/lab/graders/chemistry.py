"""Quantities of chemistry: a number and a unit on the last line that starts with ``#``.

Canonical notation is ``"74 g/mol"``: the number without trailing zeros, one space, the unit.
"""

from __future__ import annotations

import re
from decimal import Decimal

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["TOLERANCE", "ChemistryDomain", "plain"]

#: relative: two numbers this close count as one
TOLERANCE = Decimal("0.005")

_QUANTITY = re.compile(r"\s*(-?[0-9]{1,12}(?:\.[0-9]{1,12})?)\s*(g/mol|mol|g|%)\s*\Z")
_CLAIM = re.compile(r"\b(?:mol|moles|molar mass|mass percent)\b|\b(?:g|grams|mass) of (?=[A-Z(])")


class ChemistryDomain(Domain):
    """Reads, compares and grades quantities. Stateless."""

    name = "chemistry"
    caption = "quantities of the lab's chemistry"

    def read(self, problem: Problem, text: str) -> str | None:
        """The quantity on the last line that starts with ``#``, canonical; ``None`` if there is none.

        The units are ``g/mol``, ``g``, ``mol`` and ``%``.
        """
        for line in reversed(text.split("\n")):
            line = line.strip()
            if line.startswith("#"):
                return _canonical(line[1:])
        return None

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Same unit, and numbers within ``TOLERANCE`` of the larger one.

        Closeness is not transitive, so this compares an answer with the representative (the first
        drawn answer) of a cluster of votes, never with every member.
        """
        if first == second:
            return True
        (a, unit_a), (b, unit_b) = _quantity(first), _quantity(second)
        return unit_a == unit_b and abs(a - b) <= TOLERANCE * max(abs(a), abs(b))

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Same unit as the reference, and a number within ``TOLERANCE`` of it, relative to it."""
        reference = None if problem.answer is None else _canonical(problem.answer)
        if reference is None:
            raise GradingError(
                "a reference answer must be a number and a unit, "
                f"got {problem.answer!r} in {problem.problem_id!r}"
            )
        if answer is None or _canonical(answer) is None:
            return False
        (a, unit_a), (b, unit_b) = _quantity(answer), _quantity(reference)
        return unit_a == unit_b and abs(a - b) <= TOLERANCE * abs(b)

    def claims(self, question: str) -> bool:
        """Whether a question speaks of moles, molar mass, mass percent or grams of a formula."""
        return _CLAIM.search(question) is not None


def plain(number: Decimal) -> str:
    """A number without exponent and trailing zeros: ``Decimal("40.0")`` is ``"40"``."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _canonical(text: str) -> str | None:
    found = _QUANTITY.match(text)
    return None if found is None else f"{plain(Decimal(found[1]))} {found[2]}"


def _quantity(answer: str) -> tuple[Decimal, str]:
    found = _QUANTITY.match(answer)
    if found is None:
        raise GradingError(f"an answer must be a number and a unit, got {answer!r}")
    return Decimal(found[1]), found[2]
