"""A request's view of an engine: conversation, stops, sampling, tokens as they come, and the meter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.refusal import Refusal
from planner.server.request.ask import asking, ending, question_of
from planner.server.request.shaping import Meter, Passed, ShapedEngine, StopFilter, cut
from search.engines.prompted import PromptedEngine
from search.engines.protocol import ChildFinished, Event, Request, RequestFinished, Sampling, Tokens
from search.engines.scripted import ScriptedEngine
from search.errors import EngineError
from search.prompts import Prompting

PLAIN = asking("1 + 1")


def engine() -> ScriptedEngine:
    return ScriptedEngine(lambda text, rng: f"{rng.random()}\none\ntwo\n# 2", context=200)


async def run(shaped: ShapedEngine, *, n: int = 1, stop: tuple[str, ...] = ()) -> list[Event]:
    request = Request(shaped.prompt("1 + 1"), n, 100, Sampling(temperature=0.0), seed=1, stop=stop)
    return [event async for event in shaped.submit(request)]


async def test_a_stop_string_of_the_client_ends_a_child_and_is_left_out() -> None:
    shaped = ShapedEngine(engine(), PLAIN, Meter(), stop=("\ntwo", "zzz"))
    finished = [e for e in await run(shaped, n=2) if isinstance(e, ChildFinished)]
    assert [e.text.endswith("\none") for e in finished] == [True, True]
    assert [e.finish_reason for e in finished] == ["end", "end"]
    first = next(e for e in await run(shaped, stop=("\n",)) if isinstance(e, ChildFinished))
    assert first.text.endswith("\n")  # the strategy's own stop stays
    assert first.finish_reason == "stop"


async def test_the_meter_counts_what_the_engine_did() -> None:
    meter = Meter()
    events = await run(ShapedEngine(engine(), PLAIN, meter), n=3)
    assert isinstance(events[-1], RequestFinished)
    assert not any(isinstance(e, Tokens) for e in events)
    assert (meter.running, meter.prompt_tokens) == (0, len("1 + 1") + 1)
    assert meter.generated_tokens == sum(len(e.token_ids) for e in events if isinstance(e, ChildFinished))


async def test_leaving_early_ends_the_request_at_the_engine() -> None:
    inner, meter = engine(), Meter()
    shaped = ShapedEngine(inner, PLAIN, meter)
    events = shaped.submit(Request(shaped.prompt("q"), 2, 100, Sampling(), seed=1, stream=True))
    assert isinstance(await anext(events), Tokens)
    assert (meter.running, len(inner.in_flight)) == (1, 1)
    await events.aclose()  # type: ignore[attr-defined]
    assert (meter.running, len(inner.in_flight)) == (0, 0)


async def test_text_of_a_single_child_passes_while_told_so() -> None:
    heard: list[str] = []
    meter = Meter()
    shaped = ShapedEngine(engine(), PLAIN, meter, on_text=heard.append)
    await run(shaped)
    assert heard == []
    meter.passing = shaped.card.name
    text = next(e.text for e in await run(shaped) if isinstance(e, ChildFinished))
    assert "".join(heard) == text
    heard.clear()
    await run(shaped, n=2)
    assert heard == []


async def test_a_client_may_sample_its_single_answer() -> None:
    def text(events: list[Event]) -> str:
        return next(e.text for e in events if isinstance(e, ChildFinished))

    greedy = await run(ShapedEngine(engine(), PLAIN, Meter()))
    warm = await run(ShapedEngine(engine(), PLAIN, Meter(), greedy=Sampling(temperature=1.0)))
    assert text(greedy) != text(warm)


def test_a_conversation_needs_a_template() -> None:
    talk = ({"role": "system", "content": "s"}, {"role": "user", "content": "u"})
    with pytest.raises(Refusal, match="one user message"):
        ShapedEngine(engine(), talk, Meter()).prompt("u")
    shaped = ShapedEngine(engine(), talk, Meter(), render=lambda turns: tuple(range(1, 1 + len(turns))))
    assert shaped.prompt("u") == (1, 2)
    long = ShapedEngine(engine(), talk, Meter(), render=lambda turns: (1,) * 200)
    with pytest.raises(Exception, match="context of 200"):
        long.prompt("u")


def test_a_conversation_needs_a_question() -> None:
    system, empty = {"role": "system", "content": "s"}, {"role": "user", "content": "  "}
    for turns in ((), (system,), (empty,)):
        with pytest.raises(Refusal, match="user's message"):
            question_of(turns)
    asked, answered = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    assert question_of((asked, answered, empty)) == "a"


def test_the_stop_that_ends_first_stops() -> None:
    for pieces in (("bca",), ("b", "ca"), ("bc", "a"), ("b", "c", "a")):
        filtering = StopFilter(("bca", "c"))
        assert "".join([*map(filtering.feed, pieces), filtering.rest()]) == "b"


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3), st.data())
def test_a_text_in_pieces_is_cut_like_the_whole(text: str, stops: list[str], data: st.DataObject) -> None:
    filtering, out, at = StopFilter(stops), [], 0
    while at < len(text):
        size = data.draw(st.integers(1, 5))
        out.append(filtering.feed(text[at : at + size]))
        at += size
    out.append(filtering.rest())
    assert "".join(out) == cut(text, stops)


async def test_what_a_strategy_asks_further_is_the_last_turn_of_the_conversation() -> None:
    talk = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1"})

    def render(turns: object) -> tuple[int, ...]:
        return tuple(map(ord, "|".join(f"{turn['role']}: {turn['content']}" for turn in turns)))  # type: ignore[attr-defined]

    meter = Meter()
    inner = PromptedEngine(engine(), Prompting("{question} Think."))
    shaped = ShapedEngine(inner, ending(talk, inner.prompting.ask("1 + 1")), meter, render=render)
    texts = [
        "".join(map(chr, ids))
        for ids in (shaped.prompt("1 + 1"), shaped.prompt("Is 2 right?"), shaped.turn("Is 2 right?"))
    ]
    assert texts == [
        "system: Be brief.|user: 1 + 1 Think.",
        "system: Be brief.|user: Is 2 right? Think.",
        "system: Be brief.|user: Is 2 right?",
    ]
    assert meter.prompts == {inner.card.name: len(texts[0])}  # the conversation's own
    plain = ShapedEngine(inner, ending(PLAIN, inner.prompting.ask("1 + 1")), Meter())
    assert "".join(map(chr, plain.turn("Is 2 right?"))).startswith("Is 2 right?")
    assert "Is 2 right? Think." in "".join(map(chr, plain.prompt("Is 2 right?")))


def test_a_text_that_is_drawn_anew_is_sent_once() -> None:
    first = Passed()
    assert [first.new(piece) for piece in ("one", " two")] == ["one", " two"]
    again = Passed(first.text)
    assert [again.new(piece) for piece in ("on", "e t", "wo thr", "ee")] == ["", "", " thr", "ee"]
    again.end()


def test_another_text_than_the_one_that_was_sent_is_an_error() -> None:
    with pytest.raises(EngineError, match="got another text"):
        Passed("one two").new("one three")
    shorter = Passed("one two")
    assert shorter.new("one") == ""
    with pytest.raises(EngineError, match="got another text"):
        shorter.end()


@given(st.text(), st.text(), st.integers(1, 5))
def test_pieces_make_the_text_whatever_was_sent_before(before: str, after: str, size: int) -> None:
    passed, whole = Passed(before), before + after
    pieces = [passed.new(whole[at : at + size]) for at in range(0, len(whole), size)]
    passed.end()
    assert before + "".join(pieces) == passed.text == whole
