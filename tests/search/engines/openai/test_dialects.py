"""Servers that take no token ids: text, and chat as a last resort, by a tokenizer of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from random import Random

import pytest

from search.checkpoint import read_checkpoint
from search.engines.openai.dialect import finish_of
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import ChildFinished, Event, FinishReason, Request, RequestFinished, Sampling
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import BrokenError, CheckpointError, EngineError, RefusedError
from search.remote.fake_server import FakeServer, Fault

QUESTION = "what is 1 + 2"


def write(text: str, rng: Random) -> str:
    written = text.partition("<model>")[2] or text.partition(TURN)[2]
    lines = [f"1 + {rng.randrange(3)}", "so 3", "# 3"]
    return "\n".join(lines)[len(written) :]


@pytest.fixture(params=["text", "chat"])
async def engine(request: pytest.FixtureRequest, policy: Path) -> AsyncIterator[OpenAIEngine]:
    """Over a server that knows characters, with the tokenizer of a checkpoint here."""
    behind = ScriptedEngine(write, context=2048)
    with FakeServer(FakeOpenAI(behind, takes=(request.param,))) as server:
        connected = OpenAIEngine.connect(server.url, tokenizer=policy, patience=0.0)
        connected.server = server  # type: ignore[attr-defined]
        yield connected
        await connected.close()


def ask(engine: OpenAIEngine, n: int = 3, more: Sequence[int] = (), **wanted: object) -> Request:
    sampling = wanted.pop("sampling", Sampling())
    return Request((*engine.prompt(QUESTION), *more), n, 60, sampling, 5, **wanted)  # type: ignore[arg-type]


async def collect(engine: OpenAIEngine, request: Request) -> tuple[list[ChildFinished], list[Event]]:
    events = [event async for event in engine.submit(request)]
    found = sorted((e for e in events if isinstance(e, ChildFinished)), key=lambda e: e.child)
    return found, events


async def test_token_ids_are_the_tokenizers(engine: OpenAIEngine) -> None:
    found, events = await collect(engine, ask(engine))
    for child in found:
        assert child.text.endswith("so 3\n# 3")
        assert child.finish_reason == FinishReason.END
        assert child.token_ids == (*engine.written(child.text), 1)  # and the end of the sequence
        assert child.logprobs == ()
    assert isinstance(events[-1], RequestFinished)
    assert events[-1].usage.generated_tokens == sum(len(c.text) + 1 for c in found)  # as the server counts


async def test_logprobs_only_where_they_are_those_of_the_tokens(engine: OpenAIEngine) -> None:
    """The server counts characters here: fewer tokens, so whose probabilities it tells is unknown."""
    found, _ = await collect(engine, ask(engine, logprobs=True))
    for child in found:
        same = len(child.text) + 1 == len(child.token_ids)
        assert len(child.logprobs) == (len(child.token_ids) if same else 0)


async def test_stop_strings_are_cut_here_and_the_connection_is_closed(engine: OpenAIEngine) -> None:
    found, events = await collect(engine, ask(engine, stop=("\n",), stream=True))
    for child in found:
        assert child.finish_reason == FinishReason.STOP
        assert child.text.endswith("\n")
        assert child.text.count("\n") == 1
        parts = [e for e in events if not isinstance(e, ChildFinished | RequestFinished)]
        assert "".join(e.text for e in parts if e.child == child.child) == child.text
    found, _ = await collect(engine, ask(engine, stop=("o 3", "never")))
    assert {child.text.partition("\n")[2] for child in found} == {"so 3"}


async def test_a_solution_goes_on_in_text_but_not_in_a_chat(engine: OpenAIEngine) -> None:
    more = engine.written("1 + 2\n")
    refused = pytest.raises(EngineError, match="a chat begins with a question and cannot go on")
    texts = {"so 3\n# 3"}
    with refused if engine.dialect == "chat" else nullcontext():
        texts = {child.text for child in (await collect(engine, ask(engine, more=more)))[0]}
    assert texts == {"so 3\n# 3"}


def test_a_dialect_can_be_chosen(policy: Path) -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(write))) as server:
        for dialect in ("tokens", "text", "chat"):
            made = OpenAIEngine.connect(server.url, tokenizer=policy, dialect=dialect)
            assert made.dialect == dialect
        with pytest.raises(EngineError, match="a dialect must be one of tokens, text, chat, got 'latin'"):
            OpenAIEngine.connect(server.url, dialect="latin")


def test_a_server_that_takes_nothing(policy: Path) -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(write), takes=())) as server:
        with pytest.raises(RefusedError, match=r"must take completions or chats, got tokens: .* chat: "):
            OpenAIEngine.connect(server.url, tokenizer=policy)
        server.fail("/v1/completions", Fault.answer(200, b'{"choices": []}'))
        with pytest.raises(EngineError, match="a completion must hold choices"):
            OpenAIEngine.connect(server.url, tokenizer=policy)


async def test_the_card_is_the_folders_where_it_holds_the_model(policy: Path, tmp_path: Path) -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(write, name="a/b-7B", context=99))) as server:
        whole = OpenAIEngine.connect(server.url, "b-7B", tokenizer=policy).card
        assert (whole.name, whole.context) == ("b-7B", 99)
        (tmp_path / "tokenizer.json").write_bytes((policy / "tokenizer.json").read_bytes())
        (tmp_path / "tokenizer_config.json").write_bytes((policy / "tokenizer_config.json").read_bytes())
        for file in policy.glob("chat_template*"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        bare = OpenAIEngine.connect(server.url, tokenizer=tmp_path).card
        assert (bare.name, bare.parameters) == ("b-7B", 7_000_000_000)
        none = OpenAIEngine.connect(server.url).card
        assert len({whole.fingerprint, bare.fingerprint, none.fingerprint}) == 3
        assert OpenAIEngine.connect(server.url, tokenizer=tmp_path).card == bare


def test_a_policy_that_runs_elsewhere_may_be_of_any_architecture(policy: Path, tmp_path: Path) -> None:
    for file in policy.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = (tmp_path / "config.json").read_text().replace("Qwen2ForCausalLM", "Gemma9ForCausalLM")
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=r"architecture must be one of .*, got 'Gemma9ForCausalLM'"):
        read_checkpoint(tmp_path)
    with FakeServer(FakeOpenAI(ScriptedEngine(write))) as server:
        card = OpenAIEngine.connect(server.url, tokenizer=tmp_path).card
    assert card.parameters == read_checkpoint(policy).parameters


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_child_that_the_server_gives_up_is_a_break(reason: str) -> None:
    with pytest.raises(BrokenError, match=f"got finish_reason {reason!r}"):
        finish_of(reason)


@pytest.mark.parametrize("plays", ["hosted", "vllm"])
async def test_a_chat_goes_on_with_the_step_that_it_wrote(plays: str) -> None:
    """Two steps of equal length are told apart, though the server tells no token ids."""

    def steps(text: str, rng: Random) -> str:
        written = text.partition(TURN)[2]
        known = {"": rng.choice(["ab\n", "cd\n"]), "ab\n": "1\n", "cd\n": "2\n"}
        return known.get(written, f"end of {written!r}")

    takes = ("tokens", "chat") if plays == "vllm" else ("chat",)
    with FakeServer(FakeOpenAI(ScriptedEngine(steps), plays=plays, takes=takes)) as server:
        engine = OpenAIEngine.connect(server.url, parameters=1000, context=512, dialect="chat")
        async with engine:
            prompt = engine.prompt("go")
            first, _ = await collect(engine, Request(prompt, 8, 50, Sampling(), 1, stop=("\n",)))
            assert {child.text for child in first} == {"ab\n", "cd\n"}
            assert all(child.finish_reason == FinishReason.STOP for child in first)
            for child in first:
                second, _ = await collect(
                    engine, Request((*prompt, *child.token_ids), 1, 50, Sampling(), 2, stop=("\n",))
                )
                assert second[0].text == {"ab\n": "1\n", "cd\n": "2\n"}[child.text]
                ids = (*prompt, *child.token_ids, *second[0].token_ids)
                third, _ = await collect(engine, Request(ids, 1, 50, Sampling(), 2))
                assert third[0].text == f"end of {child.text + second[0].text!r}"
            with pytest.raises(EngineError, match="cannot go on with a solution that it did not write"):
                await collect(engine, Request((*prompt, -1, -1), 1, 50, Sampling(), 1))
        bodies = [came.body for came in server.asked if came.path == "/v1/chat/completions"]
    longest = max(bodies, key=lambda body: len(body["messages"]))
    assert bool(longest.get("continue_final_message")) == (plays == "vllm")
    assert longest["messages"][-1]["role"] == ("assistant" if plays == "vllm" else "user")
