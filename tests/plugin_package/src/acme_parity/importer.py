"""Reads JSON lines: {"number": 4, "truth": "even", "said": ["even", "odd"]}."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from search.cards import ModelCard
from search.errors import RecordError
from search.importing.protocol import Draw, Importer, Record, declared, drawn
from search.importing.report import Report
from search.problem import Problem


@dataclass(frozen=True)
class ParityLines(Importer):
    """``policy`` and ``parameters`` say who answered."""

    name: ClassVar[str] = "parity-lines"
    caption: ClassVar[str] = "answers to even-or-odd questions, a number a line"

    policy: str = "people"
    parameters: int = 1_000_000
    domain: str = "text"

    def policies(self) -> Sequence[ModelCard]:
        return [declared(self.policy, self.parameters)]

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        for file in files:
            for place, line in enumerate(file.read_bytes().splitlines(), start=1):
                where = f"{file.name} line {place}"
                try:
                    record = json.loads(line)
                    number, truth, said = int(record["number"]), str(record["truth"]), list(record["said"])
                except (ValueError, KeyError, TypeError) as error:
                    raise RecordError(f"a line holds number, truth and said, got none in {where}") from error
                question = f"Is {number} even or odd?"
                problem = Problem(f"n{number}", f"digits-{len(str(number))}", self.domain, question, truth)
                draws = [self._draw(word) for word in said]
                yield Record(problem, where, tuple(draws))
            if file.stat().st_size == 0:
                raise RecordError(f"a file holds at least one line, got none in {file.name}")

    def _draw(self, word: str) -> Draw:
        return Draw(self.policy, drawn(1.0), f"# {word}", word, None, 10, (4,))
