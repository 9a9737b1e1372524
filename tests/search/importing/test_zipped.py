"""Members of zip files: deflated, stored, and packed by Zstandard, which Python before 3.14 does not read."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from search.errors import RecordError
from search.importing.zipped import Zipped

TEXT = '{\n "a": 1,\n "t": "x,\\"y\\" \u00e9"\n}\n'
#: ``TEXT`` as one Zstandard frame
FRAME = bytes.fromhex("28b52ffd20200101007b0a202261223a20312c0a202274223a2022782c5c22795c2220c3a9220a7d0a")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 93])
def test_texts_by_name(tmp_path: Path, method: int) -> None:
    path = tmp_path / "z.zip"
    packed = method == 93
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if packed else method) as file:
        file.writestr("one.json", FRAME if packed else TEXT)
    if packed:
        raw = bytearray(path.read_bytes())
        # the method in the member's own header and in the directory
        struct.pack_into("<H", raw, 8, method)
        struct.pack_into("<H", raw, raw.index(b"PK\x01\x02") + 10, method)
        path.write_bytes(raw)
    with Zipped(path) as zipped:
        assert list(zipped.names()) == ["one.json"]
        assert zipped.text("one.json").strip() == TEXT.strip()
        with pytest.raises(RecordError, match=r"z\.zip: a member is missing, got no 'two\.json'"):
            zipped.text("two.json")
