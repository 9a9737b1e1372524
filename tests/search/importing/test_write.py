"""A log from records: whole or not at all, in blocks, and as a planner reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from search.cards import ModelCard
from search.errors import RecordError
from search.importing.protocol import Draw, Importer, Record, Scored, declared
from search.importing.report import Report
from search.importing.write import import_records, replayable
from search.log.merge import merge_logs
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem

Write = Callable[..., Path]
Import = Callable[..., tuple[SearchLog, Report]]


def draw(answer: str | None = "rome", **changed: Any) -> Draw:
    how: dict[str, Any] = {
        "policy": "m",
        "sampling": "temperature=1",
        "text": "t",
        "correct": None,
        **changed,
    }
    return Draw(answer=answer, prompt_tokens=3, step_tokens=(2, 3), **how)


def problem(number: int = 0, **changed: Any) -> Problem:
    fields = {"question": f"Capital {number}?", "answer": "Rome", **changed}
    return Problem(f"q{number}", "f", "text", **fields)


@dataclass(frozen=True, slots=True)
class Given(Importer):
    """An importer of records that a test made."""

    name: ClassVar[str] = "given"
    made: tuple[Record, ...] = ()
    fails: bool = False
    seen: list[int] = field(default_factory=list)

    def policies(self) -> Sequence[ModelCard]:
        return (declared("m", 10),)

    def prms(self) -> Sequence[ModelCard]:
        return (declared("r", 20),)

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        for number, record in enumerate(self.made):
            self.seen.append(number)
            yield record
        if self.fails:
            raise RecordError("the last line is broken, got half of it")


def test_everything_is_read_back(tmp_path: Path) -> None:
    scored = draw(scores={"r": Scored((0.5, 0.75), 4, 7)})
    records = [Record(problem(i), f"line {i}", (scored, draw("bonn"), draw(None))) for i in range(5)]
    told: list[int] = []
    report = import_records(
        Given(tuple(records)), [tmp_path], tmp_path / "log", block=2, progress=told.append
    )
    log = SearchLog.open(tmp_path / "log")
    log.check()
    assert report.taken == {"problems": 5, "samples": 15, "scores": 5}
    assert told == [2, 4, 5]
    assert log.units("samples") == {f"import-{i:06d}" for i in range(3)}
    assert log.read("samples")["correct"].to_list() == [True, False, False] * 5
    assert log.read("samples")["seed"].null_count() == 15
    assert log.read("scores")["physical_prm_tokens"].to_list() == [11] * 5
    assert dict(log.manifest.settings) == {"imported/given": "1"}
    assert not list(tmp_path.glob("*.importing"))


@pytest.mark.parametrize("block", [1, 2, 100])
def test_the_size_of_blocks_does_not_show(tmp_path: Path, block: int) -> None:
    records = tuple(Record(problem(i // 2), "", (draw(), draw("bonn"))) for i in range(6))
    import_records(Given(records), [tmp_path], tmp_path / "log", block=block)
    log = SearchLog.open(tmp_path / "log")
    assert log.read("samples")["draw"].to_list() == [0, 1, 2, 3] * 3
    assert log.rows("problems") == 3


def test_records_are_written_as_they_come(tmp_path: Path) -> None:
    given = Given(tuple(Record(problem(i), "", (draw(),)) for i in range(6)))
    read_when_told: list[int] = []
    import_records(
        given,
        [tmp_path],
        tmp_path / "log",
        block=2,
        progress=lambda _: read_when_told.append(len(given.seen)),
    )
    assert read_when_told == [2, 4, 6, 6]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    given = Given((Record(problem(), "", (draw(),)),), fails=True)
    with pytest.raises(RecordError, match="the last line is broken"):
        import_records(given, [tmp_path], tmp_path / "log", block=1)
    assert list(tmp_path.iterdir()) == []


def test_nothing_taken_is_a_failure_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="can be taken, got no record"):
        import_records(Given(), [tmp_path], tmp_path / "log")
    one = Record(problem(answer=" "), "line 7", (draw(),))
    with pytest.raises(RecordError, match=r"got none: a reference answer is one that .* \(line 7\)"):
        import_records(Given((one,)), [tmp_path], tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_an_import_needs_files_and_a_new_place(tmp_path: Path) -> None:
    given = Given((Record(problem(), "", (draw(),)),))
    with pytest.raises(RecordError, match="at least one file, got none"):
        import_records(given, [], tmp_path / "log")
    with pytest.raises(ValueError, match="at least 1 record, got 0"):
        import_records(given, [tmp_path], tmp_path / "log", block=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.txt").write_text("mine")
    with pytest.raises(RecordError, match="a folder that is new or empty, got"):
        import_records(given, [tmp_path], tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    import_records(given, [tmp_path], tmp_path / "empty")
    assert SearchLog.open(tmp_path / "empty").rows("samples") == 1


def test_what_contradicts_itself_is_left_out(tmp_path: Path) -> None:
    records = (
        Record(problem(), "line 1", (draw(), draw(greedy=True, sampling="temperature=0"))),
        Record(problem(question="Another?"), "line 2", (draw(),)),
        Record(problem(answer="Paris"), "line 3", (draw(),)),
        Record(problem(), "line 4", (draw(sampling="temperature=2"), draw(greedy=True))),
    )
    report = import_records(Given(records), [tmp_path], tmp_path / "log")
    assert {why: (left.count, left.first) for why, left in report.left_out.items()} == {
        "a problem id names one question with one reference answer": (2, "line 2"),
        "the samples of a policy are drawn in one way": (1, "line 4"),
        "a policy has one greedy answer per problem": (1, "line 4"),
    }
    assert SearchLog.open(tmp_path / "log").read("samples")["draw"].to_list() == [-1, 0]


def test_half_a_character_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="records must be Unicode text, got"):
        import_records(Given((Record(problem(), "", (draw(text="\ud800"),)),)), [tmp_path], tmp_path / "log")


def test_unequal_pools_are_told(tmp_path: Path) -> None:
    records = tuple(Record(problem(i), "", (draw(),) * (4 if i else 3)) for i in range(4))
    report = import_records(Given(records), [tmp_path], tmp_path / "log")
    assert report.notes == ["m: most problems have 4 samples, 1 have fewer; a fit leaves those out"]


def test_plans_leave_half_a_pool_to_score_on() -> None:
    for samples in (1, 2, 5, 8, 100, 256):
        plans = replayable(samples, steps=3)
        assert max(plan.n for plan in plans) == max(1, samples // 2)
        assert len(set(plans)) == len(plans)
        assert {plan.score for plan in replayable(samples, steps=1)} <= {None, "last"}
    assert Plan.parse("best_of_n(n=128, score=last)") in replayable(256, 3)


def test_two_imports_of_one_format_merge(write_lines: Write, run_import: Import, tmp_path: Path) -> None:
    rows = [
        {"question": f"Capital {i}?", "reference": "Rome", "answer": "Rome", "tokens": 4} for i in range(2)
    ]
    logs = [run_import("table", write_lines(f"{i}.jsonl", [row]))[0] for i, row in enumerate(rows)]
    assert merge_logs(logs, tmp_path / "merged").rows("samples") == 2
