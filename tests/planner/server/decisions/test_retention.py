"""The oldest go first, by age and by size, a batch at a time, and all of theirs with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from made import candidate, decision

from planner.server.decisions.log import DecisionLog, Retention, prune
from planner.server.decisions.recorder import DecisionQuery, Feedback
from planner.server.decisions.store import Store
from planner.server.decisions.tables import CANDIDATES, DECISIONS, FEEDBACK, STEPS
from search.errors import DecisionLogError

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
