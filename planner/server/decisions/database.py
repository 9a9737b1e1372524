"""Opens the database of a decision log, and brings it to the newest schema.

A file is SQLite, an address is PostgreSQL.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from planner.server.decisions.tables import METADATA
from search.errors import DecisionLogError, MissingExtraError

__all__ = [
    "connect",
    "file_of",
    "head",
    "migrate",
    "revision",
]


def connect(where: str | Path, *, wait: float = 1.0) -> sa.Engine:
    """An engine for a file's path, ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST/NAME``.

    Parameters
    ----------
    where:
        A new SQLite file is readable by its owner only.
    wait:
        Seconds that a statement waits for another's lock before it fails (and is tried again).

    SQLite: write-ahead log, synced at each commit. Transactions of ``engine.execution_options(writes=True)``
    take the write lock when they begin, so that none fails half-way. Nothing is connected yet.

    Raises DecisionLogError for another kind of address, MissingExtraError without psycopg.
    """
    address = _address(where)
    kind = address.get_backend_name()
    if kind == "postgresql":
        return _postgresql(address, wait)
    if kind != "sqlite" or not address.database or address.database == ":memory:":
        shown = address.render_as_string(hide_password=True)
        raise DecisionLogError(f"a decision log is a file or postgresql://..., got {shown!r}")
    return _sqlite(address, wait)


def file_of(where: str | Path) -> Path | None:
    """The file of a log that is kept in one; None for PostgreSQL. Raises DecisionLogError.

    >>> file_of("sqlite:///log.db"), file_of("postgresql://host/name")
    (PosixPath('log.db'), None)
    """
    address = _address(where)
    is_file = address.get_backend_name() == "sqlite" and address.database
    return Path(str(address.database)) if is_file else None


def _address(where: str | Path) -> sa.URL:
    text = str(where)
    try:
        return sa.make_url(text) if "://" in text else sa.URL.create("sqlite", database=text)
    except sa.exc.ArgumentError:
        raise DecisionLogError(
            "a decision log is a file or postgresql://..., got an address that cannot be read"
        ) from None


def _postgresql(address: sa.URL, wait: float) -> sa.Engine:
    given: dict[str, Any] = {}
    if "options" not in address.query:
        given["options"] = f"-c lock_timeout={round(1000 * wait)} -c statement_timeout=30000"
    if "connect_timeout" not in address.query:
        given["connect_timeout"] = 5
    try:
        return sa.create_engine(
            address.set(drivername="postgresql+psycopg"),
            connect_args=given,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except ImportError as error:
        raise MissingExtraError(
            "a decision log on PostgreSQL needs psycopg: pip install 'test-time-planner[postgres]'"
        ) from error


def _sqlite(address: sa.URL, wait: float) -> sa.Engine:
    path = Path(str(address.database))
    if path.is_dir() or not path.parent.is_dir():
        raise DecisionLogError(f"a decision log is a file in a folder that exists, got {str(path)!r}")
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = sa.create_engine(address, connect_args={"timeout": wait}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        # transactions begin where SQLAlchemy says so, not where the driver guesses
        connection.isolation_level = None
        cursor = connection.cursor()
        if cursor.execute("PRAGMA page_count").fetchone() == (0,):
            # holds for a file that is still empty; asked of another it waits for whoever writes
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        # SQLite's own knows ASCII only
        connection.create_function("lower", 1, _lower, deterministic=True)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


#: Alembic's operations are a global of the process
_ONE_AT_A_TIME = threading.Lock()
#: an advisory lock's number: any, as long as it stays
_PG_LOCK = 0x706C616E6E6572


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to ``head()``; does nothing where it is there already.

    Raises DecisionLogError for a log of a later version than this program knows.
    """
    config, script = _scripts()

    def steps(now: Any, context: MigrationContext) -> Sequence[Any]:
        return script._upgrade_revs("head", now)  # as Alembic's documentation of EnvironmentContext does

    with _ONE_AT_A_TIME, engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_PG_LOCK)))
        with EnvironmentContext(config, script, fn=steps) as environment:
            environment.configure(connection=connection, target_metadata=METADATA)
            try:
                environment.run_migrations()
            except CommandError as error:
                found = MigrationContext.configure(connection).get_current_revision()
                raise DecisionLogError(
                    f"a decision log has at most version {head()}, got {found!r} from a later program"
                ) from error


def revision(engine: sa.Engine) -> str | None:
    """The version of a log; None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The version that this program writes."""
    return str(_scripts()[1].get_current_head())


def _scripts() -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config, ScriptDirectory.from_config(config)
