from __future__ import annotations

import numpy as np
import pytest
import worlds

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.probe_rule import probe_rule


def test_unanimous_probes_pay_for_themselves_alone() -> None:
    codes = np.zeros((60, 24), np.int64)
    context = worlds.context(worlds.world(60, codes=codes), worlds.world(60, seed=3))
    track = probe_rule(context)
    assert track is not None
    pool = context.data.pools["small"]
    assert (track.accuracy == 1.0).all()
    assert track.tokens.max() < (pool.prompt + 5 * pool.tokens.max(axis=1)).max()


def test_it_goes_on_where_samples_differ(apart: BaselineContext) -> None:
    track = probe_rule(apart)
    assert track is not None
    assert track.flops[:, 0].max() > 1.5 * track.flops[:, -1].max()  # at the lowest price it asks for more
    assert track.at(float(track.flops[:, 0].mean()))[0].mean() > track.accuracy[:, -1].mean()


@pytest.mark.parametrize("how", [{"draws": 4, "ns": (1, 2)}, {"ns": (1, 4)}])
def test_without_room_there_is_none(how: dict[str, int]) -> None:
    assert probe_rule(worlds.context(worlds.world(30, **how))) is None  # type: ignore[arg-type]
