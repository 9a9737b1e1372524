"""The chart of ``head_to_head.py``: right answers against cost. Needs the extra ``report``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

__all__ = ["svg"]

#: what a contestant's name begins with -> its label, its colour, whether its points are joined
KINDS = {
    "planner": ("planner", "#0b4f8a", True),
    "router": ("text router between both models", "#d55e00", True),
    "greedy": ("one model, greedy", "#444444", False),
    "its_hub": ("its_hub", "#009e73", False),
    "optillm": ("optillm", "#cc79a7", False),
    "deepconf": ("DeepConf", "#8a6d00", False),
}
#: contestant -> its label, and how far that is moved (pixels)
LABELS = {
    "greedy-small": ("0.5B, greedy", 10, 14),
    "greedy-large": ("1.5B, greedy", 10, 14),
    "planner-medium": ("planner", -10, -12),
    "router-50": ("text router", 8, 14),
    "its_hub": ("its_hub, 8 votes", -10, -12),
    "optillm": ("optillm, 8 votes", -10, 14),
    "deepconf": ("DeepConf", -10, -12),
}


def svg(contestants: Sequence[Mapping[str, Any]], questions: int) -> str:
    """The chart as SVG."""
    return str(vl_convert.vegalite_to_svg(chart(contestants, questions).to_dict()))


def kind(name: str) -> str:
    """What kind of contestant a name is of."""
    return next(one for one in KINDS if name.startswith(one))


def chart(contestants: Sequence[Mapping[str, Any]], questions: int) -> alt.LayerChart:
    """A point with its 95% interval for every contestant, lines where budgets or shares were varied."""
    rows = [
        {
            "kind": KINDS[kind(one["name"])][0],
            "name": one["name"],
            "usd": round(one["usd"], 4),
            **{key: round(100.0 * one[key], 3) for key in ("accuracy", "accuracy_low", "accuracy_high")},
        }
        for one in contestants
    ]
    data = alt.InlineData(values=rows)
    names = [label for label, *_ in KINDS.values()]
    colours = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=names, range=[colour for _, colour, _ in KINDS.values()]),
        legend=None,
    )
    ends = [row["usd"] for row in rows]
    x = alt.X(
        "usd:Q",
        title="dollars per million questions",
        scale=alt.Scale(type="log", domain=[0.75 * min(ends), 1.6 * max(ends)], nice=False),
        axis=alt.Axis(values=[5, 10, 20, 40, 80, 160], format="~g"),
    )
    title = f"of {questions} held-out questions, right (%)"
    y = alt.Y("accuracy:Q", title=title, scale=alt.Scale(zero=False, nice=True))
    base = alt.Chart(data)
    joined = [label for label, _, is_joined in KINDS.values() if is_joined]
    layers: list[alt.Chart] = [
        base.mark_rule(strokeWidth=1.2, opacity=0.45).encode(
            x=x, y=alt.Y("accuracy_low:Q", title=title), y2="accuracy_high:Q", color=colours
        ),
        base.transform_filter(alt.FieldOneOfPredicate("kind", joined))
        .mark_line(strokeWidth=2.0)
        .encode(x=x, y=y, color=colours),
        base.mark_point(filled=True, size=75, opacity=1.0).encode(x=x, y=y, color=colours),
    ]
    for row in rows:
        if row["name"] in LABELS:
            label, across, down = LABELS[row["name"]]
            layers.append(
                alt.Chart(alt.InlineData(values=[row]))
                .mark_text(
                    align="left" if across > 0 else "right",
                    dx=across,
                    dy=down,
                    fontSize=12,
                    color=KINDS[kind(row["name"])][1],
                    text=label,
                )
                .encode(x=x, y=y)
            )
    drawn: alt.LayerChart = (
        alt.layer(*layers)
        .properties(
            width=560,
            height=330,
            background="white",
            padding={"left": 8, "right": 8, "top": 8, "bottom": 8},
            description="Right answers of each contestant against what they cost, with 95% intervals.",
        )
        .configure(font="Helvetica, Arial, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=12,
            titleFontSize=13,
            titleFontWeight="normal",
            labelColor="#222",
            titleColor="#222",
            gridColor="#e6e6e6",
            domainColor="#888",
            tickColor="#888",
        )
    )
    return drawn
