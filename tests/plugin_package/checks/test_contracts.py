"""What the plug-ins have to keep: the suites that ship with the planner."""

import json
from pathlib import Path

import pytest
from acme_parity.engine import RuleEngine
from acme_parity.grader import Parity
from acme_parity.importer import ParityLines

from search.engines.protocol import Engine
from search.grading.protocol import Domain
from search.importing.protocol import Importer
from search.plan import Plan
from search.problem import Problem
from search.testing import EngineContract, GraderContract, ImporterContract, StrategyContract


class TestTrio(StrategyContract):
    @pytest.fixture(params=["trio()", "trio(n=5)"])
    def plan(self, request: pytest.FixtureRequest) -> Plan:
        return Plan.parse(request.param)


class TestRules(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return RuleEngine.load("rules")

    @pytest.fixture
    def question(self) -> str:
        return "Is 127 even or odd?"


class TestParity(GraderContract):
    right = ("its last digit is 7\n# odd", "Odd.")
    wrong = ("# even",)
    unreadable = ("", "no idea", "odd\nor so")

    @pytest.fixture
    def domain(self) -> Domain:
        return Parity()

    @pytest.fixture
    def problem(self) -> Problem:
        return Problem("p", "f", "parity", "Is 127 even or odd?", "odd")


class TestParityLines(ImporterContract):
    @pytest.fixture
    def importer(self) -> Importer:
        return ParityLines()

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        records = [
            {"number": number, "truth": ("even", "odd")[number % 2], "said": ["odd", "even", "odd", "odd"]}
            for number in range(4)
        ]
        (tmp_path / "lines.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        return [tmp_path / "lines.jsonl"]
