from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest
import synthetic

from planner.evaluation.evaluate import Evaluation, evaluate
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from planner.report.collect import collect
from planner.report.findings import Cell, Findings
from search.errors import TooLittleDataError
from training.study import fit_training_data


def test_header_says_what_was_compared(findings: Findings, data: TrainingData, planner: Planner) -> None:
    header = findings.header
    assert (header.log, header.planner, header.training) == ("held-out", "fitted", None)
    assert (header.problems, header.families) == (160, 12)
    assert header.domains == ("arithmetic", "puzzle")
    assert (header.policies, header.prms) == (("large", "small"), ("bad", "good"))
    assert header.unit == data.main
    assert header.learned_from == "160 problems of 12 families, 2026-01-01"
    assert "the planner is right on" in header.headline
    assert findings.middle == pytest.approx(1.0)


def test_table_and_lines_hold_every_method_of_the_evaluation(
    findings: Findings, evaluation: Evaluation
) -> None:
    methods = set(evaluation.budgets[0].methods)
    assert findings.table[0].method == findings.lines[0].method == "planner"
    assert {row.method for row in findings.table} == {line.method for line in findings.lines} == methods
    ours = findings.table[0]
    assert ours.above == (None, None, None)
    for place, row in enumerate(evaluation.budgets):
        assert ours.accuracy[place] == row.methods["planner"].accuracy
        theirs = next(one for one in findings.table if one.method == "mixture")
        point = row.methods["mixture"]
        assert theirs.above[place] == (point.planner_above, point.above_low, point.above_high)


def test_lines_ascend_and_lie_inside_their_bands(findings: Findings) -> None:
    assert {line.method for line in findings.lines if line.steps} == {"best_fixed"}
    for line in findings.lines:
        assert (np.diff(line.cost) >= 0).all(), line.method
        assert line.cost[0] > 0
        for accuracy, low, high in zip(line.accuracy, line.low, line.high, strict=True):
            assert low - 1e-9 <= accuracy <= high + 1e-9, line.method


def test_promises_are_those_that_the_calibration_error_is_about(
    findings: Findings, evaluation: Evaluation
) -> None:
    assert sum(one.share for one in findings.promises) == pytest.approx(1.0)
    error = sum(one.share * abs(one.expected - one.met) for one in findings.promises)
    assert error == pytest.approx(evaluation.calibration["ece"])
    for one in findings.promises:
        assert 0 <= one.low <= one.met + 1e-9
        assert one.met <= one.high + 1e-9 <= 1 + 2e-9


def test_shares_of_every_budget_are_whole(findings: Findings) -> None:
    budgets = sorted({share.budget for share in findings.shares})
    assert len(budgets) >= 3
    for budget in budgets:
        here = [share for share in findings.shares if share.budget == budget]
        assert sum(share.share for share in here) == pytest.approx(1.0)
        assert len({share.order for share in here}) == len(here) <= 8
    assert [one.asked for one in findings.kept] == budgets
    assert all(one.met == pytest.approx(one.asked, rel=0.5) for one in findings.kept)


def test_costs_promised_before_the_first_token_are_near_those_met(findings: Findings) -> None:
    assert len(findings.costs) >= 3
    assert sum(one.share for one in findings.costs) <= 1 + 1e-9
    expected = [one.expected for one in findings.costs]
    assert expected == sorted(expected)
    for one in findings.costs:
        assert one.low <= one.high
        assert one.met == pytest.approx(one.expected, rel=0.5)


def test_measures_hold_the_control_and_the_gap(findings: Findings, evaluation: Evaluation) -> None:
    by_name = {one.what: one for one in findings.measures}
    assert by_name["majority over itself (a control: must be 1)"].value == 1.0
    gap = by_name["share of the gap closed between best fixed plan and oracle"]
    assert gap.value == pytest.approx(100 * evaluation.gap_closed["value"])
    # nothing was timed
    assert not any(one.unit == "ms" for one in findings.measures)


def test_cells_are_the_best_plans_of_the_table_of_bins(
    planner: Planner, data: TrainingData, evaluation: Evaluation, tables: synthetic.Log
) -> None:
    row = {"policy": "small", "prm": "good", "bin": "easy", "accuracy": 0.5, "problems": 3}
    frame = pl.DataFrame(
        [
            row | {"plan": "majority(n=4)", "accuracy_se": 0.1, "best": False},
            row | {"plan": "weighted_vote(n=4, score=min)", "accuracy_se": None, "best": True},
        ],
        infer_schema_length=None,
    )
    found = collect(planner, data, evaluation, tables=tables, cells=frame, resamples=8)
    assert found.cells == (
        Cell(
            policy="small",
            prm="good",
            bin="easy",
            plan=("weighted_vote", "n=4, score=min"),
            accuracy=0.5,
            error=0.0,
            problems=3,
        ),
    )


def test_equal_arguments_give_equal_findings(
    findings: Findings,
    planner: Planner,
    data: TrainingData,
    evaluation: Evaluation,
    tables: synthetic.Log,
) -> None:
    again = collect(planner, data, evaluation, tables=tables, names=("held-out", "fitted", None), resamples=8)
    assert json.dumps(asdict(again), default=str) == json.dumps(asdict(findings), default=str)


@pytest.mark.parametrize("skill", [0.0, 1.0])
def test_all_wrong_and_all_right(skill: float) -> None:
    log = synthetic.make_log(70, skill=skill, draws=16, prms=())
    one = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)
    planner = fit_training_data(one, trials=0)
    found = collect(
        planner,
        one,
        evaluate(planner, one, budgets=(2.0,), resamples=4, bootstrap=50),
        tables=log,
        resamples=4,
    )
    assert len(found.stories) == 10
    assert {story.met for story in found.stories} == {skill}
    assert "closes" not in found.header.headline
    assert found.header.prms == ()


def test_without_a_budget_there_is_no_report(
    planner: Planner, data: TrainingData, evaluation: Evaluation, tables: synthetic.Log
) -> None:
    with pytest.raises(TooLittleDataError, match="at least one mean budget"):
        collect(planner, data, replace(evaluation, budgets=()), tables=tables)
