"""A log on an object store, by obstore: S3 and what speaks its protocol, Google's and Azure's.

A content is put by one request, so it is there whole or not at all. Parts are created by a conditional put
(``If-None-Match: *`` in S3's words): of all who write one unit one succeeds, so several processes may write
one log at the same time and nothing needs a lock. The manifest is swapped by its entity tag (``If-Match``).

Addresses and keys come from the environment: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``,
``AWS_REGION``, ``AWS_ENDPOINT_URL`` and ``AWS_ALLOW_HTTP`` of S3, and what obstore's documentation names for
the others. Polars reads the same ones, so parts are scanned where they lie.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from search.errors import LogError, MissingExtraError
from search.storage.protocol import Content, Storage, Write

__all__ = ["ObjectStorage"]

#: bytes at the end of a part that hold its footer, of all but the largest ones
_FOOTER = 65_536
#: requests side by side where many parts are looked at
_WORKERS = 16
#: ends the names of what is replaced in place: it is read by one request, not by ranges
_REPLACED = "part-derived.parquet"


class ObjectStorage(Storage):
    """A prefix of a bucket.

    Parameters
    ----------
    url:
        ``s3://bucket/prefix``, or of another store that obstore knows.
    store:
        An obstore store of that prefix, for those who configure it themselves; None: by the environment.

    Raises MissingExtraError without obstore, LogError for an address that no store can be made of.
    """

    def __init__(self, url: str, store: Any = None) -> None:
        self.where = url.rstrip("/")
        self._obstore = _obstore()
        self._known: dict[str, tuple[int, object]] = {}  # name -> size and tag, as last heard
        if store is None:
            try:
                store = self._obstore.store.from_url(self.where)
            except (self._obstore.exceptions.BaseError, ValueError) as error:
                raise LogError(
                    f"a log on an object store needs its address, got {url!r}: {_line(error)}"
                ) from error
        self._store = store

    def is_new(self) -> bool:
        with self._asking():
            for batch in self._store.list(chunk_size=1):
                return not batch
            return True

    def exists(self, name: str) -> bool:
        return self._head(name) is not None

    def names(self, folder: str, suffix: str) -> list[str]:
        found = []
        with self._asking():
            for batch in self._store.list(f"{folder}/"):
                for one in batch:
                    path = str(one["path"])
                    if path.endswith(suffix) and path.rpartition("/")[0] == folder:
                        found.append(path)
                        self._known[path] = one["size"], one["e_tag"]
        return sorted(found)

    def stamp(self, name: str) -> object:
        return self._size(name)[1]

    def read(self, name: str) -> Content | None:
        try:
            with self._asking():
                found = self._store.get(name)
                tag = found.meta["e_tag"]
                return Content(bytes(found.bytes()), tag)
        except builtins.FileNotFoundError:
            return None

    def footer(self, name: str) -> Path | BytesIO:
        size = self._size(name)[0]
        start = max(0, size - _FOOTER)
        tail = self._range(name, start, size)
        # the last eight bytes of a Parquet file: the length of its footer, and PAR1
        needed = 8 + int.from_bytes(tail[-8:-4], "little") if len(tail) >= 8 else 0
        if len(tail) < needed <= size:
            tail = self._range(name, size - needed, size)
        return BytesIO(tail)

    def source(self, name: str) -> str | Path | BytesIO:
        if not name.endswith(_REPLACED):
            return f"{self.where}/{name}"
        found = self.read(name)
        if found is None:
            raise LogError(f"a part must be in the log, got {name} in {self.where!r}")
        return BytesIO(found.data)

    def create(self, name: str, write: Write) -> bool:
        try:
            with self._asking():
                self._store.put(name, _written(write), mode="create")
        except builtins.FileExistsError:
            return False
        return True

    def replace(self, name: str, write: Write) -> None:
        with self._asking():
            self._store.put(name, _written(write))
        self._known.pop(name, None)

    def swap(self, name: str, data: bytes, stamp: object) -> bool:
        if stamp is None:
            return self.create(name, lambda into: _give(into, data))
        try:
            with self._asking():
                self._store.put(name, data, mode={"e_tag": stamp})
        except builtins.FileExistsError:
            return False
        return True

    @contextmanager
    def writing(self) -> Iterator[None]:
        yield

    def look(self, names: Sequence[str], at: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(_WORKERS) as pool:
            for _ in pool.map(at, names):
                pass

    def _size(self, name: str) -> tuple[int, object]:
        if name not in self._known:
            head = self._head(name)
            if head is None:
                raise builtins.FileNotFoundError(name)
            self._known[name] = head["size"], head["e_tag"]
        return self._known[name]

    def _head(self, name: str) -> Any:
        try:
            with self._asking():
                return self._store.head(name)
        except builtins.FileNotFoundError:
            return None

    def _range(self, name: str, start: int, end: int) -> bytes:
        with self._asking():
            return bytes(self._store.get_range(name, start=start, end=end)) if end > start else b""

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What a store says, in our words.

        FileNotFoundError, FileExistsError (there is something else by now), and LogError for all that keeps
        it from answering.
        """
        known = self._obstore.exceptions
        try:
            yield
        except (known.NotFoundError, builtins.FileNotFoundError) as error:
            raise builtins.FileNotFoundError(str(error)) from error
        except (known.AlreadyExistsError, known.PreconditionError) as error:
            raise builtins.FileExistsError(str(error)) from error
        except known.BaseError as error:
            raise LogError(f"the store must answer, got {self.where!r}: {_line(error)}") from error


def _obstore() -> Any:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "a log on an object store needs obstore, got no such module; pip install 'test-time-planner[s3]'"
        ) from error
    return obstore


def _written(write: Write) -> bytes:
    buffer = BytesIO()
    write(buffer)
    return buffer.getvalue()


def _give(into: Path | BytesIO, data: bytes) -> None:
    if isinstance(into, BytesIO):
        into.write(data)
    else:
        into.write_bytes(data)


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]
