"""The lab's page: differences are paired by problem, and every section says what it measured."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest

from search.plan import Plan
from training.lab.making.lab_report import Outcomes, claims, tree_strategies


def _log(rows: list[tuple[str, str, str, str, float, float]]) -> SimpleNamespace:
    columns = ["problem_id", "policy", "prm", "plan", "accuracy", "flops"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(tokens=pl.col("flops") / 2.0)
    problems = pl.DataFrame(
        {"problem_id": ["a", "b", "c", "d"], "domain": ["puzzle", "code", "code", "arithmetic"]}
    )
    return SimpleNamespace(read=lambda table: problems if table == "problems" else frame)


def test_differences_are_paired_over_common_problems() -> None:
    first = _log([("a", "p", "", "cot()", 1.0, 10.0), ("b", "p", "", "cot()", 0.0, 10.0)])
    second = _log(
        [
            ("a", "p", "r", "best_of_n(n=4, score=last)", 0.5, 40.0),
            ("b", "p", "r", "best_of_n(n=4, score=last)", 0.5, 40.0),
            ("c", "p", "r", "best_of_n(n=4, score=last)", 1.0, 40.0),
        ]
    )
    outcomes = Outcomes([first, second])  # type: ignore[list-item]
    greedy, best = ("p", "", "cot()"), ("p", "r", "best_of_n(n=4, score=last)")
    assert outcomes.choices() == [greedy, best]
    gap, half = outcomes.difference(best, greedy)
    assert gap == pytest.approx(0.0)  # -50 and +50 points; c has no partner
    assert half == pytest.approx(1.96 * 5000**0.5 / 2**0.5)
    assert outcomes.difference(best, greedy, "puzzle")[0] == pytest.approx(-50.0)


def test_a_row_that_two_logs_hold_counts_once() -> None:
    log = _log([("a", "p", "", "cot()", 1.0, 10.0)])
    assert len(Outcomes([log, log]).of("p", "", "cot()")) == 1  # type: ignore[list-item]


def test_every_search_over_steps_is_compared_with_the_vote() -> None:
    trees = [str(Plan.of(name, n=16, vote="weighted")) for name in tree_strategies()]
    assert "beam_search(n=16, width=4, prune=last, score=last, vote=weighted)" in trees
    assert {"beam_search", "dvts", "lookahead", "particle_filter", "rebase"} <= set(tree_strategies())
    log = _log(
        [(at, "p", "r", plan, 1.0, 40.0) for plan in trees for at in "ad"]
        + [(at, "p", "", "majority(n=16)", 0.5, 20.0) for at in "ad"]
    )
    page = "\n".join(claims(Outcomes([log]), "p"))  # type: ignore[list-item]
    for name in tree_strategies():
        assert f"`{name}(n=16" in page
