"""``planner serve --base-url`` as a process: the policy behind a server of its own, real vLLM included."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from serve_process import begun, snippet

from planner.models import shipped
from search.engines.embedded import EmbeddedEngine
from search.engines.openai.fake import FakeOpenAI
from search.remote.fake_server import FakeServer

POLICY = "lab-policy-m"


@pytest.fixture
def policy() -> Iterator[FakeServer]:
    """The policy behind a server that speaks as vLLM does."""
    engine = EmbeddedEngine.load(shipped(POLICY))
    tokenizer = engine._tokenizer
    app = FakeOpenAI(engine, encode=tokenizer.encode, decode=tokenizer.decode)
    with FakeServer(app) as server:
        yield server
    engine._finalizer()


def answers_behind(url: str, tmp_path: Path) -> None:
    """The snippet of ``docs/server.md``, and a search, against ``planner serve --base-url``."""
    options = ["--base-url", url, "--policy", str(shipped(POLICY)), "--port", "0"]
    with begun(options, tmp_path) as (_, served):
        code = snippet().replace("http://127.0.0.1:8400", served)
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), timeout=300
        )
        assert ran.returncode == 0, ran.stderr
        assert "157" in ran.stdout
        with openai.OpenAI(base_url=f"{served}/v1", api_key="none", max_retries=0) as ask:
            talk: list[Any] = [
                {"role": "system", "content": "Work in steps."},
                {"role": "user", "content": "What is (13+64)+80?"},
            ]
            found = ask.chat.completions.create(model="planner/weighted_vote(n=4, score=last)", messages=talk)
            receipt: Any = found.model_extra["planner"]  # type: ignore[index]
            assert (receipt["policy"], receipt["plan"]) == (POLICY, "weighted_vote(n=4, score=last)")
            assert found.usage is not None
            assert found.usage.total_tokens == receipt["spend"]["tokens"]
            tree = ask.chat.completions.create(model="planner/beam_search(n=4, width=2)", messages=talk[1:])
            assert tree.choices[0].message.content


@pytest.mark.slow
def test_a_policy_behind_its_own_server(policy: FakeServer, tmp_path: Path) -> None:
    answers_behind(policy.url, tmp_path)


@pytest.mark.slow
@pytest.mark.vllm
def test_a_policy_behind_real_vllm(vllm_server: Callable[..., Any], tmp_path: Path) -> None:
    answers_behind(vllm_server(shipped(POLICY)).url, tmp_path)
