"""The static ceiling: no choice by kind is better, and small kinds do not chase luck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import worlds

from planner.evaluation.baseline import track_of
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.config_table import ConfigTable
from planner.evaluation.baselines.static_ceiling import kinds_of, static_ceiling
from planner.evaluation.slices import rows_of


@pytest.mark.parametrize("name", ["mixture", "bin_absolute_predicted"])
def test_no_static_choice_of_whole_kinds_is_better(name: str, crossed: BaselineContext) -> None:
    """At every price its accuracy less the price of compute is at least that of the mixture, and here also at
    least that of a lookup by the question."""
    table = crossed.fixed[0]
    ceiling = static_ceiling(table, crossed.data, crossed.prices)
    rival = track_of(name, crossed)
    assert rival is not None
    gained = (ceiling.accuracy - crossed.prices * ceiling.flops).mean(axis=0)
    theirs = (rival.accuracy - crossed.prices * rival.flops).mean(axis=0)
    assert (gained >= theirs - 1e-12).all()


def test_each_kind_has_its_own_choice() -> None:
    """Two domains of 24 problems, each with its own right choice: 1.0 where one choice for all has 0.5."""
    data = worlds.world(48)
    domain = np.asarray(data.domains) == "puzzle"
    values = np.stack([domain, ~domain], axis=1).astype(float)
    table = ConfigTable(settings=("a", "b"), values=values, tokens=np.ones((48, 2)), flops=np.ones((48, 2)))
    # one difficulty, so that kinds are domains
    codes = np.zeros_like(data.pools["small"].codes)
    data = replace(data, pools={"small": replace(data.pools["small"], codes=codes)})
    assert static_ceiling(table, data, np.array([0.1])).accuracy.mean() == 1.0
    few = rows_of(data, np.arange(12))
    cut = table.rows(np.arange(12))
    assert static_ceiling(cut, few, np.array([0.1])).accuracy.mean() == 0.5


def test_kinds_are_domains_with_difficulties_where_these_are_large_enough() -> None:
    data = worlds.world(60)
    right = np.zeros((60, 20), bool)
    # of 30 sums 20 are never right and 10 always; puzzles never
    puzzle = np.asarray(data.domains) == "puzzle"
    right[np.flatnonzero(~puzzle)[20:]] = True
    codes = np.where(right, 0, 1)
    data = replace(data, pools={"small": replace(data.pools["small"], codes=codes)})
    kinds = kinds_of(data, enough=20)
    sums = kinds[~puzzle]
    assert len(set(sums[:20].tolist())) == 1
    # ten easy sums are too few for a kind, and too few for their domain: they join what is left
    assert set(sums[20:].tolist()) == {0}
    assert len(set(kinds[puzzle].tolist())) == 1
    assert set(kinds[puzzle].tolist()) != set(sums[:20].tolist())
    assert set(kinds_of(data, enough=61).tolist()) == {0}
