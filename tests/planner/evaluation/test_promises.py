"""Promises are compared with what was met over all domains and families."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.evaluation.budget_adherence import budget_adherence
from planner.evaluation.promises import promised_and_met, spread
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=80), st.integers(1, 40))
def test_every_family_has_its_share(families: list[str], most: int) -> None:
    domains = ["one" if family in "ab" else "two" for family in families]
    places = spread(domains, families, most)
    assert len(places) == len(set(places.tolist())) == min(most, len(families))
    assert places.tolist() == sorted(places.tolist())
    share = min(1.0, most / len(families))
    for names in (domains, families):
        asked = Counter(names[place] for place in places)
        assert all(abs(asked[name] - share * count) <= 1.0 + 1e-9 for name, count in Counter(names).items())


def test_means_are_over_the_domains(planner: Planner, data: TrainingData) -> None:
    matrices = Matrices(data, planner.encoder, probes=1, resamples=2)
    one = budget_adherence(planner, matrices, 4.0 * planner.sample_flops)
    found = promised_and_met(planner, data, one, most=60)
    parts = found["domains"]
    assert set(parts) == set(data.domains)
    assert found["problems"] == sum(part["problems"] for part in parts.values()) == 60
    for name in ("flops_promised", "flops_met", "accuracy_promised", "accuracy_met"):
        mean = sum(part["problems"] * part[name] for part in parts.values()) / 60
        assert found[name] == pytest.approx(mean)
    assert found["flops_met"] * (1 + found["flops_error_percent"] / 100) == pytest.approx(
        found["flops_promised"]
    )
    whole = promised_and_met(planner, data, one)
    assert whole["accuracy_met"] == pytest.approx(np.mean(one.accuracy))
