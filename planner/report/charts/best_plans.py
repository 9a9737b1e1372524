"""The best plan of every policy, PRM and difficulty bin, as a heat map of its accuracy."""

from __future__ import annotations

from typing import Literal

import altair as alt

from planner.report.charts.style import Layout, Spec, finished, inline
from planner.report.findings import Findings
from search.log.bins import bin_names

__all__ = ["best_plans_chart"]

#: from this accuracy on the ground is dark
_DARK = 0.55


def best_plans_chart(findings: Findings, layout: Layout) -> Spec:
    """One row per policy and PRM, one column per bin, the easiest first."""
    rows = [
        {
            "policy": cell.policy,
            "prm": cell.prm or "none",
            "pair": f"{cell.policy}|{cell.prm or 'no PRM'}",
            "bin": cell.bin,
            "accuracy": 100 * cell.accuracy,
            "plan": f"{cell.plan[0]}({cell.plan[1]})",
            "strategy": cell.plan[0],
            "numbers": cell.plan[1].replace("score=", ""),
            "result": f"{100 * cell.accuracy:.0f}%" if layout.phone else _result(cell.accuracy, cell.error),
            "problems": cell.problems,
            "counted": f"{cell.problems} problems" if cell.problems > 1 else "1 problem",
            "dark": cell.accuracy >= _DARK,
        }
        for cell in findings.cells
    ]
    bins = list(dict.fromkeys(cell.bin for cell in findings.cells))
    if set(bins) <= set(bin_names()):
        bins = bin_names()
    pairs = list(dict.fromkeys(str(row["pair"]) for row in rows))
    longest = max(len(name) for pair in pairs for name in pair.split("|"))
    room = min(98 if layout.phone else 210, 7 * longest + 10)
    base = alt.Chart(inline(rows)).encode(
        x=alt.X(
            "bin:N",
            sort=bins,
            scale=alt.Scale(domain=bins),
            title="difficulty bin (by Pass@1 of the policy)",
            axis=alt.Axis(labelAngle=0, orient="top", domain=False, ticks=False),
        ),
        y=alt.Y(
            "pair:N",
            sort=pairs,
            title="policy and PRM",
            axis=alt.Axis(labelExpr="split(datum.label, '|')", domain=False, ticks=False, labelLimit=room),
        ),
    )
    ink = alt.condition("datum.dark", alt.value("white"), alt.value("#111"))
    small, big = layout.text - 2 if layout.phone else layout.text, layout.text + 1

    def words(field: str, dy: int, size: int) -> alt.Chart:
        bold: Literal["bold", "normal"] = "bold" if field == "strategy:N" else "normal"
        text: alt.Chart = base.mark_text(dy=dy, fontSize=size, fontWeight=bold).encode(text=field, color=ink)
        return text

    chart = alt.layer(
        base.mark_rect(stroke="white", strokeWidth=2).encode(
            color=alt.Color(
                "accuracy:Q",
                scale=alt.Scale(domain=[0, 100], range=["#f1f5f9", "#a9c6de", "#4f88b5", "#0b3c68"]),
                legend=alt.Legend(
                    title="accuracy of the best plan (%)",
                    orient="bottom",
                    direction="horizontal",
                    gradientLength=min(300, layout.width - 60),
                    values=[0, 25, 50, 75, 100],
                ),
            ),
            tooltip=[
                alt.Tooltip("policy:N"),
                alt.Tooltip("prm:N", title="PRM"),
                alt.Tooltip("plan:N"),
                alt.Tooltip("accuracy:Q", title="accuracy (%)", format=".1f"),
                alt.Tooltip("problems:Q"),
            ],
        ),
        words("strategy:N", -23, small).transform_filter("datum.numbers !== ''"),
        words("strategy:N", -16, small).transform_filter("datum.numbers === ''"),
        words("numbers:N", -9, small),
        words("result:N", 8, big),
        words("counted:N", 24, small),
    ).properties(width=layout.width - room + (4 if layout.phone else -60), height=alt.Step(76))
    return finished(chart, layout, "The most accurate plan per policy, PRM and difficulty bin.")


def _result(accuracy: float, error: float) -> str:
    return f"{100 * accuracy:.0f}% \u00b1 {100 * error:.0f}"
