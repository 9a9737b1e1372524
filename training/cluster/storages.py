"""Where a study is kept: a file of this machine, a journal on a shared disk, or a database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

from search.errors import StudyError

__all__ = ["storage_of"]

_JOURNAL = "journal:"
_DATABASES = ("postgresql", "mysql", "sqlite")
_URL = re.compile(r"([a-z0-9]+)(\+[a-z0-9_]+)?://.+")


def storage_of(text: str) -> Any:
    """An Optuna storage, or the address of one.

    ``postgresql://...`` and what Optuna knows besides; ``journal:FILE``, a log that several machines may
    append to, on NFS too; anything else is an SQLite file. Raises StudyError.

    >>> storage_of("postgresql://host/studies")
    'postgresql://host/studies'
    """
    if text.startswith(_JOURNAL):
        path = text.removeprefix(_JOURNAL)
        if not path or not Path(path).parent.is_dir():
            raise StudyError(f"a journal must be in a folder that exists, got {text!r}")
        return optuna.storages.JournalStorage(JournalFileBackend(path))
    found = _URL.fullmatch(text)
    if found is None:
        return f"sqlite:///{Path(text).resolve()}"
    if found[1] not in _DATABASES:
        raise StudyError(
            f"a study is kept in one of {', '.join(_DATABASES)}, journal:FILE or a file, got {text!r}"
        )
    return text
