"""Brings a decision log to the schema of this version, whichever version wrote it.

Alembic's revisions lie in ``migrations/versions``. All of it is one transaction, under a lock: of two
servers that start at once on one database, one migrates and the other waits.
"""

from __future__ import annotations

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
from search.errors import DecisionLogError

__all__ = ["head", "migrate", "revision"]

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
