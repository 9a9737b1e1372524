"""Fits one boosted model with LightGBM, the same bits for the same seed, and hands back its text.

It knows nothing of choices or problems. LightGBM is needed here only: what it wrote is read by
``planner.predicting.lightgbm_text``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Binned", "Shape", "boost"]

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


#: what LightGBM must know when it bins rows, and be told again whenever it boosts them
_BINNING = {
    "max_bin": 63,
    "feature_pre_filter": False,
    "use_missing": False,
    "deterministic": True,
    "force_row_wise": True,
    "data_random_seed": 1,
    "verbosity": -1,
}


class Binned:
    """Rows of features (rows, features), put into bins once, on which any number of models are boosted.

    Every model has the bits that it would have on rows binned for it alone. One thread at a time: the
    labels of the moment lie beside the rows. ``weights`` (rows,) are scaled to mean one, which keeps
    min_data, l2 and the labels' scale meaning the same on every log.
    """

    def __init__(self, rows: Floats, weights: Floats | None = None) -> None:
        import lightgbm

        self._size = len(rows)
        # LightGBM wants labels from the start; they are put in place for each model
        self._data = lightgbm.Dataset(
            rows,
            np.zeros(len(rows)),
            weight=None if weights is None else weights * (len(weights) / weights.sum()),
            params=dict(_BINNING),
            free_raw_data=True,
        ).construct()

    def boost(self, labels: Floats, shape: Shape, *, probability: bool, seed: int, threads: int = 1) -> str:
        """LightGBM's text of a model fitted to labels (rows,); ``boost`` says what the rest means."""
        import lightgbm

        parameters = _BINNING | {
            "objective": "cross_entropy" if probability else "regression",
            "num_leaves": shape.leaves,
            "learning_rate": shape.rate,
            "min_data_in_leaf": min(shape.min_data, max(1, self._size // 8)),
            "min_sum_hessian_in_leaf": 0.0,
            "lambda_l2": shape.l2,
            "feature_fraction": shape.share,
            "num_threads": threads,
            "seed": seed % (2**31),
        }
        self._data.set_label(labels)
        booster = lightgbm.train(
            parameters, self._data, num_boost_round=shape.trees, keep_training_booster=True
        )
        return str(booster.model_to_string())


def boost(
    rows: Floats, labels: Floats, weights: Floats, shape: Shape, *, probability: bool, seed: int, threads: int
) -> str:
    """LightGBM's text of a model fitted to rows (rows, features).

    ``probability``: labels are expectations in [0, 1] and the output is a logit (objective
    ``cross_entropy``); otherwise plain regression.
    """
    return Binned(rows, weights).boost(labels, shape, probability=probability, seed=seed, threads=threads)
