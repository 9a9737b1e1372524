"""Fitting a head: it finds what states tell, on families that it has not seen, and says how sure it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search.errors import TooLittleDataError
from search.prm_benchmarks.auroc import auroc
from training.heads.head_data import Targets
from training.heads.head_fit import HeadRecipe, Platt, fit_head

SMALL = HeadRecipe(inner=8, epochs=12, rows=128, folds=3, rate=1e-2)


def make(problems: int = 60, ends: int = 8, told: float = 2.0, seed: int = 0) -> dict[str, Any]:
    """States of 6 numbers, of which the first is higher where the sample is right, by ``told``."""
    rng = np.random.default_rng(seed)
    states, targets = [], []
    for _ in range(problems):
        right = np.arange(ends) % 2 == 0
        rows = rng.normal(size=(ends, 6)) + rng.normal(size=6)
        rows[:, 0] += told * right
        states.append(torch.from_numpy(rows).float())
        targets.append(Targets(right.astype(float), np.full(ends, 1.0 / ends)))
    families = [f"f{place % 10}" for place in range(problems)]
    return {"states": states, "balanced": targets, "natural": targets, "families": families}


@pytest.mark.parametrize("inner", [0, 8])
def test_what_states_tell_is_found_on_unseen_families(inner: int) -> None:
    data = make()
    found = fit_head(**data, recipe=HeadRecipe(inner=inner, epochs=12, rows=128, folds=3, rate=1e-2))
    rewards = np.concatenate(found.left_out)
    right = np.concatenate([one.values for one in data["natural"]]) > 0.5
    assert auroc(rewards[right], rewards[~right]) > 0.8
    assert abs(rewards.mean() - 0.5) < 0.05
    assert found.by_family
    assert len(set(zip(data["families"], found.fold, strict=True))) == 10  # families stay whole
    assert set(found.tensors) == {"mean", "scale", "last.weight", "last.bias"} | (
        {"first.weight", "first.bias"} if inner else set()
    )
    assert found.tensors["last.weight"].shape == (1, inner or 6)


def test_the_same_data_make_the_same_head() -> None:
    one, two = (fit_head(**make(), recipe=SMALL) for _ in range(2))
    assert one.platt == two.platt
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


def test_one_family_is_split_by_problems() -> None:
    data = make() | {"families": ["f"] * 60}
    found = fit_head(**data, recipe=SMALL)
    assert not found.by_family
    assert len(set(found.fold)) == 3


def test_a_unit_that_never_moves_tells_nothing() -> None:
    data = make()
    for rows in data["states"]:
        rows[:, 3] = 7.0
    found = fit_head(**data, recipe=SMALL)
    assert found.tensors["scale"][3] == 0.0


def test_nothing_to_learn_from_is_told() -> None:
    data = make(problems=12)
    empty = [Targets(one.values, np.zeros_like(one.weights)) for one in data["balanced"]]
    with pytest.raises(
        TooLittleDataError, match="each part of the families needs problems with right and wrong"
    ):
        fit_head(**data | {"balanced": empty}, recipe=HeadRecipe(folds=3, natural=0.0))
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        HeadRecipe(folds=1)
    with pytest.raises(ValueError, match="inner cannot be negative but got -1"):
        HeadRecipe(inner=-1)
    with pytest.raises(ValueError, match="natural must be from 0 to 1, got 2"):
        HeadRecipe(natural=2.0)


@given(st.floats(0.2, 3.0), st.floats(-2.0, 2.0), st.integers(0, 20))
def test_platt_finds_the_chances_behind_values(slope: float, offset: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=4000)
    chances = 1.0 / (1.0 + np.exp(-(slope * values + offset)))
    weights = np.random.default_rng(seed + 1).uniform(0.5, 1.5, size=4000)
    found = Platt.fit(values, Targets(chances, weights))
    assert found.slope == pytest.approx(slope, abs=1e-3)
    assert found.offset == pytest.approx(offset, abs=1e-3)
    assert found.apply(values) == pytest.approx(chances, abs=1e-3)


def test_values_that_say_the_opposite_are_refused() -> None:
    values = np.linspace(-1.0, 1.0, 50)
    with pytest.raises(TooLittleDataError, match="must tell right from wrong on families"):
        Platt.fit(values, Targets((values < 0).astype(float), np.ones(50)))
