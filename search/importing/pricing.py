"""What a sample cost where a record has prices, dollars or seconds instead of FLOPs.

A planner weighs policies by FLOPs. Where sizes are not known and prices are, FLOPs stand for money: a
dollar per million tokens counts as ``FLOPS_PER_TOKEN`` a token, about what a model of 40B parameters
costs. The constant scales a log as a whole, so comparisons inside it do not depend on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from search.errors import RecordError
from search.importing.report import Report

__all__ = ["FLOPS_PER_TOKEN", "Charge", "Price", "priced"]

#: FLOPs of a token that costs a millionth of a dollar
FLOPS_PER_TOKEN = 8e10


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens of the prompt and of what is generated."""

    prompt: float
    generated: float

    def __post_init__(self) -> None:
        for value in (self.prompt, self.generated):
            if not 0.0 <= value < math.inf:
                raise RecordError(f"a price is a number of dollars per million tokens from 0, got {value}")
        if not self.generated:
            raise RecordError("a price of generated tokens is above 0, got 0")


@dataclass(frozen=True, slots=True)
class Charge:
    """What a sample is charged; ``flops_per_token`` is None where the policy's size says it."""

    prompt_tokens: int
    tokens: int
    flops_per_token: float | None


def priced(
    prompt: int,
    tokens: int | None,
    price: Price | None,
    cost: float | None,
    seconds: float | None,
    report: Report,
) -> Charge:
    """The charge of a sample: its own cost, else its price, else its tokens, else its seconds.

    ``cost`` in dollars becomes tokens of a millionth of a dollar; ``seconds`` alone become tokens of a
    millisecond. A prompt is counted in generated tokens of the same price.
    """
    if cost is not None:
        report.note("costs: a token of the log stands for a millionth of a dollar, prompts included")
        return Charge(0, max(1, round(cost * 1e6)), FLOPS_PER_TOKEN)
    if tokens is None:
        report.note("seconds: a token of the log stands for a millisecond, prompts included")
        return Charge(0, max(1, round((seconds or 0.0) * 1e3)), FLOPS_PER_TOKEN)
    if price is None:
        return Charge(prompt, tokens, None)
    report.note(
        f"prices: FLOPs stand for money, {FLOPS_PER_TOKEN:.0e} for a millionth of a dollar; prompts are "
        "counted in generated tokens of the same price"
    )
    scaled = math.ceil(prompt * price.prompt / price.generated)
    return Charge(scaled, tokens, price.generated * FLOPS_PER_TOKEN)
