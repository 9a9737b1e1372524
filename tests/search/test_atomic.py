from __future__ import annotations

from pathlib import Path

import pytest

from search.atomic import TEMPORARY, remove_leftovers, write_atomic, written_atomically


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, b"one")
    with pytest.raises(KeyError, match="stop"), written_atomically(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half of tw")
        assert temporary.name.endswith(TEMPORARY)
        raise KeyError("stop")
    assert path.read_bytes() == b"one"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_leftovers_are_removed_in_every_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / f"x.7{TEMPORARY}").write_bytes(b"")
    (tmp_path / "kept").write_bytes(b"")
    assert remove_leftovers(tmp_path) == 1
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["inner", "kept"]
