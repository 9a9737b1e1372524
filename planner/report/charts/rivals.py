"""The planner beside each other method, one small panel each, both with their bands."""

from __future__ import annotations

import altair as alt

from planner.report.charts.path import path
from planner.report.charts.style import OURS, RIVAL, Layout, Spec, cost_scale, finished, inline
from planner.report.findings import Findings
from planner.report.words import starred

__all__ = ["rivals_chart"]

_OURS, _THEIRS = "planner", "the method above the panel"
_Y = "accuracy (%)"


def rivals_chart(findings: Findings, layout: Layout) -> Spec:
    """Bands are 95% intervals of the mean over problems."""
    ours = next(line for line in findings.lines if line.method == "planner")
    rivals = [line for line in findings.lines if line.method != "planner"]
    rows = [
        {"panel": starred(rival.method), "who": who, "at": at, "alone": len(points) == 1} | point
        for rival in rivals
        for who, points in ((_OURS, path(ours)), (_THEIRS, path(rival)))
        for at, point in enumerate(points)
    ]
    # full rows where that is possible
    columns = 2 if layout.phone else 3 if len(rivals) % 4 and not len(rivals) % 3 else 4
    scale, axis = cost_scale([cost for line in findings.lines for cost in line.cost])
    axis.title = "compute (samples, log)"
    x = alt.X("cost:Q", scale=scale, axis=axis)
    domain = [_OURS, _THEIRS]
    legend = alt.Legend(
        title=None,
        orient="bottom",
        direction="horizontal",
        columns=1 if layout.phone else 2,
        symbolOpacity=1,
        symbolType="stroke",
        symbolStrokeWidth=3,
    )
    colour = alt.Color("who:N", scale=alt.Scale(domain=domain, range=[OURS, RIVAL]), legend=legend)
    dash = alt.StrokeDash("who:N", scale=alt.Scale(domain=domain, range=[[], [4, 3]]), legend=legend)
    axis_y = alt.Axis(tickCount=4)
    y = alt.Y("accuracy:Q", scale=alt.Scale(zero=False), title=_Y, axis=axis_y)
    low = alt.Y("low:Q", scale=alt.Scale(zero=False), title=_Y, axis=axis_y)
    base = alt.Chart().encode(x=x, color=colour)
    panel = alt.layer(
        base.mark_area(opacity=0.2).encode(y=low, y2="high:Q"),
        *_alone(base, low, y, any(row["alone"] for row in rows)),
        base.mark_line(strokeWidth=2).encode(
            y=y,
            strokeDash=dash,
            order=alt.Order("at:Q"),
            tooltip=[
                alt.Tooltip("who:N", title="method"),
                alt.Tooltip("cost:Q", title="cost (samples)", format=".3~g"),
                alt.Tooltip("accuracy:Q", title="accuracy (%)", format=".1f"),
                alt.Tooltip("low:Q", title="95% from", format=".1f"),
                alt.Tooltip("high:Q", title="95% to", format=".1f"),
            ],
        ),
    ).properties(width=(layout.width - 20) // columns - (34 if layout.phone else 38), height=110)
    chart = panel.facet(
        alt.Facet(
            "panel:N",
            sort=[starred(line.method) for line in rivals],
            header=alt.Header(title=None, labelPadding=3, labelFontWeight="bold"),
        ),
        data=inline(rows),
        columns=columns,
        spacing={"row": 14, "column": 12},
    )
    if len(rivals) % columns:  # else an axis would stand below a panel that is not there
        chart = chart.resolve_axis(x="independent")
    return finished(chart, layout, "The planner beside each other method, with 95% intervals.")


def _alone(base: alt.Chart, low: alt.Y, y: alt.Y, needed: bool) -> list[alt.Chart]:
    """One cost alone makes neither an area nor a line."""
    if not needed:
        return []
    one = base.transform_filter("datum.alone")
    rule = one.mark_rule(strokeWidth=4, opacity=0.4).encode(y=low, y2="high:Q")
    return [rule, one.mark_point(filled=True, size=30, opacity=1).encode(y=y)]
