"""The migrations lead to the tables, and to nothing else."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from planner.server.decisions.database import connect, head, migrate, revision
from planner.server.decisions.store import Store
from planner.server.decisions.tables import METADATA
from search.errors import DecisionLogError


def test_migrations_lead_to_the_tables(where: str) -> None:
    engine = connect(where)
    assert revision(engine) is None
    migrate(engine)
    migrate(engine)
    assert revision(engine) == head()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_two_servers_may_start_at_once(where: str) -> None:
    engines = [connect(where, wait=20.0) for _ in range(4)]
    failed: list[Exception] = []

    def start(engine: sa.Engine) -> None:
        try:
            migrate(engine)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for engine in engines:
        assert revision(engine) == head()
        engine.dispose()


def test_a_log_of_a_later_program_is_refused(where: str) -> None:
    store = Store.open(where)
    with store.engine.execution_options(writes=True).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(DecisionLogError, match="later program"):
        Store.open(where)
    with pytest.raises(DecisionLogError, match="got '9999'"):
        Store.read(where)
