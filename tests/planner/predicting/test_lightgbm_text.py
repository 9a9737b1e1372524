"""Texts that are no models are refused, and crash nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.predicting.lightgbm_text import parse
from planner.predicting.trees import Forest
from search.errors import ArtefactError
from tests.planner.predicting.test_trees import text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("left_child=", "left_child=99 "),
        ("num_leaves=7", "num_leaves=999999999"),
        ("decision_type=2", "decision_type=1"),
        ("leaf_value=", "leaf_value=nan "),
        ("max_feature_idx=5", "max_feature_idx=1"),
        ("version=v4", "version=v3"),
        ("objective=regression", "objective=custom"),
        ("end of trees", "end of tree"),
        ("Tree=1\n", "Tree=7\n"),
    ],
)
def test_refuses_malformed_text(old: str, new: str) -> None:
    broken = text().replace(old, new, 1)
    assert broken != text()
    with pytest.raises(ArtefactError):
        parse(broken)


def test_refuses_a_cycle() -> None:
    lines = text().split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("left_child="))
    children = lines[at].removeprefix("left_child=").split(" ")
    inner = next(i for i, child in enumerate(children) if int(child) > 0)
    lines[at] = "left_child=" + " ".join([*children[:inner], "0", *children[inner + 1 :]])
    with pytest.raises(ArtefactError, match="exactly one parent"):
        parse("\n".join(lines))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mutation_crashes(data: st.DataObject) -> None:
    raw = bytearray(MODEL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(raw), 6000) - 1))
        action = data.draw(st.sampled_from(["replace", "delete", "insert"]))
        byte = data.draw(st.sampled_from(b"0123456789-.= \nen"))
        if action == "replace":
            raw[at] = byte
        elif action == "delete":
            del raw[at : at + data.draw(st.integers(1, 40))]
        else:
            raw.insert(at, byte)
    try:
        model = parse(raw.decode())
    except ArtefactError:
        return
    assert np.isfinite(Forest([model]).predict(np.zeros((1, model.features)))).all()


MODEL = text().encode()
