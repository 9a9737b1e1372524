"""``reasoning-gym``: answers of many models to the tasks of Reasoning Gym (arXiv 2505.24760).

JSON lines, one question a line: ``id``, ``family`` (the task), ``category``, ``question``, ``expected`` and
``models``: name -> draws, each ``[answer as read, score in [0, 1], characters of the response]``. The score
is the task's own verifier's; many tasks give a little for the form of a wrong answer, so right means at least
``threshold``. Token counts are not there: characters stand for them. Hidden reasoning is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import RecordError
from search.importing.answers import read_answer, size_in
from search.importing.lengths import estimated_tokens
from search.importing.protocol import UNNAMED, Draw, Importer, Record, declared, drawn
from search.importing.reading import field_of, line_records
from search.importing.report import Report
from search.problem import Problem

__all__ = ["ReasoningGym"]

#: parameters that one token passes through, where a name does not tell them (the makers' model cards)
_ACTIVE: Mapping[str, int] = {
    "deepseek-r1": 37_000_000_000,
    "llama-4-maverick": 17_000_000_000,
    "llama-4-scout": 17_000_000_000,
}
_CHARACTERS_PER_TOKEN = 4.0


@dataclass(frozen=True, slots=True)
class ReasoningGym(Importer):
    """Options of the format.

    Parameters
    ----------
    threshold:
        The score from which a draw is right.
    parameters:
        Size of the models whose size is not published.
    sizes:
        Model -> parameters, where you know better.
    temperature:
        How the draws were sampled, which the file does not tell.
    """

    name: ClassVar[str] = "reasoning-gym"
    caption: ClassVar[str] = "answers of ten models to Reasoning Gym's tasks, with scores"

    threshold: float = 0.99
    parameters: int = 100_000_000_000
    sizes: Mapping[str, int] = field(default_factory=dict)
    temperature: float = 1.0
    _seen: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise RecordError(f"a threshold lies above 0 and up to 1, got {self.threshold:g}")
        declared("policy", self.parameters)
        for name, parameters in self.sizes.items():
            declared(name, parameters)
        drawn(self.temperature)

    def policies(self) -> Sequence[ModelCard]:
        return [declared(name, size) for name, size in sorted(self._seen.items())]

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        unknown: set[str] = set()
        partial = 0
        for path in files:
            for where, record in line_records(path):
                question = field_of(record, "question", str, where)
                expected = field_of(record, "expected", (str, type(None)), where)
                models = field_of(record, "models", dict, where)
                if not question.strip():
                    report.leave_out("a problem needs a question", where)
                    continue
                problem = Problem(
                    field_of(record, "id", str, where),
                    str(record.get("family") or UNNAMED),
                    "text",
                    question,
                    expected or None,
                    {"category": record["category"]} if isinstance(record.get("category"), str) else {},
                )
                draws = []
                for name, given in models.items():
                    if not isinstance(given, list):
                        raise RecordError(f"{where}: the draws of {name} are a list, got {given!r:.40}")
                    if name not in self._seen:
                        self._seen[name] = self._size(name, unknown)
                    for place, one in enumerate(given):
                        inside = f"{where}, draw {place} of {name}"
                        draw, between = self._draw(problem, name, one, inside)
                        partial += between
                        draws.append(draw)
                yield Record(problem, where, tuple(draws))
        report.note("tokens: a quarter of the characters of a response; hidden reasoning is not among them")
        report.note(
            f"right: a score of at least {self.threshold:g}; {partial:,} draws lie between 0 and that"
        )
        if unknown:
            report.note(
                f"{', '.join(sorted(unknown))}: {self.parameters / 1e9:g}B parameters are assumed (--size)"
            )

    def _draw(self, problem: Problem, name: str, one: Any, where: str) -> tuple[Draw, bool]:
        if not isinstance(one, list) or len(one) != 3:
            raise RecordError(f"{where}: a draw is [answer, score, characters], got {one!r:.60}")
        said, value, length = one
        if not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
            raise RecordError(f"{where}: a score lies in [0, 1], got {value!r}")
        if not isinstance(length, int) or length < 0:
            raise RecordError(f"{where}: characters are a whole number from 0, got {length!r}")
        text = "" if said is None else str(said)
        answer = read_answer(problem, text) if text.strip() else None
        tokens = max(1, math.ceil(length / _CHARACTERS_PER_TOKEN))
        prompt = estimated_tokens(problem.question)
        draw = Draw(name, drawn(self.temperature), text, answer, value >= self.threshold, prompt, (tokens,))
        return draw, 0.0 < value < self.threshold

    def _size(self, name: str, unknown: set[str]) -> int:
        known = self.sizes.get(name) or next((size for part, size in _ACTIVE.items() if part in name), None)
        known = known or size_in(name)
        if known is None:
            unknown.add(name)
        return known or self.parameters
