"""From what a user calls a log to the storage that holds it."""

from __future__ import annotations

import re
from pathlib import Path

from search.errors import LogError
from search.storage.folder import FolderStorage
from search.storage.protocol import Storage

__all__ = ["SCHEMES", "folder_of", "is_remote", "storage_of", "url_of"]

#: stores that can put a content only where there is none, which is what a log asks of them
SCHEMES = ("s3", "s3a", "gs", "abfs", "abfss")
#: pathlib makes one slash of two
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)


def url_of(place: str | Path) -> str | None:
    """The address of a log on an object store; None for one in a folder. Raises LogError.

    A path that pathlib has read is an address still:

    >>> url_of(Path("s3://bucket/log")), url_of("logs/one")
    ('s3://bucket/log', None)
    """
    found = _URL.fullmatch(str(place))
    if found is None:
        return None
    scheme, rest = found[1].lower(), found[2].strip("/")
    if scheme not in SCHEMES:
        raise LogError(
            f"a search log is a folder or begins with one of {', '.join(f'{one}://' for one in SCHEMES)}, "
            f"got {scheme}://{rest}"
        )
    if not rest:
        raise LogError(f"the address of a log names a bucket, got {scheme}://")
    return f"{scheme}://{rest}"


def is_remote(place: str | Path) -> bool:
    """Whether a log lies on an object store. Raises LogError for an address that no store has."""
    return url_of(place) is not None


def folder_of(place: str | Path) -> Path:
    """The folder that is meant, for what is written into folders only. Raises LogError for an address."""
    url = url_of(place)
    if url is not None:
        raise LogError(f"this is written into a folder (planner merge takes logs elsewhere), got {url}")
    return Path(place)


def storage_of(place: str | Path) -> Storage:
    """Where a log lies. Asks nobody yet. Raises LogError, MissingExtraError."""
    url = url_of(place)
    if url is None:
        return FolderStorage(Path(place))
    from search.storage.objects import ObjectStorage

    return ObjectStorage(url)
