from __future__ import annotations

import numpy as np
import pytest

from planner.deciding.decision import Rule, decide
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from planner.report.influence import influence
from planner.report.paired_comparison import PairedComparison, effects, paired_comparison


@pytest.mark.parametrize("samples", [1e-4, 1e-2, 0.3])
def test_the_other_option_is_the_best_of_those_left(
    planner: Planner, data: TrainingData, samples: float
) -> None:
    price = samples / planner.sample_flops
    stage = planner.stages[0]
    table = Matrices(data, planner.encoder, probes=1, resamples=4).at(stage.probe, stage.choices)
    menu = stage.menu(table.features, table.characters)
    count = len(stage.choices)
    for row, option in enumerate(decide(menu, Rule(price=price))[:40]):
        found = paired_comparison(stage, menu, row, int(option), price)
        net = menu.advantage[row] - price * menu.costs.flops[row]
        assert found.other is not None
        assert found.other != found.taken
        assert found.taken == option if option < count else found.taken >= count
        left = [c for c in range(count) if c != found.taken]
        assert found.other >= count or net[found.other] == net[left].max()


def test_effects_add_up_to_what_the_features_changed(planner: Planner, data: TrainingData) -> None:
    """Path attribution is complete: two rows' effects differ by as much as their predictions do."""
    stage = planner.stages[0]
    table = Matrices(data, planner.encoder, probes=1, resamples=4).at(stage.probe, stage.choices)
    menu = stage.menu(table.features, table.characters)
    between = PairedComparison(taken=0, other=len(stage.choices) - 1)
    assert between.other is not None
    added = np.array([effects(stage, row, between).sum() for row in table.features[:20]])
    predicted = menu.advantage[:20, between.taken] - menu.advantage[:20, between.other]
    assert np.diff(added) == pytest.approx(np.diff(predicted), abs=1e-9)
    assert np.ptp(added) > 0


def test_without_another_option_nothing_moved(planner: Planner) -> None:
    stage = planner.stages[0]
    features = (stage.lowest + stage.highest) / 2
    assert not effects(stage, features, PairedComparison(taken=0, other=None)).any()


def test_panels_rank_features_by_their_mean_effect(planner: Planner, data: TrainingData) -> None:
    matrices = Matrices(data, planner.encoder, probes=1, resamples=4)
    panels = influence(planner, matrices, 0.01 / planner.sample_flops, decisions=25, features=4)
    assert panels
    assert panels[0].probe == "the question"
    for panel in panels:
        sizes = [effect.size for effect in panel.effects]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) <= 4
        assert panel.decisions <= 25
        for effect in panel.effects:
            assert effect.size == pytest.approx(np.abs(effect.effects).mean())
            assert len(effect.effects) == len(effect.ranks) == panel.decisions
            assert all(0 <= rank <= 1 for rank in effect.ranks)
