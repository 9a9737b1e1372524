"""A server's decisions without a server: a planner decides stage by stage, answers are drawn at random."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from random import Random

from planner.evidence.probe import Probe
from planner.planner import Planner
from planner.server.decisions.comparison import BESIDE, Comparison, Expected, beside_id
from planner.server.decisions.recorder import Decision, Feedback, Step
from planner.server.decisions.store import Store
from planner.server.request.budget import parse, to_wire
from planner.solving.exploration import Exploration
from search.result import Candidate, Spend

#: policy, PRM and plan -> the chance to be right
Chance = Callable[[str, str | None, str], float]


def question(number: int) -> str:
    """One of the questions that are asked, long and short ones."""
    return "work out the sum of " + " + ".join(str(1 + (number * 7 + i) % 90) for i in range(1 + number % 8))


def candidates(probe: Probe, random: Random) -> tuple[Candidate, ...]:
    def rewards() -> tuple[float, ...]:
        return (round(random.random(), 3), round(random.random(), 3)) if probe.prm else ()

    return tuple(
        Candidate("so", random.choice("123"), rewards(), (5, 4), "end", -random.random(), -2.0)
        for _ in range(probe.samples)
    )


def decide(
    planner: Planner,
    name: str,
    asked: str,
    random: Random,
    *,
    budget: dict[str, float],
    share: float,
    chance: Chance,
    fingerprint: str = "f" * 64,
    domain: str = "arithmetic",
) -> tuple[Decision, bool]:
    """One request, and whether its answer is right."""
    wanted = parse(dict(budget))
    resolved = planner.resolve(wanted, asked)
    exploring = Exploration(share, planner.most_decisions, random)
    seen: tuple[Candidate, ...] = ()
    probe, spent, steps, propensity = None, Spend(), [], 1.0
    while True:
        advice = planner.decide(
            asked, probe, seen, budget=resolved, spent=spent, domain=domain, decision_filter=exploring
        )
        tokens = 9 * (advice.probe.samples - len(seen)) if advice.probe is not None else int(advice.tokens)
        took = Spend(tokens, 0, tokens, 0, 1e6 * tokens, 0.1)
        assert advice.features is not None
        steps.append(
            Step(
                look="question" if probe is None else str(probe),
                next_look=None if advice.probe is None else str(advice.probe),
                policy=advice.choice.policy,
                prm=advice.choice.prm,
                plan=str(advice.choice.plan),
                accuracy=advice.accuracy,
                tokens=advice.tokens,
                flops=advice.flops,
                propensity=advice.propensity,
                features=tuple(advice.features.tolist()),
                spend=took,
            )
        )
        spent, propensity = spent + took, propensity * advice.propensity
        if advice.probe is None:
            break
        probe, seen = advice.probe, (*seen, *candidates(advice.probe, random)[len(seen) :])
    last = steps[-1]
    right = random.random() < chance(last.policy, last.prm, last.plan)
    made = Decision(
        decision_id=name,
        created=float(int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)),
        endpoint="chat",
        key=None,
        question=asked,
        domain=domain,
        planner=fingerprint,
        budget=to_wire(wanted),
        budget_source="body",
        reason=None,
        policy=last.policy,
        prm=last.prm,
        plan=last.plan,
        answer="1" if right else "2",
        outcome="answered",
        accuracy=last.accuracy,
        tokens=last.tokens,
        flops=last.flops,
        seconds=None,
        usd=None,
        propensity=propensity,
        steps=tuple(steps),
        candidates=(Candidate("so", "1", (), (5,), "end"), Candidate("so", "2", (), (5,), "end")),
        chosen=0 if right else 1,
        spend=spent,
        spent_usd=None,
    )
    return made, right


def even(policy: str, prm: str | None, plan: str) -> float:
    """Every answer is right half of the time."""
    return 0.5


def serve(
    planner: Planner,
    where: str,
    count: int,
    *,
    seed: int = 0,
    budget: dict[str, float] | None = None,
    share: float = 0.5,
    chance: Chance = even,
    told: Callable[[bool, Random], bool] = lambda right, random: True,
    key: str | None = None,
    questions: int = 10_000,
) -> list[tuple[Decision, bool]]:
    """Write a decision log of so many requests; ``told`` says whether feedback is given on an answer."""
    random = Random(seed)
    made = [
        decide(
            planner, f"d{seed}-{i:06d}", question(i % questions), random,
            budget=budget or {"tokens": 700}, share=share, chance=chance,
        )
        for i in range(count)
    ]  # fmt: skip
    said = [
        Feedback(decision.decision_id, 1e9, correct=right, key=key)
        for decision, right in made
        if told(right, random)
    ]
    store = Store.open(where)
    store.write([decision for decision, _ in made], said)
    store.close()
    return made


def shadow(planner: Planner, where: str, count: int, *, seed: int = 0) -> None:
    """Write so many plain answers with what the planner would have done, a tenth of them with its plan
    run."""
    random = Random(seed)
    decisions, said = [], []
    for i in range(count):
        name = f"s{seed}-{i:06d}"
        made, right = decide(
            planner, name, question(i), random, budget={"tokens": 700}, share=0.0, chance=even
        )
        planned = Expected(
            policy=str(made.policy), prm=made.prm, plan=str(made.plan), accuracy=made.accuracy,
            tokens=made.tokens, flops=made.flops,
        )  # fmt: skip
        plain = replace(planned, prm=None, plan="cot()", tokens=100.0, flops=1e8, accuracy=0.5)
        compared = Comparison(plain=plain, planned=planned, vote=planned)
        decisions.append(replace(made, reason="shadow", steps=(), comparison=compared))
        if i % 3 == 0:
            said.append(Feedback(name, 1e9, correct=right))
        if i % 10 == 0:
            beside = replace(compared, plain_answer=made.answer if random.random() < 0.6 else "0")
            decisions.append(
                replace(made, decision_id=beside_id(name), endpoint=BESIDE, steps=(), comparison=beside)
            )
    store = Store.open(where)
    store.write(decisions, said)
    store.close()


def multiply(where: str, times: int) -> int:
    """Repeat every decision of an SQLite log under other ids and questions, so that there are ``times`` as
    many; how many there are then. Candidates are not repeated."""
    connection = sqlite3.connect(where)
    numbers = f"WITH RECURSIVE k(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM k WHERE k < {times - 1})"
    # the id of what was run beside a decision is made of that decision's
    named = (
        "CASE WHEN t.decision_id LIKE '%-beside' "
        "THEN substr(t.decision_id, 1, length(t.decision_id) - 7) || '-' || k || '-beside' "
        "ELSE t.decision_id || '-' || k END"
    )
    changed = {
        "decision_id": named,
        "question": "t.question || ' + ' || k",
        "created": "t.created + k / 1e4",
        "feedback_id": "NULL",
    }
    with connection:
        for table in ("decisions", "steps", "feedback", "comparisons"):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            picked = ", ".join(changed.get(name, f"t.{name}") for name in names)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) {numbers} SELECT {picked} FROM {table} t, k"
            )
    (count,) = connection.execute("SELECT count(*) FROM decisions").fetchone()
    connection.close()
    return int(count)
