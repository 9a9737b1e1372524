from __future__ import annotations

from pathlib import Path

import pytest

import planner.models
from planner.models import PLANNER_MODELS, find_model, models_folder, shipped
from search.errors import CheckpointError


@pytest.fixture(autouse=True)
def _package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(PLANNER_MODELS, raising=False)
    (tmp_path / "planner").mkdir()
    monkeypatch.setattr(planner.models, "PACKAGE", tmp_path / "planner")


def test_a_checkout_has_them_beside_the_package(tmp_path: Path) -> None:
    (tmp_path / "models" / "lab-policy-m").mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    assert shipped("lab-policy-m") == tmp_path / "models" / "lab-policy-m"


def test_a_foreign_models_folder_in_site_packages_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(CheckpointError, match=r"the shipped models must lie in .* or .*, got neither"):
        models_folder()


def test_an_installed_package_brings_its_own(tmp_path: Path) -> None:
    (tmp_path / "planner" / "_models").mkdir()
    assert models_folder() == tmp_path / "planner" / "_models"


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planner" / "_models").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv(PLANNER_MODELS, str(tmp_path / "mine"))
    assert models_folder() == tmp_path / "mine"


def test_an_environment_that_names_no_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLANNER_MODELS, str(tmp_path / "gone"))
    with pytest.raises(CheckpointError, match=r"PLANNER_MODELS must name a folder of models, got '.*gone'"):
        models_folder()


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    for name in ("lab-policy-m", "lab-policy-s"):
        (tmp_path / "planner" / "_models" / name).mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"one of lab-policy-m, lab-policy-s in .*, got 'lab-policy-x'"):
        shipped("lab-policy-x")


def test_a_folder_is_found_as_it_stands_and_a_name_among_the_shipped(tmp_path: Path) -> None:
    (tmp_path / "planner" / "_models" / "lab-policy-m").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    assert find_model(tmp_path / "mine") == tmp_path / "mine"
    assert find_model("lab-policy-m") == tmp_path / "planner" / "_models" / "lab-policy-m"


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "planner" / "_models").mkdir()
    with pytest.raises(CheckpointError, match=r"a folder or the name of a shipped one, got '.*gone'"):
        find_model(tmp_path / "gone")
    with pytest.raises(CheckpointError, match=r"a shipped one \(none\), got 'gone'"):
        find_model("gone")
