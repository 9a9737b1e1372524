"""Multiple choice in campaigns: options in another order for every draw, read with that order."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.engines.scripted import TURN, ScriptedEngine
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog
from search.problem import Problem

OPTIONS = {"A": "Rome", "B": "Oslo", "C": "Bonn", "D": "Lima"}


def capital(*, shuffle: bool) -> Problem:
    return Problem(
        "capital",
        "capitals",
        "choice",
        "What is the capital of Norway?\n" + "\n".join(f"{key}) {text}" for key, text in OPTIONS.items()),
        "B",
        {"options": OPTIONS, "shuffle": shuffle},
    )


def letters(text: str) -> ScriptedEngine:
    """A policy that always picks this letter, whatever stands there."""
    return ScriptedEngine(lambda asked, rng: text[len(asked.partition(TURN)[2]) :], name="m")


def run(path: Path, problem: Problem, answer: str) -> SearchLog:
    grid = Grid.of({"pair": [{"policy": "m"}], "strategies": ["majority"], "n": [1, 4], "samples": 24})
    log = SearchLog.create(path)
    Campaign([problem], grid, log, ReadyLoader([letters(answer)])).run()
    return log


def test_a_policy_that_always_picks_a_letter_gains_nothing_by_it(tmp_path: Path) -> None:
    log = run(tmp_path / "log", capital(shuffle=True), "The answer is (B)")
    samples = log.read("samples").sort("draw")
    assert samples["draw"].to_list() == list(range(24))
    assert {answer.casefold() for answer in samples["answer"]} == {
        text.casefold() for text in OPTIONS.values()
    }
    right = samples["correct"].sum()
    assert 0 < right < 15
    assert len(set(samples["seed"])) == 24


def test_a_policy_that_knows_is_right_in_every_order(tmp_path: Path) -> None:
    samples = run(tmp_path / "log", capital(shuffle=True), "The answer is Oslo.").read("samples")
    assert samples["correct"].all()
    assert samples["answer"].n_unique() == 1


def test_without_shuffling_a_letter_is_always_the_same_option(tmp_path: Path) -> None:
    samples = run(tmp_path / "log", capital(shuffle=False), "The answer is (B)").read("samples")
    assert samples["correct"].all()


def test_the_same_campaign_gives_the_same_log(tmp_path: Path) -> None:
    one = run(tmp_path / "one", capital(shuffle=True), "The answer is (B)")
    two = run(tmp_path / "two", capital(shuffle=True), "The answer is (B)")
    assert difference(one, two) is None
    assert one.read("samples").select(pl.col("text").n_unique()).item() == 1
