"""Write a file so that a reader, or a machine that loses power, sees it whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["TEMPORARY", "exchange", "remove_leftovers", "sync_folder", "write_atomic", "written_atomically"]

#: ends the name of every file that is not finished; readers pass over such files
TEMPORARY = ".partial"


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; on a clean exit it is synced and renamed onto ``path``.

    When the block raises, the temporary file is removed and ``path`` stays as it was. The name
    holds the process id, so that two writers never share one.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def exchange(first: Path, second: Path) -> None:
    """Swap two files or folders of one file system, so that both names lead to something at any moment.

    Where the system cannot (``renameat2`` of Linux), by three renames: a power cut between them leaves
    ``second`` under the name of ``first`` with ``.swapped`` added.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if not library.renameat2(here, os.fsencode(first), here, os.fsencode(second), both):
            sync_folder(second.parent)
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(second))
    between = first.with_name(f"{first.name}.swapped")
    second.rename(between)
    first.rename(second)
    between.rename(first)
    sync_folder(second.parent)


def write_atomic(path: Path, content: bytes) -> None:
    """Put ``content`` into ``path``."""
    with written_atomically(path) as temporary:
        temporary.write_bytes(content)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> int:
    """Remove unfinished files under ``folder``; return how many. Only for the one who may write."""
    leftovers = [path for path in folder.rglob(f"*{TEMPORARY}") if path.is_file()]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
