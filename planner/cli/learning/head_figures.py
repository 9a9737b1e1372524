"""The card of a head, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.cli.printing import percent, print_table

__all__ = ["print_head"]

_NAMES = {
    "last": "head, last step",
    "min": "head, worst step",
    "mean": "head, mean of steps",
    "prod": "head, product of steps",
    "likelihood": "likelihood of the policy",
}
_PLANS = {
    "majority": "majority vote",
    "best_of_n": "best of n by the head",
    "weighted_vote": "vote weighted by the head",
    "best_by_likelihood": "best of n by likelihood",
}


def print_head(card: Mapping[str, Any]) -> None:
    """What a head's card says: order within problems, and plans against the vote."""
    within = card["within"]
    notes = [f"Problems with right and wrong samples: {within['problems']:,} of {card['problems']:,}."]
    if not card["same_weights"]:
        notes.append(
            "The log's policy has another fingerprint than the folder: other weights, or served elsewhere."
        )
    print_table(
        f"Right before wrong within problems, head of {card['policy']}",
        ["score", "AUROC", "95%"],
        [(title, *_figure(within[name])) for name, title in _NAMES.items() if name in within],
        notes=notes,
    )
    rows = [
        (str(row["n"]), title, *_figure(row[name]), *_figure(row.get(f"{name}_over_majority")))
        for row in card["plans"]
        for name, title in _PLANS.items()
        if name in row
    ]
    if rows:
        print_table(
            "Accuracy on the log's samples, families left out",
            ["n", "plan", "accuracy %", "95%", "over the vote", "95%"],
            rows,
        )
    process = card["process_bench"]
    if process is not None:
        print_table(
            "First wrong steps",
            ["F1", "erroneous %", "correct %", "solutions"],
            [
                (
                    percent(process["f1"]),
                    percent(process["found_wrong"]),
                    percent(process["passed_right"]),
                    f"{process['solutions']:,}",
                )
            ],
        )


def _figure(told: list[float] | None) -> tuple[str, str]:
    """(value, interval)."""
    if told is None:
        return "", ""
    return percent(told[0]), f"{percent(told[1])} to {percent(told[2])}"
