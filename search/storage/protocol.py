"""What a search log asks of the place where it lies.

Names are relative, with ``/`` between folder and file. A content is there whole or not at all. The log knows
tables, units and manifests; a storage knows names and bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

__all__ = ["Content", "Storage", "Write"]

#: puts a content into an empty file, or into a buffer
Write = Callable[[Path | BytesIO], object]


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes, and the ``stamp`` of the version that they are."""

    data: bytes
    stamp: object


class Storage(ABC):
    """One log's place."""

    #: for people, and what ``search.storage.place.storage_of`` opens
    where: str

    @property
    def folder(self) -> Path | None:
        """The folder, where it is one."""
        return None

    @abstractmethod
    def is_new(self) -> bool:
        """Whether nothing is there yet. Raises LogError where it cannot be asked."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a content of this name."""

    @abstractmethod
    def names(self, folder: str, suffix: str) -> list[str]:
        """Sorted names of what lies in a folder and ends so."""

    @abstractmethod
    def stamp(self, name: str) -> object:
        """Changes when the content does; to be compared with others of the same name. Raises OSError."""

    @abstractmethod
    def read(self, name: str) -> Content | None:
        """The content; None where there is none."""

    @abstractmethod
    def footer(self, name: str) -> Path | BytesIO:
        """Something that Polars reads the metadata and the schema of a Parquet file from. Raises OSError."""

    @abstractmethod
    def source(self, name: str) -> str | Path | BytesIO:
        """Something that ``polars.scan_parquet`` takes. What is replaced meanwhile is still read whole."""

    @abstractmethod
    def create(self, name: str, write: Write) -> bool:
        """Put a content where there is none; False where there is one. Of all who try one succeeds."""

    @abstractmethod
    def replace(self, name: str, write: Write) -> None:
        """Put a content, whether there is one or not."""

    @abstractmethod
    def swap(self, name: str, data: bytes, stamp: object) -> bool:
        """Replace the version that has this stamp (None: create it); False where another one is there."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """The right to write. Raises LogError where somebody else holds it and only one may."""

    def look(self, names: Sequence[str], at: Callable[[str], None]) -> None:
        """Call ``at`` with each name, side by side where that saves time. Raises what it raises."""
        for name in names:
            at(name)
