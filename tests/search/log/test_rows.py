"""Rows on their way to arrays: which count, and in which order they come."""

from __future__ import annotations

import json

import polars as pl

from search.choice import Choice
from search.log.credits import credited
from search.log.rows import (
    filled,
    first_of,
    greedy_of,
    placed,
    pool_of,
    rewards_of,
    rows_of,
    run_rows,
    sample_rows,
    score_rows,
    spans,
    worth,
)
from search.plan import Plan


def _problems(*names: str, meta: str = "{}") -> pl.DataFrame:
    return placed(pl.DataFrame({"problem_id": names, "meta": [meta] * len(names)}))


def _samples(*rows: tuple[str, str, int, str | None]) -> pl.LazyFrame:
    schema = {"problem_id": pl.String, "policy": pl.String, "draw": pl.Int32, "answer": pl.String}
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    return frame.with_columns(correct=pl.col("answer") == "y").lazy()


def test_problems_have_places_in_order_of_their_ids() -> None:
    assert _problems("b", "a").select("problem_id", "at").rows() == [("a", 0), ("b", 1)]


def test_rows_of_other_problems_are_passed_over() -> None:
    table = pl.LazyFrame({"problem_id": ["a", "b", "c", "d"], "x": [1, 2, 3, 4]})
    assert rows_of(_problems("d", "b"), table, "x").sort("at").rows() == [(2, 0), (4, 1)]


def test_samples_come_by_policy_problem_and_draw() -> None:
    told = [
        ("b", "n", 0, "y"),
        ("a", "m", 1, "n"),
        ("a", "m", -1, "y"),
        ("b", "m", 0, None),
        ("a", "m", 0, "y"),
    ]
    rows = sample_rows(_problems("a", "b"), _samples(*told, ("c", "m", 0, "y")))
    assert list(rows) == ["m", "n"]
    assert rows["m"].select("at", "draw", "answer").rows() == [
        (0, -1, "y"),
        (0, 0, "y"),
        (0, 1, "n"),
        (1, 0, None),
    ]
    assert [part.tolist() for part in spans(rows["m"])] == [[0, 3], [3, 1]]
    assert pool_of(rows["m"]).select("at", "draw").rows() == [(0, 0), (0, 1), (1, 0)]
    assert pool_of(rows["m"], 1).select("at", "draw").rows() == [(0, 0), (1, 0)]
    assert greedy_of(rows["m"]).select("at", "draw").rows() == [(0, -1)]


def test_nothing_is_nothing() -> None:
    assert sample_rows(_problems("a"), _samples()) == {}
    none = pl.DataFrame({"at": []}, schema={"at": pl.Int64})
    assert [part.tolist() for part in spans(none)] == [[], []]
    assert first_of(none, 3).is_empty()


def test_a_credit_is_worth_more_than_right_or_wrong() -> None:
    meta = json.dumps(credited([("m", 0, 0.25)]))
    rows = sample_rows(_problems("a", meta=meta), _samples(("a", "m", 0, "n"), ("a", "m", 1, "y")))
    assert worth(rows["m"]).to_list() == [0.25, 1.0]
    assert worth(rows["m"].drop("credit")).to_list() == [0.0, 1.0]


def test_scores_and_runs_come_by_their_models() -> None:
    scores = pl.LazyFrame(
        {
            "problem_id": ["a", "a", "a"],
            "policy": ["m"] * 3,
            "prm": ["s", "r", "r"],
            "draw": [0, 1, 0],
            "step_rewards": [[0.5], [0.1, 0.2], [0.3]],
            "prompt_tokens": [3] * 3,
            "prm_tokens": [1, 2, 3],
        }
    )
    found = score_rows(_problems("a"), scores)
    assert list(found) == [("m", "r"), ("m", "s")]
    assert found["m", "r"]["prm_tokens"].to_list() == [3, 2]
    plan = Plan.of("beam_search", n=4, width=2)
    runs = pl.LazyFrame(
        {
            "problem_id": ["a", "a"],
            "policy": ["m"] * 2,
            "prm": ["r"] * 2,
            "plan": [str(plan)] * 2,
            "run": [1, 0],
            "answer": ["n", "y"],
            "correct": [False, True],
            "policy_tokens": [1, 2],
            "prm_tokens": [3, 4],
            "candidates": [[{"answer": "n", "step_rewards": [0.5], "text": ""}]] * 2,
        }
    )
    ran = run_rows(_problems("a"), runs)
    assert ran[Choice("m", "r", plan)]["answer"].to_list() == ["y", "n"]


def test_what_is_unknown_is_filled() -> None:
    assert filled(pl.Series([1.0, None, float("nan")])).tolist() == [1.0, 0.0, 0.0]
    assert filled(pl.Series([None, True])).tolist() == [False, True]
    assert filled(pl.Series([2, None]), -1).tolist() == [2, -1]
    assert str(filled(pl.Series([2.0, None]), float("nan")).tolist()) == "[2.0, nan]"
    flat, lengths = rewards_of(pl.Series([[0.5, None], None, []], dtype=pl.List(pl.Float32)))
    assert (flat.tolist(), lengths.tolist()) == ([0.5, 0.0], [2, 0, 0])
