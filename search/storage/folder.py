"""A log in a folder of this machine: renames make contents whole, a lock admits one writer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from search.atomic import TEMPORARY, remove_leftovers, write_atomic, written_atomically
from search.errors import LogError
from search.storage.protocol import Content, Storage, Write

__all__ = ["FolderStorage"]


class FolderStorage(Storage):
    """A folder. A kill at any moment costs what was being written; ``writing`` removes what it left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = str(path)

    @property
    def folder(self) -> Path:
        return self._path

    def is_new(self) -> bool:
        if not self._path.exists():
            return True
        return self._path.is_dir() and all(path.name.endswith(TEMPORARY) for path in self._path.iterdir())

    def exists(self, name: str) -> bool:
        return (self._path / name).exists()

    def names(self, folder: str, suffix: str) -> list[str]:
        return sorted(f"{folder}/{path.name}" for path in (self._path / folder).glob(f"*{suffix}"))

    def stamp(self, name: str) -> object:
        status = (self._path / name).stat()
        return status.st_size, status.st_mtime_ns

    def read(self, name: str) -> Content | None:
        path = self._path / name
        if not path.is_file():
            return None
        return Content(path.read_bytes(), self.stamp(name))

    def footer(self, name: str) -> Path | BytesIO:
        return self._path / name

    def source(self, name: str) -> str | Path | BytesIO:
        return self._path / name

    def create(self, name: str, write: Write) -> bool:
        if (self._path / name).exists():
            return False
        self.replace(name, write)
        return True

    def replace(self, name: str, write: Write) -> None:
        path = self._path / name
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(path) as temporary:
            write(temporary)

    def swap(self, name: str, data: bytes, stamp: object) -> bool:
        """Whoever holds ``writing`` is alone, so no other version is ever there."""
        self._path.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path / name, data)
        return True

    @contextmanager
    def writing(self) -> Iterator[None]:
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise LogError(
                    f"one process writes a search log at a time, got a second for {self.where!r}"
                ) from error
            remove_leftovers(self._path)
            yield
        finally:
            os.close(descriptor)
