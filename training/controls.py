"""Controls of a cross-validation: the same on logs whose evidence was shuffled.

A planner that is safe falls back on rules there: it may gain nothing, and should lose nothing beside the rule
that the training folds chose on the same shuffled log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from planner.evaluation.folds.cross_validation import CrossValidation
from planner.evaluation.folds.shuffled import CONTROLS, controls_of, shuffled
from planner.evaluation.folds.verdict import Verdict, verdict_of
from planner.evidence.training_data import TrainingData

__all__ = ["Control", "controls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What came of one control (a name of ``planner.evaluation.folds.shuffled.CONTROLS``): a verdict, or None
    and ``why``."""

    control: str
    verdict: Verdict | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """``control``, ``above_rule`` in shares of 1, ``rule``, ``verdict``, ``why`` (of an empty figure)."""
        found = self.verdict
        return {
            "control": self.control,
            "above_rule": None if found is None or found.above_rule is None else asdict(found.above_rule),
            "rule": None if found is None else found.rule,
            "verdict": None if found is None else found.sentence,
            "why": self.why,
        }


def controls(
    data: TrainingData,
    validate: Callable[[TrainingData], CrossValidation],
    *,
    seed: int = 0,
    bootstrap: int = 2000,
) -> tuple[Control, ...]:
    """Every control; one that a log cannot support is empty and says why.

    ``validate`` cross-validates a log; ``seed`` is of what is exchanged.
    """
    kept, missing = controls_of(data)
    out = []
    for name in CONTROLS:
        if name not in kept:
            out.append(Control(control=name, verdict=None, why=missing[name]))
            continue
        verdict = verdict_of(validate(shuffled(data, name, seed=seed)), bootstrap=bootstrap)
        why = "" if verdict.above_rule is not None else "no budget can be spent"
        out.append(Control(control=name, verdict=verdict, why=why))
    return tuple(out)
