"""The reliability of a PRM: its measures on benchmarks, for whoever has to decide how far to trust it.

One JSON file per PRM, bound to it by the fingerprint of its card.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from search.atomic import write_atomic
from search.errors import RecordError
from search.prm_benchmarks.auroc import auroc
from search.prm_benchmarks.processbench import ProcessRecord
from search.scores import score

__all__ = ["PrmReliability", "step_auroc", "within_auroc"]

_KIND = "PRM reliability"


@dataclass(frozen=True, slots=True)
class PrmReliability:
    """Parameters
    ----------
    prm, fingerprint:
        Of the PRM's card.
    records:
        How many solutions it was measured on.
    within:
        The chance that a right solution outscores a wrong one of the same problem (score ``last``); what
        ``planner.evidence.model_features.within_problem_auroc`` is on a log. NaN where no problem has both.
    step_auroc:
        The chance that a right step outscores a first wrong one, over all solutions.
    process_f1:
        ProcessBench: mean F1 over subsets; NaN when not measured. ``threshold`` belongs to it.
    prm_score:
        PRMBench: PRMScore over all categories; NaN when not measured.
    """

    prm: str
    fingerprint: str
    records: int
    within: float
    step_auroc: float
    process_f1: float
    prm_score: float
    threshold: float

    def write(self, path: str | Path) -> None:
        """Write the file whole or not at all; NaN becomes null."""
        values = {name: _plain(value) for name, value in asdict(self).items()}
        write_atomic(Path(path), (json.dumps({"kind": _KIND, **values}, indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: str | Path) -> PrmReliability:
        """The reliability in a file. Raises RecordError."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content.pop("kind") != _KIND:
                raise ValueError("another kind of file")
            if set(content) != {field.name for field in fields(cls)}:
                raise ValueError(f"fields {sorted(content)}")
            values: dict[str, Any] = {name: str(content.pop(name)) for name in ("prm", "fingerprint")}
            values["records"] = int(content.pop("records"))
            values |= {name: math.nan if value is None else float(value) for name, value in content.items()}
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(
                f"a reliability must be what prm-eval wrote, got {str(path)!r}: {error}"
            ) from error


def step_auroc(records: Sequence[ProcessRecord], rewards: Sequence[Sequence[float]]) -> float:
    """Right steps against first wrong ones; what follows a wrong step is neither."""
    right: list[float] = []
    wrong: list[float] = []
    for record, steps in zip(records, rewards, strict=True):
        end = len(steps) if record.label < 0 else record.label
        right += steps[:end]
        wrong += steps[end : end + 1]
    return auroc(right, wrong)


def within_auroc(
    records: Sequence[ProcessRecord], rewards: Sequence[Sequence[float]], name: str = "last"
) -> float:
    """Right solutions against wrong ones of the same problem, averaged over problems that have both."""
    groups: dict[str, dict[bool, list[float]]] = {}
    for record, steps in zip(records, rewards, strict=True):
        kinds = groups.setdefault(record.problem, {True: [], False: []})
        kinds[record.label < 0].append(score(steps, name))
    found = [auroc(kinds[True], kinds[False]) for kinds in groups.values() if kinds[True] and kinds[False]]
    return float(np.mean(found)) if found else float("nan")


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
