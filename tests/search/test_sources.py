"""Sources open what they name, lazily, and refuse options that nobody knows."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.engines.embedded import EmbeddedEngine
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import CheckpointError, EngineError, MissingExtraError, UnreachableError
from search.loader import SourceLoader
from search.remote.fake_server import FakeServer, Fault
from search.rewards.served.fake_server import FakePrmServer
from search.rewards.served.http import HttpReward
from search.sources import EmbeddedPolicy, FolderPrm, ServedPolicy, ServedPrm, VllmPolicy, VllmPrm
from search.sync import run_sync


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(FakeOpenAI(ScriptedEngine(lambda text, rng: "# 1", name="org/m-1B"))) as running:
        yield running


def test_folders_give_cards_without_weights(policy: Path, prm: Path) -> None:
    for source in (EmbeddedPolicy(policy), VllmPolicy(policy)):
        assert source.card().name == policy.name
    for judge in (FolderPrm(prm), VllmPrm(prm)):
        assert judge.card().name == prm.name
    with pytest.raises(CheckpointError, match="a checkpoint is a folder"):
        EmbeddedPolicy(policy / "missing").card()


def test_what_they_open(policy: Path, prm: Path, server: FakeServer) -> None:
    with FakeServer(FakePrmServer(str(prm))) as judge:
        loader = SourceLoader(
            {"a": EmbeddedPolicy(policy, {"threads": 1}), "m-1B": ServedPolicy(server.url, "m-1B")},
            {"near": FolderPrm(prm), "far": ServedPrm(judge.url, prm)},
        )
        try:
            assert isinstance(loader.engine("a"), EmbeddedEngine)
            assert loader.policy_card("m-1B").parameters == 10**9
            assert isinstance(loader.engine("m-1B"), OpenAIEngine)
            assert loader.engine("m-1B") is loader.engine("m-1B")
            assert loader.prm_card("far") == loader.prm_card("near")
            assert isinstance(loader.reward("far"), HttpReward)
        finally:
            run_sync(loader.close())
        assert len([asked for asked in server.asked if asked.path == "/v1/models"]) == 1
        assert len([asked for asked in judge.asked if asked.path == "/v1/models"]) == 1


def test_a_servers_template_is_told_by_a_rendered_question(policy: Path, server: FakeServer) -> None:
    served = ServedPolicy(server.url)
    assert served.chat_template() == served.chat_template() == "?" + TURN
    assert [asked.path for asked in server.asked] == ["/v1/models", "/tokenize", "/detokenize"]
    assert "<user>" in ServedPolicy(server.url, options={"tokenizer": policy}).chat_template()
    server.fail("/tokenize", Fault.answer(404))
    assert ServedPolicy(server.url).chat_template() == ""


def test_options_that_nobody_knows(policy: Path, prm: Path, server: FakeServer) -> None:
    for source, engine in (
        (EmbeddedPolicy(policy, {"colour": 1}), "embedded"),
        (ServedPolicy(server.url, options={"colour": 1}), "openai"),
        (FolderPrm(prm, {"colour": 1}), "embedded"),
        (ServedPrm(server.url, prm, {"colour": 1}), "openai"),
    ):
        with pytest.raises(
            EngineError, match=rf"an option of the {engine} engine must be one of .*, got 'colour'"
        ):
            source.open()


def test_a_key_is_in_no_representation(prm: Path) -> None:
    options = {"api_key": "secret", "patience": 0.0}
    served = (ServedPolicy("http://127.0.0.1:9", "m", options), ServedPrm("http://127.0.0.1:9", prm, options))
    for source in served:
        assert "secret" not in repr(source)
        with pytest.raises(UnreachableError) as caught:
            source.card()
        assert "secret" not in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_vllm_says_what_to_install(policy: Path) -> None:
    with pytest.raises(MissingExtraError, match="vLLM"):
        VllmPolicy(policy).open()


@pytest.mark.parametrize("source", ["ServedPolicy('http://h')", "ServedPrm('http://h', 'folder')"])
def test_a_missing_package_is_named_with_what_to_install(source: str) -> None:
    script = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "from search.errors import MissingExtraError\n"
        "from search.sources import ServedPolicy, ServedPrm\n"
        f"try: {source}.card()\n"
        "except MissingExtraError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.startswith("the openai engine needs the openai")
    assert "got no aiohttp: pip install 'test-time-planner[openai" in said
