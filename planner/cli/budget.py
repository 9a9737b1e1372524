"""The options of a budget, which ``recommend`` and ``solve`` share: the words of ``search.budget.Budget``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from search.errors import BudgetError

if TYPE_CHECKING:
    from search.budget import Budget, Prices

__all__ = [
    "AbstainBelow",
    "Accuracy",
    "Confidence",
    "Flops",
    "MeanFlops",
    "MeanTokens",
    "Price",
    "PriceTable",
    "Samples",
    "Seconds",
    "Tokens",
    "Usd",
    "budget_of",
    "prices_of",
]

_PANEL = "Budget"

Tokens = Annotated[
    int | None,
    typer.Option(metavar="N", help="Cap: logical tokens of policy and PRM together.", rich_help_panel=_PANEL),
]
Flops = Annotated[float | None, typer.Option(metavar="N", help="Cap: logical FLOPs.", rich_help_panel=_PANEL)]
Seconds = Annotated[
    float | None,
    typer.Option(metavar="S", help="Cap: a deadline; then the best answer so far.", rich_help_panel=_PANEL),
]
Usd = Annotated[
    float | None,
    typer.Option(metavar="D", help="Cap: money; needs --prices, --models.", rich_help_panel=_PANEL),
]
Samples = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Cap: what so many samples of the first policy take.", rich_help_panel=_PANEL
    ),
]
MeanFlops = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="Most accuracy over requests that take N FLOPs on average.", rich_help_panel=_PANEL
    ),
]
MeanTokens = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="Most accuracy over requests that take N tokens on average.", rich_help_panel=_PANEL
    ),
]
Accuracy = Annotated[
    float | None,
    typer.Option(
        "--accuracy",
        "--target",
        metavar="SHARE",
        help="Least cost at which this accuracy in (0, 1] is expected, on average over requests.",
        rich_help_panel=_PANEL,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="With --accuracy: how surely the average is to reach it, in [0.5, 1).",
        rich_help_panel=_PANEL,
    ),
]
Price = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Spend a GFLOP more only where it is expected to add P of accuracy.",
        rich_help_panel=_PANEL,
    ),
]
PriceTable = Annotated[
    str | None,
    typer.Option(
        "--prices",
        metavar="P,G,R",
        help="Dollars per million tokens: prompt, generated, PRM.",
        rich_help_panel=_PANEL,
    ),
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


def budget_of(
    *,
    tokens: int | None,
    flops: float | None,
    seconds: float | None,
    usd: float | None,
    samples: int | None,
    mean_flops: float | None,
    mean_tokens: float | None,
    accuracy: float | None,
    confidence: float | None,
    price: float | None,
) -> Budget:
    """The budget that the options name. Raises BudgetError."""
    from search.budget import Budget

    if all(
        one is None
        for one in (tokens, flops, seconds, usd, samples, mean_flops, mean_tokens, accuracy, price)
    ):
        raise BudgetError(
            "a question needs a budget, one of --tokens, --flops, --seconds, --usd, --samples, --accuracy, "
            "--mean-flops, --mean-tokens, --price, got none"
        )
    if price is not None and not 0.0 <= price < math.inf:
        raise BudgetError(f"a price is a finite number of at least 0, got --price {price:g}")
    return Budget(
        tokens=tokens,
        flops=flops,
        seconds=seconds,
        usd=usd,
        samples=samples,
        mean_flops=mean_flops,
        mean_tokens=mean_tokens,
        accuracy=accuracy,
        confidence=confidence,
        price=None if price is None else price / _GIGA,
    )


def prices_of(text: str | None) -> Prices | None:
    """The prices that ``P,G,R`` means. Raises BudgetError."""
    from search.budget import Prices

    if text is None:
        return None
    try:
        prompt, generated, prm = map(float, text.split(","))
    except ValueError as error:
        raise BudgetError(f"prices are P,G,R in dollars per million tokens, got {text!r}") from error
    return Prices(prompt, generated, prm)
