from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from planner.artefact import FORMAT_VERSION, load
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.budget import Budget
from search.cards import ModelCard
from search.errors import ArtefactError


@pytest.fixture(scope="module")
def folder(planner: Planner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artefact") / "planner"
    planner.save(path)
    return path


def sealed(folder: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy with changed files whose hashes are right: a stranger's work, not damage."""
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "manifest.json"}
    change(files)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name, data in files.items():
        (target / name).write_bytes(data)
    named = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    }
    (target / "manifest.json").write_text(
        json.dumps({"kind": "planner", "version": FORMAT_VERSION, "files": named})
    )
    return target


def test_what_is_loaded_decides_as_what_was_saved(planner: Planner, folder: Path, data: TrainingData) -> None:
    loaded = Planner.load(folder)
    for question in data.questions[:20]:
        for budget in (
            Budget(price=0.0),
            Budget(price=0.01 / planner.sample_flops),
            Budget(mean_flops=8 * planner.sample_flops),
        ):
            assert loaded.decide(question, budget=budget) == planner.decide(question, budget=budget)
    assert loaded.card == planner.card
    assert loaded.card["problems"] == len(data)


def test_saves_over_a_planner_and_over_nothing_else(planner: Planner, tmp_path: Path) -> None:
    planner.save(tmp_path / "p")
    planner.save(tmp_path / "p")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ArtefactError, match="new folder or over another planner"):
        planner.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"
    assert sorted(f.name for f in tmp_path.iterdir()) == ["mine", "p"]


def test_holds_no_pickle(folder: Path) -> None:
    assert {file.suffix for file in folder.iterdir()} == {".json", ".safetensors", ".txt"}


def test_foreign_models_are_refused_on_loading(folder: Path) -> None:
    with pytest.raises(ArtefactError, match="learned from"):
        Planner.load(folder, models=[ModelCard("small", 1, "other", 1)])
    Planner.load(folder, models=[ModelCard("small", 1, "other", 1)], allow_foreign=True)


def test_missing_and_foreign_folders(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ArtefactError, match=r"a folder with manifest\.json"):
        load(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ArtefactError, match="whole JSON"):
        load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"kind": "search log", "schema_version": 1}')
    with pytest.raises(ArtefactError, match="'search log'"):
        load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"kind": "planner", "version": 99, "files": {}}')
    with pytest.raises(ArtefactError, match="version must be 3, got 99: make it again"):
        load(tmp_path)
    outside = {
        name: {"bytes": 1, "sha256": ""} for name in ("planner.json", "arrays.safetensors", "../secret")
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "planner", "version": 1, "files": outside}))
    (tmp_path / "planner.json").write_text("x")
    (tmp_path / "arrays.safetensors").write_text("x")
    with pytest.raises(ArtefactError):
        load(tmp_path)


def test_any_flipped_byte_is_found(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for file in sorted(folder.iterdir()):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        data = bytearray(file.read_bytes())
        if file.name == "manifest.json":
            data = data[: len(data) // 2]
        else:
            data[int(rng.integers(len(data)))] ^= 0x41
        (copy / file.name).write_bytes(data)
        with pytest.raises(ArtefactError):
            load(copy)


@pytest.mark.parametrize(
    "name", ["planner.json", "arrays.safetensors", "stage0-model0.txt", "stage1-model1.txt"]
)
def test_mutated_files_with_right_hashes_never_crash(folder: Path, tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(len(name))
    refused = 0
    for _ in range(40):

        def mutate(files: dict[str, bytes]) -> None:
            data = bytearray(files[name])
            # numbers and structure stand at the front of each kind of file
            reach = min(len(data), 4000)
            for _ in range(int(rng.integers(1, 6))):
                at = int(rng.integers(reach))
                match int(rng.integers(3)):
                    case 0:
                        data[at] = int(rng.choice(np.frombuffer(b'0123456789-.eE nul[]{},":\xff', np.uint8)))
                    case 1:
                        del data[at : at + int(rng.integers(1, 60))]
                    case _:
                        data[at:at] = bytes(rng.choice(np.frombuffer(b"0179-.e ", np.uint8), 3))
            files[name] = bytes(data)

        try:
            planner = Planner.load(sealed(folder, tmp_path / "mutant", mutate))
        except ArtefactError:
            refused += 1
            continue
        planner.decide("1 + 2", budget=Budget(price=0.0))
    assert refused > 0


def test_a_stranger_cannot_point_beyond_the_stages(folder: Path, tmp_path: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        body = json.loads(files["planner.json"])
        body["stages"][0]["reference"] = 10_000
        files["planner.json"] = json.dumps(body).encode()

    with pytest.raises(ArtefactError, match="cost for each of its choices"):
        load(sealed(folder, tmp_path / "x", change))
