"""Where a study is kept: a file of this machine, a journal on a shared disk, or a database; and its lock."""

from __future__ import annotations

import fcntl
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.storages.journal import JournalFileBackend

from search.errors import MissingExtraError, StudyError

__all__ = ["Journal", "Lock", "lock_of", "storage_of"]

_JOURNAL = "journal:"
_DATABASES = ("postgresql", "mysql", "sqlite")
_URL = re.compile(r"([a-z0-9]+)(\+[a-z0-9_]+)?://.+")

#: makes the right to write into a study, for one process at a time; it ends with the process
Lock = Callable[[], AbstractContextManager[None]]


class Journal(optuna.storages.JournalStorage):
    """Optuna's journal in a file, which is known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(JournalFileBackend(str(path)))


def storage_of(text: str) -> Any:
    """An Optuna storage, or the address of one.

    ``postgresql://...`` (by psycopg) and what Optuna knows besides; ``journal:FILE``, a log that several
    machines may append to, on NFS too; anything else is an SQLite file. Raises StudyError, MissingExtraError.

    >>> storage_of("mysql://host/studies")
    'mysql://host/studies'
    """
    if text.startswith(_JOURNAL):
        path = text.removeprefix(_JOURNAL)
        if not path or not Path(path).parent.is_dir():
            raise StudyError(f"a journal must be in a folder that exists, got {text!r}")
        return Journal(Path(path))
    found = _URL.fullmatch(text)
    if found is None:
        return f"sqlite:///{Path(text).resolve()}"
    if found[1] not in _DATABASES:
        raise StudyError(
            f"a study is kept in one of {', '.join(_DATABASES)}, journal:FILE or a file, got {text!r}"
        )
    if found[1] == "postgresql" and not found[2]:
        return _with_psycopg(text)
    return text


def lock_of(storage: Any) -> Lock:
    """The lock of a study in a storage, or at an address.

    Of a file: a lock on ``FILE.driver`` beside it. Of PostgreSQL: an advisory lock of the database. Both end
    with the process that holds them. Of anything else there is none: one process at a time.
    """
    if isinstance(storage, Journal):
        return partial(_file_lock, storage.path)
    if isinstance(storage, str):
        address = sa.make_url(storage)
        if address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:"):
            return partial(_file_lock, Path(str(address.database)))
        if address.get_backend_name() == "postgresql":
            return partial(_database_lock, address)
    return nullcontext


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with path.with_name(f"{path.name}.driver").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def _database_lock(address: sa.URL) -> Iterator[None]:
    engine = sa.create_engine(address, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    number = zlib.crc32(b"planner study")
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(number)))
        try:
            yield
        finally:  # the server ends a connection, and what it holds, some time after it is left
            connection.execute(sa.select(sa.func.pg_advisory_unlock(number)))


def _with_psycopg(text: str) -> str:
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "a study on PostgreSQL needs psycopg, got no such module; "
            "pip install 'test-time-planner[postgres]'"
        ) from error
    assert psycopg is not None
    return text.replace("postgresql://", "postgresql+psycopg://", 1)
