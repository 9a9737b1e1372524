"""Children that a backend cut off are gone on with; what had arrived is charged; nothing is drawn twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from search.budget import Budget
from search.engines.protocol import ChildFinished, Event, FinishReason, Request, Sampling
from search.engines.scripted import TURN, ScriptedEngine
from search.engines.thinking import settled
from search.errors import BrokenError
from search.ledger import Ledger, Reservation
from search.plan import Plan
from search.strategies.running.resume import joined, resumptions
from search.strategies.running.session import Session

REQUEST = Request((1, 2), 4, 10, Sampling(), seed=7, stop=("\n",), logprobs=True)
SOLUTION = "a solution of some length"


def part(child: int, tokens: str, lost: int = 2, logprobs: bool = True) -> ChildFinished:
    ids = tuple(map(ord, tokens))
    return ChildFinished(child, tokens, ids, (-0.5,) * len(ids) if logprobs else (), FinishReason.LOST, lost)


def test_children_that_came_equally_far_share_a_request() -> None:
    rests = resumptions(REQUEST, [part(0, ""), part(2, "ab"), part(3, "")])
    assert [[p.child for p in rest.parts] for rest in rests] == [[0, 3], [2]]
    both, alone = (rest.request for rest in rests)
    assert (both.prompt, both.n, both.max_tokens) == ((1, 2), 2, 10)
    assert (alone.prompt, alone.n, alone.max_tokens) == ((1, 2, 97, 98), 1, 8)
    assert len({REQUEST.seed, both.seed, alone.seed}) == 3
    assert {alone.stop, alone.logprobs, alone.sampling} == {("\n",), True, REQUEST.sampling}


def test_two_pieces_are_one_child() -> None:
    whole = joined(part(3, "ab"), ChildFinished(0, "c\n", (99, 10), (-1.0, -2.0), FinishReason.STOP))
    assert whole == ChildFinished(3, "abc\n", (97, 98, 99, 10), (-0.5, -0.5, -1.0, -2.0), FinishReason.STOP)
    assert joined(part(3, "ab", logprobs=False), whole).logprobs == ()


def test_confidence_is_that_of_both_pieces() -> None:
    sure = replace(part(0, "ab"), mean_entropy=1.0, mean_confidence=2.0, lowest_confidence=1.5)
    rest = ChildFinished(0, "cd\n", (99, 100, 10), (-1.0,) * 3, FinishReason.STOP)
    known = replace(rest, mean_entropy=2.0, mean_confidence=7.0, lowest_confidence=6.0)
    whole = joined(sure, known)
    assert whole.mean_entropy == pytest.approx(8 / 5)
    assert whole.mean_confidence == pytest.approx(25 / 5)
    assert whole.lowest_confidence == 1.5
    assert joined(sure, rest).mean_confidence is None


def test_a_thought_that_the_second_piece_ends_is_one() -> None:
    """The engine of the second piece has parted it: it saw the closing tag alone."""
    ended = settled(ChildFinished(0, " two</think>3", tuple(range(13)), (), FinishReason.END))
    whole = joined(part(0, "<think>one"), ended)
    assert (whole.text, whole.thought) == ("3", "onetwo")
    assert len(whole.token_ids) == 10 + 13
    assert whole.thought_tokens == 10 + 12


def test_a_thought_that_the_first_piece_ended_is_parted() -> None:
    rest = ChildFinished(0, "is 3", (1, 2, 3, 4), (), FinishReason.END)
    whole = joined(part(0, "<think>one</think>It "), rest)
    assert (whole.text, whole.thought, whole.thought_tokens) == ("It is 3", "one", 18)


def test_a_thought_that_neither_piece_ended_is_named() -> None:
    rest = ChildFinished(0, "and on", tuple(range(6)), (), FinishReason.LENGTH)
    whole = joined(part(0, "<think>one "), rest)
    assert (whole.text, whole.finish_reason) == ("", FinishReason.THOUGHT)
    assert whole.thought_tokens == len(whole.token_ids) == 17


class Breaking(ScriptedEngine):
    """Cuts the first requests off after some tokens of each child, as a broken connection does."""

    def __init__(self, breaks: int, after: int = 5, first: int = 2, lost: int = 2) -> None:
        super().__init__(lambda text, rng: SOLUTION[len(text.partition(TURN)[2]) :])
        self.requests: list[Request] = []
        self._left, self._after, self._first, self._lost = breaks, after, first, lost

    def submit(self, request: Request) -> AsyncIterator[Event]:
        self.requests.append(request)
        if len(self.requests) > self._left:
            return super().submit(request)
        return self._break(request)

    async def _break(self, request: Request) -> AsyncIterator[Event]:
        written = len(request.prompt) - len(self.prompt("2+3?"))
        text = SOLUTION[written : written + self._after]
        if request.n > 1:  # one child ends before the break
            ids = tuple(range(self._first))
            yield ChildFinished(0, "ended", ids, (-1.0,) * len(ids), FinishReason.END)
        cut = range(1 if request.n > 1 else 0, request.n)
        raise BrokenError("cut", tuple(part(i, text, self._lost) for i in cut))


async def drawn(
    bench: Any, engine: Breaking, budget: Budget, *, most: int = 3, room: int = 30
) -> tuple[dict[int, str], Ledger]:
    b = bench(max_tokens=room)
    object.__setattr__(b.setting, "engine", engine)
    plan = Plan.parse("majority(n=3)")
    ledger = Ledger(budget, engine.card, b.reward.card)
    async with Session(b.problem, plan, b.setting, ledger) as session:
        seen: dict[int, str] = {}

        def hear(number: int, child: ChildFinished, held: Reservation) -> None:
            seen[number] = child.text
            held.release()

        await session.draw((), most, 1, hear, sampling=Sampling())
    return seen, ledger


async def test_a_session_goes_on_after_what_had_arrived(bench: Any) -> None:
    engine = Breaking(breaks=1)
    seen, ledger = await drawn(bench, engine, Budget.unlimited())
    assert seen == {0: "ended", 1: SOLUTION, 2: SOLUTION}
    assert len(engine.requests) == 2
    whole = len(SOLUTION) + 1
    prompts = [len(request.prompt) for request in engine.requests]
    assert ledger.spend.policy_tokens == prompts[0] + 2 + 2 * (whole + 2)
    assert ledger.spend.physical_policy_tokens == sum(prompts) + 2 + 2 * (whole + 2)


async def test_a_session_gives_up_after_some_breaks(bench: Any) -> None:
    with pytest.raises(BrokenError, match="cut"):
        await drawn(bench, Breaking(breaks=9, after=0), Budget.unlimited())


async def test_what_was_lost_shortens_the_rest(bench: Any) -> None:
    """One child may have all 40 tokens; the break takes 5 + 2, and its last 20 of 25 fit into 33."""
    engine = Breaking(breaks=1)
    b = bench(max_tokens=40)
    seen, ledger = await drawn(bench, engine, Budget(tokens=b.prompt + 40), most=1, room=40)
    assert seen == {0: SOLUTION}
    assert [request.max_tokens for request in engine.requests] == [40, 33]
    assert ledger.spend.policy_tokens == b.prompt + len(SOLUTION) + 1 + 2


async def test_fewer_go_on_where_the_budget_holds_no_more(bench: Any) -> None:
    """Three had 20 each: 20 + 2 x (5 + 4) are gone, and 22 are enough for one as long as the first."""
    engine = Breaking(breaks=1, first=20, lost=4)
    b = bench(max_tokens=20)
    seen, ledger = await drawn(bench, engine, Budget(tokens=b.prompt + 60), room=20)
    assert seen == {0: "ended", 1: SOLUTION[:20]}
    assert [(request.n, request.max_tokens) for request in engine.requests] == [(3, 20), (1, 15)]
    assert ledger.committed_tokens == ledger.spend.tokens == b.prompt + 20 + 2 * 9 + 15


async def test_what_the_budget_does_not_hold_is_charged_and_not_heard_of(bench: Any) -> None:
    """Three children of 30 tokens are held; after the break 2 x 7 are spent and two of 25 no longer fit."""
    engine = Breaking(breaks=1)
    b = bench(max_tokens=30)
    most = b.prompt + 3 * 30
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Session, "fitting", lambda self, count, *_: 3 if count == 3 else 0)
        seen, ledger = await drawn(bench, engine, Budget(tokens=most))
    assert seen == {0: "ended"}
    assert ledger.committed_tokens == ledger.spend.tokens == b.prompt + 2 + 2 * 7
