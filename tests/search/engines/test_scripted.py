from __future__ import annotations

import pytest

from search.engines.protocol import ChildFinished, FinishReason, Request, Sampling, Tokens
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import EngineError


async def texts(engine, prompt, **wanted):
    request = Request(prompt, wanted.pop("n", 1), 100, wanted.pop("sampling", Sampling()), 1, **wanted)
    events = [event async for event in engine.submit(request)]
    return [(e.text, e.finish_reason) for e in events if isinstance(e, ChildFinished)]


async def test_a_callable_sees_the_question_and_what_was_written():
    seen = []

    def script(text, rng):
        seen.append(text)
        return "second\nthird" if text.endswith("first\n") else "first\nsecond\nthird"

    engine = ScriptedEngine(script)
    prompt = engine.prompt("why?")
    assert await texts(engine, prompt, stop=("\n",)) == [("first\n", FinishReason.STOP)]
    grown = prompt + tuple(map(ord, "first\n"))
    assert await texts(engine, grown) == [("second\nthird", FinishReason.END)]
    assert seen == ["why?" + TURN, "why?" + TURN + "first\n"]


async def test_a_callable_is_seeded_by_request_and_child():
    engine = ScriptedEngine(lambda text, rng: str(rng.random()))
    prompt = engine.prompt("q")
    drawn = await texts(engine, prompt, n=4)
    assert len(set(drawn)) == 4
    assert drawn == await texts(engine, prompt, n=4)
    assert len(set(await texts(engine, prompt, n=4, sampling=Sampling(temperature=0)))) == 1


async def test_a_mapping_draws_in_proportion():
    engine = ScriptedEngine({"q": {"yes": 3.0, "no": 1.0}})
    drawn = await texts(engine, engine.prompt("q"), n=2000)
    assert 0.71 < sum(text == "yes" for text, _ in drawn) / 2000 < 0.79


async def test_an_unknown_question_is_an_engine_error():
    engine = ScriptedEngine({"q": {"yes": 1.0}})
    with pytest.raises(EngineError, match="must know the question, got 'other'"):
        await texts(engine, engine.prompt("other"))


async def test_a_script_may_think() -> None:
    engine = ScriptedEngine(lambda text, rng: "<think>one and one</think>\n\n2")
    request = Request(engine.prompt("1+1?"), 1, 99, Sampling(), seed=1, stream=True)
    events = [event async for event in engine.submit(request)]
    [child] = [event for event in events if isinstance(event, ChildFinished)]
    assert (child.text, child.thought) == ("2", "one and one")
    assert child.thought_tokens == len("<think>one and one</think>\n\n")
    assert "".join(event.text for event in events if isinstance(event, Tokens)) == "2"
    [cut] = [
        event
        async for event in engine.submit(Request(engine.prompt("1+1?"), 1, 12, Sampling(), seed=1))
        if isinstance(event, ChildFinished)
    ]
    assert (cut.text, cut.finish_reason, cut.thought_tokens) == ("", FinishReason.THOUGHT, 12)
