"""Members of a ``.zip`` file, also those packed by Zstandard, which Python before 3.14 does not read.

Polars unpacks Zstandard when it reads a table, so the text is read as a table of one column.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from search.errors import RecordError

__all__ = ["Zipped"]

#: bytes of one member; beyond it a file is no record
_LONGEST = 1_000_000_000
_ZSTANDARD = 93
#: fixed part of a member's own header, which ends with the lengths of its name and its extra field
_HEADER = struct.Struct("<4s22xHH")

#: what a member that is not whole raises
_BROKEN = (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, pl.exceptions.PolarsError)


class Zipped:
    """The texts of a ``.zip`` file by name. Raises RecordError for anything that is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise RecordError(
                f"records must be a readable file, got {str(path)!r}: {error.strerror}"
            ) from error
        try:
            self._zip = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, OSError, struct.error) as error:
            self._file.close()
            raise RecordError(f"an archive must be a whole .zip, got {str(path)!r}: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()

    def names(self, prefix: str = "") -> Iterator[str]:
        """Names of the members below a prefix, in their order; a name that was written again comes once."""
        yield from dict.fromkeys(name for name in self._zip.namelist() if name.startswith(prefix))

    def text(self, name: str) -> str:
        """A member's text. Raises RecordError."""
        try:
            member = self._zip.getinfo(name)
        except KeyError:
            raise RecordError(f"{self.path.name}: a member is missing, got no {name!r}") from None
        if member.file_size > _LONGEST:
            raise RecordError(
                f"a member of an archive has at most {_LONGEST:,} bytes, got {member.file_size:,}"
            )
        try:
            if member.compress_type == _ZSTANDARD:
                return self._zstandard(member)
            return self._zip.read(member).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RecordError(f"{self.path.name}: {name} must be UTF-8 text") from None
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            EOFError,
            zlib.error,
            pl.exceptions.PolarsError,
        ) as error:
            reason = str(error).partition("\n")[0]
            raise RecordError(f"{self.path.name}: {name} must be whole, got {reason}") from None

    def _zstandard(self, member: zipfile.ZipInfo) -> str:
        self._file.seek(member.header_offset)
        _, name, extra = _HEADER.unpack(self._file.read(_HEADER.size))
        self._file.seek(name + extra, io.SEEK_CUR)
        packed = self._file.read(member.compress_size)
        lines = pl.read_csv(
            packed,
            has_header=False,
            separator="\x00",
            quote_char=None,
            new_columns=["line"],
            schema={"line": pl.String},
        )["line"]
        return "\n".join(lines.fill_null("").to_list())
