"""Questions foreign to the planner in use: one plain answer and the reason, unless a domain is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from houses import House

from planner.planner import Planner
from planner.server.service import Service
from training.domains import fit_domains

OWN = "work out the sum of 12 + 13"
FOREIGN = "Could you tell me a story about a dragon?"


@pytest.fixture
def house(
    planner: Planner,
    tmp_path: Path,
    service_of: Callable[..., Service],
    serving: Callable[[Service], House],
) -> House:
    kinds = ("reach the target from", "work out the sum of")
    questions = [f"{kind} {n} + {n + 1}" for n in range(40) for kind in kinds]
    model = fit_domains(questions, ["puzzle", "arithmetic"] * 40, [f"f{n % 8}" for n in range(80)])
    replace(planner, domain_model=model).save(tmp_path / "planner")
    return serving(service_of(folder=tmp_path / "planner"))


def planned(house: House, question: str, **more: object) -> dict[str, object]:
    answer = httpx.post(f"{house.url}/v1/plan", json={"model": "planner", **more, "question": question})
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


def test_a_plan_says_why_nothing_is_planned(house: House) -> None:
    found = planned(house, FOREIGN)
    assert (found["domain"], found["reason"]) == (None, "open_ended")
    assert "not planned: the question is unlike the 80 problems" in str(found["detail"])
    assert "learned from (arithmetic, puzzle)" in str(found["detail"])


def test_a_plan_over_its_budget_says_so(house: House) -> None:
    told = planned(house, FOREIGN, budget={"tokens": 1, "flops": 10})["advice"]
    assert isinstance(told, dict)
    assert told["warnings"][1:] == [
        f"{told['tokens']:,.0f} tokens are expected, the budget allows 1",
        f"{told['flops']:,.0f} FLOPs are expected, the budget allows 10",
    ]
    forced = planned(house, OWN, budget={"tokens": 1}, model="planner/majority(n=1)")["advice"]
    assert isinstance(forced, dict)
    assert forced["warnings"] == [f"{forced['tokens']:,.0f} tokens are expected, the budget allows 1"]
    enough = planned(house, FOREIGN, budget={"tokens": 100_000})["advice"]
    assert isinstance(enough, dict)
    assert len(enough["warnings"]) == 1


def test_own_questions_and_named_domains_are_planned(house: House) -> None:
    own = planned(house, OWN)
    assert (own["domain"], own["reason"]) == ("arithmetic", None)
    named = planned(house, FOREIGN, domain="puzzle")
    assert (named["domain"], named["reason"]) == ("puzzle", None)


def test_an_unknown_domain_is_refused(house: House) -> None:
    answer = httpx.post(
        f"{house.url}/v1/plan", json={"question": OWN, "model": "planner", "domain": "poetry"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "domain"
    assert "domain must be one of math" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("question", "reason"), [(OWN, None), (FOREIGN, "open_ended")])
def test_an_answer_says_it_in_its_receipt(house: House, question: str, reason: str | None) -> None:
    answer = httpx.post(
        f"{house.url}/v1/chat/completions",
        json={"model": "planner", "messages": [{"role": "user", "content": question}]},
    )
    assert answer.status_code == 200, answer.text
    receipt = answer.json()["planner"]
    assert receipt["reason"] == reason
    plain = [receipt["plan"] == "cot()", "unlike the 80 problems" in str(receipt["detail"])]
    assert plain == [reason is not None] * 2
