"""A planner is followed through a decision log alike on SQLite and on PostgreSQL."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[4] / "benchmarks"))

from traffic_log import serve

from planner.planner import Planner
from planner.server.decisions.store import Store
from planner.traffic.follow import Follower
from planner.traffic.gather import gather
from planner.traffic.ope import evaluate_offline
from planner.traffic.sources import Sources


def test_a_planner_is_followed(where: str, planner: Planner) -> None:
    made = serve(planner, where, 120, share=0.0)
    store = Store.read(where)
    try:
        found = gather(store, Follower(planner, "f" * 64))
    finally:
        store.close()
    assert found.weights.tolist() == np.ones(found.weights.shape).tolist()
    assert len(found) == 120
    report = evaluate_offline(found, Sources())
    assert report.value is not None
    share = sum(right for _, right in made) / 120
    assert abs(report.value.served.value - share) < 1e-9
    assert abs(report.value.snips.value - share) < 1e-9
