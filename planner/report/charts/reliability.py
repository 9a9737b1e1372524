"""Reliability diagram: expected against actual accuracy, and how often each was expected."""

from __future__ import annotations

import altair as alt

from planner.report.charts.style import BAR, OURS, Layout, Spec, finished, inline
from planner.report.findings import Findings

__all__ = ["reliability_chart"]


def reliability_chart(findings: Findings, layout: Layout) -> Spec:
    """Marks on the diagonal mean that expected and actual accuracy agree."""
    rows = [
        {
            "promised": 100 * one.expected,
            "met": 100 * one.met,
            "low": 100 * one.low,
            "high": 100 * one.high,
            "share": 100 * one.share,
            "from": 10 * min(int(one.expected * 10), 9),
            "to": 10 * min(int(one.expected * 10), 9) + 10,
        }
        for one in findings.promises
    ]
    width = layout.width - 70 if layout.phone else 460
    tens = alt.Axis(values=list(range(0, 101, 20)))
    x = alt.X("promised:Q", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(values=tens.values, title=None))
    y_title = "actual accuracy (%)"
    base = alt.Chart(inline(rows)).encode(x=x)
    tips = [
        alt.Tooltip("promised:Q", title="expected (%)", format=".1f"),
        alt.Tooltip("met:Q", title="met (%)", format=".1f"),
        alt.Tooltip("low:Q", title="95% from", format=".1f"),
        alt.Tooltip("high:Q", title="95% to", format=".1f"),
        alt.Tooltip("share:Q", title="share of decisions (%)", format=".1f"),
    ]
    diagonal = (
        alt.Chart(inline([{"promised": 0, "met": 0}, {"promised": 100, "met": 100}]))
        .mark_line(color="#555", strokeDash=[5, 4], strokeWidth=1.2)
        .encode(x=x, y="met:Q")
    )
    y = alt.Y("met:Q", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(values=tens.values, title=y_title))
    met = alt.layer(
        diagonal,
        base.mark_rule(color=OURS, strokeWidth=1.8, opacity=0.65).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(color=OURS, filled=True, opacity=1).encode(
            y=y,
            size=alt.Size("share:Q", scale=alt.Scale(domain=[0, 50], range=[14, 260]), legend=None),
            tooltip=tips,
        ),
    ).properties(width=width, height=240 if layout.phone else 320)
    often = (
        alt.Chart(inline(rows))
        .mark_rect(color=BAR, stroke="white")
        .encode(
            x=alt.X(
                "from:Q",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(values=tens.values, title="expected accuracy (%)"),
            ),
            x2="to:Q",
            y=alt.Y(
                "share:Q",
                title=["decisions", "(%)"],
                axis=alt.Axis(tickCount=3),
                scale=alt.Scale(domainMin=0, nice=True),
            ),
            y2=alt.Y2Datum(0),
            tooltip=tips,
        )
        .properties(width=width, height=70)
    )
    chart = alt.vconcat(met, often, spacing=8)
    return finished(
        chart, layout, "Reliability diagram: expected against actual accuracy of the choices made."
    )
