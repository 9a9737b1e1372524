"""What the server says of strategies: those of plug-ins are told like ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx
from houses import House

from planner.plugins import register, unregister
from planner.server.service import Service
from search.strategies.registry import STRATEGIES
from search.strategies.sampling import SamplingStrategy


def test_strategies_describe_themselves(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    @register
    @dataclass(frozen=True)
    class Seven(SamplingStrategy):
        name = "seven_of_a_test"
        caption = "seven samples"
        n: int = 7

    try:
        house = serving(service_of())
        answer = httpx.get(f"{house.url}/v1/strategies").raise_for_status().json()
    finally:
        unregister("seven_of_a_test")
    told = {one["name"]: one for one in answer["data"]}
    assert set(told) >= {"seven_of_a_test", *STRATEGIES}
    assert told["seven_of_a_test"] == {
        "name": "seven_of_a_test",
        "caption": "seven samples",
        "parameters": ["n"],
        "vote": "majority",
        "joins_probe": True,
    }
    assert (told["weighted_vote"]["vote"], told["beam_search"]["vote"]) == ("weighted", "max")
    assert "{answers}" in told["aggregate"]["templates"]["select"]
    assert told["cot"]["joins_probe"] is False
    assert (told["cascade"]["vote"], told["cascade"]["parameters"]) == (None, ["first", "tau", "then"])
