"""The fake recorder, and what feedback may say. The decision log on disk passes the same cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.server.decisions.recorder import Decision, DecisionQuery, Feedback, MemoryRecorder
from search.result import Spend


def decision(name: str, *, created: float = 0.0, question: str = "1 + 1", plan: str = "cot()") -> Decision:
    return Decision(
        name, created, "chat", None, question, "text", "f", {"tokens": 10.0}, "body", None, "small", None,
        plan, "2", "answered", 0.5, 10.0, 1.0, None, None, 1.0, (), (), None, Spend(), None,
    )  # fmt: skip


async def test_finds_what_was_recorded() -> None:
    recorder = MemoryRecorder()
    recorder.record(decision("a"))
    found = await recorder.find("a")
    assert found is not None
    assert found.decision == decision("a")
    assert found.feedback == ()
    assert await recorder.find("b") is None


async def test_feedback_joins_its_decision() -> None:
    recorder = MemoryRecorder()
    recorder.record(decision("a"))
    said = [Feedback("a", 1.0, correct=True), Feedback("a", 2.0, score=0.25)]
    for one in said:
        assert await recorder.feedback(one)
    assert not await recorder.feedback(Feedback("b", 1.0, correct=False))
    found = await recorder.find("a")
    assert found is not None
    assert found.feedback == tuple(said)


async def test_search_goes_from_new_to_old_page_by_page() -> None:
    recorder = MemoryRecorder()
    for i in range(7):
        recorder.record(decision(f"d{i}", created=float(i)))
    first = await recorder.search(DecisionQuery(limit=3))
    assert [r.decision.decision_id for r in first] == ["d6", "d5", "d4"]
    second = await recorder.search(DecisionQuery(limit=3, before="d4"))
    assert [r.decision.decision_id for r in second] == ["d3", "d2", "d1"]


async def test_search_matches_every_field_given() -> None:
    recorder = MemoryRecorder()
    recorder.record(decision("a", created=1.0, question="Work out 3 + 4"))
    recorder.record(decision("b", created=2.0, plan="majority(n=4)"))
    recorder.record(replace(decision("c", created=3.0), outcome="failed", answer=None))
    await recorder.feedback(Feedback("b", 9.0, candidate=1))

    async def names(wanted: DecisionQuery) -> list[str]:
        return [r.decision.decision_id for r in await recorder.search(wanted)]

    assert await names(DecisionQuery(text="WORK OUT")) == ["a"]
    assert await names(DecisionQuery(plan="majority(n=4)")) == ["b"]
    assert await names(DecisionQuery(outcome="failed")) == ["c"]
    assert await names(DecisionQuery(domain="math")) == []
    assert await names(DecisionQuery(since=2.0)) == ["c", "b"]
    assert await names(DecisionQuery(until=2.0)) == ["a"]
    assert await names(DecisionQuery(with_feedback=True)) == ["b"]
    assert await names(DecisionQuery(with_feedback=False)) == ["c", "a"]


async def test_forgets_the_oldest_beyond_its_size() -> None:
    recorder = MemoryRecorder(most=2)
    for i in range(3):
        recorder.record(decision(f"d{i}"))
    assert await recorder.find("d0") is None
    assert recorder.state() == {
        "kept": 2,
        "kept_bytes": 2 * decision("a").size,
        "waiting": 0,
        "lost": 1,
    }
    await recorder.close()


@pytest.mark.parametrize("wrong", [{}, {"score": 1.5}, {"score": float("nan")}, {"candidate": -1}])
def test_feedback_says_something_in_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        Feedback("a", 0.0, **wrong)  # type: ignore[arg-type]


def test_a_limit_is_bounded() -> None:
    with pytest.raises(ValueError, match="limit"):
        DecisionQuery(limit=0)


async def test_memory_is_bounded_by_bytes_and_the_newest_is_kept_however_large() -> None:
    small, large = decision("a"), decision("b", question="x" * 5000)
    recorder = MemoryRecorder(most_bytes=4 * small.size)
    for number in range(10):
        recorder.record(replace(small, decision_id=f"a{number}"))
    assert recorder.state() == {"kept": 4, "kept_bytes": 4 * small.size, "waiting": 0, "lost": 6}
    recorder.record(replace(small, decision_id="a9"))  # again, in its own place
    assert recorder.state()["kept_bytes"] == 4 * small.size
    recorder.record(large)
    assert recorder.state() == {"kept": 1, "kept_bytes": large.size, "waiting": 0, "lost": 10}
    assert await recorder.find("b") is not None
    assert await recorder.find("a9") is None


async def test_feedback_of_a_decision_is_bounded() -> None:
    recorder = MemoryRecorder(most_feedback=3)
    recorder.record(decision("a"))
    for number in range(10):
        assert await recorder.feedback(Feedback("a", float(number), score=0.5))
    found = await recorder.find("a")
    assert found is not None
    assert [each.created for each in found.feedback] == [7.0, 8.0, 9.0]


@pytest.mark.parametrize("wrong", [{"most": 0}, {"most_bytes": 0}, {"most_feedback": 0}])
def test_bounds_of_memory_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        MemoryRecorder(**wrong)
