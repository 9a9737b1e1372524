"""``planner savings``: what planning would have saved or gained, by the decisions of shadow mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import number, output_console, print_json, print_table

if TYPE_CHECKING:
    from planner.server.decisions.savings import Figure, Savings

__all__ = ["savings"]

_COLUMNS = ["figure", "value", "95% interval", "requests", "questions"]
_WITHHELD = "not enough decisions"


def savings(
    decisions: Annotated[
        str,
        typer.Argument(help="A decision log of planner serve --shadow: a file or postgresql://..."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what planning would have saved or gained, expected and measured apart, with intervals."""
    from search.errors import DecisionLogError, MissingExtraError

    try:
        from planner.server.decisions.savings import savings_of
        from planner.server.decisions.store import Store
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"planner savings needs {error.name}: pip install 'test-time-planner[serve]'"
        ) from error

    store = Store.read(decisions)
    try:
        found = savings_of(store.compared())
        if not found.requests:
            raise DecisionLogError(
                f"savings need decisions of planner serve --shadow, got none among {store.count()} decisions"
            )
    finally:
        store.close()
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


def _print(found: Savings) -> None:
    from planner.server.decisions.savings import RULE

    console = output_console()
    plain = "1 plain answer" if found.requests == 1 else f"{found.requests:,} plain answers"
    console.print(f"{plain}; the planner would have planned {found.planned:,}.")
    for reason, count in sorted(found.reasons.items()):
        console.print(f"- not planned: {count:,} ({reason.replace('_', ' ')})", markup=False)
    unit = {"usd": "money", "flops": "FLOPs", "tokens": "tokens"}[found.unit]
    if found.plain_cost is not None and found.planned_cost is not None:
        before, after = _amount(found.plain_cost, found.unit), _amount(found.planned_cost, found.unit)
        console.print(f"Expected cost of those: {before} as they were answered, {after} planned.")
    print_table(
        "Expected by the planner's model, planned less plain",
        _COLUMNS,
        [
            _row("accuracy", found.accuracy, "points"),
            _row(f"cost ({unit})", found.cost, "percent"),
            _row("cost beside an equally good plain vote", found.vote_cost, "percent"),
        ],
    )
    print_table(
        f"Measured on {found.pairs:,} requests whose plan was run beside the answer",
        _COLUMNS,
        [
            _row("equal answers", found.agreement, "share"),
            _row("accuracy, by feedback", found.measured_accuracy, "points"),
            _row(f"cost ({unit})", found.measured_cost, "percent"),
        ],
    )
    print_table(
        "How far the model is off on this traffic: actual less expected",
        _COLUMNS,
        [
            _row("cost of plain answers", found.cost_check, "percent"),
            _row("cost of plans", found.planned_cost_check, "percent"),
            _row("accuracy of plain answers, by feedback", found.accuracy_check, "points"),
        ],
        notes=[RULE],
    )


def _row(name: str, figure: Figure, kind: str) -> tuple[str, ...]:
    counts = number(figure.requests), number(figure.questions)
    if not figure.is_known or figure.low is None or figure.high is None:
        return (name, _WITHHELD, "", *counts)
    show = _SHOWN[kind]
    value = "by its interval only" if figure.value is None else show(figure.value)
    return (name, value, f"{show(figure.low)} to {show(figure.high)}", *counts)


_SHOWN: dict[str, Callable[[float], str]] = {
    "points": lambda value: f"{100 * value:+z.1f} points",
    "percent": lambda value: f"{100 * value:+.0f}%",
    "share": lambda value: f"{100 * value:.0f}%",
}


def _amount(value: float, unit: str) -> str:
    return f"${value:.4g}" if unit == "usd" else f"{value:,.4g} {'FLOPs' if unit == 'flops' else 'tokens'}"
