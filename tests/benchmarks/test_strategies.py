"""The parts of ``strategies.py``: the lab's plans and figures, contestants before a fake server, the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai")
pytest.importorskip("aiohttp")
pytest.importorskip("torch")

from head_to_head import Limit
from real_campaign import LARGE, SMALL
from strategies_contestants import OURS, PAIRS, RIVALS, VOTE, Ours, captions
from strategies_lab import StageSeconds, pace
from strategies_lab_figures import Measured, compared, nearest, verdict
from strategies_lab_plans import NOT_RUN, POLICY, grids, plans, questions
from strategies_page import page
from strategies_planner import NEW
from strategies_planner import choices as planner_choices
from strategies_real import DELIMITER, Team, served
from strategies_real_figures import calculations
from strategies_real_figures import compared as compared_answers
from strategies_thought import asked, thoughtful
from strategies_thought import compared as compared_thoughts
from versus_door import Meter, door
from versus_rows import Block, Row, Rows

from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import TURN, ScriptedEngine
from search.plan import Plan
from search.problem import Problem
from search.remote.fake_server import FakeServer
from search.strategies.registry import STRATEGIES
from search.sync import run_sync

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PRICES = {name: {"input": 1.0, "output": 2.0} for name in (SMALL, LARGE)}
TEMPLATE = "{question}\n\nThe last line is the answer within \\boxed{}."


# -- the lab ----------------------------------------------------------------------------------------


def test_every_strategy_is_run_or_said_not_to_be() -> None:
    ours = {name for name in STRATEGIES if STRATEGIES.is_builtin(name)}
    assert ours == {*plans(), *(name for name in ours if f"`{name}`" in NOT_RUN)}
    named = {one.plan.strategy for one in OURS}
    assert {
        "aggregate",
        "refine",
        "program",
        "majority",
        "best_of_n",
        "weighted_vote",
        "beam_search",
    } <= named


def test_the_grids_hold_what_the_plans_need() -> None:
    own, larger = grids()
    planned = {plan for some in plans().values() for plan in some}
    assert {plan for plan in planned if plan.must_run} <= set(own.plans())
    assert max(plan.n for plan in planned if plan.is_pooled) <= own.samples
    then = [part.plan.n for plan in plans()["cascade"] for part in plan.parts if part.policy != POLICY]
    assert max(then) <= larger.samples


def test_questions_take_the_domains_in_turn() -> None:
    some = questions(8)
    assert len({one.problem_id for one in some}) == 8
    assert [one.domain for one in some[:4]] == [one.domain for one in some[4:]]
    assert len({one.domain for one in some}) == 4
    assert some[:3] == questions(3)


def met(strategy: str, plan: str, accuracy: list[float], flops: float) -> Measured:
    values = np.array(accuracy)
    return Measured(
        strategy, POLICY, Plan.parse(plan), values, np.full(len(values), 10.0), np.full(len(values), flops)
    )


def test_plans_are_held_against_a_vote_at_equal_flops() -> None:
    votes = [
        met("majority", "majority(n=1)", [0.0, 0.0, 0.5, 0.5, 1.0, 1.0], 110.0),
        met("majority", "majority(n=4)", [0.5, 0.5, 1.0, 1.0, 1.0, 1.0], 410.0),
    ]
    between = met("rebase", "rebase(n=4)", [0.25, 0.25, 0.75, 0.75, 1.0, 1.0], 260.0)
    better = met("rebase", "rebase(n=8)", [1.0] * 6, 410.0)
    rows = compared([*votes, between, better], list("abcdef"), np.array([2, 2, 1, 1, 0, 0]))
    assert [row["samples"] for row in rows] == pytest.approx([1.0, 4.0, 2.5, 4.0])
    assert [row["above"] for row in rows[:3]] == [None, None, [0.0, 0.0, 0.0]]
    assert rows[3]["above"][0] == pytest.approx(16.7)
    assert [third["accuracy"] for third in rows[0]["thirds"]] == [100.0, 50.0, 0.0]
    assert [third["above"][0] for third in rows[3]["thirds"]] == [0.0, 0.0, 50.0]


def test_forced_thoughts_are_held_against_votes_without_them() -> None:
    flops = {"majority(n=1)": 110.0, "majority(n=4)": 410.0, "majority(n=4, think=200, wait=60)": 260.0}
    some = [met("majority", plan, [0.5] * 4, spent) for plan, spent in flops.items()]
    rows = compared_thoughts(some, list("abcd"))
    assert [row["above"] for row in rows] == [None, None, [0.0, 0.0, 0.0]]
    assert all(plan.thinking is not None for plan in thoughtful())
    assert {one.domain for one in asked(10)} == {"arithmetic", "chemistry"}


def test_the_wider_planner_has_what_the_narrower_lacks() -> None:
    known = {choice.plan.strategy for choice in planner_choices()}
    assert set(NEW) < known
    assert {"majority", "cascade", "beam_search"} <= known - set(NEW)


def test_a_cost_belongs_to_the_budget_that_is_nearest_by_ratio() -> None:
    assert [nearest(cost) for cost in (1.0, 7.9, 8.1, 31.0, 33.0)] == [4, 4, 16, 16, 64]


def test_a_difference_is_sure_where_its_interval_leaves_0_out() -> None:
    assert verdict([2.0, 0.1, 4.0]) == "won"
    assert verdict([2.0, 0.0, 4.0]) == "level"
    assert verdict([-2.0, -4.0, -0.1]) == "lost"


def test_seconds_are_those_of_all_blocks(tmp_path: Path) -> None:
    assert pace(tmp_path) == StageSeconds({})
    lines = [
        ("m: samples 0-15", 40, 32.0),
        ("m: samples 0-15", 10, 8.0),
        ("m: rebase(n=4) under prm, run 0", 40, 20.0),
    ]
    text = "".join(
        json.dumps({"stage": stage, "questions": asked, "seconds": took}) + "\n"
        for stage, asked, took in lines
    )
    (tmp_path / "seconds.jsonl").write_text(text, encoding="utf-8")
    found = pace(tmp_path)
    assert found.sample("m", 16) == pytest.approx(0.05)
    assert found.run("m", "rebase(n=4)", "prm") == pytest.approx(0.5)
    assert (found.greedy("m"), found.scoring("m", "prm", 16)) == (None, None)


# -- the real model ---------------------------------------------------------------------------------


def problem(number: int) -> Problem:
    return Problem(f"q{number}", f"f{number}", "math", f"Question {number}: what is 4 + 4?", "8")


def script(text: str, rng: Random) -> str:
    """Right solutions and wrong ones, verdicts that know them, programs."""
    if "Answer with one word" in text:
        return "Yes" if "Four and four." in text else "No"
    if "Reply with the number of that response" in text:
        return "1"
    if "Python program" in text:
        return "```python\nprint(4 + 4)\n```"
    if "Check this solution" in text:
        return "CORRECT" if "Four and four." in text else "The sum is wrong."
    written = text.rpartition(TURN)[2]
    solutions = ["Four and four.\n\\boxed{8}", "Four less one.\n\\boxed{3}", "All.\n\\boxed{44}"]
    whole = next((one for one in solutions if written and one.startswith(written)), None)
    return rng.choice(solutions) if whole is None else whole.removeprefix(written)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    meter = Meter()
    with (
        FakeServer(FakeOpenAI(ScriptedEngine(script, name=SMALL), plays="llamacpp")) as server,
        door({SMALL: server.url}, meter) as url,
    ):
        loader = served(f"{url}/{SMALL}", TEMPLATE)
        try:
            yield Team(loader, Rows(tmp_path), Limit(None, float("inf")), meter, PRICES)
        finally:
            run_sync(loader.close())


def by_name(name: str) -> Ours:
    return next(one for one in OURS if one.name == name)


def test_contestants_begin_with_the_samples_of_the_vote(team: Team) -> None:
    some = [problem(1), problem(2)]
    for name in (VOTE, "judge-best", "judge-weighted", "aggregate-select", "refine"):
        team.answer(by_name(name), some)
    vote, best = team.rows.of(VOTE), team.rows.of("judge-best")
    for one in ("q1", "q2"):
        samples = vote[one].told["samples"]
        assert len(samples) == 8
        assert [each["right"] for each in samples] == [each["answer"] == "8" for each in samples]
        assert vote[one].generated == sum(each["tokens"] for each in samples)
        # P(yes) is 1 of right samples and 0 of wrong ones
        assert [rewards[-1] for rewards in best[one].told["rewards"]] == [
            float(each["right"]) for each in samples
        ]
        assert best[one].right == any(each["right"] for each in samples)
        assert best[one].generated == 8
        weighted = team.rows.of("judge-weighted")[one]
        assert (weighted.prompt, weighted.generated) == (0, 0)
        assert team.rows.of("refine")[one].told["begun"] == 1
    assert [block.questions for block in team.rows.blocks()] == [2] * 5


def test_a_thought_is_made_to_go_on(team: Team) -> None:
    team.answer(by_name("greedy"), [problem(1)])
    team.answer(by_name("wait"), [problem(1)])
    plain, longer = team.rows.of("greedy")["q1"], team.rows.of("wait")["q1"]
    assert longer.error is None
    assert longer.generated > plain.generated


def test_programs_and_trees_draw_for_themselves(team: Team) -> None:
    for name in ("program", "judge-beam"):
        team.answer(by_name(name), [problem(1)])
        row = team.rows.of(name)["q1"]
        assert (row.right, row.error, row.told["begun"]) == (True, None, 0)
        assert row.generated > 0


def test_nothing_is_begun_beyond_a_limit(team: Team) -> None:
    team.limit.spend(1)
    bound = Team(team.loader, team.rows, Limit(0, float("inf")), team.meter, PRICES)
    bound.answer(by_name(VOTE), [problem(1)])
    assert team.rows.of(VOTE) == {}
    assert team.rows.blocks() == []


def test_names_are_told_apart_and_pairs_exist() -> None:
    names = [one.name for one in (*OURS, *RIVALS)]
    assert len(set(names)) == len(names) == len(captions())
    assert {name for pair in PAIRS for name in pair} <= set(names)
    assert all(one.scored_by in {"", *names} for one in OURS)


def test_the_calculations_of_a_solution_are_counted(tmp_path: Path) -> None:
    (tmp_path / "problem_sets").mkdir()
    line = json.dumps({"question": "How many? ", "answer": "<<1+1=2>>2, <<2+2=4>>4\n#### 4"})
    (tmp_path / "problem_sets" / "gsm8k_test.jsonl").write_text(line + "\n", encoding="utf-8")
    assert calculations(tmp_path) == {"How many?": 2}


def row(number: int, *, right: bool, **told: Any) -> Row:
    return Row(f"q{number}", "text", "8", right, 100, 200, 1e-5, 1.5, None, told)


def test_lent_samples_are_counted_where_they_were_used() -> None:
    sample = {"text": f"4{DELIMITER}8", "answer": "8", "tokens": 25, "finish": "stop"}
    samples = [{**sample, "right": place % 2 == 0} for place in range(8)]
    answers = {
        VOTE: {f"q{n}": row(n, right=n % 2 == 0, samples=samples) for n in range(6)},
        "judge-best": {
            f"q{n}": row(n, right=True, begun=8, rewards=[[float(place % 2 == 0)] for place in range(8)])
            for n in range(4)
        },
        "judge-weighted": {f"q{n}": row(n, right=True, begun=8, scored=True) for n in range(4)},
        "refine": {f"q{n}": row(n, right=False, begun=1) for n in range(4)},
    }
    blocks = [Block(name, 4, 40.0, {}, 4, 1.0, "2026-11-30") for name in answers]
    steps = {problem(n).question: n for n in range(6)}
    found = compared_answers([problem(n) for n in range(6)], answers, blocks, steps)
    assert found["questions"] == 4
    vote, best, weighted, refine = found["rows"]
    assert (vote["prompt"], vote["generated"], vote["seconds"]) == (100.0, 200.0, 10.0)
    assert (best["prompt"], best["generated"], best["seconds"]) == (200.0, 400.0, 20.0)
    # its own row, the samples, and the verdicts on them
    assert (weighted["prompt"], weighted["generated"], weighted["seconds"]) == (300.0, 600.0, 30.0)
    assert (refine["prompt"], refine["generated"], refine["seconds"]) == (200.0, 225.0, 11.25)
    assert (vote["above"], best["above"][0], refine["above"][0]) == (None, 50.0, -50.0)
    assert found["judge"] == {"questions": 4, "auroc": 1.0, "right": 1.0, "wrong": 0.0}
    assert [one["questions"] for one in found["thirds"]] == [2, 1, 1]


def test_a_longer_thought_is_held_against_votes_that_cost_as_much() -> None:
    sample = {"text": f"4{DELIMITER}8", "tokens": 50, "finish": "stop"}
    samples = [{**sample, "answer": "8" if place < 6 else "9", "right": place < 6} for place in range(8)]
    answers = {
        VOTE: {f"q{n}": row(n, right=True, samples=samples) for n in range(4)},
        "wait": {f"q{n}": row(n, right=n < 2) for n in range(4)},
    }
    steps = {problem(n).question: n for n in range(4)}
    waited = compared_answers([problem(n) for n in range(4)], answers, [], steps)["wait"]
    # 100 of the prompt and 200 written are the prompt and four samples of 50
    assert waited["samples"] == pytest.approx(4.0)
    assert waited["accuracy"][0] == 50.0
    assert 75.0 < waited["vote"][0] < 100.0
    assert waited["above"][0] == pytest.approx(50.0 - waited["vote"][0], abs=0.11)


def test_without_answers_there_is_nothing_to_compare() -> None:
    assert compared_answers([problem(1)], {}, [], {})["questions"] == 0


def test_the_page_is_the_one_of_its_figures() -> None:
    found = json.loads((BENCHMARKS / "strategies.json").read_text(encoding="utf-8"))
    assert (BENCHMARKS / "strategies.md").read_text(encoding="utf-8") == page(found)


def test_a_page_of_nothing_names_all_parts() -> None:
    assert page({}).count("was not run yet") == 4
