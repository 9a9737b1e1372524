"""The decision log: what it keeps, what it hides, and how long."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from made import candidate, decision

from planner.server.decisions.comparison import Comparison, Expected
from planner.server.decisions.log import HASHED, DecisionLog, Hashing, Retention, prune
from planner.server.decisions.recorder import DecisionQuery, Feedback, MemoryRecorder, Recorder
from planner.server.decisions.store import Store
from planner.server.decisions.tables import CANDIDATES, DECISIONS, FEEDBACK, STEPS
from search.errors import DecisionLogError

KEY, SALT = b"k" * 32, b"s" * 32


def test_hides_every_text_and_keeps_what_is_equal() -> None:
    whole = decision(
        "a", answer="2", candidates=(candidate("2"), candidate("3"), candidate(None), candidate("2"))
    )
    hidden = Hashing(KEY, SALT).hide(whole)
    assert hidden.question.startswith(HASHED)
    answers = [c.answer for c in hidden.candidates]
    assert answers[0] == answers[3] == hidden.answer != answers[1]
    assert answers[2] is None
    assert {c.text for c in hidden.candidates} == {""}
    assert hidden.steps == whole.steps
    assert [c.step_rewards for c in hidden.candidates] == [c.step_rewards for c in whole.candidates]


@given(st.text(), st.text())
def test_equal_texts_have_equal_hashes_under_one_key_and_salt_only(one: str, other: str) -> None:
    hashing = Hashing(KEY, SALT)
    assert (hashing.digest(one) == hashing.digest(other)) == (one == other)
    assert hashing.digest(hashing.digest(one)) == hashing.digest(one)
    for stranger in (Hashing(b"K" * 32, SALT), Hashing(KEY, b"S" * 32)):
        assert stranger.digest(one) != hashing.digest(one)


def test_a_short_key_is_refused_and_no_key_is_shown(tmp_path: Path) -> None:
    with pytest.raises(DecisionLogError, match="at least 16 bytes, got 5"):
        DecisionLog.open(tmp_path / "log.db", hash_key=b"short")
    assert "kkkk" not in repr(Hashing(KEY, SALT))


async def test_no_text_reaches_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = DecisionLog.open(path, hash_key=KEY)
    log.record(
        decision(
            "a", question="Where is my zebra?", answer="quagga", candidates=(candidate("quagga", "an okapi"),)
        )
    )
    found = await log.find("a")
    assert found is not None
    assert found.decision.question.startswith(HASHED)
    assert [r.decision.decision_id for r in await log.search(DecisionQuery(text="Where is my zebra?"))] == [
        "a"
    ]
    assert not await log.search(DecisionQuery(text="zebra"))
    await log.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"alice" in kept
    for text in (b"zebra", b"quagga", b"okapi"):
        assert text not in kept
    # the salt is the log's: another server under the same key hashes alike
    again = DecisionLog.open(path, hash_key=KEY)
    again.record(decision("b", question="Where is my zebra?"))
    assert len(await again.search(DecisionQuery(text="Where is my zebra?"))) == 2
    await again.close()
    assert os.listdir(tmp_path) == ["log.db"]


def test_the_plain_answer_of_a_comparison_is_hidden_too() -> None:
    hashing = Hashing(b"k" * 16, b"salt")
    plain = Expected(policy="small", prm=None, plan="cot()")
    hidden = hashing.hide(decision("a", comparison=Comparison(plain=plain, plain_answer="2")))
    assert hidden.comparison is not None
    assert hidden.comparison.plain_answer == hidden.answer  # equal answers keep equal hashes
    bare = hashing.hide(decision("a", comparison=Comparison(plain=plain)))
    assert bare.comparison == Comparison(plain=plain)


DAY = 86_400.0


def fill(store: Store, count: int) -> list[str]:
    names = [f"d{i:03d}" for i in range(count)]
    store.write(
        [decision(name, DAY * i) for i, name in enumerate(names)],
        [Feedback(name, DAY * i, correct=True) for i, name in enumerate(names)],
    )
    return names


def kept(store: Store) -> list[str]:
    return sorted(record.decision.decision_id for record in store.search(DecisionQuery(limit=1000)))


def test_by_age(where: str) -> None:
    store = Store.open(where)
    names = fill(store, 30)
    rounds = 0
    while prune(store, Retention(days=10.0), now=30 * DAY, batch=8):
        rounds += 1
    assert kept(store) == names[20:]
    assert rounds == 3
    with store.engine.connect() as connection:
        for table, each in ((STEPS, 2), (CANDIDATES, 3), (FEEDBACK, 1)):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 10 * each
    store.close()


def test_by_size(where: str) -> None:
    store = Store.open(where)
    names = fill(store, 30)
    each = store.size() // 30
    while prune(store, Retention(bytes=12 * each + each // 2), now=0.0, batch=7):
        pass
    assert kept(store) == names[18:]
    assert store.size() <= 12 * each + each // 2
    assert not prune(store, Retention(bytes=12 * each + each // 2), now=0.0)
    store.close()


def test_without_limits_all_is_kept(where: str) -> None:
    store = Store.open(where)
    names = fill(store, 3)
    assert not prune(store, Retention(), now=1e12)
    assert kept(store) == names
    store.close()


def test_a_file_gives_its_space_back(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "log.db")
    store.write([decision(f"d{i}", candidates=(candidate("1", "x" * 50_000),)) for i in range(40)])
    sizes = []
    for _ in range(2):
        with store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
        sizes.append((tmp_path / "log.db").stat().st_size)
        prune(store, Retention(days=1.0), now=9 * DAY)
    assert sizes[0] > 2_000_000 > 500_000 > sizes[1]
    store.close()


async def test_the_log_prunes_by_itself(where: str) -> None:
    store = Store.open(where)
    fill(store, 20)
    log = DecisionLog(store, retention=Retention(days=5.0), clock=lambda: 20 * DAY, tidy_every=0.01)
    for _ in range(1000):
        if log.store.count() == 6:
            break
        log.record(decision("now", 20 * DAY))
        await log.search(DecisionQuery(limit=1))
    assert sorted(r.decision.decision_id for r in await log.search(DecisionQuery())) == [
        *(f"d{i:03d}" for i in range(15, 20)),
        "now",
    ]
    await log.close()


@pytest.mark.parametrize("wrong", [{"days": 0.0}, {"days": float("nan")}, {"bytes": 0}])
def test_limits_that_keep_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DecisionLogError, match="kept"):
        Retention(**wrong)  # type: ignore[arg-type]


def test_the_tables_have_what_is_deleted_with_a_decision() -> None:
    for table in (STEPS, CANDIDATES, FEEDBACK):
        (key,) = table.c.decision_id.foreign_keys
        assert key.column.table is DECISIONS
        assert key.ondelete == "CASCADE"


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Recorder:
    if request.param == "memory":
        return MemoryRecorder()
    if request.param == "sqlite":
        return DecisionLog.open(tmp_path / "log.db")
    return DecisionLog.open(request.getfixturevalue("postgres_url"))


async def test_keeps_the_protocol(recorder: Recorder) -> None:
    for i in range(7):
        recorder.record(decision(f"d{i}", float(i)))
    found = await recorder.find("d3")  # perhaps not durable yet
    assert found is not None
    assert found.decision == decision("d3", 3.0)
    said = [Feedback("d3", 1.0, correct=True), Feedback("d3", 2.0, score=0.25)]
    for one in said:
        assert await recorder.feedback(one)
    assert not await recorder.feedback(Feedback("nobody", 1.0, correct=False))
    found = await recorder.find("d3")
    assert found is not None
    assert found.feedback == tuple(said)
    assert await recorder.find("nobody") is None
    for wanted, names in (
        (DecisionQuery(limit=3), ["d6", "d5", "d4"]),
        (DecisionQuery(limit=3, before="d4"), ["d3", "d2", "d1"]),
        (DecisionQuery(with_feedback=True), ["d3"]),
        (DecisionQuery(text="WHAT IS", since=5.0), ["d6", "d5"]),
    ):
        assert [r.decision.decision_id for r in await recorder.search(wanted)] == names
    state = recorder.state()
    assert (state["waiting"], state["lost"]) == (0, 0)
    await recorder.close()
    await recorder.close()


async def test_a_locked_log_answers_and_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = DecisionLog.open(path, patience=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log.record(decision("a"))
    with pytest.raises(DecisionLogError, match=r"within 0.05 s"):
        await log.feedback(Feedback("a", 0.0, correct=True))
    assert await log.find("a") is not None
    assert log.state()["waiting"] >= 1
    other.rollback()
    other.close()
    await log.close()
    again = DecisionLog.open(path)
    assert await again.find("a") is not None
    await again.close()


async def test_a_log_that_another_writes_to_is_read_by_new_connections(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = DecisionLog.open(path)
    log.record(decision("a"))
    assert await log.feedback(Feedback("a", 0.0, correct=True))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    log.store.engine.dispose()
    found = await log.find("a")
    assert found is not None
    assert len(found.feedback) == 1
    other.rollback()
    other.close()
    await log.close()


async def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    log = DecisionLog.open(tmp_path / "log.db")
    with log.store.engine.begin() as base:
        base.exec_driver_sql("ALTER TABLE decisions RENAME TO elsewhere")
    for read in (log.find("a"), log.search(DecisionQuery())):
        with pytest.raises(DecisionLogError, match="must be readable, got OperationalError"):
            await read
    await log.close()


async def test_feedback_of_many_at_once(recorder: Recorder) -> None:
    names = [f"d{i}" for i in range(50)]
    for name in names:
        recorder.record(decision(name))
    told = await asyncio.gather(*(recorder.feedback(Feedback(name, 0.0, score=1.0)) for name in names))
    assert told == [True] * 50
    await recorder.close()
