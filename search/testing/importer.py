"""What every importer keeps: it reads the same records every time, and what it reads makes a log.

class TestMine(ImporterContract):
    @pytest.fixture
    def importer(self) -> Importer:
        return Mine()

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        (tmp_path / "records.jsonl").write_text(...)
        return [tmp_path / "records.jsonl"]
"""

from __future__ import annotations

from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from search.errors import PlannerError, RecordError
from search.grading.registry import domain
from search.importing.protocol import Importer, Record
from search.importing.report import Report
from search.importing.write import import_records
from search.log.store import SearchLog

__all__ = ["ImporterContract"]


class ImporterContract:
    """Subclass it as ``Test...``; give an ``importer`` with its options and ``files`` that it can read."""

    @pytest.fixture
    def importer(self) -> Importer:
        """The importer that is tested."""
        raise NotImplementedError("a contract is given a fixture importer")

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        """Files of its format with at least two problems that it takes."""
        raise NotImplementedError("a contract is given a fixture files")

    @pytest.fixture
    def anew(self, importer: Importer) -> Importer:
        """Another importer with the same options."""
        made: Any = importer
        return type(importer)(**{one.name: getattr(made, one.name) for one in fields(made) if one.init})

    def test_its_options_are_fields_and_it_has_a_name(self, importer: Importer) -> None:
        parameters: Any = getattr(type(importer), "__dataclass_params__", None)
        assert parameters is not None, "an importer is a dataclass"
        assert parameters.frozen
        assert importer.name
        assert importer.version >= 1

    def test_records_name_their_policies_and_prms(self, importer: Importer, files: list[Path]) -> None:
        records = self._read(importer, files)
        assert len({record.problem.problem_id for record in records}) >= 2
        policies = {card.name for card in importer.policies()}
        prms = {card.name for card in importer.prms()}
        draws = list(chain.from_iterable(record.draws for record in records))
        runs = list(chain.from_iterable(record.runs for record in records))
        assert draws or runs
        assert {*(draw.policy for draw in draws), *(run.policy for run in runs)} <= policies
        assert {name for draw in draws for name in draw.scores} <= prms
        assert {run.prm for run in runs} <= prms
        for draw in draws:
            assert draw.tokens >= 1
            assert all(0.0 <= reward <= 1.0 for scored in draw.scores.values() for reward in scored.rewards)

    def test_problems_have_a_domain_that_reads_their_answers(
        self, importer: Importer, files: list[Path]
    ) -> None:
        for record in self._read(importer, files):
            known = domain(record.problem.domain)
            assert known.name == record.problem.domain
            answers = [*(draw.answer for draw in record.draws), *(run.answer for run in record.runs)]
            assert all(answer is None or isinstance(answer, str) for answer in answers)
            assert record.where

    def test_reading_again_reads_the_same(
        self, importer: Importer, anew: Importer, files: list[Path]
    ) -> None:
        assert self._read(importer, files) == self._read(anew, files)

    def test_what_it_reads_makes_a_log(self, importer: Importer, files: list[Path], tmp_path: Path) -> None:
        report = import_records(importer, files, tmp_path / "log-of-the-contract")
        log = SearchLog.open(tmp_path / "log-of-the-contract")
        log.check()
        assert report.format == importer.name
        assert report.taken["problems"] == log.rows("problems") >= 2
        assert report.taken["samples"] == log.rows("samples")
        assert set(log.manifest.policies) == {card.name for card in importer.policies()}

    def test_what_is_not_of_its_format_is_told(self, importer: Importer, tmp_path: Path) -> None:
        for name, content in (("empty.jsonl", b""), ("other.jsonl", b"\x00\x01 no record of anything\n")):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(RecordError) as fault:
                import_records(importer, [tmp_path / name], tmp_path / "no-log")
            assert isinstance(fault.value, PlannerError)
            assert str(fault.value)

    @staticmethod
    def _read(importer: Importer, files: list[Path]) -> list[Record]:
        return list(importer.records(files, Report(importer.name)))
