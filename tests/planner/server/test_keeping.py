"""What is kept and told: decisions, feedback, figures, plans, new artefacts; and what is never logged."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, records
from stuck import Stuck

from planner.planner import Planner
from planner.server.decisions.log import DecisionLog
from planner.server.rules import Rules
from planner.server.service import Service

Serve = Callable[[Service], House]
Make = Callable[..., Service]


def ask(house: House, model: str = "planner", **fields: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "seed": 1, **fields}
    found = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=30.0)
    assert found.status_code == 200, found.text
    return found.json()  # type: ignore[no-any-return]


def test_decisions_and_feedback_are_kept(service_of: Make, serving: Serve, tmp_path: Path) -> None:
    file = tmp_path / "decisions.db"
    house = serving(service_of(recorder=DecisionLog.open(file)))
    answered = ask(house, budget={"tokens": 900})
    forced = ask(house, "planner/majority(n=4)")
    for body, status in (
        ({"id": answered["id"], "correct": True}, 200),
        ({"id": forced["id"], "candidate": 0}, 200),
        ({"id": forced["id"], "candidate": 99}, 400),
        ({"id": forced["id"]}, 400),
        ({"id": forced["id"], "score": 2}, 400),
        ({"id": "unknown", "correct": True}, 404),
    ):
        assert httpx.post(f"{house.v1}/feedback", json=body).status_code == status
    with sqlite3.connect(file) as read:  # durable as soon as it was acknowledged
        assert read.execute("select count(*) from feedback").fetchone() == (2,)
        assert read.execute("select count(*) from decisions").fetchone() == (2,)
    found = httpx.get(f"{house.v1}/decisions", params={"text": "SUM OF", "limit": 1}).json()
    assert [one["id"] for one in found["data"]] == [forced["id"]]
    more = httpx.get(f"{house.v1}/decisions", params={"before": found["next"], "feedback": True}).json()
    assert [one["id"] for one in more["data"]] == [answered["id"]]
    whole = httpx.get(f"{house.v1}/decisions/{answered['id']}").json()
    receipt = answered["planner"]
    assert whole["steps"][0]["propensity"] == 1.0
    assert [step["spend"]["tokens"] for step in whole["steps"]] == [
        s["spend"]["tokens"] for s in receipt["stages"]
    ]
    assert whole["spend"]["tokens"] == receipt["spend"]["tokens"]
    assert whole["feedback"][0]["correct"] is True
    assert (whole["plan"], whole["answer"]) == (receipt["plan"], receipt["answer"])
    assert [c["chosen"] for c in whole["candidates"]].count(True) == 1
    assert httpx.get(f"{house.v1}/decisions/none").status_code == 404
    assert httpx.get(f"{house.v1}/decisions", params={"limit": 0}).status_code == 400
    now = httpx.get(f"{house.v1}/now").json()
    assert now["requests"]["answered"] == 2
    assert now["promised"]["accuracy"]["feedbacks"] == 1  # the forced plan expected nothing
    assert now["promised"]["accuracy"]["kept"] == 1.0
    assert now["majority"]["requests"] + now["majority"]["never"] == 1
    assert sum(plan["requests"] for plan in now["plans"]) == 2
    figures = httpx.get(f"{house.url}/metrics").text
    assert 'planner_requests_total{endpoint="chat",outcome="answered"} 2.0' in figures
    assert 'planner_feedback_total{said="right"}' in figures


def test_exploration_is_recorded_with_its_propensity(service_of: Make, serving: Serve) -> None:
    house = serving(service_of(rules=Rules(explore=0.9)))
    seen = set()
    for seed in range(12):
        receipt = ask(house, seed=seed, budget={"tokens": 900})["planner"]
        assert receipt["spend"]["tokens"] <= 900
        propensities = [stage["propensity"] for stage in receipt["stages"]]
        assert all(0.0 < p < 1.0 for p in propensities)
        seen.add((receipt["policy"], receipt["prm"], receipt["plan"]))
    assert len(seen) > 1
    for record in records(house):
        product = 1.0
        for step in record.decision.steps:
            product *= step.propensity
            assert step.features
        assert record.decision.propensity == pytest.approx(product)


def test_plans_without_spending(house: House, planner: Planner) -> None:
    def plan(**body: Any) -> Any:
        return httpx.post(f"{house.v1}/plan", json=body).json()

    one = plan(question=QUESTION, budget={"tokens": 900}, include=["alternatives", "why"])
    assert one["object"] == "plan"
    assert one["advice"]["tokens_p90"] <= 900
    assert len(one["alternatives"]) == len(planner.stages[0].choices)
    accuracies = [option["accuracy"] for option in one["alternatives"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {option["fits"] for option in one["alternatives"]} == {True, False}
    several = plan(questions=[QUESTION, "tell me about the sea"], budget={"tokens": 900})
    assert several["data"][0]["advice"] == one["advice"]
    assert (several["data"][1]["reason"], several["data"][1]["advice"]["plan"]) == ("open_ended", "cot()")
    bare = plan(question=QUESTION, prm="none", policy="small", budget={"samples": 64})
    assert (bare["advice"]["policy"], bare["advice"]["prm"]) == ("small", None)
    assert httpx.get(f"{house.v1}/now").json()["requests"]["refused"] == 0
    poor = plan(question=QUESTION, budget={"tokens": 1})
    assert (poor["error"]["param"], "cheapest choice" in poor["error"]["message"]) == ("budget", True)
    assert plan(questions=[QUESTION], budget={"tokens": 1})["data"][0]["error"]["param"] == "budget"
    for wrong in (
        {},
        {"question": " "},
        {"questions": []},
        {"question": "1", "questions": ["1"]},
        {"question": "1", "prm": "x"},
    ):
        assert plan(**wrong)["error"]["type"] == "invalid_request_error"
    now = httpx.get(f"{house.v1}/now").json()["requests"]
    assert (now["total"], now["refused"]) == (0, 1 + 5)


@pytest.mark.parametrize("stated", [QUESTION, "tell me about the sea"])
def test_a_forced_plan_is_named_where_a_planned_one_is(house: House, planner: Planner, stated: str) -> None:
    first = planner.stages[0].probe.policy

    def plan(model: str, **body: Any) -> Any:
        found = httpx.post(f"{house.v1}/plan", json={"model": model, "question": stated, **body})
        assert found.status_code == 200
        return found.json()

    every = plan("planner", include=["alternatives"], domain="arithmetic")["alternatives"]
    assert every
    for known in every:
        choice = {name: known[name] for name in ("policy", "prm") if known[name] is not None}
        found = plan(f"planner/{known['plan']}", **choice)
        advice = found["advice"]
        assert found["reason"] == "forced_plan"
        for what in ("policy", "prm", "plan", "accuracy", "tokens", "flops", "tokens_p90", "flops_p90"):
            assert advice[what] == known[what]
        low, high = advice["interval"]
        assert low <= advice["accuracy"] <= high
        assert advice["look"] is advice["runner_up"] is None
    named = plan(first)
    assert (named["reason"], named["advice"]["policy"], named["advice"]["plan"]) == ("policy", first, "cot()")
    # a plan that the planner knows nothing of, and what runs under that name
    strange = plan("planner/majority(n=7)")["advice"]
    assert (strange["policy"], strange["plan"]) == (first, "majority(n=7)")
    assert strange["accuracy"] is strange["tokens"] is strange["flops_p90"] is strange["seconds"] is None
    assert "not learned from this choice" in strange["warnings"][0]
    ran = ask(house, "planner/majority(n=7)")["planner"]
    assert (ran["policy"], ran["prm"], ran["plan"]) == (first, None, "majority(n=7)")
    refused = httpx.post(
        f"{house.v1}/plan", json={"model": "planner/best_of_n(n=4)", "prm": "none", "question": "1"}
    )
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "prm")


def test_a_new_artefact_is_taken_and_a_broken_one_is_not(
    service_of: Make, serving: Serve, artefact: Path, tmp_path: Path, planner: Planner
) -> None:
    folder = tmp_path / "planner"
    shutil.copytree(artefact, folder)
    engines: dict[str, Any] = {n: Stuck(n, c.parameters) for n, c in planner.policies.items()}
    house = serving(service_of(engines, folder=folder))
    url = f"{house.url}/admin/reload"
    before = httpx.get(f"{house.v1}/now").json()["planner"]
    assert httpx.post(url).json() == {
        "object": "planner",
        "planner": before,
        "changed": False,
        "keys": 0,
        "workers": 1,
    }
    held: list[int] = []
    body = {
        "model": "planner/majority(n=8)",
        "messages": [{"role": "user", "content": QUESTION}],
        "budget": {"seconds": 2},
    }
    thread = threading.Thread(
        target=lambda: held.append(
            httpx.post(f"{house.v1}/chat/completions", json=body, timeout=30.0).status_code
        )
    )
    thread.start()
    manifest = folder / "manifest.json"
    whole = manifest.read_bytes()
    for broken in (b"{", whole.replace(b"a", b"b", 1)):
        manifest.write_bytes(broken)
        refused = httpx.post(url)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "artefact")
        assert httpx.get(f"{house.v1}/now").json()["planner"] == before
    shutil.rmtree(folder)
    assert httpx.post(url).status_code == 409
    from dataclasses import replace

    replace(planner, card={**planner.card, "date": "2027-01-01"}).save(folder)
    taken = httpx.post(url).json()
    assert taken["changed"]
    assert taken["planner"] != before
    thread.join()
    assert held == [200]


def test_no_question_and_no_secret_is_logged(
    service_of: Make, serving: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Stuck):
        def submit(self, request: Any) -> Any:
            raise RuntimeError(f"something about {QUESTION}")

    caplog.set_level(logging.DEBUG)
    house = serving(service_of({"small": Odd("small", 1_000_000)}))
    found = httpx.post(
        f"{house.v1}/chat/completions",
        json={"model": "small", "messages": [{"role": "user", "content": QUESTION}]},
        headers={"authorization": "Bearer very-secret-key-0123"},
    )
    assert found.status_code == 500
    assert QUESTION not in found.text
    assert "RuntimeError" in caplog.text
    assert QUESTION not in caplog.text
    assert "very-secret" not in caplog.text
