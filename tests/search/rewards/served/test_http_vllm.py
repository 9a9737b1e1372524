"""The HTTP reward over real ``vllm serve`` processes gives the family's rewards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.checkpoint import read_checkpoint
from search.rewards.computed.classifier import SEPARATOR
from search.rewards.computed.pieces import Pieces
from search.rewards.families import open_reward
from search.rewards.served.http import HttpReward

pytestmark = [pytest.mark.slow, pytest.mark.vllm]

ASKED = [
    ("what is 1 + 2", ["1+2=3", "3+4=7", "so 7"]),
    ("what is 1 + 2", ["1+2=3"]),
    ("what is 4 + 5", ["4+5=9", "# 9"]),
]


async def agree(url: str, folder: Path) -> None:
    async with HttpReward.connect(url, folder) as far, open_reward(folder) as near:
        found = await asyncio.gather(*(far.extend(far.open(q), steps) for q, steps in ASKED))
        for (question, steps), scored in zip(ASKED, found, strict=True):
            alone = await near.extend(near.open(question), steps)
            assert scored.rewards == pytest.approx(alone.rewards, abs=1e-4)
            assert scored.usage.logical_tokens == alone.usage.logical_tokens


@pytest.mark.parametrize("pooling", ["STEP", "ALL"])
async def test_pooling(vllm_server: Callable[..., Any], vllm_folders: dict[str, Path], pooling: str) -> None:
    folder = vllm_folders["lab-prm-good"]
    tag = Pieces(read_checkpoint(folder)).token(SEPARATOR)
    pooler: dict[str, Any] = {"tok_pooling_type": pooling}
    pooler |= {"step_tag_id": tag} if pooling == "STEP" else {}
    caching = () if pooling == "STEP" else ("--no-enable-prefix-caching",)
    server = vllm_server(folder, "--runner", "pooling", "--pooler-config", json.dumps(pooler), *caching)
    await agree(server.url, folder)


async def test_a_causal_reward_model(vllm_server: Callable[..., Any], vllm_folders: dict[str, Path]) -> None:
    folder = vllm_folders["rlhflow"]
    await agree(vllm_server(folder).url, folder)
