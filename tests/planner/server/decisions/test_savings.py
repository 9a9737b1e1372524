"""Savings: known values from made-up decisions, and figures that are withheld."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.decisions.comparison import BESIDE, Comparison, Expected, beside_id
from planner.server.decisions.recorder import Decision, Feedback, Record
from planner.server.decisions.savings import ENOUGH, Figure, savings_of, verdict
from search.result import Candidate, Spend

PLAIN = Expected(policy="big", prm=None, plan="cot()", accuracy=0.6, tokens=100.0, flops=1000.0, usd=0.01)
PLANNED = Expected(
    policy="small",
    prm="r",
    plan="best_of_n(n=4, score=last)",
    accuracy=0.7,
    tokens=200.0,
    flops=500.0,
    usd=0.004,
)
VOTE = replace(PLANNED, prm=None, plan="majority(n=16)", flops=2000.0, usd=0.016)


def decision(name: str, question: str, comparison: Comparison | None, **changes: Any) -> Decision:
    made = Decision(
        decision_id=name,
        created=0.0,
        endpoint="chat",
        key=None,
        question=question,
        domain="math",
        planner=None,
        budget={"samples": 8},
        budget_source="default",
        reason="shadow",
        policy="big",
        prm=None,
        plan="cot()",
        answer=None,
        outcome="answered",
        accuracy=None,
        tokens=None,
        flops=None,
        seconds=None,
        usd=None,
        propensity=1.0,
        steps=(),
        candidates=(),
        chosen=None,
        spend=Spend(110, 0, flops=1100.0),
        spent_usd=0.011,
        comparison=comparison,
    )
    return replace(made, **changes)


def plain(
    number: int, *, right: bool | None = None, comparison: Comparison | None = None, question: str = ""
) -> Record:
    said = Comparison(plain=PLAIN, planned=PLANNED, vote=VOTE) if comparison is None else comparison
    name = f"d{number}"
    feedback = () if right is None else (Feedback(name, 1.0, correct=right),)
    return Record(decision(name, question or f"question {number}", said), feedback)


def beside(number: int, answer: str | None = "1", own: str | None = "1", **changes: Any) -> Record:
    said = Comparison(plain=PLAIN, planned=PLANNED, vote=VOTE, plain_answer=own)
    return Record(
        decision(
            beside_id(f"d{number}"),
            f"question {number}",
            said,
            **{
                "endpoint": BESIDE,
                "answer": answer,
                "spend": Spend(240, 0, flops=550.0),
                "spent_usd": 0.0055,
                **changes,
            },
        )
    )


def near(figure: Figure, value: float) -> bool:
    assert figure.is_known
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= value + 1e-9
    assert value - 1e-9 <= figure.high
    return figure.value == pytest.approx(value)


def test_expected_figures_are_means_and_ratios_of_what_was_written_down() -> None:
    found = savings_of(plain(at) for at in range(40))
    assert (found.requests, found.planned, found.unit) == (40, 40, "usd")
    assert near(found.accuracy, 0.1)
    assert near(found.cost, 0.004 / 0.01 - 1)
    assert near(found.vote_cost, 0.004 / 0.016 - 1)
    assert near(found.cost_check, 0.1)  # plain answers took a tenth more than was expected
    assert (found.plain_cost, found.planned_cost) == (pytest.approx(0.4), pytest.approx(0.16))
    assert not found.measured_cost.is_known
    assert found.pairs == 0


def test_without_every_price_costs_are_flops() -> None:
    unpriced = Comparison(plain=replace(PLAIN, usd=None), planned=PLANNED, vote=VOTE)
    found = savings_of([plain(0, comparison=unpriced), *(plain(at) for at in range(1, 40))])
    assert found.unit == "flops"
    assert near(found.cost, -0.5)
    assert near(found.vote_cost, -0.75)


def test_measured_figures_come_from_pairs_alone() -> None:
    records = [plain(at) for at in range(300)] + [beside(at) for at in range(100)]
    found = savings_of(records)
    assert found.pairs == 100
    assert near(found.agreement, 1.0)
    assert found.agreement.low is not None
    assert found.agreement.low < 0.99
    assert near(found.measured_cost, 0.0055 / 0.011 - 1)
    assert near(found.planned_cost_check, 0.0055 / 0.004 - 1)
    assert found.beside == {
        "requests": 100, "usd": pytest.approx(0.55), "flops": 55000.0, "tokens": 24000.0
    }  # fmt: skip
    # no answer differs: the difference is none, within what a hundred questions can tell
    assert found.measured_accuracy.value == 0.0
    assert found.measured_accuracy.high == pytest.approx(1 - found.agreement.low)


def test_answers_that_mean_the_same_agree() -> None:
    records = [plain(at) for at in range(40)] + [beside(at, answer="0.5", own="1/2") for at in range(40)]
    assert savings_of(records).agreement.value == 1.0


def test_feedback_settles_which_of_two_answers_was_right() -> None:
    pairs = [plain(at, right=False) for at in range(40)] + [
        Record(beside(at, answer="2").decision, (Feedback(beside_id(f"d{at}"), 1.0, correct=True),))
        for at in range(40)
    ]
    same = [plain(at) for at in range(40, 80)] + [beside(at) for at in range(40, 80)]
    found = savings_of([*pairs, *same]).measured_accuracy
    assert near(found, 0.5)


def test_what_feedback_does_not_settle_widens_the_interval() -> None:
    records = [plain(at, right=False) for at in range(100)] + [
        beside(at, answer="2" if at < 10 else "1") for at in range(100)
    ]
    found = savings_of(records).measured_accuracy
    assert found.value is None
    assert found.low == 0.0
    assert found.high is not None
    assert 0.1 < found.high < 0.2
    unknown = savings_of([plain(at) for at in range(100)] + records[100:]).measured_accuracy
    assert unknown.low is not None
    assert unknown.low < -0.1


def test_few_questions_tell_nothing_however_often_they_come() -> None:
    once = savings_of(plain(at) for at in range(ENOUGH - 1))
    again = savings_of(plain(at, question=f"question {at % (ENOUGH - 1)}") for at in range(10 * ENOUGH))
    enough = savings_of(plain(at) for at in range(ENOUGH))
    assert [one.accuracy.is_known for one in (once, again, enough)] == [False, False, True]
    assert (again.accuracy.requests, again.accuracy.questions) == (300, 29)


def test_an_interval_on_both_sides_of_zero_is_withheld_where_it_is_wide() -> None:
    def gains(spread: float) -> list[Record]:
        return [
            plain(
                at,
                comparison=Comparison(
                    plain=PLAIN, planned=replace(PLANNED, accuracy=0.6 + spread * (-1) ** at)
                ),
            )
            for at in range(40)
        ]

    assert not savings_of(gains(0.35)).accuracy.is_known
    assert savings_of(gains(0.01)).accuracy.is_known  # no gain, and that is known


def test_repeated_questions_are_drawn_together() -> None:
    def spread(clusters: int) -> Figure:
        return savings_of(
            plain(
                at,
                question=f"q{at % clusters}",
                comparison=Comparison(
                    plain=PLAIN, planned=replace(PLANNED, accuracy=0.9 if at % clusters % 2 else 0.65)
                ),
            )
            for at in range(400)
        ).accuracy

    few, many = spread(40), spread(400)
    assert few.value == many.value
    assert few.high is not None
    assert few.low is not None
    assert many.high is not None
    assert many.low is not None
    assert few.high - few.low > 2 * (many.high - many.low)


def test_requests_that_would_not_have_been_planned_are_counted_by_reason() -> None:
    open_ended = Comparison(plain=replace(PLAIN, accuracy=None), reason="open_ended")
    found = savings_of([plain(0), plain(1, comparison=open_ended), plain(2, comparison=open_ended)])
    assert (found.requests, found.planned, found.reasons) == (3, 1, {"open_ended": 2})


def test_what_failed_is_no_pair_but_is_paid_for() -> None:
    found = savings_of([plain(0), beside(0, outcome="failed", answer=None)])
    assert (found.pairs, found.beside["requests"]) == (0, 1)


def test_decisions_of_other_servers_are_left_out() -> None:
    found = savings_of([Record(decision("d", "q", None))])
    assert found.requests == 0
    assert found.to_dict()["accuracy"]["is_known"] is False


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 50)), min_size=1, max_size=80))
def test_a_figure_lies_in_its_interval(rows: list[tuple[float, int]]) -> None:
    found = savings_of(
        plain(
            at,
            question=f"q{question}",
            comparison=Comparison(plain=PLAIN, planned=replace(PLANNED, accuracy=accuracy)),
        )
        for at, (accuracy, question) in enumerate(rows)
    ).accuracy
    gains = [accuracy - 0.6 for accuracy, _ in rows]
    assert found.value == pytest.approx(sum(gains) / len(gains))
    assert found.low is not None
    assert found.high is not None
    assert min(gains) - 1e-9 <= found.low <= found.high <= max(gains) + 1e-9


def test_the_latest_word_that_settles_it_counts() -> None:
    made = decision(
        "d", "q", None, answer="2", candidates=tuple(Candidate("", x, (), (1,), "end") for x in "123")
    )

    def of(*said: dict[str, Any]) -> bool | None:
        return verdict(Record(made, tuple(Feedback("d", float(at), **one) for at, one in enumerate(said))))

    assert of() is None
    assert of({"correct": True}, {"correct": False}) is False
    assert of({"correct": True}, {"score": 0.4}) is True
    assert of({"score": 0.0}) is False
    assert of({"candidate": 1}) is True
    assert of({"candidate": 0}) is False
