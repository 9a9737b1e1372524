"""A request is refused (4xx) or it has failed (5xx), never both, whoever said so and however far it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, records, until

from planner.server.access.keys import Key, Keys, Scope
from planner.server.direct.upstream import Upstream
from planner.server.service import Service
from search.remote.fake_server import Asked, FakeServer, Json, Stream

SECRET = "a-secret-of-enough-characters"
SEA = "tell me about the sea"  # passed on
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


class Policy:
    """The policy's own server, which answers with a status."""

    status = 200

    async def __call__(self, asked: Asked) -> Json | Stream:
        return Json({"error": {"message": "no"}}, self.status)


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture
def house(
    service_of: Callable[..., Service], serving: Callable[[Service], House], policy: Policy
) -> Iterator[House]:
    """A server with a key whose day holds nothing, and one without limits."""
    poor, rich = Key.of("poor", SECRET), Key.of("rich", SECRET + "2")
    keys = Keys(
        [
            Key(poor.name, poor.sha256, frozenset(Scope), tokens_per_day=1),
            Key(rich.name, rich.sha256, frozenset(Scope)),
        ]
    )
    with FakeServer(policy) as server:
        yield serving(service_of(keys=keys, upstream=Upstream(server.url, "served", "small")))


def post(house: House, question: str, *, poor: bool = False, **fields: Any) -> int:
    body = {"model": "planner", "messages": [{"role": "user", "content": question}], **fields}
    headers = {"authorization": f"Bearer {SECRET if poor else SECRET + '2'}"}
    return httpx.post(f"{house.v1}/chat/completions", json=body, headers=headers, timeout=60.0).status_code


def check(house: House, *, refused: int, failed: int) -> None:
    """So many of each, in the counts, over time and by cause."""

    def figures() -> dict[str, Any]:
        return house.service.rolling.to_dict()

    until(lambda: sum(one["requests"] for key in ("refusals", "failures") for one in figures()[key]) > 0)
    now = figures()
    counts = now["requests"]
    assert (counts["refused"], counts["failed"], counts["answered"]) == (refused, failed, 0)
    assert counts["total"] == failed
    assert now["errors"]["failed"] == sum(one["failed"] for one in now["series"]) == failed
    assert sum(one["requests"] for one in now["failures"]) == failed
    assert sum(one["refused"] for one in now["series"]) == refused
    assert not [one for one in records(house) if one.decision.outcome == "failed" and refused]


#: what our own limits refuse: planned and passed on, before and after work was begun
REFUSED: dict[str, dict[str, Any]] = {
    "a body that is none": {"question": QUESTION, "n": "many"},
    "a model that nobody knows": {"question": QUESTION, "model": "gpt"},
    "a planned request of a key whose day is spent": {"question": QUESTION, "poor": True},
    "a passed-on one of such a key": {"question": SEA, "poor": True},
    "a prompt beyond the context": {"question": QUESTION + " 1 + 1" * 1000, "model": "planner/cot()"},
    "a plan without its PRM": {
        "question": QUESTION,
        "model": "planner/best_of_n(n=2, score=last)",
        "prm": "none",
    },
    "a budget that holds no prompt": {"question": SEA, "budget": {"tokens": 2}},
    "a deadline that never leaves time": {"question": QUESTION, "budget": {"seconds": 0.001}},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
def test_what_our_limits_refuse_has_not_failed(house: House, fields: dict[str, Any], stream: bool) -> None:
    assert 400 <= post(house, stream=stream, **fields) < 500
    check(house, refused=1, failed=0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("status", "has_failed"), [(400, False), (429, False), (500, True), (503, True)])
def test_what_the_policys_server_says_is_one_of_both(
    house: House, policy: Policy, status: int, has_failed: bool, stream: bool
) -> None:
    policy.status = status
    assert (post(house, SEA, stream=stream, tools=TOOLS) >= 500) == has_failed
    check(house, refused=int(not has_failed), failed=int(has_failed))
