"""Decisions that tests make up."""

from __future__ import annotations

from dataclasses import replace

from planner.server.decisions.recorder import Decision, Step
from search.result import Candidate, Spend

SPEND = Spend(120, 40, 130, 45, 3.5e9, 0.25)


def candidate(answer: str | None, text: str = "", rewards: tuple[float, ...] = (0.25, 0.75)) -> Candidate:
    return Candidate(text or f"so it is {answer}", answer, rewards, (7, 5), "end", -0.5, -2.25)


def step(
    look: str = "question", next_look: str | None = None, features: tuple[float, ...] = (1.0, 2.5)
) -> Step:
    return Step(
        look=look, next_look=next_look, policy="small", prm="judge", plan="best_of_n(n=4, score=last)",
        accuracy=0.75, tokens=300.0, flops=1.5e9, propensity=0.9, features=features,
        spend=Spend(60, 20, 65, 21, 1e9, 0.125),
    )  # fmt: skip


def decision(name: str, created: float = 0.0, **changes: object) -> Decision:
    made = Decision(
        decision_id=name,
        created=created,
        endpoint="chat",
        key="alice",
        question="What is 1 + 1?",
        domain="math",
        planner="f" * 16,
        budget={"tokens": 4000.0},
        budget_source="body",
        reason=None,
        policy="small",
        prm="judge",
        plan="best_of_n(n=4, score=last)",
        answer="2",
        outcome="answered",
        accuracy=0.75,
        tokens=300.0,
        flops=1.5e9,
        seconds=0.5,
        usd=None,
        propensity=0.81,
        steps=(step(next_look="2 samples of small"), step("2 samples of small", features=(0.125,))),
        candidates=(candidate("2"), candidate("3"), candidate(None, "no idea", ())),
        chosen=0,
        spend=SPEND,
        spent_usd=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]
