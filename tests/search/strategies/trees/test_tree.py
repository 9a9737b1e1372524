"""What all searches over steps keep: servers, observers, budgets, plans that share runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.budget import Budget
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.ledger import Ledger
from search.plan import Plan
from search.remote.fake_server import FakeServer
from search.rewards.protocol import Handle
from search.rewards.scripted import ScriptedReward
from search.run import run_plan
from search.strategies.observer import BeamEvent, Observer
from search.strategies.protocol import Setting
from search.strategies.trees.growing import Beam, distinct, survivors
from search.sync import run_sync
from search.testing.bench import QUESTION, SOLUTIONS, judge, make_bench

PLANS = [
    Plan.parse(text)
    for text in (
        "beam_search(n=4, width=2)",
        "dvts(n=4, width=2)",
        "particle_filter(n=4)",
        "lookahead(n=4, width=2, depth=2)",
        "rebase(n=4)",
    )
]


@pytest.fixture(params=PLANS, ids=lambda plan: plan.strategy)
def plan(request: pytest.FixtureRequest) -> Plan:
    found: Plan = request.param
    return found


@pytest.mark.parametrize("dialect", ["tokens", "text", "chat"])
async def test_it_runs_behind_servers(plan: Plan, dialect: str) -> None:
    here = make_bench()
    expected = await run_plan(here.problem, plan, here.setting, seed=3)
    with FakeServer(FakeOpenAI(ScriptedEngine({QUESTION: SOLUTIONS}))) as server:
        engine = OpenAIEngine.connect(server.url, context=65536, parameters=1000, dialect=dialect)
        async with engine:
            setting = Setting(engine, ScriptedReward(judge), limits=here.setting.limits)
            found = await run_plan(here.problem, plan, setting, seed=3)
    assert len(found.candidates) == 4
    assert {c.text for c in found.candidates} <= set(SOLUTIONS)
    assert found.spend.prm_tokens > 0
    assert expected.outcome == found.outcome


def test_plans_that_differ_in_score_or_vote_share_their_tree(plan: Plan) -> None:
    other = plan.with_(score="min", vote="majority")
    assert other != plan
    assert other.tree == plan.tree == plan.tree.tree
    assert plan.with_(prune="min").tree != plan.tree
    assert plan.with_(n=8).tree != plan.tree
    assert Plan.parse("best_of_n(n=4, score=min)").tree == Plan.parse("best_of_n(n=4, score=min)")


async def test_candidates_do_not_depend_on_score_or_vote(plan: Plan) -> None:
    one, other = make_bench(), make_bench()
    first = await run_plan(one.problem, plan, one.setting, seed=4)
    second = await run_plan(other.problem, plan.with_(score="prod", vote="majority"), other.setting, seed=4)
    assert first.candidates == second.candidates
    assert first.spend.tokens == second.spend.tokens


def beam(text: str, seed: int) -> Beam:
    return Beam((), text, (text,), (1,), (0.5,), (), Handle("q"), seed)


def test_equal_texts_count_once_where_they_were_first() -> None:
    beams = [beam("a", 1), beam("b", 2), beam("a", 3), beam("c", 4), beam("b", 5)]
    assert [each.seed for each in distinct(beams)] == [1, 2, 4]


def test_of_equal_values_the_earlier_survives_and_gets_what_is_left_over() -> None:
    beams = [beam("a", 1), beam("b", 2), beam("c", 3)]
    kept = survivors(beams, [0.5, 0.7, 0.5], places=5, width=3)
    assert [(each.seed, many) for each, many in kept] == [(2, 3), (1, 2)]
    assert survivors([], [], places=5, width=3) == []


class Told(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[BeamEvent] = []
        self.rounds: list[tuple[list[int], list[int]]] = []

    async def grown(self, event: BeamEvent) -> None:
        self.events.append(event)

    def pruned(self, kept: Any, dropped: Any) -> None:
        self.rounds.append((list(kept), list(dropped)))


async def test_an_observer_hears_of_every_beam_and_of_those_that_go_on(plan: Plan) -> None:
    b, told = make_bench(), Told()
    setting = Setting(b.engine, b.reward, limits=b.setting.limits, observer=told)
    await run_plan(b.problem, plan, setting, seed=2)
    sampled = [r for r in b.engine.requests if r.sampling.temperature > 0]
    assert len(told.events) == sum(r.n for r in sampled)
    known = {event.node for event in told.events}
    assert len(known) == len(told.events)
    assert {node for kept, dropped in told.rounds for node in (*kept, *dropped)} <= known
    parents = {event.parent for event in told.events}
    assert {node for kept, _ in told.rounds for node in kept} == parents & known


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    share=st.floats(0, 1.2),
    seed=st.integers(0, 2**40),
    n=st.sampled_from([2, 4, 8, 16]),
    steps=st.integers(1, 5),
    kind=st.sampled_from(["tokens", "flops"]),
)
def test_no_random_budget_is_passed(
    plan: Plan, share: float, seed: int, n: int, steps: int, kind: str
) -> None:
    b = make_bench(lambda text, rng: f"{rng.randrange(99)}\n" * 3 + f"# {rng.randrange(9)}", max_steps=steps)
    cap = Budget(tokens=int(1200 * share)) if kind == "tokens" else Budget(flops=2.4e6 * share)
    ledger = Ledger(cap, b.engine.card, b.reward.card)
    result = run_sync(run_plan(b.problem, plan.with_(n=n), b.setting, seed=seed, ledger=ledger))
    spent = ledger.spend.tokens if kind == "tokens" else ledger.spend.flops
    assert spent <= float(getattr(cap, kind))
    assert ledger.spend.policy_tokens == (b.prompt if b.engine.requests else 0) + b.engine.generated
    assert ledger.committed_tokens == ledger.spend.tokens
    assert len(result.candidates) <= n
