"""What moved decisions: the effect of each feature on every decision, at each probe."""

from __future__ import annotations

import altair as alt

from planner.report.charts.style import Drawing, Layout, Spec, finished, inline
from planner.report.findings import Findings, Panel

__all__ = ["influence_chart"]

#: rows of dots that a feature's line is wide
_JITTER = 7


def influence_chart(findings: Findings, layout: Layout) -> Spec:
    """One dot per decision; to the right it spoke for the option that was taken, to the left against it."""
    panels = [_panel(panel, layout) for panel in findings.panels]
    chart = alt.vconcat(*panels, spacing=22).resolve_scale(color="shared")
    return finished(chart, layout, "The effect of each feature on every decision.")


def _panel(panel: Panel, layout: Layout) -> Drawing:
    rows = [
        {
            "feature": effect.feature,
            "effect": 100 * value,
            "rank": rank,
            "size": f"{100 * effect.size:z.1f}",
            # spreads equal values apart, the same way every time
            "jitter": (at * 3) % _JITTER,
        }
        for effect in panel.effects
        for at, (value, rank) in enumerate(zip(effect.effects, effect.ranks, strict=True))
    ]
    names = [effect.feature for effect in panel.effects]
    labels = 135 if layout.phone else 190
    y = alt.Y(
        "feature:N",
        sort=names,
        title=None,
        axis=alt.Axis(labelLimit=labels, domain=False, ticks=False, grid=True),
        scale=alt.Scale(paddingInner=0.15),
    )
    base = alt.Chart(inline(rows)).encode(y=y)
    legend = alt.Legend(
        title="value of the feature among these decisions",
        orient="bottom",
        direction="horizontal",
        gradientLength=140,
        values=[0, 1],
        labelExpr="datum.value < 0.5 ? 'low' : 'high'",
        titleLimit=layout.width,
    )
    dots = base.mark_circle(aria=False, size=16 if layout.phone else 22, opacity=0.85).encode(
        x=alt.X(
            "effect:Q",
            title=["effect on the option taken over", "the next best (points of accuracy)"]
            if layout.phone
            else "effect on the option taken over the next best (points of accuracy)",
            axis=alt.Axis(tickCount=5 if layout.phone else 9, labelOverlap="greedy", labelSeparation=4),
        ),
        yOffset=alt.YOffset("jitter:O", scale=alt.Scale(domain=list(range(_JITTER)))),
        color=alt.Color(
            "rank:Q",
            scale=alt.Scale(domain=[0, 1], range=["#f2b134", "#b5527a", "#1d2f6f"]),
            legend=legend,
        ),
        tooltip=[
            alt.Tooltip("feature:N"),
            alt.Tooltip("effect:Q", title="effect (points)", format="+.2f"),
            alt.Tooltip("rank:Q", title="rank of its value", format=".0%"),
        ],
    )
    zero = alt.Chart(inline([{"effect": 0}])).mark_rule(color="#555").encode(x="effect:Q")
    sizes = (
        alt.Chart(inline({"feature": e.feature, "size": f"{100 * e.size:z.1f}"} for e in panel.effects))
        .mark_text(align="left", dx=6, fontSize=layout.text, color="#222")
        .encode(y=y, x=alt.value("width"), text="size:N")
    )
    return alt.layer(zero, dots, sizes).properties(
        width=layout.width - labels - (60 if layout.phone else 70),
        height=20 * len(names),
        title=alt.TitleParams(
            f"Decided on {panel.probe}: {panel.decisions} decisions",
            subtitle="Figures on the right: mean size, in points",
            subtitleFontSize=layout.text,
        ),
    )
