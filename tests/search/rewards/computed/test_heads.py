"""Heads: a row's reward does not depend on how many others are read with it, down to the last bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from search.errors import CheckpointError
from search.rewards.computed.heads import ChoiceHead, ClassifierHead, Head, ValueHead, read_rows, read_tensor
from search.rewards.families import read_prm


@pytest.fixture(params=["classifier", "choice", "value"])
def head(request: pytest.FixtureRequest, published: dict[str, Path]) -> Head:
    if request.param == "classifier":
        return ClassifierHead(read_prm(published["qwen"]))
    if request.param == "choice":
        return ChoiceHead(read_prm(published["rlhflow"]), 5, 7)
    checkpoint = read_prm(published["value_head"])
    return ValueHead(checkpoint, "v_head.summary.weight", "v_head.summary.bias")


@torch.inference_mode()
def test_rewards_do_not_depend_on_their_neighbours(head: Head) -> None:
    states = torch.randn(40, 64, generator=torch.Generator().manual_seed(1))
    together = head.rewards(states)
    assert len(set(together)) > 30
    assert all(0.0 <= reward <= 1.0 for reward in together)
    for count in (1, 2, 3, 4, 7, 8, 9, 39):
        assert head.rewards(states[:count]) == together[:count]
        assert head.rewards(states[40 - count :]) == together[40 - count :]


def test_tensors_that_do_not_fit_are_named(published: dict[str, Path]) -> None:
    checkpoint = read_prm(published["value_head"])
    with pytest.raises(
        CheckpointError, match=r"v_head\.summary\.weight must have shape \(2, 64\), got \(1, 64\)"
    ):
        read_tensor(checkpoint, "v_head.summary.weight", 2, 64)
    with pytest.raises(CheckpointError, match=r"the weights must hold nothing\.weight, got none"):
        read_tensor(checkpoint, "nothing.weight", 1)
    with pytest.raises(CheckpointError, match=r"v_head\.summary\.bias must have rows of 64"):
        read_rows(checkpoint, "v_head.summary.bias", (0,))
