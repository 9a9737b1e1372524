"""Fits one boosted model with LightGBM, the same bits for the same seed, and hands back its text.

It knows nothing of choices or problems. LightGBM is needed here only: what it wrote is read by
``planner.trees``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Shape", "boost"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a boosted model and how strongly it is held back.

    ``min_data`` counts rows per leaf, ``l2`` is LightGBM's lambda_l2, ``share`` the share of
    features that each tree may look at.
    """

    trees: int = 60
    leaves: int = 4
    rate: float = 0.06
    min_data: int = 40
    l2: float = 20.0
    share: float = 0.5

    def __post_init__(self) -> None:
        for name, value, low in (
            ("trees", self.trees, 1),
            ("leaves", self.leaves, 2),
            ("min_data", self.min_data, 1),
        ):
            if value < low:
                raise ValueError(f"{name} must be at least {low}, got {value}")
        if not 0 < self.rate <= 1 or not 0 < self.share <= 1 or self.l2 < 0:
            raise ValueError(
                "rate and share must be in (0, 1] and l2 not negative, "
                f"got {self.rate}, {self.share}, {self.l2}"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values, for cards."""
        return asdict(self)


def boost(
    rows: Floats, labels: Floats, weights: Floats, shape: Shape, *, probability: bool, seed: int, threads: int
) -> str:
    """LightGBM's text of a model fitted to rows (rows, features).

    ``probability``: labels are expectations in [0, 1] and the output is a logit (objective
    ``cross_entropy``); otherwise plain regression.
    """
    import lightgbm

    parameters = {
        "objective": "cross_entropy" if probability else "regression",
        "num_leaves": shape.leaves,
        "learning_rate": shape.rate,
        "min_data_in_leaf": min(shape.min_data, max(1, len(rows) // 8)),
        "min_sum_hessian_in_leaf": 0.0,
        "lambda_l2": shape.l2,
        "feature_fraction": shape.share,
        "max_bin": 63,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "feature_pre_filter": False,
        "use_missing": False,
        "seed": seed % (2**31),
        "verbosity": -1,
    }
    # weights of mean one keep min_data, l2 and the labels' scale meaning the same on every log
    scaled = weights * (len(weights) / weights.sum())
    data = lightgbm.Dataset(rows, labels, weight=scaled, params=parameters, free_raw_data=True)
    booster = lightgbm.train(parameters, data, num_boost_round=shape.trees)
    return str(booster.model_to_string())
