"""Accuracy against compute: the planner with its band, the strongest rivals, the oracle, every fixed plan."""

from __future__ import annotations

import altair as alt

from planner.report.charts.path import marks, path
from planner.report.charts.style import (
    GREY,
    OURS,
    PALETTE,
    Drawing,
    Layout,
    Spec,
    cost_scale,
    finished,
    inline,
    titled,
)
from planner.report.findings import Findings
from planner.report.words import CANNOT_BE_DEPLOYED, method

__all__ = ["accuracy_chart", "featured"]


def featured(findings: Findings) -> list[str]:
    """The rivals that get a colour: the best at the middle budget among those that can be deployed."""
    middle = (len(findings.budgets) - 1) // 2
    drawn = {line.method for line in findings.lines}
    known = [
        (row.accuracy[middle] or 0.0, row.method)
        for row in findings.table
        if row.method in drawn and row.method not in CANNOT_BE_DEPLOYED | {"planner"}
    ]
    return [name for _, name in sorted(known, key=lambda one: -one[0])][: len(PALETTE)]


def accuracy_chart(findings: Findings, layout: Layout) -> Spec:
    """Lines over all settings, marked at powers of two; what is not featured is grey."""
    lines = {line.method: line for line in findings.lines}
    named = ["planner", *featured(findings)]
    styles = {"planner": (OURS, (), "circle"), **dict(zip(named[1:], PALETTE, strict=False))}
    costs = [cost for line in findings.lines for cost in line.cost] + [one.cost for one in findings.fixed]
    scale, axis = cost_scale(costs)
    axis.title = titled("mean compute per request", f"(samples of {findings.header.unit}, log scale)", layout)
    x = alt.X("cost:Q", scale=scale, axis=axis)
    y = alt.Y("accuracy:Q", scale=alt.Scale(zero=False), title="accuracy (% of problems right)")
    strokes = [
        {"method": method(name), "named": name in named, "at": at} | point
        for name, line in lines.items()
        if name != "oracle"
        for at, point in enumerate(path(line))
    ]
    shapes = [{"method": method(name)} | point for name in named for point in marks(lines[name])]
    domain = [method(name) for name in named]
    legend = alt.Legend(
        title=None,
        orient="bottom" if layout.phone else "right",
        columns=2 if layout.phone else 1,
        symbolStrokeWidth=0,
        symbolSize=90,
    )
    colour = alt.Color(
        "method:N", scale=alt.Scale(domain=domain, range=[styles[n][0] for n in named]), legend=legend
    )
    dash = alt.StrokeDash(
        "method:N", scale=alt.Scale(domain=domain, range=[list(styles[n][1]) for n in named]), legend=legend
    )
    shape = alt.Shape(
        "method:N", scale=alt.Scale(domain=domain, range=[styles[n][2] for n in named]), legend=legend
    )
    rings = [{"plan": one.choice, "cost": one.cost, "accuracy": 100 * one.accuracy} for one in findings.fixed]
    drawn, order = alt.Chart(inline(strokes)), alt.Order("at:Q")
    bounds = [_oracle(path(lines["oracle"]), x, y, layout)] if "oracle" in lines else []
    chart = alt.layer(
        alt.Chart(inline(rings))
        .mark_point(shape="circle", size=22, color=GREY, strokeWidth=1, opacity=0.75, aria=False)
        .encode(x=x, y=y, tooltip=_tips("plan:N")),
        drawn.transform_filter("!datum.named")
        .mark_line(color=GREY, strokeWidth=1, opacity=0.55)
        .encode(x=x, y=y, order=order, detail="method:N", tooltip=_tips("method:N")),
        *bounds,
        alt.Chart(inline(path(lines["planner"])))
        .mark_area(color=OURS, opacity=0.16)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        drawn.transform_filter("datum.named")
        .mark_line()
        .encode(
            x=x,
            y=y,
            order=order,
            color=colour,
            strokeDash=dash,
            strokeWidth=alt.condition("datum.method === 'planner'", alt.value(3.2), alt.value(1.7)),
            tooltip=_tips("method:N"),
        ),
        alt.Chart(inline(shapes))
        .mark_point(filled=True, size=48, opacity=1, aria=False)
        .encode(x=x, y=y, color=colour, shape=shape, tooltip=_tips("method:N", interval=True)),
    ).properties(width=layout.width - (56 if layout.phone else 230), height=300 if layout.phone else 380)
    return finished(
        chart, layout, "Accuracy against mean compute per request: the planner, its rivals and an oracle."
    )


def _oracle(points: list[dict[str, float]], x: alt.X, y: alt.Y, layout: Layout) -> Drawing:
    """A dotted line that bears its name: a legend cannot show dots."""
    rows = [{"method": "oracle"} | point for point in points]
    tips = _tips("method:N")
    line = alt.Chart(inline(rows)).mark_line(color="black", strokeDash=[1, 3], strokeWidth=1.8)
    name = alt.Chart(inline(rows[-1:])).mark_text(
        align="right", dx=4, dy=-9, fontSize=layout.text, color="black"
    )
    return alt.layer(line.encode(x=x, y=y, tooltip=tips), name.encode(x=x, y=y, text=alt.value("oracle")))


def _tips(what: str, interval: bool = False) -> list[alt.Tooltip]:
    tips = [
        alt.Tooltip(what),
        alt.Tooltip("cost:Q", title="cost (samples)", format=".3~g"),
        alt.Tooltip("accuracy:Q", title="accuracy (%)", format=".1f"),
    ]
    if interval:
        tips += [
            alt.Tooltip("low:Q", title="95% from", format=".1f"),
            alt.Tooltip("high:Q", title="95% to", format=".1f"),
        ]
    return tips
