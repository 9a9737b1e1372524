"""What servers are told of thinking: their own words, or one line of refusal."""

from __future__ import annotations

import pytest

from search.engines.budgeted import BudgetedEngine
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.openai.knob import dial_of
from search.engines.protocol import ChildFinished, Request, Sampling
from search.engines.scripted import ScriptedEngine
from search.errors import EngineError, RefusedError
from search.remote.fake_server import FakeServer
from search.thinking_budget import ThinkingBudget

CHATS = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("owner", "root", "wanted", "fields"),
    [
        ("vllm", "http://h:1", ThinkingBudget(think=512), {"thinking_token_budget": 512}),
        ("vllm", "http://h:1", ThinkingBudget("low"), {"reasoning_effort": "low"}),
        (
            "vllm",
            "http://h:1",
            ThinkingBudget("on", 64),
            {
                "chat_template_kwargs": {"enable_thinking": True, "thinking": True},
                "thinking_token_budget": 64,
            },
        ),
        ("sglang", "http://h:1", ThinkingBudget(think=64), {"custom_params": {"thinking_budget": 64}}),
        ("llamacpp", "http://h:1", ThinkingBudget(think=0), {"thinking_budget_tokens": 0}),
        ("library", "http://h:1", ThinkingBudget("off"), {"reasoning_effort": "none"}),
        ("library", "http://h:1", ThinkingBudget("high"), {"reasoning_effort": "high"}),
        ("system", "https://api.openai.com/v1", ThinkingBudget("max"), {"reasoning_effort": "max"}),
        (
            "None",
            "https://api.anthropic.com/v1",
            ThinkingBudget("high"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (
            "None",
            "https://api.anthropic.com/v1",
            ThinkingBudget(think=2048),
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
        ("None", "https://api.anthropic.com/v1", ThinkingBudget("off"), {"thinking": {"type": "disabled"}}),
        ("x", "https://openrouter.ai/api/v1", ThinkingBudget(think=64), {"reasoning": {"max_tokens": 64}}),
        ("x", "https://openrouter.ai/api/v1", ThinkingBudget("low"), {"reasoning": {"effort": "low"}}),
    ],
)
def test_each_servers_own_words(
    owner: str, root: str, wanted: ThinkingBudget, fields: dict[str, object]
) -> None:
    assert dial_of(owner, root).fault(wanted) is None
    assert dial_of(owner, root).fields(wanted) == fields


@pytest.mark.parametrize(
    ("owner", "root", "wanted", "fault"),
    [
        (
            "library",
            "http://h:1",
            ThinkingBudget("xhigh"),
            "effort must be one of on, off, none, low, .* for Ollama, got 'xhigh'",
        ),
        (
            "library",
            "http://h:1",
            ThinkingBudget(think=4),
            "think needs a server that takes a budget .*, got think=4 for Ollama",
        ),
        (
            "openai",
            "https://api.openai.com",
            ThinkingBudget(think=4),
            "think needs a server that takes a budget",
        ),
        (
            "openai",
            "https://api.openai.com",
            ThinkingBudget("on"),
            "effort must be one of none, minimal, .*, got 'on'",
        ),
        (
            "vllm",
            "http://h:1",
            ThinkingBudget(think=9, wait=4),
            "wait needs a policy that goes on after a text of ours",
        ),
        (
            "x",
            "https://api.anthropic.com",
            ThinkingBudget(think=512),
            "think must be at least 1024 for Anthropic, got think=512",
        ),
        (
            "x",
            "https://api.anthropic.com",
            ThinkingBudget("minimal"),
            "effort must be one of on, off, low, .* for Anthropic",
        ),
        ("x", "https://openrouter.ai", ThinkingBudget("low", 64), "OpenRouter takes an effort or a budget"),
    ],
)
def test_what_a_server_cannot_be_told_is_one_line(
    owner: str, root: str, wanted: ThinkingBudget, fault: str
) -> None:
    dial = dial_of(owner, root)
    with pytest.raises(EngineError, match=fault) as caught:
        dial.fields(wanted)
    assert "\n" not in str(caught.value)


def think(text: str, rng: object) -> str:
    return "# 7" if "</think>" in text else "<think>" + "and on " * 40 + "</think>\n\n# 8"


def connected(server: FakeServer, **options: object) -> OpenAIEngine:
    return OpenAIEngine.connect(server.url, parameters=1000, patience=0.0, **options)


async def draw(engine, n: int = 1) -> list[ChildFinished]:
    request = Request(engine.prompt("3 + 4?"), n, 400, Sampling(), 5)
    events = [event async for event in engine.submit(request)]
    return [event for event in events if isinstance(event, ChildFinished)]


async def test_a_chat_is_told_and_others_beside_it_are_not() -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(think))) as server:
        engine = connected(server, dialect="chat")
        told = engine.thinking(ThinkingBudget("low", 64))
        assert told is engine.thinking(ThinkingBudget("low", 64))
        await draw(told)
        await draw(engine)
        first, second = [one.body for one in server.asked if one.path == CHATS]
        assert (first["reasoning_effort"], first["thinking_token_budget"]) == ("low", 64)
        assert not {"reasoning_effort", "thinking_token_budget"} & set(second)
        await engine.close()


@pytest.mark.parametrize("field", ["thinking_token_budget", "reasoning_effort"])
async def test_a_knob_that_a_server_refuses_is_not_left_out(field: str) -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(think), refuses=(field,))) as server:
        engine = connected(server, dialect="chat")
        wanted = ThinkingBudget("low", 64)
        with pytest.raises(RefusedError, match=field):
            await draw(engine.thinking(wanted))
        sent = [one for one in server.asked if one.path == CHATS]
        assert len(sent) == 1
        await engine.close()


async def test_completions_are_forced_by_us() -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(think))) as server:
        for dialect in ("tokens", "text"):
            engine = connected(server, dialect=dialect)
            told = engine.thinking(ThinkingBudget(think=30))
            assert isinstance(told, BudgetedEngine)
            children = await draw(told, 2)
            assert [child.text for child in children] == ["# 7", "# 7"]
            assert all(child.thought_cut for child in children)
            await engine.close()


async def test_a_template_that_knows_no_effort_is_told_of() -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(think, name="small"))) as server:
        engine = connected(server, dialect="tokens")
        fault = engine.refuses_thinking(ThinkingBudget("low"))
        assert fault == (
            "effort needs a chat template that asks for reasoning_effort, got effort=low for 'small',"
            " whose template does not"
        )
        await engine.close()
