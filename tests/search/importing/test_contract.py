"""Importers keep the contract of importers, on the smallest records of their formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from search.importing.protocol import Importer
from search.importing.registry import importer
from search.testing.importer import ImporterContract


def lines(path: Path, records: Sequence[Any]) -> list[Path]:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return [path]


class TestTable(ImporterContract):
    @pytest.fixture
    def importer(self) -> Importer:
        return importer("table", {"domain": "text"})

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        return lines(
            tmp_path / "table.jsonl",
            [
                {"question": f"Capital of {land}?", "reference": "Rome", "answer": answer, "tokens": 5}
                for land in ("a", "b")
                for answer in ("rome", "Bonn")
            ],
        )


class TestGsm8kSolutions(ImporterContract):
    @pytest.fixture
    def importer(self) -> Importer:
        return importer("gsm8k-solutions")

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        systems = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
        return lines(
            tmp_path / "gsm8k.jsonl",
            [
                {
                    "question": f"Ann has {n} eggs and gets {'x' * n}. How many?",
                    "ground_truth": f"{n}+1\nA: {n + 1}",
                    **{
                        name: {"is_correct": True, "solution": f"{n} + 1 = <<{n}+1={n + 1}>>\nA: {n + 1}"}
                        for name in systems
                    },
                }
                for n in (1, 2)
            ],
        )
