"""The writer: nothing is lost, nothing waits for it, and what it drops it counts."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from made import decision

from planner.server.decisions.recorder import Decision, Feedback
from planner.server.decisions.store import Store
from planner.server.decisions.tables import size_of
from planner.server.decisions.writer import Writer
from search.errors import DecisionLogError


class Sink:
    """A database that tests close and open."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.tried = threading.Semaphore(0)
        self.poison: set[str] = set()
        self.written: list[str] = []
        self.batches: list[int] = []

    def write(self, decisions: Sequence[Decision], feedback: Sequence[Feedback] = ()) -> list[bool]:
        self.tried.release()
        if not self.open.is_set():
            raise sa.exc.OperationalError("INSERT", {}, Exception("database is locked"))
        names = [one.decision_id for one in decisions]
        if self.poison & set(names):
            raise sa.exc.DataError("INSERT", {}, Exception("not a text"))
        self.written += names
        self.batches.append(len(names))
        return [one.decision_id in self.written for one in feedback]


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.open.set()


def test_writes_all_in_order_and_ends(sink: Sink) -> None:
    writer = Writer(sink, batch=7)
    for i in range(50):
        assert writer.put(decision(f"d{i}"))
    assert writer.close()
    assert sink.written == [f"d{i}" for i in range(50)]
    assert max(sink.batches) <= 7
    state = writer.state()
    assert (state["written"], state["waiting"], state["waiting_bytes"], state["lost"]) == (50, 0, 0, 0)
    assert not writer.put(decision("late"))
    assert writer.state()["lost"] == 1
    with pytest.raises(DecisionLogError, match="refused"):
        writer.tell(Feedback("d1", 0.0, correct=True))


def test_feedback_follows_its_decision(sink: Sink) -> None:
    writer = Writer(sink, interval=0.5)
    writer.put(decision("a"))
    known, unknown = (writer.tell(Feedback(name, 0.0, correct=True)) for name in "ab")
    assert known.result(10) is True
    assert unknown.result(10) is False
    assert sink.written == ["a"]
    assert writer.close()


def test_a_decision_that_waits_is_known(sink: Sink) -> None:
    sink.open.clear()
    writer = Writer(sink, interval=0.0)
    writer.put(decision("a"))
    assert writer.waiting("a") == decision("a")
    assert not writer.flush(0.05)
    sink.open.set()
    assert writer.flush(10)
    assert writer.waiting("a") is None
    assert writer.close()


def test_at_the_bound_the_newest_are_dropped_and_counted(sink: Sink) -> None:
    sink.open.clear()
    writer = Writer(sink, bound=5, batch=2)
    taken = [writer.put(decision(f"d{i}")) for i in range(9)]
    assert taken == [True] * 5 + [False] * 4
    with pytest.raises(DecisionLogError, match="at most 5"):
        writer.tell(Feedback("d0", 0.0, correct=True))
    assert sink.tried.acquire(timeout=10)
    state = writer.state()
    assert (state["waiting"], state["lost"]) == (5, 4)
    sink.open.set()
    assert not writer.close()  # four were lost
    assert sink.written == [f"d{i}" for i in range(5)]


def test_the_bound_counts_bytes_too(sink: Sink) -> None:
    sink.open.clear()
    size = size_of(decision("a"))
    writer = Writer(sink, bound_bytes=3 * size)
    assert [writer.put(decision(name)) for name in "abcd"] == [True, True, True, False]
    sink.open.set()
    writer.close()
    # what is larger than the bound still goes through alone
    small = Writer(sink, bound_bytes=1)
    assert small.put(decision("large"))
    assert small.close()


def test_tries_again_until_it_works(sink: Sink) -> None:
    sink.open.clear()
    writer = Writer(sink, interval=0.0)
    writer.put(decision("a"))
    for _ in range(3):
        assert sink.tried.acquire(timeout=10)
    assert writer.state()["error"] == "OperationalError"
    sink.open.set()
    assert writer.flush(10)
    state = writer.state()
    assert state["retries"] >= 2
    assert state["error"] is None
    assert sink.written == ["a"]
    assert writer.close()


def test_one_that_is_refused_takes_no_other_with_it(sink: Sink) -> None:
    sink.poison = {"d2"}
    writer = Writer(sink)
    for i in range(5):
        writer.put(decision(f"d{i}"))
    told = [writer.tell(Feedback(f"d{i}", 0.0, correct=True)) for i in (1, 2)]
    assert [one.result(10) for one in told] == [True, False]
    assert writer.close()
    assert sink.written == ["d0", "d1", "d3", "d4"]
    assert writer.state()["refused"] == 1


def test_closing_gives_up_in_the_end_and_says_so(sink: Sink) -> None:
    sink.open.clear()
    writer = Writer(sink)
    writer.put(decision("a"))
    told = writer.tell(Feedback("a", 0.0, correct=True))
    assert not writer.close(timeout=0.05)
    assert writer.state()["lost"] == 1
    with pytest.raises(DecisionLogError):
        told.result(10)
    assert writer.state()["waiting"] == 0


def test_who_no_longer_waits_for_feedback_does_no_harm(sink: Sink) -> None:
    sink.open.clear()
    writer = Writer(sink, interval=0.0)
    writer.put(decision("a"))
    assert writer.tell(Feedback("a", 0.0, correct=True)).cancel()
    sink.open.set()
    assert writer.tell(Feedback("a", 0.0, correct=False)).result(10) is True
    assert writer.close()


def test_tidies_between_batches_as_long_as_there_is_more(sink: Sink) -> None:
    done = threading.Semaphore(0)
    left = [3]

    def tidy() -> bool:
        left[0] -= 1
        done.release()
        if left[0] == 2:
            raise OSError("for once")
        return left[0] > 0

    writer = Writer(sink, tidy=tidy, tidy_every=0.01)
    for _ in range(4):
        assert done.acquire(timeout=10)
    writer.put(decision("a"))
    assert writer.close()
    assert sink.written == ["a"]
    assert writer.state()["tidy_failures"] == 1


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"bound": 0}, {"interval": 1.0}])
def test_wrong_numbers_are_refused(sink: Sink, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="got"):
        Writer(sink, **wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_ten_thousand_from_many_threads_while_the_database_is_locked(where: str) -> None:
    """Nothing is lost, and every answer to feedback is true."""
    store = Store.open(where, wait=0.05)
    writer = Writer(store, bound=20_000)
    names = [[f"t{t}-{i}" for i in range(1_250)] for t in range(8)]
    refused: list[str] = []
    locked, go_on = threading.Event(), threading.Event()

    def work(mine: Sequence[str]) -> None:
        for i, name in enumerate(mine):
            if not writer.put(decision(name)):
                refused.append(name)
            if i == 600:
                locked.wait(60)

    def lock() -> None:
        with _locked(where, store):
            locked.set()
            go_on.wait(60)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in names]
    holder = threading.Thread(target=lock)
    for thread in threads:
        thread.start()
    holder.start()
    for thread in threads:
        thread.join()
    told = [writer.tell(Feedback(mine[0], 0.0, correct=True)) for mine in names]
    assert not writer.flush(0.5)  # it is locked
    go_on.set()
    holder.join()
    assert [one.result(60) for one in told] == [True] * 8
    assert writer.close(60)
    assert refused == []
    assert store.count() == 10_000
    assert len(list(store.with_feedback())) == 8
    assert writer.state()["retries"] > 0
    with store.engine.connect() as connection:
        for table, each in (("steps", 2), ("candidates", 3)):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 10_000 * each
    store.close()


class _locked:
    """Nobody else may write meanwhile."""

    def __init__(self, where: str, store: Store) -> None:
        self._where, self._store = where, store

    def __enter__(self) -> None:
        if "://" in self._where:
            self._connection = self._store.engine.connect()
            self._connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            self._connection.exec_driver_sql("LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE")
        else:
            self._file = sqlite3.connect(Path(self._where), isolation_level=None, timeout=30)
            self._file.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        if "://" in self._where:
            self._connection.rollback()
            self._connection.close()
        else:
            self._file.rollback()
            self._file.close()
