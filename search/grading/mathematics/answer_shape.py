"""What an answer is made of: a number with its unit, a list, an interval, a relation, a matrix, words.

Only the outside: the expressions inside are text for ``search.grading.mathematics.latex_expression``.
``search.grading.mathematics.answer_reading`` tells the shape of a text.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Clock", "Items", "Lettered", "Matrix", "Numeral", "Ratio", "Relation", "Residue", "Scalar", "Shape",
    "Union", "Words",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scalar:
    """An expression with what stands around it. ``percent``: "", "%" or "percent" (the word)."""

    text: str
    unit: str = ""
    percent: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    text: str


@dataclass(frozen=True, slots=True)
class Lettered:
    """A choice: its letter, and its text where that stands behind the letter."""

    letter: str
    content: Shape | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """Several answers. ``brackets``: "" for a bare list, "{}" for a set, else the pair, "(]" say.

    ``joined`` is "and" or "or" where that word stands between them.
    """

    brackets: str
    items: tuple[Shape, ...]
    joined: str = ""


@dataclass(frozen=True, slots=True)
class Union:
    """Sets joined by ``operator``: ``\\cup`` or ``\\setminus``."""

    operator: str
    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """Sides with operators between them: ``=``, ``<``, ``\\le``, ``\\in``, ..."""

    operators: tuple[str, ...]
    sides: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """``kind``: "" for brackets, "v" for a determinant."""

    kind: str
    rows: tuple[tuple[Shape, ...], ...]


@dataclass(frozen=True, slots=True)
class Numeral:
    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Clock:
    """``half``: "am", "pm" or ""."""

    hour: int
    minute: int
    half: str


@dataclass(frozen=True, slots=True)
class Ratio:
    terms: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Residue:
    value: Shape
    modulus: Shape


Shape = Scalar | Words | Lettered | Items | Union | Relation | Matrix | Numeral | Clock | Ratio | Residue
