"""Finds the shipped artefacts: policies, PRMs, problem sets and the planner learned from the lab.

They lie in ``models/`` of a checkout, or inside the installed package (``planner/_models``). This
file reads no model: it knows folders and names only.
"""

from __future__ import annotations

import os
from pathlib import Path

from search.errors import CheckpointError

__all__ = ["PLANNER_MODELS", "find_model", "models_folder", "shipped"]

#: environment variable that names another folder of models
PLANNER_MODELS = "PLANNER_MODELS"

PACKAGE = Path(__file__).resolve().parent


def models_folder() -> Path:
    """The folder that holds the shipped models.

    ``PLANNER_MODELS`` wins when it is set; then the installed package's own; then a checkout's.
    Raises CheckpointError, naming where it looked, when there is none.
    """
    chosen = os.environ.get(PLANNER_MODELS)
    if chosen:
        if not Path(chosen).is_dir():
            raise CheckpointError(f"{PLANNER_MODELS} must name a folder of models, got {chosen!r}")
        return Path(chosen)
    installed, checkout = PACKAGE / "_models", PACKAGE.parent / "models"
    if installed.is_dir():
        return installed
    if checkout.is_dir() and (PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    raise CheckpointError(
        f"the shipped models must lie in {installed} or {checkout}, got neither; "
        f"set {PLANNER_MODELS} to a folder of models"
    )


def shipped(name: str) -> Path:
    """The path of one shipped artefact: ``shipped("lab-policy-m")``.

    Raises CheckpointError, listing what there is, when no artefact has this name.
    """
    folder = models_folder()
    names = _names()
    if name not in names:
        raise CheckpointError(
            f"a shipped model must be one of {', '.join(names) or 'none'} in {folder}, got {name!r}"
        )
    return folder / name


def find_model(given: str | Path) -> Path:
    """The folder that a user means: a path as it stands, or else the name of a shipped artefact.

    Raises CheckpointError when it is neither.
    """
    if Path(given).is_dir():
        return Path(given)
    if os.sep in str(given):
        raise CheckpointError(f"a model must be a folder or the name of a shipped one, got {str(given)!r}")
    if not (models_folder() / given).is_dir():
        names = ", ".join(_names()) or "none"
        raise CheckpointError(
            f"a model must be a folder or the name of a shipped one ({names}), got {str(given)!r}"
        )
    return shipped(str(given))


def _names() -> list[str]:
    """The names of all shipped artefacts, sorted."""
    return sorted(path.name for path in models_folder().iterdir() if path.is_dir())
