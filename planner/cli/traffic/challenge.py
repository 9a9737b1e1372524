"""``planner challenge``: whether a challenger is better than the champion, from a server's decisions."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.printing import number, percent, print_json, print_table
from planner.cli.traffic.ope import DecisionsPath, SourceOptions
from search.errors import DecisionLogError, MissingExtraError

if TYPE_CHECKING:
    from planner.server.decisions.store import Store
    from planner.traffic.challenge import Arm, ChallengeState

__all__ = ["challenge"]


def challenge(
    decisions: DecisionsPath,
    price: Annotated[
        float, typer.Option(min=0.0, help="Accuracy that a GFLOP costs: the server's setting price.")
    ] = 0.0,
    alpha: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="The chance that the test is ever wrong.")
    ] = 0.05,
    source: SourceOptions = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Test whether the challenger of planner serve is better than the champion. May be run at any time."""
    try:
        from planner.server.decisions.store import Store
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"a decision log needs {error.name}: pip install 'test-time-planner[serve]'"
        ) from error
    from planner.traffic.challenge import pairs, read_challenge
    from planner.traffic.run import sources_of

    store = Store.read(decisions)
    try:
        known = pairs(store)
        if not known:
            raise DecisionLogError(
                "a challenge is read from the log of a server with --challenger, got a log of one without"
            )
        state = read_challenge(
            store, *known[0], price=price / 1e9, sources=sources_of(source or []), alpha=alpha
        )
        promoted = _promoted(store, *known[0])
    finally:
        store.close()
    if as_json:
        print_json({**state.to_json(), "promoted": promoted, "pairs": len(known)})
        return
    _print(state, promoted, len(known))


def _promoted(store: Store, champion: str, challenger: str) -> dict[str, Any] | None:
    from planner.server.challenge import promotion_of

    return promotion_of(store, champion, challenger)


def _print(state: ChallengeState, promoted: dict[str, Any] | None, known: int) -> None:
    found = state.utility
    notes = [
        f"The test may be repeated at any time: it is wrong with a chance of at most {found.alpha:g}.",
        f"Words of feedback that count: {found.observations:,}; price {state.price * 1e9:g} per GFLOP.",
    ]
    if promoted is not None:
        at = datetime.fromtimestamp(promoted["at"], UTC)
        notes.append(f"Promoted on {at:%Y-%m-%d %H:%M} UTC, after {promoted['words']:,} words of feedback.")
    if known > 1:
        notes.append(f"The log holds {known} pairs of planners; this is the one that was asked last.")
    print_table(
        state.sentence[0].upper() + state.sentence[1:],
        ["arm", "planner", "decisions", "failed", "with feedback", "right %", "MFLOPs"],
        [_row("champion", state.champion), _row("challenger", state.challenger)],
        left=2,
        notes=notes,
    )


def _row(name: str, arm: Arm) -> tuple[str, ...]:
    return (
        name,
        arm.planner[:12],
        f"{arm.decisions:,}",
        f"{arm.failed:,}",
        f"{arm.known:,}",
        "-" if math.isnan(arm.value) else percent(arm.value),
        "-" if math.isnan(arm.flops) else number(arm.flops * 1e-6, 1),
    )
