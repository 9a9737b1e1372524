from __future__ import annotations

import math

from search.prm_benchmarks.auroc import auroc


def test_ties_count_half_and_nothing_is_nan() -> None:
    assert auroc([0.9, 0.5], [0.5, 0.1]) == (1 + 1 + 0.5 + 1) / 4
    assert auroc([0.1], [0.9]) == 0.0
    assert math.isnan(auroc([], [0.5]))
    assert math.isnan(auroc([0.5], []))
