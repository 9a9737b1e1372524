"""A grader that hangs: other requests are answered, its own have the best answer so far."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from houses import QUESTION, House

from planner.server.rules import Rules
from planner.server.service import Service
from search.grading.registry import DOMAINS
from search.grading.text import TextDomain
from search.problem import Problem

FORCED = "planner/majority(n=8)"


class Hanging(TextDomain):
    """A plug-in whose comparisons end when it is told to."""

    name = "hanging"
    go = threading.Event()
    begun = threading.Semaphore(0)

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        self.begun.release()
        assert self.go.wait(60.0)
        return super().equal(problem, first, second)


@pytest.fixture
def hanging() -> Iterator[type[Hanging]]:
    Hanging.go.clear()
    DOMAINS.register(Hanging)
    yield Hanging
    Hanging.go.set()
    DOMAINS.unregister("hanging")


def post(house: House, **fields: Any) -> httpx.Response:
    body = {"model": FORCED, "messages": [{"role": "user", "content": QUESTION}], "seed": 1, **fields}
    return httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)


def test_others_are_answered_and_a_deadline_gives_the_best_so_far(
    hanging: type[Hanging], service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    house = serving(service_of())
    told: list[int] = []
    threads = [
        threading.Thread(target=lambda: told.append(post(house, domain="hanging").status_code))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert hanging.begun.acquire(timeout=60.0)
    assert not told
    assert post(house).status_code == 200
    assert httpx.get(f"{house.v1}/decisions", timeout=60.0).status_code == 200
    timed = post(house, domain="hanging", budget={"seconds": 1.0})
    assert timed.status_code == 200
    receipt = timed.json()["planner"]
    assert receipt["outcome"] == "answered"
    assert receipt["answer"] is not None
    assert not told
    hanging.go.set()
    for thread in threads:
        thread.join()
    assert told == [200] * len(threads)


def test_a_request_without_a_deadline_does_not_wait_for_ever(
    hanging: type[Hanging], service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    house = serving(service_of(rules=Rules(grading_within=0.2)))
    found = post(house, domain="hanging")
    assert found.status_code == 200
    assert found.json()["planner"]["answer"] is not None
    assert not hanging.go.is_set()
