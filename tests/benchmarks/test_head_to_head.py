"""The parts of ``head_to_head.py``, before a fake of llama.cpp's server."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai")
pytest.importorskip("aiohttp")
pytest.importorskip("altair")

import head_to_head
import openai
import versus_router
from head_to_head import Limit, answer_block, dollars
from openai import OpenAI
from real_campaign import LARGE, PARAMETERS, SMALL
from versus_chart import svg
from versus_contestants import CONTESTANTS, Contestant
from versus_deepconf import Trace, elected, share_of_leader, threshold
from versus_door import Meter, Tokens, door
from versus_figures import compared, routed
from versus_page import page
from versus_questions import FIRST, held_out, order
from versus_router import Router, fit_router
from versus_rows import Block, Row, Rows
from versus_servers import models_file

from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.errors import LogError, RecordError
from search.log.store import SearchLog
from search.models_file import ModelsFile
from search.problem import Problem
from search.remote.fake_server import FakeServer, Fault

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PRICES = {SMALL: {"input": 1.0, "output": 2.0}, LARGE: {"input": 10.0, "output": 20.0}}
TEMPLATE = "{question}\n\nThe last line is the answer within \\boxed{}."
SOLUTION = "Four and four.\n\\boxed{8}"


def problem(number: int) -> Problem:
    return Problem(f"q{number}", f"f{number}", "math", f"Question {number}: what is 4 + 4?", "8")


def by_name(name: str) -> Contestant:
    return next(one for one in CONTESTANTS if one.name == name)


def serving(text: str, name: str = SMALL) -> FakeServer:
    def script(_: str, rng: Random) -> str:
        return text

    return FakeServer(FakeOpenAI(ScriptedEngine(script, name=name), plays="llamacpp"))


@pytest.fixture
def small() -> Iterator[FakeServer]:
    with serving(SOLUTION) as server:
        yield server


@pytest.fixture
def meter() -> Meter:
    counted = Meter()
    counted.watch({f"q{number}": problem(number).question for number in range(4)})
    return counted


@pytest.fixture
def client(small: FakeServer, meter: Meter) -> Iterator[OpenAI]:
    with (
        door({SMALL: small.url}, meter) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as one,
    ):
        yield one


def talk(number: int) -> list[Any]:
    return [{"role": "user", "content": problem(number).question}]


# -- the door ---------------------------------------------------------------------------------------


def test_the_door_counts_each_question_of_each_model(client: OpenAI, meter: Meter) -> None:
    got = client.chat.completions.create(model=SMALL, messages=talk(1), max_tokens=50)
    client.chat.completions.create(model=SMALL, messages=talk(2), max_tokens=7)
    assert got.usage is not None
    assert meter.taken("q1") == {SMALL: Tokens(got.usage.prompt_tokens, got.usage.completion_tokens)}
    assert meter.taken("q2")[SMALL].generated == 7
    assert meter.taken("q3") == {}
    assert meter.total()[SMALL].generated == got.usage.completion_tokens + 7


def test_several_samples_of_one_request_are_all_counted(client: OpenAI, meter: Meter) -> None:
    one = client.chat.completions.create(model=SMALL, messages=talk(0))
    four = client.chat.completions.create(model=SMALL, messages=talk(1), n=4)
    assert [choice.message.content for choice in four.choices] == [SOLUTION] * 4
    assert one.usage is not None
    assert four.usage is not None
    assert four.usage.completion_tokens == 4 * one.usage.completion_tokens
    assert four.usage.prompt_tokens == one.usage.prompt_tokens
    assert meter.taken("q1")[SMALL].generated == 4 * one.usage.completion_tokens


def test_a_stream_that_is_left_is_counted_by_what_came(meter: Meter) -> None:
    engine = ScriptedEngine(lambda _, rng: "x" * 400, name=SMALL)
    with (
        FakeServer(FakeOpenAI(engine, plays="llamacpp", pace=0.002)) as server,
        door({SMALL: server.url}, meter) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        whole = client.chat.completions.create(model=SMALL, messages=talk(1), max_tokens=3)
        assert whole.usage is not None
        with client.chat.completions.create(
            model=SMALL, messages=talk(1), stream=True, max_tokens=400
        ) as stream:
            next(iter(stream))
        taken = meter.taken("q1")[SMALL]
    assert 3 <= taken.generated < 403
    assert taken.prompt in (whole.usage.prompt_tokens, 2 * whole.usage.prompt_tokens)


def test_a_prompt_of_token_ids_is_told_apart(client: OpenAI, meter: Meter) -> None:
    ids = list(map(ord, problem(3).question))
    client.completions.create(model=SMALL, prompt=ids, max_tokens=5)
    assert meter.taken("q3") == {SMALL: Tokens(len(ids), 5)}


def test_what_the_door_does_not_know_is_404_and_errors_pass(
    small: FakeServer, client: OpenAI, meter: Meter
) -> None:
    with pytest.raises(openai.NotFoundError, match="the model must be one of"):
        client.chat.completions.create(model="no-such", messages=talk(1))
    small.fail("/v1/chat/completions", Fault.answer(400, b'{"error": {"message": "no"}}', "application/json"))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=SMALL, messages=talk(1), n=2)
    assert meter.taken("q1") == {SMALL: Tokens()}


def test_a_models_file_of_the_door_is_read(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(models_file("http://127.0.0.1:9", PRICES), encoding="utf-8")
    assert set(ModelsFile.read(path).price_table()) == set(PARAMETERS)


def test_prices_name_both_models() -> None:
    prices = tomllib.loads((BENCHMARKS / "head_to_head_prices.toml").read_text(encoding="utf-8"))
    assert set(prices) == set(PARAMETERS)
    share = PARAMETERS[SMALL] / PARAMETERS[LARGE]
    assert prices[SMALL]["input"] / prices[LARGE]["input"] == pytest.approx(share, rel=1e-3)


# -- contestants ------------------------------------------------------------------------------------


class FakeStage:
    """A stage of which one door is open."""

    def __init__(self, client: OpenAI, meter: Meter) -> None:
        self._client, self.meter = client, meter

    def client(self, behind: str) -> OpenAI:
        return self._client


def played(contestant: Contestant, client: OpenAI, meter: Meter, rows: Rows, limit: Limit) -> None:
    stage: Any = FakeStage(client, meter)
    answer_block(contestant, [problem(1), problem(2)], rows, PRICES, stage, limit, TEMPLATE)


def unlimited() -> Limit:
    return Limit(None, float("inf"))


def test_a_block_is_answered_graded_and_kept(client: OpenAI, meter: Meter, tmp_path: Path) -> None:
    rows = Rows(tmp_path)
    played(by_name("greedy-small"), client, meter, rows, unlimited())
    kept = rows.of("greedy-small")
    assert set(kept) == {"q1", "q2"}
    assert all(row.right and row.answer == "8" and row.error is None for row in kept.values())
    one = kept["q1"]
    assert one.usd == pytest.approx(1e-6 * (one.prompt + 2.0 * one.generated))
    [block] = rows.blocks()
    assert (block.contestant, block.questions) == ("greedy-small", 2)
    assert block.counted == {
        SMALL: [sum(row.prompt for row in kept.values()), sum(row.generated for row in kept.values())]
    }


def test_a_limit_leaves_questions_for_the_next_time(client: OpenAI, meter: Meter, tmp_path: Path) -> None:
    rows, limit = Rows(tmp_path), Limit(1, float("inf"))
    limit.spend(1)
    played(by_name("greedy-small"), client, meter, rows, limit)
    assert rows.of("greedy-small") == {}
    assert rows.blocks() == []
    assert Limit(None, 0.0).is_met()


def test_what_fails_is_a_lost_request(
    small: FakeServer, client: OpenAI, meter: Meter, tmp_path: Path
) -> None:
    small.fail("/v1/chat/completions", *[Fault.answer(500, b'{"error": {}}', "application/json")] * 2)
    rows = Rows(tmp_path)
    played(by_name("greedy-small"), client, meter, rows, unlimited())
    kept = rows.of("greedy-small").values()
    assert [row.right for row in kept] == [False, False]
    assert all(row.error is not None and row.error.startswith("InternalServerError") for row in kept)


def test_deepconf_stops_when_the_first_agree(client: OpenAI, meter: Meter, tmp_path: Path) -> None:
    rows = Rows(tmp_path)
    played(by_name("deepconf"), client, meter, rows, unlimited())
    assert [row.told for row in rows.of("deepconf").values()] == [{"drawn": 4, "stopped": 0}] * 2
    assert all(row.right for row in rows.of("deepconf").values())


def test_deepconf_draws_eight_where_none_agree(meter: Meter, tmp_path: Path) -> None:
    def script(_: str, rng: Random) -> str:
        return f"\\boxed{{{rng.randrange(10**9)}}}"

    rows = Rows(tmp_path)
    with (
        FakeServer(FakeOpenAI(ScriptedEngine(script, name=SMALL), plays="llamacpp")) as server,
        door({SMALL: server.url}, meter) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        played(by_name("deepconf"), client, meter, rows, unlimited())
    assert [row.told["drawn"] for row in rows.of("deepconf").values()] == [8, 8]


def test_a_planner_must_know_both_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(head_to_head, "PARAMETERS", {SMALL: 1, "no-such-model": 1})
    with pytest.raises(LogError, match="the log has answers of, got none of no-such-model"):
        head_to_head.fitted(BENCHMARKS / "logs" / "real" / "math", tmp_path / "planner")
    assert list(tmp_path.iterdir()) == []


def test_every_model_has_its_price() -> None:
    taken = {SMALL: Tokens(10, 5), LARGE: Tokens(1, 1)}
    assert dollars(taken, PRICES) == pytest.approx(50e-6)


# -- rules ------------------------------------------------------------------------------------------


def token(*logprobs: float) -> Any:
    return SimpleNamespace(top_logprobs=[SimpleNamespace(logprob=one) for one in logprobs])


def test_a_trace_keeps_its_lowest_window() -> None:
    trace = Trace()
    trace.add([token(-1.0, -3.0)] * 64)
    assert trace.lowest == pytest.approx(2.0)
    trace.add([token(-1.0, -1.0)] * 32)
    assert trace.lowest == pytest.approx(1.5)
    trace.add([token(-4.0, -4.0)] * 64)
    assert trace.lowest == pytest.approx(1.5)
    short = Trace()
    short.add([token(-1.0, -3.0), token(-3.0, -5.0)])
    assert (short.lowest, short.confidence) == (None, pytest.approx(3.0))


def test_the_threshold_keeps_its_share() -> None:
    traces = [Trace(lowest=float(value)) for value in range(1, 11)]
    kept = [one for one in traces if one.confidence >= threshold(traces, 0.9)]
    assert len(kept) == 9


def test_votes_count_by_weight() -> None:
    place, weights = elected(
        [("1", 1.0), ("2", 0.6), ("2.0", 0.6)], lambda one, two: float(one) == float(two)
    )
    assert (place, weights) == (1, [1.0, pytest.approx(1.2)])
    assert share_of_leader(weights) == pytest.approx(1.2 / 2.2)
    with pytest.raises(ValueError, match="an election needs votes"):
        elected([], lambda one, two: True)


def test_held_out_questions_are_not_among_those_of_a_log() -> None:
    every = [problem(number) for number in range(FIRST + 30)]
    fresh = order(every, {"q1003", "f1004", every[FIRST + 5].question})
    assert {one.problem_id for one in fresh} == {f"q{n}" for n in range(FIRST, FIRST + 30)} - {
        "q1003",
        "q1004",
        "q1005",
    }
    assert [one.problem_id for one in fresh] != sorted(one.problem_id for one in fresh)
    assert fresh == order(every, {"q1003", "f1004", every[FIRST + 5].question})


def test_the_order_stays_when_a_log_grows() -> None:
    every = [problem(number) for number in range(FIRST + 30)]
    before = order(every, set())
    assert order(every, {"q1003"}) == [one for one in before if one.problem_id != "q1003"]
    like = Problem("new", every[0].family, "math", "Like the first: what is 4 + 4?", "8")
    assert order([*every, like], set()) != []
    assert like not in order([*every, like], set())


def test_without_the_problem_set_there_are_no_questions(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"gsm8k_test\.jsonl must be in the folder"):
        held_out(tmp_path, [])


@pytest.fixture(scope="module")
def router() -> Router:
    return fit_router(SearchLog.open(BENCHMARKS / "logs" / "real" / "math"), SMALL)


def test_the_threshold_sends_its_share_to_the_large_model(router: Router) -> None:
    share = np.mean(router.crossed < router.threshold(0.25))
    assert share == pytest.approx(0.25, abs=0.02)
    assert 0.0 < router.chances(["How many is 2 + 2?"])[0] < 1.0


def test_a_router_needs_questions_with_both_outcomes(monkeypatch: pytest.MonkeyPatch, router: Router) -> None:
    log = SearchLog.open(BENCHMARKS / "logs" / "real" / "math")
    few = versus_router.rates(log, SMALL).head(5)
    monkeypatch.setattr(versus_router, "rates", lambda *_: few)
    with pytest.raises(LogError, match="a router needs 20 questions"):
        fit_router(log, SMALL)


def test_the_router_answers_with_one_of_both(router: Router) -> None:
    questions = [problem(number) for number in range(3)]
    answers = {
        name: {one.problem_id: row(one.problem_id, right=right) for one in questions}
        for name, right in (("greedy-small", False), ("greedy-large", True))
    }
    found = routed(questions, answers, router)
    assert set(found) == {"router-25", "router-50", "router-75"}
    chances = router.chances([one.question for one in questions])
    expected = [bool(chance < router.threshold(0.5)) for chance in chances]
    assert [found["router-50"][one.problem_id].right for one in questions] == expected


# -- figures, page, chart ---------------------------------------------------------------------------


def row(question: str, *, right: bool, usd: float = 1e-5, error: str | None = None) -> Row:
    return Row(question, "text", "8", right, 100, 200, usd, 1.5, error)


ANSWERS = {
    "greedy-small": {f"q{n}": row(f"q{n}", right=n % 4 == 0) for n in range(12)},
    "greedy-large": {f"q{n}": row(f"q{n}", right=n % 2 == 0, usd=3e-5) for n in range(8)},
    "planner-medium": {
        f"q{n}": row(f"q{n}", right=n % 2 == 0, usd=2e-5, error=None if n else "lost") for n in range(8)
    },
}
BLOCKS = [Block("greedy-small", 12, 60.0, {SMALL: [1200, 2400]}, 64, 2.0, "2026-11-30")]


def test_contestants_are_compared_on_common_questions() -> None:
    found = compared([problem(n) for n in range(12)], ANSWERS, BLOCKS)
    assert found["questions"] == 8
    small, large, planner = found["contestants"]
    assert (small["right"], small["answered"], small["seconds"], small["counted"]) == (2, 12, 5.0, 200.0)
    assert (large["accuracy"], large["usd"], large["seconds"]) == (0.5, pytest.approx(30.0), None)
    assert planner["lost"] == 1
    above = {one["rival"]: one for one in found["differences"]}
    assert above["1.5B, greedy"]["difference"] == 0.0
    assert above["1.5B, greedy"]["cost_ratio"] == pytest.approx(2 / 3)
    assert above["0.5B, greedy"]["difference"] == pytest.approx(25.0)
    # half of the questions to the large model cost as much
    assert above["a coin between both models, at the same cost"]["difference"] == pytest.approx(12.5)


def test_nothing_in_common_is_said_and_not_drawn() -> None:
    found = compared([problem(1)], {}, [])
    assert found == {"questions": 0, "contestants": [], "differences": []}


def test_the_chart_names_the_questions() -> None:
    found = compared([problem(n) for n in range(12)], ANSWERS, BLOCKS)
    drawn = svg(found["contestants"], found["questions"])
    assert "of 8 held-out questions, right (%)" in drawn
    assert "0.5B, greedy" in drawn


def test_the_page_is_the_one_of_its_figures() -> None:
    found = json.loads((BENCHMARKS / "head_to_head.json").read_text(encoding="utf-8"))
    assert (BENCHMARKS / "head_to_head.md").read_text(encoding="utf-8") == page(found)


def test_every_contestant_can_be_asked_for() -> None:
    names = [one.name for one in CONTESTANTS]
    assert len(set(names)) == len(names)
    assert {one.behind for one in CONTESTANTS} == {"models", "planner", "its_hub", "optillm"}
    assert head_to_head.BLOCK > 0
