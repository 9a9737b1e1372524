"""Two tokenizers of one policy: a folder's and the server's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.checkpoint import read_checkpoint
from search.engines.openai.fake import FakeOpenAI
from search.engines.openai.tokenizer import FolderTokenizer, ServerTokenizer
from search.engines.scripted import TURN, ScriptedEngine
from search.engines.tokenizer import CheckpointTokenizer
from search.errors import CheckpointError, GarbledError
from search.remote.client import Client
from search.remote.fake_server import FakeServer, Fault


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(FakeOpenAI(ScriptedEngine(lambda text, rng: "# 1"))) as running:
        yield running


def test_a_folder_spells_as_the_embedded_engine_does(policy: Path) -> None:
    ours, theirs = FolderTokenizer(policy), CheckpointTokenizer(read_checkpoint(policy))
    assert ours.prompt("what is 1 + 2") == theirs.prompt("what is 1 + 2")
    assert ours.encode("so 3\n# 3") == theirs.encode("so 3\n# 3")
    assert ours.decode(ours.encode("so 3\n# 3")) == "so 3\n# 3"
    assert ours.decode(ours.prompt("what")) == "<user>what<model>"  # special tokens are written out
    assert ours.end in theirs.ends
    assert ours.fingerprint == FolderTokenizer(policy).fingerprint


def test_what_is_no_tokenizer(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a tokenizer is a folder with tokenizer\.json, got"):
        FolderTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="the tokenizer must load"):
        FolderTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((policy / "tokenizer.json").read_bytes())
    with pytest.raises(CheckpointError, match="needs a chat template"):
        FolderTokenizer(tmp_path)


def test_the_servers_tokenizer_is_asked_once_per_text(server: FakeServer) -> None:
    words = ServerTokenizer(Client(server.url), "scripted")
    for _ in range(2):
        assert words.prompt("q") == tuple(map(ord, "q" + TURN))
        assert words.encode("so 3") == tuple(map(ord, "so 3"))
    assert words.decode(tuple(map(ord, "so 3"))) == "so 3"
    assert [asked.path for asked in server.asked] == ["/tokenize", "/tokenize", "/detokenize"]


def test_a_server_that_answers_otherwise(server: FakeServer) -> None:
    words = ServerTokenizer(Client(server.url), "scripted")
    server.fail("/tokenize", Fault.answer(200, b'{"tokens": "many"}'))
    with pytest.raises(GarbledError, match="/tokenize must answer with token ids, got 'many'"):
        words.encode("x")
    server.fail("/detokenize", Fault.answer(200, b"[]"))
    with pytest.raises(GarbledError, match=r"/detokenize must answer with text, got \[\]"):
        words.decode((1,))
