"""Which plans were chosen as the budget grows: stacked shares of where requests ended."""

from __future__ import annotations

import json
from collections.abc import Sequence

import altair as alt

from planner.report.charts.style import Layout, Spec, finished, inline, ladder_colours, titled
from planner.report.findings import Findings

__all__ = ["endings_chart", "wrapped"]

#: characters of the common font that a line of the legend holds
_WIDE, _PHONE = 44, 40


def endings_chart(findings: Findings, layout: Layout) -> Spec:
    """Cheap endings below in light colours, dear ones above in dark, all rare ones in grey on top."""
    order = {share.outcome: share.order for share in findings.shares}
    names = sorted(order, key=order.__getitem__)
    rest = [name for name in names if name == "all others"]
    named = [name for name in names if name not in rest]
    colours = [*ladder_colours(len(named)), *("#c9c9c9" for _ in rest)]
    budgets = [f"{budget:g}" for budget in sorted({share.budget for share in findings.shares})]
    rows = [
        {
            "budget": f"{share.budget:g}",
            "ending": share.outcome,
            "order": share.order,
            "share": 100 * share.share,
        }
        for share in findings.shares
    ]
    unit = titled("mean budget per request", f"(samples of {findings.header.unit})", layout)
    chart = (
        alt.Chart(inline(rows))
        .mark_bar(stroke="white", strokeWidth=1.2)
        .encode(
            x=alt.X(
                "budget:O",
                sort=budgets,
                title=unit,
                axis=alt.Axis(labelAngle=0),
                scale=alt.Scale(paddingInner=0.12, paddingOuter=0.06),
            ),
            y=alt.Y(
                "share:Q",
                title="share of requests (%)",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(tickCount=5),
            ),
            color=alt.Color(
                "ending:N",
                # legends are read from above, as the bars lie
                scale=alt.Scale(domain=names[::-1], range=colours[::-1]),
                legend=alt.Legend(
                    title="request ended in",
                    orient="bottom" if layout.phone else "right",
                    columns=1,
                    labelExpr=_labels(names, _PHONE if layout.phone else _WIDE),
                    symbolType="square",
                    symbolSize=130,
                ),
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("budget:N", title="mean budget (samples)"),
                alt.Tooltip("ending:N", title="ended in"),
                alt.Tooltip("share:Q", title="share (%)", format=".1f"),
            ],
        )
        .properties(width=layout.width - (62 if layout.phone else 350), height=280 if layout.phone else 340)
    )
    return finished(chart, layout, "Where requests ended, as shares, as the mean budget grows.")


def wrapped(name: str, most: int) -> list[str]:
    """A name on lines of at most ``most`` characters, broken behind commas and slashes where there are some.

    >>> wrapped("adaptive_vote(n=16, stop=0.7, weight=prm), lab-policy-l", 40)
    ['adaptive_vote(n=16, stop=0.7,', 'weight=prm), lab-policy-l']
    """
    lines, rest = [], name
    while len(rest) > most:
        end = 1 + max(rest.rfind(", ", 0, most), rest.rfind("/", 0, most)) or most
        lines.append(rest[:end])
        rest = rest[end:].lstrip()
    return [*lines, rest]


def _labels(names: Sequence[str], most: int) -> str:
    """The expression that puts long names on several lines; cut to one, two of them may read alike."""
    return f"{json.dumps({name: wrapped(name, most) for name in names})}[datum.label]"
