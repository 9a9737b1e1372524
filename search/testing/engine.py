"""The contract of engines: every member of the family passes all of this.

class TestMine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return Mine.load("model")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from search.engines.protocol import (
    ChildFinished,
    Engine,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Sampling,
    Tokens,
)
from search.errors import ContextError, EngineError

__all__ = ["EngineCase", "EngineContract", "Reference"]

#: (prompt, tokens) -> the natural logarithm of each token's probability under the untempered model
Reference = Callable[[Sequence[int], Sequence[int]], list[float]]


@dataclass(frozen=True)
class EngineCase:
    """An engine, a question that it knows, and the logprobs of its policy by other means.

    ``reference`` is None where nobody knows them: then only their number and sign are tested.
    """

    engine: Engine
    question: str
    reference: Reference | None = None


def _ask(
    case: EngineCase,
    *,
    n: int = 4,
    max_tokens: int = 48,
    sampling: Sampling | None = None,
    seed: int = 11,
    stop: tuple[str, ...] = (),
    prompt: tuple[int, ...] | None = None,
    **wanted: Any,
) -> Request:
    ids = case.engine.prompt(case.question) if prompt is None else prompt
    return Request(ids, n, max_tokens, sampling or Sampling(), seed, stop, **wanted)


async def _collect(engine: Engine, request: Request) -> list[Event]:
    return [event async for event in engine.submit(request)]


async def _children(engine: Engine, request: Request) -> list[ChildFinished]:
    events = await asyncio.wait_for(_collect(engine, request), 60)
    return sorted((e for e in events if isinstance(e, ChildFinished)), key=lambda e: e.child)


@pytest.mark.asyncio
class EngineContract:
    """Subclass it as ``Test...`` and give an ``engine``, or a ``case`` with more.

    The policy must write at least three lines with some tens of tokens each, and not always the same.
    """

    @pytest.fixture
    def engine(self) -> Engine:
        """The engine that is tested; the suite closes it."""
        raise NotImplementedError("a contract is given a fixture engine")

    @pytest.fixture
    def question(self) -> str:
        """A question that it answers."""
        return "what is 1 + 2"

    @pytest.fixture
    def reference(self) -> Reference | None:
        """The logprobs of the policy by other means, where they are known."""
        return None

    @pytest_asyncio.fixture
    async def case(
        self, engine: Engine, question: str, reference: Reference | None
    ) -> AsyncIterator[EngineCase]:
        """All three."""
        yield EngineCase(engine, question, reference)
        await engine.close()

    @pytest.fixture
    def races(self) -> bool:
        """Whether children may have ended in another process before a cancellation (or a twin) gets there."""
        return False

    async def test_each_child_ends_once_and_the_request_ends_last(self, case: EngineCase) -> None:
        events = await _collect(case.engine, _ask(case, n=5))
        assert sorted(e.child for e in events if isinstance(e, ChildFinished)) == [0, 1, 2, 3, 4]
        assert [e for e in events if isinstance(e, RequestFinished)] == events[-1:]
        assert not [e for e in events if isinstance(e, Tokens)]

    async def test_same_seed_same_children(self, case: EngineCase) -> None:
        assert await _children(case.engine, _ask(case)) == await _children(case.engine, _ask(case))

    async def test_other_seeds_and_other_children_are_other_draws(self, case: EngineCase) -> None:
        one = await _children(case.engine, _ask(case, n=16))
        two = await _children(case.engine, _ask(case, n=16, seed=12))
        assert [c.token_ids for c in one] != [c.token_ids for c in two]
        assert len({c.token_ids for c in one}) > 1

    async def test_a_child_depends_on_its_seed_and_index_only(self, case: EngineCase) -> None:
        few = await _children(case.engine, _ask(case, n=2, logprobs=True))
        many, _, _ = await asyncio.gather(
            _children(case.engine, _ask(case, n=7, logprobs=True)),
            _children(case.engine, _ask(case, n=9, seed=5)),
            _children(case.engine, _ask(case, n=1, seed=6, max_tokens=3)),
        )
        assert [c.token_ids for c in few] == [c.token_ids for c in many[:2]]

    async def test_a_stop_string_ends_a_child_and_stays(self, case: EngineCase) -> None:
        found = await _children(case.engine, _ask(case, n=8, max_tokens=400, stop=("\n",)))
        stopped = [c for c in found if c.finish_reason == FinishReason.STOP]
        assert stopped
        for child in stopped:
            assert child.text.endswith("\n")
            assert child.text.count("\n") == 1
        assert all("\n" not in c.text for c in found if c.finish_reason != FinishReason.STOP)

    async def test_a_stop_string_of_several_tokens(self, case: EngineCase) -> None:
        free = (await _children(case.engine, _ask(case, n=1, max_tokens=60)))[0]
        stop = free.text[9:12]
        [child] = await _children(case.engine, _ask(case, n=1, max_tokens=60, stop=("never written", stop)))
        assert child.finish_reason == FinishReason.STOP
        assert stop in child.text
        assert child.token_ids == free.token_ids[: len(child.token_ids)]
        [shorter] = await _children(
            case.engine, _ask(case, n=1, max_tokens=len(child.token_ids) - 1, stop=(stop,))
        )
        assert stop not in shorter.text
        assert shorter.finish_reason == FinishReason.LENGTH

    async def test_max_tokens(self, case: EngineCase) -> None:
        for child in await _children(case.engine, _ask(case, max_tokens=7)):
            assert len(child.token_ids) <= 7
            assert (child.finish_reason == FinishReason.LENGTH) == (len(child.token_ids) == 7)

    async def test_the_context_limits_children_and_prompts(self, case: EngineCase) -> None:
        base = case.engine.prompt(case.question)
        context = case.engine.card.context
        filler = (await _children(case.engine, _ask(case, n=1, max_tokens=1)))[0].token_ids
        long = base + filler * (context - len(base) - 2)
        assert all(len(c.token_ids) <= 2 for c in await _children(case.engine, _ask(case, prompt=long, n=2)))
        with pytest.raises(ContextError, match=str(context)):
            await _collect(case.engine, _ask(case, prompt=long + filler * 2))
        with pytest.raises(ContextError):
            case.engine.prompt("12" * context)

    async def test_greedy_children_are_equal_whatever_the_seed(self, case: EngineCase) -> None:
        one = await _children(case.engine, _ask(case, n=3, sampling=Sampling(temperature=0), seed=1))
        two = await _children(case.engine, _ask(case, n=1, sampling=Sampling(temperature=0), seed=2))
        assert len({c.token_ids for c in one + two}) == 1

    async def test_top_k_of_one_and_a_tiny_top_p_are_greedy(self, case: EngineCase) -> None:
        [greedy] = await _children(case.engine, _ask(case, n=1, sampling=Sampling(temperature=0)))
        for sampling in (
            Sampling(top_k=1),
            Sampling(top_p=1e-6),
            Sampling(temperature=2.0, top_k=1, top_p=0.5),
        ):
            for child in await _children(case.engine, _ask(case, n=3, sampling=sampling)):
                assert child.token_ids == greedy.token_ids

    @pytest.mark.parametrize(
        "sampling", [Sampling(), Sampling(temperature=0.5, top_p=0.9), Sampling(temperature=0)]
    )
    async def test_logprobs_are_those_of_the_untempered_model(
        self, case: EngineCase, sampling: Sampling
    ) -> None:
        request = _ask(case, sampling=sampling, logprobs=True)
        for child in await _children(case.engine, request):
            assert len(child.logprobs) == len(child.token_ids)
            assert all(value <= 1e-6 for value in child.logprobs)
            if case.reference is not None:
                expected = case.reference(request.prompt, child.token_ids)
                assert child.logprobs == pytest.approx(expected, abs=1e-4)
        assert all(c.logprobs == () for c in await _children(case.engine, _ask(case, sampling=sampling)))

    async def test_a_stream_adds_up_to_the_child(self, case: EngineCase) -> None:
        events = await _collect(case.engine, _ask(case, stream=True, stop=("# 3",)))
        for child in (e for e in events if isinstance(e, ChildFinished)):
            parts = [e for e in events if isinstance(e, Tokens) and e.child == child.child]
            assert "".join(part.text for part in parts) == child.text
            assert tuple(token for part in parts for token in part.token_ids) == child.token_ids
            assert events.index(child) > max(map(events.index, parts))

    async def test_usage(self, case: EngineCase) -> None:
        request = _ask(case)
        events = await _collect(case.engine, request)
        assert isinstance(events[-1], RequestFinished)
        usage = events[-1].usage
        assert usage.prompt_tokens == len(request.prompt)
        assert 0 <= usage.cached_prompt_tokens <= usage.prompt_tokens
        assert usage.generated_tokens == sum(len(e.token_ids) for e in events if isinstance(e, ChildFinished))

    async def test_a_solution_grows_step_by_step(self, case: EngineCase) -> None:
        prompt, text = case.engine.prompt(case.question), ""
        for step in range(3):
            request = _ask(case, prompt=prompt, n=40, stop=("\n",), max_tokens=300, seed=step)
            child = next(
                c for c in await _children(case.engine, request) if c.finish_reason == FinishReason.STOP
            )
            prompt, text = prompt + child.token_ids, text + child.text
        assert text.count("\n") == 3

    async def test_cancelling_a_request(self, case: EngineCase, races: bool) -> None:
        request = _ask(case, n=3, max_tokens=2000, stream=True)
        events: list[Event] = []
        async for event in case.engine.submit(request):
            if not events:
                await case.engine.cancel(request.request_id)
            events.append(event)
        ended = [e for e in events if isinstance(e, ChildFinished)]
        assert sorted(e.child for e in ended) == [0, 1, 2]
        reasons = {e.finish_reason for e in ended}
        assert FinishReason.CANCELLED in reasons or (races and reasons == {FinishReason.END})
        assert isinstance(events[-1], RequestFinished)

    async def test_cancelling_a_child_leaves_the_others_alone(self, case: EngineCase, races: bool) -> None:
        free = await _children(case.engine, _ask(case, n=3, max_tokens=1500))
        longest = max(free, key=lambda child: len(child.token_ids)).child  # some models end early
        request = _ask(case, n=3, max_tokens=1500, stream=True)
        events: list[Event] = []
        async for event in case.engine.submit(request):
            if not events:
                await case.engine.cancel(request.request_id, longest)
            events.append(event)
        ended = sorted((e for e in events if isinstance(e, ChildFinished)), key=lambda e: e.child)
        cut = ended[longest]
        if races and cut.finish_reason == FinishReason.END:
            assert ended == free  # it came too late, and nothing was lost by it
            return
        assert cut.finish_reason == FinishReason.CANCELLED
        assert cut.token_ids == free[longest].token_ids[: len(cut.token_ids)]
        assert [e for e in ended if e != cut] == [e for e in free if e.child != longest]

    async def test_confidence_is_given_where_it_is_asked_for(self, case: EngineCase) -> None:
        found = await _children(case.engine, _ask(case, n=3, top_logprobs=20))
        assert all(child.token_ids for child in found)
        for child in found:
            assert child.mean_entropy is not None
            assert child.mean_confidence is not None
            assert child.lowest_confidence is not None
            assert child.mean_entropy >= 0.0
            assert 0.0 <= child.lowest_confidence <= child.mean_confidence + 1e-6
            assert child.logprobs == ()
        bare = await _children(case.engine, _ask(case, n=3, logprobs=True))
        assert [c.token_ids for c in bare] == [c.token_ids for c in found]
        for child in bare:
            assert (child.mean_entropy, child.mean_confidence, child.lowest_confidence) == (None, None, None)

    async def test_cancelling_what_is_unknown_or_has_ended_is_no_error(self, case: EngineCase) -> None:
        request = _ask(case, max_tokens=2)
        await _collect(case.engine, request)
        await case.engine.cancel(request.request_id)
        await case.engine.cancel("nobody", 3)
        assert len(await _children(case.engine, _ask(case, max_tokens=2))) == 4

    async def test_leaving_the_iterator_frees_the_engine(self, case: EngineCase) -> None:
        request = _ask(case, max_tokens=2000, stream=True)
        async for _ in case.engine.submit(request):
            break
        await asyncio.sleep(0)
        assert len(await _children(case.engine, _ask(case, max_tokens=5))) == 4

    async def test_many_requests_at_once(self, case: EngineCase) -> None:
        requests = [_ask(case, n=1 + i % 5, seed=i, max_tokens=5 + i) for i in range(12)]
        together = await asyncio.gather(*(_children(case.engine, request) for request in requests))
        for i, found in enumerate(together):
            again = _ask(case, n=1 + i % 5, seed=i, max_tokens=5 + i)
            assert [c.token_ids for c in found] == [c.token_ids for c in await _children(case.engine, again)]

    async def test_a_request_id_is_used_once_at_a_time(self, case: EngineCase, races: bool) -> None:
        first = case.engine.submit(_ask(case, max_tokens=2000, request_id="twin", stream=True))
        await anext(first)
        # a served first may have ended by now
        with suppress(EngineError) if races else pytest.raises(EngineError, match="twin"):
            await _collect(case.engine, _ask(case, request_id="twin"))
        await case.engine.cancel("twin")
        assert isinstance([event async for event in first][-1], RequestFinished)

    async def test_closing_ends_what_is_in_flight_and_refuses_what_comes(self, case: EngineCase) -> None:
        stream = case.engine.submit(_ask(case, max_tokens=2000, stream=True))
        await anext(stream)
        await case.engine.close()
        await case.engine.close()
        rest = [event async for event in stream]
        assert isinstance(rest[-1], RequestFinished)
        with pytest.raises(EngineError, match="closed"):
            await _collect(case.engine, _ask(case))
