"""The checkpoints of ``head_to_head.py``: one line for every question that a contestant has answered.

``NAME.jsonl`` holds the answers of a contestant, ``blocks.jsonl`` what each block of questions that it
answered in one go took: seconds, and the tokens that the door counted. Lines are only added.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Block", "Row", "Rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one question.

    ``answer``: as the grader reads it. ``prompt``, ``generated``: tokens. ``usd``: at the stated prices.
    ``seconds``: until the client had the answer, with as many questions beside it as the contestant is asked
    at a time. ``error``: why there is no answer. ``told``: what else the contestant says of it.
    """

    question: str
    text: str
    answer: str | None
    right: bool
    prompt: int
    generated: int
    usd: float
    seconds: float
    error: str | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """What one contestant took for some questions in one go. ``counted``: by the door, model -> [prompt,
    generated] tokens. ``load``: of the machine, at the end."""

    contestant: str
    questions: int
    seconds: float
    counted: Mapping[str, list[int]]
    together: int
    load: float
    date: str


class Rows:
    """The files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def of(self, contestant: str) -> dict[str, Row]:
        """Question -> row."""
        return {one["question"]: Row(**one) for one in self._lines(contestant)}

    def blocks(self) -> list[Block]:
        """All blocks, in the order in which they ended."""
        return [Block(**one) for one in self._lines("blocks")]

    def add(self, contestant: str, row: Row) -> None:
        """One answer more, on disk when this returns."""
        self._add(contestant, asdict(row))

    def add_block(self, block: Block) -> None:
        """One block more."""
        self._add("blocks", asdict(block))

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / f"{name}.jsonl"
        if not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]

    def _add(self, name: str, row: Mapping[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False, sort_keys=True)
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
                file.write(line + "\n")
