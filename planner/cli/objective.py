"""What a request is for, from the options that ``recommend`` and ``solve`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from search.errors import BudgetError

if TYPE_CHECKING:
    from planner.objective import Objective

__all__ = ["AbstainBelow", "Flops", "Price", "Target", "Tokens", "objective_of"]

Tokens = Annotated[
    int | None, typer.Option(metavar="N", help="Hard budget: logical tokens of policy and PRM together.")
]
Flops = Annotated[float | None, typer.Option(metavar="N", help="Hard budget: logical FLOPs.")]
Target = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="Least cost at which this accuracy in (0, 1] is expected."),
]
Price = Annotated[
    float | None,
    typer.Option(metavar="P", help="Spend a GFLOP more only where it is expected to add P of accuracy."),
]

AbstainBelow = Annotated[
    float,
    typer.Option(
        "--abstain-below",
        metavar="SHARE",
        min=0.0,
        max=1.0,
        help="Abstain where no affordable plan is expected to be right this often.",
    ),
]

#: FLOPs in the unit of ``--price``
_GIGA = 1e9


def objective_of(
    tokens: int | None, flops: float | None, target: float | None, price: float | None
) -> Objective:
    """The objective that the options name.

    A cap on tokens and one on FLOPs go together; otherwise one option is given. Raises BudgetError.
    """
    from planner import objective

    given = {"--tokens or --flops": (tokens, flops) != (None, None), "--target": target is not None}
    given["--price"] = price is not None
    named = [name for name, is_given in given.items() if is_given]
    if len(named) != 1:
        raise BudgetError(
            "a request is for one of --tokens or --flops, --target, --price, "
            f"got {' and '.join(named) if named else 'none'}"
        )
    if target is not None:
        return objective.TargetAccuracy(target)
    if price is not None:
        return objective.Price(price / _GIGA)
    return objective.HardCap(tokens=tokens, flops=flops)
