"""Budget forcing: thoughts are ended and gone on with, and no child takes more than it may."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.engines.budgeted import BudgetedEngine, budgeted
from search.engines.budgeted_flight import MOST_WAITS, WAIT
from search.engines.embedded import EmbeddedEngine
from search.engines.protocol import (
    ChildFinished,
    Engine,
    FinishReason,
    Request,
    RequestFinished,
    Sampling,
    Tokens,
)
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import BrokenError, EngineError
from search.sync import run_sync
from search.testing.engine import EngineContract
from search.thinking_budget import ThinkingBudget

CLOSING = "\n</think>\n\n"


def thinker(thought: str, answer: str = "It is 7.\n# 7", *, opens: bool = True):
    """A policy that thinks so and then answers, wherever it is gone on with."""

    def script(text: str, rng: Random) -> str:
        written = text.partition(TURN)[2]
        if "</think>" in written:
            rest = written.rpartition("</think>")[2].lstrip()
            return answer[len(rest) :]
        if WAIT in written:
            return f" I was right</think>\n\n{answer}"[len(written.rpartition(WAIT)[2]) :]
        whole = f"{'<think>' if opens else ''}{thought}</think>\n\n{answer}"
        return whole[len(written) :] if whole.startswith(written) else "</think>\n\n" + answer

    return script


async def events_of(engine: Engine, n: int = 1, most: int = 400, **wanted: object):
    request = Request(engine.prompt("3 + 4?"), n, most, Sampling(), 5, **wanted)
    return [event async for event in engine.submit(request)]


async def child_of(engine: Engine, most: int = 400, **wanted: object) -> ChildFinished:
    return next(
        event for event in await events_of(engine, 1, most, **wanted) if isinstance(event, ChildFinished)
    )


def forced(script, think: int, wait: int = 0) -> BudgetedEngine:
    return BudgetedEngine(ScriptedEngine(script), ThinkingBudget(think=think, wait=wait))


class TestBudgetedEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        solutions = {
            f"line one of {i}\nand line {j} of some more\nthe third\n# {i}": 1.0
            for i in range(4)
            for j in range(4)
        }
        return forced({"what is 1 + 2": solutions}, 1000)


async def test_a_thought_within_its_budget_is_left_alone() -> None:
    child = await child_of(forced(thinker("3 and 4"), 60))
    assert (child.thought, child.text, child.finish_reason) == ("3 and 4", "It is 7.\n# 7", FinishReason.END)
    assert not child.thought_cut


async def test_a_thought_beyond_its_budget_is_closed_and_the_answer_asked() -> None:
    child = await child_of(forced(thinker("and on " * 100), 50), logprobs=True)
    assert child.thought_cut
    assert child.text == "It is 7.\n# 7"
    assert child.finish_reason == FinishReason.END
    assert child.thought.startswith("and on and on")
    assert child.thought_tokens == 50 + len(CLOSING)
    assert "".join(map(chr, child.token_ids)).startswith("<think>and on")
    assert len(child.logprobs) == len(child.token_ids)


async def test_no_thought_at_all() -> None:
    def script(text: str, rng: Random) -> str:
        return "# 7" if "</think>" in text else "and on " * 9 + "</think># 8"

    class Opened(ScriptedEngine):
        def prompt(self, question: str) -> tuple[int, ...]:
            return (*super().prompt(question), *map(ord, "<think>\n"))

    engine = BudgetedEngine(Opened(script), ThinkingBudget(think=0))
    child = await child_of(engine)
    assert (child.text, child.thought, child.thought_cut) == ("# 7", "", True)
    assert child.thought_tokens == len(CLOSING)
    child = await child_of(BudgetedEngine(Opened(script), ThinkingBudget(think=20)))
    assert (child.text, child.thought_tokens) == ("# 7", 20 + len(CLOSING))


async def test_a_policy_that_does_not_think_writes_as_ever() -> None:
    script = {"3 + 4?": {"3 and 4 make seven, of course\n# 7": 1.0}}
    child = await child_of(forced(script, 4))
    assert (child.text, child.thought, child.thought_tokens) == ("3 and 4 make seven, of course\n# 7", "", 0)
    assert not child.thought_cut


async def test_a_thought_that_ends_too_early_is_gone_on_with() -> None:
    child = await child_of(forced(thinker("seven"), 80, wait=30))
    assert child.text == "It is 7.\n# 7"
    assert child.thought == f"seven{WAIT} I was right"
    assert child.thought_tokens >= 30
    assert child.lost_tokens > 0  # the end that was taken away, and what came after it
    plain = await child_of(forced(thinker("seven"), 80))
    assert plain.thought == "seven"


async def test_waiting_ends() -> None:
    def script(text: str, rng: Random) -> str:
        written = text.partition(TURN)[2]
        if "</think>" in written:
            return "# 7"
        return ("" if WAIT in written else "<think>") + "</think>\n\n# 7"

    child = await child_of(forced(script, 1000, wait=900), most=2000)
    assert child.text == "# 7"
    assert "".join(map(chr, child.token_ids)).count(WAIT) == MOST_WAITS


async def test_the_end_of_a_thought_may_be_a_text_of_the_policys_own() -> None:
    def script(text: str, rng: Random) -> str:
        written = text.partition(TURN)[2]
        if "#" in written:
            return "7"
        return "3+4=7\n7*1=7\n7-0=7\n#7"[len(written) :]

    inner = ScriptedEngine(script)
    inner.thought_end = "#"
    child = await child_of(BudgetedEngine(inner, ThinkingBudget(think=8)))
    assert (child.text, child.thought_cut, child.thought_tokens) == ("3+4=7\n7*\n#7", True, 8 + len("\n#"))
    child = await child_of(BudgetedEngine(inner, ThinkingBudget(think=100)))
    assert (child.text, child.thought_cut, child.thought_tokens) == ("3+4=7\n7*1=7\n7-0=7\n#7", False, 18)


async def test_the_end_of_a_thought_may_have_other_tokens_in_its_place_than_alone() -> None:
    """A space before it is part of its first token, say."""

    class Merging(ScriptedEngine):
        def continuation(self, text: str) -> tuple[int, ...]:
            return (9999,) if text == "#" else tuple(map(ord, text))

    inner = Merging(lambda text, rng: "3+4=7\n#7"[len(text.partition(TURN)[2]) % 8 :])
    inner.thought_end = "#"
    child = await child_of(BudgetedEngine(inner, ThinkingBudget(think=100, wait=10)))
    assert child.text.startswith(f"3+4=7\n{WAIT}")
    assert child.text.endswith("#7")


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 300), st.integers(0, 150), st.integers(1, 3))
def test_no_child_takes_more_than_its_request_allows(
    think: int, wait: int, most: int, length: int, n: int
) -> None:
    engine = forced(thinker("x" * length), think, min(wait, think))
    events = run_sync(events_of(engine, n, most))
    children = [event for event in events if isinstance(event, ChildFinished)]
    assert sorted(child.child for child in children) == list(range(n))
    for child in children:
        assert 0 < len(child.token_ids) + child.lost_tokens <= most
        assert child.thought_tokens <= max(think, 16) + len(CLOSING) + len(WAIT)
    assert isinstance(events[-1], RequestFinished)


async def test_a_stream_shows_the_answer_alone() -> None:
    events = await events_of(forced(thinker("and on " * 100), 50), 2, stream=True)
    for child in (0, 1):
        shown = [event for event in events if isinstance(event, Tokens) and event.child == child]
        assert "".join(event.text for event in shown) == "It is 7.\n# 7"


async def test_a_step_within_a_thought_is_gone_on_with_and_its_thought_counted() -> None:
    engine = forced(thinker("one\ntwo\nthree\nfour\nfive\nsix"), 16)
    prompt = engine.prompt("3 + 4?")
    steps, grown, last = 0, prompt, None
    while last is None or last.finish_reason == FinishReason.STOP:
        request = Request(grown, 1, 100, Sampling(), 5, ("\n",))
        last = next(
            [event async for event in engine.submit(request) if isinstance(event, ChildFinished)].__iter__()
        )
        grown, steps = (*grown, *last.token_ids), steps + 1
        assert steps < 20
    written = "".join(map(chr, grown[len(prompt) :]))
    assert written.index("\n</think>") <= 16 + 2
    assert written.rstrip("\x03").endswith("# 7")


async def test_a_child_is_cancelled_in_any_piece() -> None:
    engine = forced(thinker("and on " * 100), 50)
    request = Request(engine.prompt("3 + 4?"), 3, 400, Sampling(), 5, stream=True)
    reasons = {}
    async for event in engine.submit(request):
        if isinstance(event, Tokens) and event.child == 1:
            await engine.cancel(request.request_id, 1)
        if isinstance(event, ChildFinished):
            reasons[event.child] = event.finish_reason
    assert reasons == {0: FinishReason.END, 1: FinishReason.CANCELLED, 2: FinishReason.END}


class Breaking(ScriptedEngine):
    """Breaks off in the request after so many."""

    def __init__(self, script, after: int) -> None:
        super().__init__(script)
        self.left = after

    def submit(self, request: Request):
        self.left -= 1
        return self._broken(request) if self.left < 0 else super().submit(request)

    async def _broken(self, request: Request):
        raise BrokenError("the server is gone")
        yield


async def test_what_was_written_before_a_break_is_told() -> None:
    engine = BudgetedEngine(Breaking(thinker("and on " * 100), 1), ThinkingBudget(think=50))
    with pytest.raises(BrokenError, match="the server is gone") as caught:
        await events_of(engine)
    [part] = caught.value.partial
    assert part.finish_reason == FinishReason.LOST
    assert len(part.token_ids) == 50 + len(CLOSING)


async def test_a_break_at_once_is_the_engines_own() -> None:
    engine = BudgetedEngine(Breaking(thinker("and on"), 0), ThinkingBudget(think=50))
    with pytest.raises(BrokenError) as caught:
        await events_of(engine)
    assert caught.value.partial == ()


def test_what_cannot_be_told_is_refused() -> None:
    engine = ScriptedEngine(thinker("so"), name="small")
    with pytest.raises(
        EngineError, match=r"effort needs a served policy, got effort=low for 'small', which is none"
    ):
        budgeted(engine, ThinkingBudget("low"))
    assert engine.refuses_thinking(ThinkingBudget(think=4)) is None
    assert isinstance(engine.thinking(ThinkingBudget(think=4)), BudgetedEngine)


async def test_a_policy_of_the_lab_answers_at_its_budget() -> None:
    """Its steps stand for the thought, and # begins the answer."""
    engine = EmbeddedEngine.load(Path(__file__).parents[3] / "models" / "lab-policy-s")
    engine.thought_end = "#"
    request = Request(engine.prompt("What is (13+64)+80?"), 3, 100, Sampling(), 5, logprobs=True)
    told = engine.thinking(ThinkingBudget(think=8))
    children = [event async for event in told.submit(request) if isinstance(event, ChildFinished)]
    await engine.close()
    assert len(children) == 3
    for child in children:
        assert child.thought_cut
        assert child.text.count("\n#") == 1
        assert 8 < child.thought_tokens <= 8 + 2
        assert child.text == engine.spelled(child.token_ids)
        assert len(child.logprobs) == len(child.token_ids)
