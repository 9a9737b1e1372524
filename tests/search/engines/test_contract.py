"""The contract of engines: every member of the family passes all of this."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

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


def ask(case, *, n=4, max_tokens=48, sampling=None, seed=11, stop=(), prompt=None, **wanted) -> Request:
    ids = case.engine.prompt(case.question) if prompt is None else prompt
    return Request(ids, n, max_tokens, sampling or Sampling(), seed, stop, **wanted)


async def collect(engine: Engine, request: Request) -> list[Event]:
    return [event async for event in engine.submit(request)]


async def children(engine: Engine, request: Request) -> list[ChildFinished]:
    events = await asyncio.wait_for(collect(engine, request), 60)
    return sorted((e for e in events if isinstance(e, ChildFinished)), key=lambda e: e.child)


async def test_each_child_ends_once_and_the_request_ends_last(case):
    events = await collect(case.engine, ask(case, n=5))
    assert sorted(e.child for e in events if isinstance(e, ChildFinished)) == [0, 1, 2, 3, 4]
    assert [e for e in events if isinstance(e, RequestFinished)] == events[-1:]
    assert not [e for e in events if isinstance(e, Tokens)]


async def test_same_seed_same_children(case):
    assert await children(case.engine, ask(case)) == await children(case.engine, ask(case))


async def test_other_seeds_and_other_children_are_other_draws(case):
    one = await children(case.engine, ask(case, n=16))
    two = await children(case.engine, ask(case, n=16, seed=12))
    assert [c.token_ids for c in one] != [c.token_ids for c in two]
    assert len({c.token_ids for c in one}) > 1


async def test_a_child_depends_on_its_seed_and_index_only(case):
    few = await children(case.engine, ask(case, n=2, logprobs=True))
    many, _, _ = await asyncio.gather(
        children(case.engine, ask(case, n=7, logprobs=True)),
        children(case.engine, ask(case, n=9, seed=5)),
        children(case.engine, ask(case, n=1, seed=6, max_tokens=3)),
    )
    assert [c.token_ids for c in few] == [c.token_ids for c in many[:2]]


async def test_a_stop_string_ends_a_child_and_stays(case):
    found = await children(case.engine, ask(case, n=8, max_tokens=400, stop=("\n",)))
    stopped = [c for c in found if c.finish_reason == FinishReason.STOP]
    assert stopped
    for child in stopped:
        assert child.text.endswith("\n")
        assert child.text.count("\n") == 1
    assert all("\n" not in c.text for c in found if c.finish_reason != FinishReason.STOP)


async def test_a_stop_string_of_several_tokens(case):
    free = (await children(case.engine, ask(case, n=1, max_tokens=60)))[0]
    stop = free.text[9:12]
    [child] = await children(case.engine, ask(case, n=1, max_tokens=60, stop=("never written", stop)))
    assert child.finish_reason == FinishReason.STOP
    assert stop in child.text
    assert child.token_ids == free.token_ids[: len(child.token_ids)]
    [shorter] = await children(case.engine, ask(case, n=1, max_tokens=len(child.token_ids) - 1, stop=(stop,)))
    assert stop not in shorter.text
    assert shorter.finish_reason == FinishReason.LENGTH


async def test_max_tokens(case):
    for child in await children(case.engine, ask(case, max_tokens=7)):
        assert len(child.token_ids) <= 7
        assert (child.finish_reason == FinishReason.LENGTH) == (len(child.token_ids) == 7)


async def test_the_context_limits_children_and_prompts(case):
    base = case.engine.prompt(case.question)
    context = case.engine.card.context
    filler = (await children(case.engine, ask(case, n=1, max_tokens=1)))[0].token_ids
    long = base + filler * (context - len(base) - 2)
    assert all(len(c.token_ids) <= 2 for c in await children(case.engine, ask(case, prompt=long, n=2)))
    with pytest.raises(ContextError, match=str(context)):
        await collect(case.engine, ask(case, prompt=long + filler * 2))
    with pytest.raises(ContextError):
        case.engine.prompt("12" * context)


async def test_greedy_children_are_equal_whatever_the_seed(case):
    one = await children(case.engine, ask(case, n=3, sampling=Sampling(temperature=0), seed=1))
    two = await children(case.engine, ask(case, n=1, sampling=Sampling(temperature=0), seed=2))
    assert len({c.token_ids for c in one + two}) == 1


async def test_top_k_of_one_and_a_tiny_top_p_are_greedy(case):
    [greedy] = await children(case.engine, ask(case, n=1, sampling=Sampling(temperature=0)))
    for sampling in (Sampling(top_k=1), Sampling(top_p=1e-6), Sampling(temperature=2.0, top_k=1, top_p=0.5)):
        for child in await children(case.engine, ask(case, n=3, sampling=sampling)):
            assert child.token_ids == greedy.token_ids


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(temperature=0.5, top_p=0.9), Sampling(temperature=0)]
)
async def test_logprobs_are_those_of_the_untempered_model(case, sampling):
    request = ask(case, sampling=sampling, logprobs=True)
    for child in await children(case.engine, request):
        expected = case.reference(request.prompt, child.token_ids)
        assert child.logprobs == pytest.approx(expected, abs=1e-4)
    assert all(c.logprobs == () for c in await children(case.engine, ask(case, sampling=sampling)))


async def test_confidence_is_given_where_it_is_asked_for(case):
    found = await children(case.engine, ask(case, n=3, top_logprobs=20))
    assert all(child.token_ids for child in found)
    for child in found:
        assert child.mean_entropy >= 0.0
        assert 0.0 <= child.lowest_confidence <= child.mean_confidence + 1e-6
        assert child.logprobs == ()
    bare = await children(case.engine, ask(case, n=3, logprobs=True))
    assert [c.token_ids for c in bare] == [c.token_ids for c in found]
    for child in bare:
        assert (child.mean_entropy, child.mean_confidence, child.lowest_confidence) == (None, None, None)


async def test_a_stream_adds_up_to_the_child(case):
    events = await collect(case.engine, ask(case, stream=True, stop=("# 3",)))
    for child in (e for e in events if isinstance(e, ChildFinished)):
        parts = [e for e in events if isinstance(e, Tokens) and e.child == child.child]
        assert "".join(part.text for part in parts) == child.text
        assert tuple(token for part in parts for token in part.token_ids) == child.token_ids
        assert events.index(child) > max(map(events.index, parts))


async def test_usage(case):
    request = ask(case)
    events = await collect(case.engine, request)
    usage = events[-1].usage
    assert usage.prompt_tokens == len(request.prompt)
    assert 0 <= usage.cached_prompt_tokens <= usage.prompt_tokens
    assert usage.generated_tokens == sum(len(e.token_ids) for e in events if isinstance(e, ChildFinished))


async def test_a_solution_grows_step_by_step(case):
    prompt, text = case.engine.prompt(case.question), ""
    for step in range(3):
        request = ask(case, prompt=prompt, n=40, stop=("\n",), max_tokens=300, seed=step)
        child = next(c for c in await children(case.engine, request) if c.finish_reason == FinishReason.STOP)
        prompt, text = prompt + child.token_ids, text + child.text
    assert text.count("\n") == 3


@pytest.fixture
def races(request: pytest.FixtureRequest) -> bool:
    """Whether children may have ended in another process before a cancellation (or a twin) gets there."""
    return "vllm-serve" in request.node.name


async def test_cancelling_a_request(case, races):
    request = ask(case, n=3, max_tokens=2000, stream=True)
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


async def test_cancelling_a_child_leaves_the_others_alone(case, races):
    free = await children(case.engine, ask(case, n=3, max_tokens=1500))
    longest = max(free, key=lambda child: len(child.token_ids)).child  # some models end early
    request = ask(case, n=3, max_tokens=1500, stream=True)
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


async def test_cancelling_what_is_unknown_or_has_ended_is_no_error(case):
    request = ask(case, max_tokens=2)
    await collect(case.engine, request)
    await case.engine.cancel(request.request_id)
    await case.engine.cancel("nobody", 3)
    assert len(await children(case.engine, ask(case, max_tokens=2))) == 4


async def test_leaving_the_iterator_frees_the_engine(case):
    request = ask(case, max_tokens=2000, stream=True)
    async for _ in case.engine.submit(request):
        break
    await asyncio.sleep(0)
    assert len(await children(case.engine, ask(case, max_tokens=5))) == 4


async def test_many_requests_at_once(case):
    requests = [ask(case, n=1 + i % 5, seed=i, max_tokens=5 + i) for i in range(12)]
    together = await asyncio.gather(*(children(case.engine, request) for request in requests))
    for i, found in enumerate(together):
        again = ask(case, n=1 + i % 5, seed=i, max_tokens=5 + i)
        assert [c.token_ids for c in found] == [c.token_ids for c in await children(case.engine, again)]


async def test_a_request_id_is_used_once_at_a_time(case, races):
    first = case.engine.submit(ask(case, max_tokens=2000, request_id="twin", stream=True))
    await anext(first)
    # a served first may have ended by now
    with suppress(EngineError) if races else pytest.raises(EngineError, match="twin"):
        await collect(case.engine, ask(case, request_id="twin"))
    await case.engine.cancel("twin")
    assert isinstance([event async for event in first][-1], RequestFinished)


async def test_closing_ends_what_is_in_flight_and_refuses_what_comes(case):
    stream = case.engine.submit(ask(case, max_tokens=2000, stream=True))
    await anext(stream)
    await case.engine.close()
    await case.engine.close()
    rest = [event async for event in stream]
    assert isinstance(rest[-1], RequestFinished)
    with pytest.raises(EngineError, match="closed"):
        await collect(case.engine, ask(case))
