"""``planner evaluate --cross-validate``: the planner and its rivals by folds of one log, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.cli.learning.further_figures import further_to_dict, print_further
from planner.cli.learning.likeness import warnings_of
from planner.cli.printing import output_console, percent, print_json, print_table
from planner.cli.progress import bar

if TYPE_CHECKING:
    from planner.evaluation.folds.cross_validation import CrossValidation
    from planner.evaluation.folds.verdict import Cell, Verdict, VerdictRow

__all__ = ["More", "cross_validated", "print_verdict"]

#: what is no registered baseline, and the baselines of the small table, by their labels
_LABELS = {
    "planner": "planner",
    "chosen_rule": "rule of the folds",
    "best_rule": "best rule (bound)",
    "best_fixed": "best fixed",
    "mixture": "best two, mixed",
    "cascade": "cascade",
    "adaptive_consistency": "adaptive consistency",
    "weighted_consistency": "the same, weighted",
    "knn": "neighbours",
    "static_ceiling": "static ceiling (bound)",
    "oracle_steady": "oracle (bound)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """What a cross-validation is asked for beside the verdict.

    Parameters
    ----------
    seeds:
        Fits with so many seeds, the first included: what they change.
    curves:
        Deferral curves, AIQ and quality-neutral costs.
    controls:
        The same on logs whose questions, logprobs and rewards are shuffled.
    sizes:
        Of a learning curve; empty: none.
    """

    seeds: int = 1
    curves: bool = False
    controls: bool = False
    sizes: tuple[int, ...] = ()


def cross_validated(
    log: Path,
    *,
    budgets: Sequence[float] | None,
    folds: int,
    trials: int,
    seed: int,
    models: Path | None,
    everything: bool,
    as_json: bool,
    more: More,
) -> None:
    """Cross-validate on a log and print what came of it."""
    from planner.evaluation.folds.deferral import deferral_of
    from planner.evaluation.folds.refits import refits_of
    from planner.evaluation.folds.verdict import verdict_of
    from planner.evidence.training_data import TrainingData, read_training_data
    from search.log.store import SearchLog
    from search.models_file import ModelsFile
    from training.controls import controls
    from training.cross_validation import cross_validate, room_of
    from training.learning_curve import checked_sizes, learning_curve

    sizes = checked_sizes(more.sizes)
    logged = SearchLog.open(log)
    policies = logged.manifest.policies
    if models is not None:
        policies = ModelsFile.read(models).known(policies)
    data = read_training_data(logged, policies, logged.manifest.prms)

    def validate(
        what: str, log: TrainingData = data, *, at: int = seed, most: int | None = None, curves: bool = False
    ) -> CrossValidation:
        with bar(what) as tell:
            return cross_validate(
                log,
                folds=folds,
                trials=trials,
                seed=at,
                budgets=budgets,
                most=most,
                curves=curves,
                progress=lambda *done: tell(*done),
            )

    found = validate("folds", curves=more.curves)
    verdict = verdict_of(found)
    warnings = warnings_of(logged)
    further: dict[str, Any] = {}
    if more.seeds > 1:
        others = [validate(f"folds, seed {at}", at=at) for at in range(seed + 1, seed + more.seeds)]
        further["refits"] = refits_of([found, *others])
    if more.curves:
        further["deferral"] = deferral_of(found)
    if sizes:
        further["learning_curve"] = learning_curve(
            lambda size: validate(f"folds, {size} problems", most=size),
            sizes,
            room=room_of(data, folds=folds, seed=seed),
        )
    if more.controls:
        further["controls"] = controls(data, lambda log: validate("folds, shuffled", log), seed=seed)
    if as_json:
        print_json(
            verdict.to_json()
            | {"folds": int(found.fold.max()) + 1, "trials": trials, "seed": seed, "warnings": warnings}
            | further_to_dict(further)
        )
    else:
        print_verdict(verdict, everything=everything)
        print_further(further, label=lambda name: _label(verdict, name), unit=verdict.unit_policy)


def print_verdict(verdict: Verdict, *, everything: bool = False) -> None:
    """Accuracies per budget, how far the planner is above each rival, and the sentence.

    ``everything``: every method, and the differences at each budget.
    """
    methods = _methods(verdict, everything)
    heads = [f"{row.budget:.3g}{'' if row.counted else ' *'}" for row in verdict.rows]
    print_table(
        f"Accuracy (%) on {verdict.problems} problems of {verdict.families} families, each left out of what "
        "decided on it; ± half of the 95% interval",
        ["mean budget:", *heads],
        [
            [_label(verdict, name), *(_accuracy(row.cells.get(name)) for row in verdict.rows)]
            for name in methods
        ],
        notes=_notes(verdict),
        emphasised=[0],
    )
    if everything:
        print_table(
            "Points that the planner is above; ± half of the 95% interval of the paired difference",
            ["mean budget:", *heads],
            [
                [_label(verdict, name), *(_above(row.cells.get(name)) for row in verdict.rows)]
                for name in methods
                if name != "planner"
            ],
        )
    print_table(
        "Points that the planner is above, averaged over the budgets that count; families drawn whole",
        ["", "points", "95% interval"],
        [
            (
                _label(verdict, name),
                _signed(verdict.above[name].value),
                f"{100 * verdict.above[name].low:z.1f} to {100 * verdict.above[name].high:z.1f}",
            )
            for name in methods
            if name in verdict.above
        ],
    )
    output_console().print(f"The planner is {verdict.sentence}.", markup=False)


def _methods(verdict: Verdict, everything: bool) -> list[str]:
    """Methods in the order of the table; plug-ins are always shown, since somebody asked for them."""
    from planner.evaluation.evaluation import METHODS

    known = [*dict.fromkeys(name for row in verdict.rows for name in row.cells)]
    first = [name for name in _LABELS if name in known]
    small = {*_LABELS, *(name for name in known if name not in METHODS)}
    return [*first, *(name for name in known if name not in first and (everything or name in small))]


def _label(verdict: Verdict, name: str) -> str:
    bound = "" if verdict.deployable.get(name, True) else " (bound)"
    return _LABELS.get(name, f"{name.replace('_', ' ')}{bound}")


def _notes(verdict: Verdict) -> Iterable[str]:
    """What a reader of the table needs, and why cells are empty."""
    yield (
        f"Budgets in mean samples of {verdict.unit_policy}. Rule of the folds: the one that was best on the "
        "problems that each fold's planner learned from. Bounds know what nobody knows beforehand: they "
        "cannot be deployed. Best rule: the best on these problems themselves."
    )
    yield f"Folds chose: {_chosen(verdict.rows)}."
    if not all(row.counted for row in verdict.rows):
        yield "* does not count: the planner cannot keep to it, or neither it nor the rule spends it."
    dear: dict[str, list[str]] = {}
    for row in verdict.rows:
        for name, cell in row.cells.items():
            if cell is None and name in _methods(verdict, False):
                dear.setdefault(f"{row.budget:.3g}", []).append(_label(verdict, name))
    for budget, names in dear.items():
        yield f"Empty at {budget}, whose cheapest setting costs more: {', '.join(names)}."
    for why, names in _by_reason(verdict.missing).items():
        yield f"Left out, {', '.join(names)}: {why}."
    yield from (f"{note}." for note in verdict.notes)


def _by_reason(missing: Mapping[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, why in missing.items():
        reasons.setdefault(why, []).append(name)
    return reasons


def _chosen(rows: Sequence[VerdictRow]) -> str:
    if len({name for row in rows for name in row.chosen}) == 1:
        return f"{next(iter(rows[0].chosen))} at every budget"
    return "; ".join(
        f"at {row.budget:.3g} {', '.join(f'{name} ({count})' for name, count in row.chosen.items())}"
        for row in rows
    )


def _accuracy(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{percent(cell.accuracy.value)} ±{50 * (cell.accuracy.high - cell.accuracy.low):z.1f}"


def _above(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{_signed(cell.above.value)} ±{50 * (cell.above.high - cell.above.low):z.1f}"


def _signed(share: float) -> str:
    """Points with their sign; none where they round to nothing."""
    points = round(100 * share, 1)
    return f"{points:+z.1f}" if points else "0.0"
