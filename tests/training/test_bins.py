"""Binned rows of probes and folds: shared, masked, and the same whatever fits them at the same time."""

from __future__ import annotations

import numpy as np
import pytest

from planner.evidence.matrix import Matrices, Matrix
from planner.evidence.probe import Probe, feature_groups
from planner.evidence.training_data import TrainingData, read_training_data
from planner.features.question import NgramEncoder
from planner.predicting.lightgbm_text import parse
from training.bins import Bins
from training.crossfit import folds_of
from training.study import fit_training_data


@pytest.fixture(scope="module")
def small(synthetic) -> TrainingData:  # type: ignore[no-untyped-def]
    return read_training_data(synthetic.make_log(70, draws=16, ns=(4,)), synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture(scope="module")
def matrix(small: TrainingData) -> Matrix:
    return Matrices(small, NgramEncoder.fit(small.questions)).at(Probe("small", 2))


def test_folds_part_the_rows_of_each_problem_together(small: TrainingData, matrix: Matrix) -> None:
    bins = Bins(folds_of(small.families, 3, 0))
    assert bins.names == (0, 1, 2)
    seen = []
    for fold in bins.names:
        out, rest = bins.split(matrix, fold)
        assert not set(matrix.problem[out]) & set(matrix.problem[rest])
        assert len(out) + len(rest) == len(matrix.problem)
        seen += out.tolist()
    assert sorted(seen) == list(range(len(matrix.problem)))


def test_one_fold_alone_is_fitted_on_itself(small: TrainingData, matrix: Matrix) -> None:
    bins = Bins(np.zeros(len(small), np.int64))
    out, rest = bins.split(matrix, 0)
    assert np.array_equal(out, rest)
    assert len(out) == len(matrix.problem)


def test_rows_are_binned_once_per_look_fold_and_groups(small: TrainingData, matrix: Matrix) -> None:
    bins = Bins(folds_of(small.families, 3, 0))
    assert bins.at(matrix, ("surface",), 1) is bins.at(matrix, ("surface", "rewards"), 1)
    assert bins.at(matrix, None, 1) is not bins.at(matrix, ("surface",), 1)
    assert bins.at(matrix, None, 1) is not bins.at(matrix, None, 2)
    every = tuple(dict.fromkeys(feature_groups(matrix.probe, 12)))
    assert bins.at(matrix, every, 1) is bins.at(matrix, None, 1)


def test_no_tree_splits_on_a_group_that_is_off(small: TrainingData, matrix: Matrix) -> None:
    from planner.predicting.boosting import Shape

    text = (
        Bins(folds_of(small.families, 3, 0))
        .at(matrix, ("surface",))
        .boost(matrix.values[:, 0], Shape(min_data=5, l2=0.0), probability=False, seed=0)
    )
    trees = parse(text)
    inner = trees.left != np.arange(len(trees.left))
    groups = np.array(feature_groups(matrix.probe, 12))
    assert inner.any()
    assert set(groups[trees.feature[inner]]) == {"surface"}


def test_threads_change_nothing(small: TrainingData) -> None:
    one, two = (fit_training_data(small, trials=0, threads=n) for n in (1, 2))
    assert [s.models for s in one.stages] == [s.models for s in two.stages]
    assert one.card == two.card
