"""Expected against actual cost, of single requests and of mean budgets."""

from __future__ import annotations

import altair as alt

from planner.report.charts.style import OURS, RIVAL, Layout, Spec, cost_scale, finished, inline, titled
from planner.report.findings import Findings

__all__ = ["cost_chart"]

_SINGLE, _MEAN = "requests: mean, and the middle 80%", "a mean budget: asked, and spent"


def cost_chart(findings: Findings, layout: Layout) -> Spec:
    """Both axes are logarithmic; marks on the diagonal mean that expected and actual cost agree."""
    rows: list[dict[str, object]] = [
        {
            "what": _SINGLE,
            "promised": one.expected,
            "met": one.met,
            "low": one.low,
            "high": one.high,
            "share": 100 * one.share,
        }
        for one in findings.costs
    ]
    means: list[dict[str, object]] = [
        {"what": _MEAN, "promised": one.asked, "met": one.met} for one in findings.kept
    ]
    every = [v for one in findings.costs for v in (one.expected, one.met, one.low, one.high) if v > 0]
    every += [v for kept in findings.kept for v in (kept.asked, kept.met) if v > 0]
    unit = f"(samples of {findings.header.unit}, log scale)"
    scale, axis = cost_scale(every)
    axis.title = titled("expected cost", unit, layout)
    _, upright = cost_scale(every)
    upright.title = titled("actual cost", unit, layout)
    x = alt.X("promised:Q", scale=scale, axis=axis)
    y = alt.Y("met:Q", scale=scale, axis=upright)
    domain = [_SINGLE, _MEAN]
    legend = alt.Legend(title=None, orient="bottom", columns=1 if layout.phone else 2)
    colour = alt.Color("what:N", scale=alt.Scale(domain=domain, range=[OURS, RIVAL]), legend=legend)
    shape = alt.Shape("what:N", scale=alt.Scale(domain=domain, range=["circle", "diamond"]), legend=legend)
    tips = [
        alt.Tooltip("what:N", title="of"),
        alt.Tooltip("promised:Q", title="expected (samples)", format=".3~g"),
        alt.Tooltip("met:Q", title="met (samples)", format=".3~g"),
    ]
    ends = [{"promised": end, "met": end} for end in (min(every), max(every))]
    single = alt.Chart(inline(rows)).encode(x=x)
    chart = alt.layer(
        alt.Chart(inline(ends)).mark_line(color="#555", strokeDash=[5, 4], strokeWidth=1.2).encode(x=x, y=y),
        single.mark_area(color=OURS, opacity=0.15).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        single.mark_line(color=OURS, strokeWidth=1.6).encode(y=y),
        alt.Chart(inline([*rows, *means]))
        .mark_point(filled=True, size=70, opacity=1)
        .encode(x=x, y=y, color=colour, shape=shape, tooltip=tips),
    ).properties(
        width=layout.width - 76 if layout.phone else 460,
        height=260 if layout.phone else 340,
    )
    return finished(chart, layout, "Expected against actual cost of requests and of mean budgets.")
