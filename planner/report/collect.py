"""Collects all that a report shows from a planner, a log read into arrays, and its evaluation.

It draws nothing and needs neither Altair nor a file.
"""

from __future__ import annotations

import polars as pl

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.budget_adherence import budget_adherence
from planner.evaluation.evaluation import Curve, Evaluation
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import Tables, TrainingData
from planner.planner import Planner
from planner.report.decisions import budget_ladder, cost_bins, price_grid, promises, shares
from planner.report.findings import Cell, Findings, Fixed, Header, Line, Row
from planner.report.headline import headline, middle_budget
from planner.report.influence import influence
from planner.report.measures import measures
from planner.report.stories import stories
from planner.report.words import ordered, plan_parts

__all__ = ["collect"]

_CHARGED = (
    "Logical compute: the prompt once per model, every generated token (those of the probe and of discarded "
    "candidates too), every step that a PRM scores, and the planner's own decisions. Models of different "
    "size are compared in FLOPs, never by adding their tokens."
)


def collect(
    planner: Planner,
    data: TrainingData,
    evaluation: Evaluation,
    *,
    tables: Tables,
    cells: pl.DataFrame | None = None,
    names: tuple[str, str, str | None] = ("log", "planner", None),
    probes: int = 4,
    resamples: int = 16,
    seed: int = 0,
) -> Findings:
    """Everything that a report shows.

    Parameters
    ----------
    data, tables:
        The log, read into arrays and as it is (for texts of answers).
    evaluation:
        Of this planner on this log.
    cells:
        The table of ``search.log.bins.bins``; None: no heat map.
    names:
        What log, planner and training log are called.
    probes, resamples, seed:
        As the evaluation took them, so that the pictures show its decisions.

    Raises TooLittleDataError where no budget was compared.
    """
    middle = middle_budget(evaluation)
    matrices = Matrices(data, planner.encoder, probes=probes, resamples=resamples, seed=seed)
    prices = price_grid(planner)
    done = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices])
    price = planner.frontier.price_of(middle.flops, 0.0)
    adherences = [budget_adherence(planner, matrices, row.flops) for row in evaluation.budgets]
    spends = planner.frontier.flops / planner.sample_flops
    shared, kept = shares(planner, matrices, budget_ladder(float(spends.min()), float(spends.max())))
    return Findings(
        header=_header(planner, data, evaluation, names),
        budgets=tuple(row.name for row in evaluation.budgets),
        table=_table(evaluation),
        measures=measures(evaluation),
        definitions=evaluation.definitions if evaluation.headline else (),
        lines=_lines(evaluation),
        fixed=tuple(
            Fixed(curve.name, curve.flops[0] / evaluation.sample_flops, curve.accuracy[0])
            for curve in evaluation.fixed
        ),
        cells=() if cells is None else _cells(cells),
        promises=promises(adherences, len(data), seed=seed),
        costs=cost_bins(planner, matrices, done, prices),
        kept=kept,
        shares=shared,
        panels=influence(planner, matrices, price),
        stories=stories(planner, matrices, tables, price, middle.flops),
        middle=middle.flops / planner.sample_flops,
        notes=evaluation.notes,
    )


def _header(
    planner: Planner, data: TrainingData, evaluation: Evaluation, names: tuple[str, str, str | None]
) -> Header:
    card = planner.card
    learned = (
        f"{card['problems']} problems of {len(card['families'])} families"
        + (f", {card['date']}" if card.get("date") else "")
        if "problems" in card and "families" in card
        else "an unnamed log"
    )
    log, model, training = names
    return Header(
        log=log,
        planner=model,
        training=training,
        problems=evaluation.problems,
        families=evaluation.families,
        domains=tuple(sorted(set(data.domains))),
        policies=tuple(data.pools),
        prms=tuple(data.prms),
        learned_from=learned,
        unit=data.main,
        sample_flops=planner.sample_flops,
        headline=headline(evaluation),
        charged=_CHARGED,
    )


def _table(evaluation: Evaluation) -> tuple[Row, ...]:
    rows = []
    for name in ordered(name for row in evaluation.budgets for name in row.methods):
        points = [row.methods.get(name) for row in evaluation.budgets]
        rows.append(
            Row(
                name,
                tuple(None if point is None else point.accuracy for point in points),
                tuple(
                    None
                    if point is None or name == "planner"
                    else (point.planner_above, point.above_low, point.above_high)
                    for point in points
                ),
            )
        )
    return tuple(rows)


def _lines(evaluation: Evaluation) -> tuple[Line, ...]:
    """Every method of the curves; and those that have a result per budget only, as steps through these."""
    unit = evaluation.sample_flops
    curves = {curve.name: _line(curve, unit) for curve in evaluation.curves}
    for name in ordered(name for row in evaluation.budgets for name in row.methods):
        if name not in curves:
            points = [row.methods[name] for row in evaluation.budgets if name in row.methods]
            # a method that could not spend more has the same cost at the next budget
            kept = {point.flops: point for point in points}
            points = [kept[flops] for flops in sorted(kept)]
            curves[name] = Line(
                method=name,
                cost=tuple(point.flops / unit for point in points),
                accuracy=tuple(point.accuracy for point in points),
                low=tuple(point.low for point in points),
                high=tuple(point.high for point in points),
                steps=True,
            )
    return tuple(curves[name] for name in ordered(curves))


def _line(curve: Curve, unit: float) -> Line:
    """A curve without intervals has a band without width."""
    known = len(curve.low) == len(curve.high) == len(curve.flops)
    return Line(
        method=curve.name,
        cost=tuple(flops / unit for flops in curve.flops),
        accuracy=curve.accuracy,
        low=curve.low if known else curve.accuracy,
        high=curve.high if known else curve.accuracy,
    )


def _cells(frame: pl.DataFrame) -> tuple[Cell, ...]:
    best = frame.filter(pl.col("best")).select(
        "policy", "prm", "bin", "plan", "accuracy", pl.col("accuracy_se").fill_null(0.0), "problems"
    )
    return tuple(
        Cell(
            policy=policy,
            prm=prm,
            bin=name,
            plan=plan_parts(plan),
            accuracy=accuracy,
            error=error,
            problems=problems,
        )
        for policy, prm, name, plan, accuracy, error, problems in best.iter_rows()
    )
