"""Champion and challenger in a decision log, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from made import SPEND, decision
from typer.testing import CliRunner

from planner.cli.main import app
from planner.server.decisions.recorder import Assignment, Decision, Feedback
from planner.server.decisions.store import Store
from planner.traffic.challenge import FirstWords, pairs, read_challenge, utility_gains
from planner.traffic.sources import Kind, Source
from search.errors import DecisionLogError

OLD, NEW = "a" * 64, "b" * 64
DAY = 86_400.0

Told = Callable[[bool, bool, Random], bool]


def always(mine: bool, right: bool, random: Random) -> bool:
    return True


def made(
    count: int,
    *,
    share: float = 0.5,
    right: tuple[float, float] = (0.6, 0.6),
    told: Told = always,
    flops: tuple[float, float] = (1e9, 1e9),
    failed: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
    key: str | None = None,
) -> tuple[list[Decision], list[Feedback]]:
    """Decisions of both arms, the champion's number first in each pair, and feedback an hour later."""
    random = Random(seed)
    decisions, said = [], []
    for i in range(count):
        mine = random.random() < share
        fails = random.random() < failed[mine]
        found = random.random() < right[mine]
        arm = Assignment(
            champion=OLD,
            challenger=NEW,
            arm="challenger" if mine else "champion",
            chance=share if mine else 1.0 - share,
        )
        decisions.append(
            decision(
                f"d{i:06d}",
                float(i),
                steps=(),
                candidates=(),
                outcome="failed" if fails else "answered",
                spend=replace(SPEND, flops=flops[mine]),
                assignment=arm,
            )
        )
        if not fails and told(mine, found, random):
            said.append(Feedback(f"d{i:06d}", i + 3600.0, correct=found, key=key))
    return decisions, said


def log(where: str, decisions: list[Decision], said: list[Feedback]) -> Store:
    store = Store.open(where)
    store.write(decisions)
    store.write([], said)
    return store


def test_an_assignment_comes_back_equal_and_goes_with_its_decision(where: str) -> None:
    decisions, said = made(3)
    store = log(where, decisions, said)
    found = store.find("d000001")
    assert found is not None
    assert found.decision == decisions[1]
    assert pairs(store) == [(OLD, NEW)]
    store.delete([one.decision_id for one in decisions])
    assert pairs(store) == []
    with pytest.raises(DecisionLogError, match="got none of aaaaaaaaaaaa and bbbbbbbbbbbb"):
        read_challenge(store, OLD, NEW)
    store.close()


def test_a_better_challenger_is_found_and_an_equal_one_is_not(where: str) -> None:
    store = log(where, *made(900, right=(0.4, 0.8)))
    state = read_challenge(store, OLD, NEW, now=3 * DAY)
    assert state.state == "better"
    assert 0.2 < state.utility.low < 0.4 < state.utility.high < 0.6
    assert state.champion.decisions + state.challenger.decisions == state.drawn == 900
    assert state.champion.known == state.champion.decisions
    store.close()


def test_equal_planners_stay_undecided(tmp_path: Path) -> None:
    store = log(str(tmp_path / "log.db"), *made(900))
    state = read_challenge(store, OLD, NEW, now=3 * DAY)
    assert (state.state, state.refused) == ("undecided", "")
    assert state.utility.low < 0.0 < state.utility.high
    store.close()


def test_a_price_turns_an_equal_but_dearer_challenger_down(tmp_path: Path) -> None:
    store = log(str(tmp_path / "log.db"), *made(900, flops=(1e9, 3e9)))
    assert read_challenge(store, OLD, NEW, now=3 * DAY).state == "undecided"
    assert read_challenge(store, OLD, NEW, price=0.2e-9, now=3 * DAY).state == "worse"
    store.close()


def test_late_and_repeated_words_keep_their_order(tmp_path: Path) -> None:
    decisions, said = made(400, right=(0.3, 0.9))
    turned = [replace(one, correct=not one.correct, created=1e6) for one in said]
    store = log(str(tmp_path / "log.db"), decisions, [*reversed(said), *turned])
    state = read_challenge(store, OLD, NEW, now=3 * DAY)
    assert state.utility.observations == 400  # the first word on each stands
    assert state.state == "better"
    store.close()


def only_wrong(mine: bool, right: bool, random: Random) -> bool:
    return not right


def unevenly(mine: bool, right: bool, random: Random) -> bool:
    return random.random() < (0.8 if mine else 0.3)


def test_feedback_that_cannot_be_compared_is_told(tmp_path: Path) -> None:
    for name, told, words in (
        ("one", only_wrong, "words say wrong"),
        ("other", unevenly, "cannot be compared"),
    ):
        store = log(str(tmp_path / name), *made(1200, right=(0.3, 0.9), told=told))
        state = read_challenge(store, OLD, NEW, now=3 * DAY)
        assert words in state.refused
        assert state.state == "undecided"
        assert state.refused in state.sentence
        store.close()


def test_a_challenger_that_fails_more_often_is_not_better(tmp_path: Path) -> None:
    store = log(str(tmp_path / "log.db"), *made(1200, right=(0.3, 0.9), failed=(0.02, 0.4)))
    state = read_challenge(store, OLD, NEW, now=3 * DAY)
    assert "fails more often" in state.refused
    assert state.state == "undecided"
    assert state.challenger.failed > state.champion.failed
    store.close()


def test_decisions_that_were_not_drawn_do_not_count(tmp_path: Path) -> None:
    decisions, said = made(300, right=(0.5, 0.9))
    after, later = made(300, right=(0.1, 0.1), seed=1)
    promoted = Assignment(champion=OLD, challenger=NEW, arm="challenger", chance=1.0)
    after = [replace(one, decision_id=f"x{one.decision_id}", assignment=promoted) for one in after]
    later = [replace(one, decision_id=f"x{one.decision_id}") for one in later]
    store = log(str(tmp_path / "log.db"), [*decisions, *after], [*said, *later])
    state = read_challenge(store, OLD, NEW, now=3 * DAY)
    assert (state.drawn, state.utility.observations) == (300, 300)
    store.close()


def test_sources_that_are_mistaken_are_corrected() -> None:
    rng = np.random.default_rng(0)
    mine = rng.random(20_000) < 0.3
    right = rng.random(20_000) < np.where(mine, 0.8, 0.6)
    said = np.where(right, rng.random(20_000) < 0.9, rng.random(20_000) < 0.3)
    source = Source(Kind.JUDGE, 0.9, 0.7)
    words = FirstWords(
        value=np.array([source.corrected(float(one)) for one in said]),
        flops=np.zeros(20_000),
        domain=("math",) * 20_000,
        mine=mine,
        chance=np.full(20_000, 0.3),
        spread=source.corrected(1.0) - source.corrected(0.0),
    )
    gains, scales, reach = utility_gains(words, 0.0)
    assert abs(gains).max() <= reach
    assert gains.sum() / scales.sum() == pytest.approx(0.2, abs=0.03)


def test_the_command_prints_the_state(where: str) -> None:
    log(where, *made(500, right=(0.3, 0.9), key="grader")).close()
    run = CliRunner().invoke(app, ["challenge", where, "--source", "grader=program", "--json"])
    assert run.exit_code == 0, run.stderr
    told = json.loads(run.stdout)
    assert (told["state"], told["promoted"], told["pairs"]) == ("better", None, 1)
    shown = CliRunner().invoke(app, ["challenge", where])
    assert "The challenger is better" in shown.stdout
    assert "aaaaaaaaaaaa" in shown.stdout


def test_a_log_without_a_challenger_is_one_line(tmp_path: Path) -> None:
    where = str(tmp_path / "log.db")
    log(where, [decision("a")], []).close()
    run = CliRunner().invoke(app, ["challenge", where])
    assert (run.exit_code, run.stdout) == (2, "")
    assert run.stderr.strip() == (
        "planner: a challenge is read from the log of a server with --challenger, got a log of one without"
    )
