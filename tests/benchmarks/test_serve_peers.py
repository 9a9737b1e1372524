"""The arithmetic and the page of ``serve_peers.py``, without any server."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from serve_peers import kept
from serve_peers_page import figures, page, targets
from serve_peers_servers import CONTESTANTS, PASSED, PLANNED, VOTE, Usage, family, process_at

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def cell(server: str, way: str, p50: float, **more: Any) -> dict[str, Any]:
    row = {"server": server, "way": way, "clients": 8, "requests": 100, "failed": 0, "p50_ms": p50}
    return {**row, "p95_ms": p50 + 10.0, "per_s": 20.0, "cpu_ms": 2.0, "mib": 300.0, **more}


def one(beside: float, *cells: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": "2026-01-02 03:04",
        "load_average": 1.5,
        "cores_taken_by_other_work": beside,
        "cells": list(cells),
    }


def found(*rounds: dict[str, Any]) -> dict[str, Any]:
    return {
        "settings": {"latency": 0.25, "seconds": 4.0},
        "cores": 2,
        "versions": {"its_hub": "1.2.0", "optillm": "0.4.0", "litellm": "1.0"},
        "rounds": list(rounds),
    }


def rounds() -> list[dict[str, Any]]:
    """Three, of which the machine was slow in the last: what is added is compared within a round."""
    return [
        one(
            beside,
            cell("upstream", PASSED, alone, per_s=40.0),
            cell("upstream", VOTE, alone + 50.0),
            cell("planner", PASSED, alone + 2.0, cpu_ms=1.0),
            cell("planner", PLANNED, alone + added),
            cell("planner", VOTE, alone + 53.0),
            cell("its_hub", PASSED, alone + 2.5, cpu_ms=3.0),
            cell("its_hub", VOTE, alone + 51.0),
            cell("litellm", PASSED, alone + 9.0),
        )
        for beside, alone, added in ((0.02, 250.0, 2.0), (0.05, 251.0, 4.0), (0.01, 400.0, 2.75))
    ]


def test_what_is_added_is_over_the_upstream_of_the_same_round() -> None:
    rows = {(row.server, row.way): row for row in figures(rounds())}
    planned = rows["planner", PLANNED]
    assert (planned.added_p50, planned.low, planned.high) == (2.75, 2.0, 4.0)
    assert rows["planner", VOTE].added_p50 == 3.0  # over the upstream's own vote
    assert rows["planner", PASSED].share == 0.5
    assert (planned.failed, planned.requests) == (0, 300)


def test_targets_name_the_best_peer() -> None:
    told = {asked: (came, is_reached) for asked, came, is_reached in targets(figures(rounds()))}
    assert told["planned `cot` adds less than 3 ms, 8 clients"] == ("2.75 ms", True)
    assert told["lowest added latency, passed on, 8 clients"] == ("2.00 ms; its_hub 1.2 2.50 ms", True)
    assert told["lowest added latency, vote of 8, 8 clients"] == ("3.00 ms; its_hub 1.2 1.00 ms", False)
    assert told["lowest CPU of a request, passed on, 8 clients"] == (
        "1.00 ms; LiteLLM's proxy 2.00 ms",
        True,
    )
    assert told["lowest CPU of a request, vote of 8, 8 clients"][1]  # equal is not slower


def test_errors_are_not_speed() -> None:
    quick = one(
        0.0,
        cell("upstream", PASSED, 250.0),
        cell("planner", PASSED, 1.0, failed=100),
        cell("planner", PLANNED, 1.0, failed=1),
        cell("its_hub", PASSED, 260.0),
        cell("optillm", PASSED, 0.5, failed=100),
    )
    told = {asked: (came, is_reached) for asked, came, is_reached in targets(figures([quick]))}
    assert told["planned `cot` adds less than 3 ms, 8 clients"] == ("-249.00 ms", False)
    assert told["lowest added latency, passed on, 8 clients"] == ("-249.00 ms; its_hub 1.2 10.00 ms", False)
    assert "| 100 of 100 |" in page(found(quick))


def test_the_page_says_what_else_ran() -> None:
    assert "Measured on an idle machine" in page(found(*rounds()))
    busy = page(found(*rounds(), one(0.7, *rounds()[0]["cells"])))
    assert "**beside other work**" in busy
    assert "took 0.01 to 0.70 on average" in busy
    assert "| 8 | **planner serve, planned `cot`** | 2.38 (2.00 to 4.00) |" in busy


def test_rounds_are_kept_for_the_same_settings_alone(tmp_path: Path) -> None:
    path, settings = tmp_path / "serve_peers.json", {"latency": 0.25, "seconds": 4.0}
    assert kept(path, settings) == {"settings": settings, "rounds": []}
    path.write_text(json.dumps(found(*rounds())))
    assert len(kept(path, settings)["rounds"]) == 3
    assert kept(path, {**settings, "seconds": 1.0})["rounds"] == []


def test_a_process_is_charged_its_own_cpu_and_memory() -> None:
    me = os.getpid()
    before, own = Usage.of((me,)), time.process_time()
    sum(range(200_000))
    grown = Usage.of((me,)).cpu - before.cpu
    assert grown >= 0.5 * (time.process_time() - own) > 0.0
    assert before.mib > 1.0
    assert me in family(os.getppid())


def test_a_server_is_found_by_its_port() -> None:
    with pytest.raises(SystemExit, match="got none with --port 0"):
        process_at(0)


def test_who_offers_what() -> None:
    ways = {each.name: set(each.ways) for each in CONTESTANTS}
    assert ways["litellm"] == {PASSED}
    assert all(ways[name] == {PASSED, VOTE} for name in ("upstream", "its_hub", "optillm"))
    assert ways["planner"] == {PASSED, PLANNED, VOTE}


def test_the_page_is_the_one_of_its_figures() -> None:
    told = json.loads((BENCHMARKS / "serve_peers.json").read_text(encoding="utf-8"))
    assert (BENCHMARKS / "serve_peers.md").read_text(encoding="utf-8") == page(told)
