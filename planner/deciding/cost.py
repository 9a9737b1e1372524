"""What options cost: one predicted length per policy, times what each choice draws of it.

A choice costs prompts plus ``rate`` x (tokens of one sample), so that mean and 90% quantile grow with n
by construction. A sample's predicted length comes from a boosted model (``planner.deciding.stages``), the
rates are measured on a log (``training.costs``); this file holds the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["ChoiceCost", "CostTable", "Costs", "cost_table", "costs"]

Floats = NDArray[np.float64]

#: 90% quantile of the standard normal distribution
_Z90 = 1.2815515655446004


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What options cost beyond what has been paid, (rows, options): means and 90% quantiles.

    ``usd_p90``: in US dollars, each model's tokens at its own price; None where no money is counted.
    """

    tokens: Floats
    flops: Floats
    tokens_p90: Floats
    flops_p90: Floats
    usd_p90: Floats | None = None

    def parted(self, at: int) -> tuple[Costs, Costs]:
        """Those of the options before column ``at``, and of the others."""
        return self._of(slice(at)), self._of(slice(at, None))

    def _of(self, options: slice) -> Costs:
        return Costs(
            tokens=self.tokens[:, options],
            flops=self.flops[:, options],
            tokens_p90=self.tokens_p90[:, options],
            flops_p90=self.flops_p90[:, options],
            usd_p90=None if self.usd_p90 is None else self.usd_p90[:, options],
        )

    def __add__(self, other: Costs) -> Costs:
        """The sums; quantiles are added too, which is on the safe side."""
        usd = None
        if self.usd_p90 is not None and other.usd_p90 is not None:
            usd = self.usd_p90 + other.usd_p90
        return Costs(
            tokens=self.tokens + other.tokens,
            flops=self.flops + other.flops,
            tokens_p90=self.tokens_p90 + other.tokens_p90,
            flops_p90=self.flops_p90 + other.flops_p90,
            usd_p90=usd,
        )

    def where(self, counted: NDArray[np.bool_]) -> Costs:
        """Costs of one option (rows, 1) for those (options,) that it counts for, 0 for others."""
        times = np.where(counted, 1.0, 0.0)
        return Costs(
            tokens=self.tokens * times,
            flops=self.flops * times,
            tokens_p90=self.tokens_p90 * times,
            flops_p90=self.flops_p90 * times,
            usd_p90=None if self.usd_p90 is None else self.usd_p90 * times,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceCost:
    """One choice's cost, as numbers.

    ``policy``: index of the policy whose sample length counts. ``policy_rate`` / ``prm_rate``: tokens of
    each model per token of one sample. Prompts are ``constant + slope x characters`` tokens of the
    question, already 0 where nothing is left to pay. ``spread``: relative standard deviation of one
    sample's length around the prediction, shrinking with the square root of ``effective`` samples;
    ``error``: relative error of the prediction itself.
    """

    policy: int
    policy_rate: float
    prm_rate: float
    policy_prompt: float
    policy_prompt_slope: float
    prm_prompt: float
    prm_prompt_slope: float
    policy_flops: float
    prm_flops: float
    spread: float
    error: float
    effective: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ArtefactError(f"a cost's {field.name} must be finite and not negative, got {value}")

    @property
    def stretch(self) -> float:
        """The 90% quantile of the part that depends on length, over its mean."""
        return 1.0 + _Z90 * math.sqrt(self.spread**2 / max(self.effective, 1.0) + self.error**2)

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ChoiceCost:
        """The inverse of ``to_json``."""
        numbers = {f.name: float(value[f.name]) for f in fields(cls) if f.name != "policy"}
        return cls(policy=int(value["policy"]), **numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTable:
    """Costs of C choices as arrays (C,), what does not depend on a request worked out beforehand."""

    policy: NDArray[np.int64]
    rate: Floats
    flops_rate: Floats
    prompt: Floats
    prompt_slope: Floats
    prm_prompt: Floats
    prm_prompt_slope: Floats
    flops: Floats
    prm_flops: Floats
    stretch: Floats


def cost_table(table: Sequence[ChoiceCost]) -> CostTable:
    """The numbers of some choices, for ``costs``."""

    def column(name: str) -> Floats:
        return np.array([getattr(cost, name) for cost in table], np.float64)

    rate, prm_rate = column("policy_rate"), column("prm_rate")
    flops, prm_flops = column("policy_flops"), column("prm_flops")
    return CostTable(
        policy=np.array([cost.policy for cost in table], np.int64),
        rate=rate + prm_rate,
        flops_rate=rate * flops + prm_rate * prm_flops,
        prompt=column("policy_prompt"),
        prompt_slope=column("policy_prompt_slope"),
        prm_prompt=column("prm_prompt"),
        prm_prompt_slope=column("prm_prompt_slope"),
        flops=flops,
        prm_flops=prm_flops,
        stretch=column("stretch"),
    )


def costs(table: CostTable, lengths: Floats, characters: Floats) -> Costs:
    """Costs (rows, C) from predicted tokens of one sample (rows, policies) and question lengths (rows,)."""
    length = lengths.take(table.policy, axis=1)
    size = characters[:, None]
    fixed_policy = table.prompt + table.prompt_slope * size
    fixed_prm = table.prm_prompt + table.prm_prompt_slope * size
    varying, varying_flops = length * table.rate, length * table.flops_rate
    fixed, fixed_flops = fixed_policy + fixed_prm, fixed_policy * table.flops + fixed_prm * table.prm_flops
    return Costs(
        tokens=fixed + varying,
        flops=fixed_flops + varying_flops,
        tokens_p90=fixed + varying * table.stretch,
        flops_p90=fixed_flops + varying_flops * table.stretch,
    )
