"""Champion and challenger with ``--workers 2``: one draw, one test and one promotion for both processes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serve_process import COMMAND, ENVIRONMENT, begun
from two_servers import QUESTION, TwoServers

from planner.planner import Planner

BODY: dict[str, Any] = {
    "model": "planner",
    "messages": [{"role": "user", "content": QUESTION}],
    "domain": "arithmetic",
}
WORDS = 48


def until(true: Callable[[], bool]) -> None:
    """Wait for something that processes do: they test every half a minute."""
    for _ in range(900):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it never came true")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoServers]:
    servers = TwoServers(tmp_path)
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
def challenger(two: TwoServers, tmp_path: Path) -> Path:
    """A planner of the same models that expects other accuracies."""
    champion = Planner.load(two.planner())
    rng = np.random.default_rng(1)
    stages = tuple(
        replace(stage, centre=stage.centre + 0.01 * rng.normal(size=len(stage.centre)))
        for stage in champion.stages
    )
    replace(champion, stages=stages).save(tmp_path / "challenger")
    return tmp_path / "challenger"


@pytest.fixture
def server(two: TwoServers, challenger: Path, tmp_path: Path) -> Iterator[str]:
    options = ["--models", str(two.file()), "--planner", str(tmp_path / "planner"), "--port", "0"]
    options += ["--workers", "2", "--decisions", str(tmp_path / "log.db"), "--allow-foreign"]
    options += ["--challenger", str(challenger), "--share", "0.5", "--promote"]
    with begun(options, tmp_path) as (_, url):
        yield url


def figures(url: str, name: str) -> dict[str, float]:
    """Worker -> the sum of a figure over its other labels."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=60.0).text):
        for sample in family.samples:
            if sample.name == name:
                worker = sample.labels["worker"]
                sums[worker] = sums.get(worker, 0.0) + sample.value
    return sums


@pytest.mark.slow
def test_both_workers_draw_test_and_promote_alike(server: str, tmp_path: Path) -> None:
    def ask() -> dict[str, Any]:
        answered = httpx.post(f"{server}/v1/chat/completions", json=BODY, timeout=60.0)
        assert answered.status_code == 200, answered.text
        name = answered.json()["id"]
        return dict(httpx.get(f"{server}/v1/decisions/{name}", timeout=60.0).json())

    asked = [ask() for _ in range(WORDS)]
    arms = [one["assignment"]["arm"] for one in asked]
    assert set(arms) == {"champion", "challenger"}
    assert {one["assignment"]["chance"] for one in asked} == {0.5}
    assert sum(figures(server, "planner_requests_total").values()) == WORDS
    assert len(figures(server, "planner_requests_total")) == 2  # both workers answered
    for one, arm in zip(asked, arms, strict=True):
        said = {"id": one["id"], "correct": arm == "challenger"}
        assert httpx.post(f"{server}/v1/feedback", json=said, timeout=60.0).status_code == 200
    # each worker tests all words, whichever of the two took them
    until(lambda: figures(server, "planner_challenge_feedback") == dict.fromkeys("01", WORDS))
    until(lambda: figures(server, "planner_challenger_promoted") == dict.fromkeys("01", 1.0))
    assert figures(server, "planner_challenger_verdict") == dict.fromkeys("01", 1.0)
    later = [ask()["assignment"] for _ in range(8)]
    assert {(one["arm"], one["chance"]) for one in later} == {("challenger", 1.0)}
    read = subprocess.run(
        [*COMMAND, "challenge", str(tmp_path / "log.db"), "--json"],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=True,
    )  # fmt: skip
    told = json.loads(read.stdout)
    assert (told["state"], told["utility"]["observations"], told["drawn"]) == ("better", WORDS, WORDS)
    assert told["champion"]["decisions"] + told["challenger"]["decisions"] == WORDS + 8
    assert told["promoted"]["words"] == WORDS
