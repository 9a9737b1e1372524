"""Who gave feedback, how often they are mistaken, and what their word is worth.

Users, programs (tests, graders) and judges are told apart by the name of the API key that sent the feedback.
A source calls right answers right with its sensitivity and wrong answers wrong with its specificity. Both are
estimated on the decisions that a program judged too, where there are enough of them; otherwise they are as
stated. A word y in [0, 1] then counts as (y - (1 - specificity)) / (sensitivity + specificity - 1), whose
mean is the share right (Rogan and Gladen 1978; for learning, Natarajan et al. 2013). It may lie outside [0,
1].
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from search.errors import RecordError

__all__ = ["ANYONE", "DoubleLabels", "Kind", "Source", "Sources", "Word"]

#: what feedback without a key is named by
ANYONE = "anyone"
#: decisions judged right, and judged wrong, by a program that an estimate of a source's mistakes takes
_ENOUGH = 20
#: a source that is no better than this tells nothing
_LEAST = 0.1


class Kind(StrEnum):
    """What a source is."""

    USER = "user"
    PROGRAM = "program"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Source:
    """One source of feedback.

    Parameters
    ----------
    kind:
        Users choose what they speak about. Programs and judges see a sample that does not depend on outcomes.
    sensitivity, specificity:
        How often it calls right answers right, and wrong answers wrong.
    measured:
        Decisions judged twice that both were estimated on; 0 where they are as stated.

    Raises RecordError for a source that tells nothing.
    """

    kind: Kind = Kind.USER
    sensitivity: float = 1.0
    specificity: float = 1.0
    measured: int = 0

    def __post_init__(self) -> None:
        for name in ("sensitivity", "specificity"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise RecordError(f"a {name} must be in [0, 1], got {getattr(self, name)}")
        if self.informative <= _LEAST:
            raise RecordError(
                f"sensitivity + specificity of a source must be above {1 + _LEAST:g}, "
                f"got {self.sensitivity:g} + {self.specificity:g}"
            )

    @property
    def informative(self) -> float:
        """Youden's index: 1 is never mistaken, 0 is a coin."""
        return self.sensitivity + self.specificity - 1.0

    def corrected(self, said: float) -> float:
        """What a word in [0, 1] counts as."""
        return (said - (1.0 - self.specificity)) / self.informative

    @classmethod
    def parse(cls, text: str) -> tuple[str, Source]:
        """``KEY=KIND`` or ``KEY=KIND:SENSITIVITY:SPECIFICITY``. Raises RecordError.

        >>> Source.parse("grader=judge:0.9:0.8")
        ('grader', Source(kind=<Kind.JUDGE: 'judge'>, sensitivity=0.9, specificity=0.8, measured=0))
        """
        name, _, said = text.partition("=")
        kind, *rates = said.split(":")
        try:
            if not name or len(rates) not in (0, 2):
                raise ValueError
            hits, rejects = (float(rate) for rate in rates) if rates else (1.0, 1.0)
            return name, cls(Kind(kind), hits, rejects)
        except RecordError:
            raise
        except ValueError:
            raise RecordError(
                "a source is KEY=user, program or judge, with :SENSITIVITY:SPECIFICITY where they are known, "
                f"got {text!r}"
            ) from None


@dataclass(frozen=True, slots=True)
class Word:
    """What one source said of one decision: ``value`` in [0, 1], 1 is right."""

    source: str
    value: float
    created: float


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources by the name of their key. A key that nobody names is a user's."""

    known: Mapping[str, Source] = field(default_factory=dict)

    def of(self, name: str) -> Source:
        """The source of this name."""
        return self.known.get(name, Source())

    def settle(self, words: Sequence[Word], kinds: Iterable[Kind] = tuple(Kind)) -> tuple[float, Kind] | None:
        """What a decision was worth and who says so: the most informative source, of equals a program before
        a judge before a user, its latest word. None where no source of these kinds spoke."""
        allowed = set(kinds)
        heard = [word for word in words if self.of(word.source).kind in allowed]
        if not heard:
            return None
        best = max(heard, key=lambda word: (*self._rank(word.source), word.created))
        source = self.of(best.source)
        return source.corrected(best.value), source.kind

    def _rank(self, name: str) -> tuple[float, int]:
        source = self.of(name)
        return source.informative, (Kind.USER, Kind.JUDGE, Kind.PROGRAM).index(source.kind)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            name: {
                "kind": source.kind.value,
                "sensitivity": source.sensitivity,
                "specificity": source.specificity,
                "judged_twice": source.measured,
            }
            for name, source in sorted(self.known.items())
        }


class DoubleLabels:
    """Counts, over decisions, what each source said where a program spoke too."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._counts: dict[str, list[float]] = {}  # said right / all, of right; said wrong / all, of wrong

    def hear(self, words: Sequence[Word]) -> None:
        """The words on one decision. A program's own correction is left aside: it is taken to be right."""
        sure = [w for w in words if self._sources.of(w.source).kind is Kind.PROGRAM and w.value in (0.0, 1.0)]
        if not sure:
            return
        right = max(sure, key=lambda word: word.created).value == 1.0
        for name in {word.source for word in words}:
            if self._sources.of(name).kind is Kind.PROGRAM:
                continue
            last = max((w for w in words if w.source == name), key=lambda word: word.created)
            counts = self._counts.setdefault(name, [0.0, 0.0, 0.0, 0.0])
            counts[0 if right else 2] += last.value if right else 1.0 - last.value
            counts[1 if right else 3] += 1.0

    def measured(self) -> Sources:
        """The sources with what was measured. One that turns out to tell nothing raises RecordError."""
        found = dict(self._sources.known)
        for name, (hits, right, rejections, wrong) in self._counts.items():
            if min(right, wrong) < _ENOUGH:
                continue
            try:
                found[name] = replace(
                    self._sources.of(name),
                    sensitivity=(hits + 0.5) / (right + 1.0),
                    specificity=(rejections + 0.5) / (wrong + 1.0),
                    measured=math.floor(right + wrong),
                )
            except RecordError as error:
                raise RecordError(f"feedback of {name!r} beside a program's: {error}") from None
        return Sources(found)
