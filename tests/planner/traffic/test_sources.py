"""Who says what, and what it counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.traffic.sources import DoubleLabels, Kind, Source, Sources, Word
from search.errors import RecordError

JUDGE = Source(Kind.JUDGE, 0.9, 0.8)
PROGRAM = Source(Kind.PROGRAM)


@given(st.floats(0.6, 1.0), st.floats(0.6, 1.0), st.floats(0.0, 1.0))
def test_the_mean_of_corrected_words_is_the_share_right(hits: float, rejects: float, right: float) -> None:
    source = Source(Kind.JUDGE, hits, rejects)
    said_right = right * hits + (1.0 - right) * (1.0 - rejects)
    found = said_right * source.corrected(1.0) + (1.0 - said_right) * source.corrected(0.0)
    assert found == pytest.approx(right)


def test_a_source_that_is_never_mistaken_is_taken_at_its_word() -> None:
    assert [Source().corrected(one) for one in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tests=program", ("tests", PROGRAM)),
        ("grader=judge:0.9:0.8", ("grader", JUDGE)),
        ("alice=user", ("alice", Source())),
    ],
)
def test_what_the_command_line_takes(text: str, named: tuple[str, Source]) -> None:
    assert Source.parse(text) == named


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("tests", "a source is KEY=user, program or judge"),
        ("=judge", "a source is"),
        ("a=friend", "a source is"),
        ("a=judge:0.9", "a source is"),
        ("a=judge:x:y", "a source is"),
        ("a=judge:2:0.5", r"a sensitivity must be in \[0, 1\], got 2.0"),
        ("a=judge:0.5:0.5", "must be above 1.1, got 0.5 \\+ 0.5"),
    ],
)
def test_what_it_does_not_take(text: str, rule: str) -> None:
    with pytest.raises(RecordError, match=rule):
        Source.parse(text)


def test_the_more_informative_word_stands_and_of_one_source_the_latest() -> None:
    sources = Sources({"tests": PROGRAM, "grader": JUDGE})
    words = [Word("grader", 1.0, 5.0), Word("tests", 0.0, 1.0), Word("anyone", 1.0, 9.0)]
    assert sources.settle(words) == (0.0, Kind.PROGRAM)
    assert sources.settle([words[0], words[2]]) == (1.0, Kind.USER)
    assert sources.settle([Word("a", 1.0, 1.0), Word("a", 0.0, 2.0)]) == (0.0, Kind.USER)
    assert sources.settle(words, (Kind.JUDGE,)) == (JUDGE.corrected(1.0), Kind.JUDGE)
    assert sources.settle([], tuple(Kind)) is None


def test_mistakes_are_measured_where_a_program_spoke_too() -> None:
    doubles = DoubleLabels(Sources({"tests": PROGRAM, "grader": Source(Kind.JUDGE)}))
    rng = np.random.default_rng(0)
    for i in range(2000):
        right = bool(i % 2)
        says = rng.random() < (0.9 if right else 0.2)
        doubles.hear([Word("tests", float(right), 0.0), Word("grader", float(says), 1.0)])
    doubles.hear([Word("grader", 1.0, 0.0)])  # alone it tells nothing
    grader = doubles.measured().of("grader")
    assert grader.measured == 2000
    assert grader.sensitivity == pytest.approx(0.9, abs=0.03)
    assert grader.specificity == pytest.approx(0.8, abs=0.03)


def test_few_double_labels_leave_what_is_stated() -> None:
    doubles = DoubleLabels(Sources({"tests": PROGRAM, "grader": JUDGE}))
    for i in range(30):
        doubles.hear([Word("tests", float(i % 2), 0.0), Word("grader", 1.0, 1.0)])
    assert doubles.measured().of("grader") == JUDGE


def test_a_source_that_turns_out_to_toss_coins_is_named() -> None:
    doubles = DoubleLabels(Sources({"tests": PROGRAM}))
    for i in range(200):
        doubles.hear([Word("tests", float(i % 2), 0.0), Word("bob", float(i // 2 % 2), 1.0)])
    with pytest.raises(RecordError, match="feedback of 'bob' beside a program's"):
        doubles.measured()
