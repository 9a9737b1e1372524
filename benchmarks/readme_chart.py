"""Draws the README's chart from the measured curves: ``python benchmarks/readme_chart.py``.

Reads ``benchmarks/decision_quality.json`` and writes ``docs/accuracy.svg``. Needs the extra ``report``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import vl_convert

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks" / "decision_quality.json"
CHART = ROOT / "docs" / "accuracy.svg"

#: method of the file -> its name in the chart, its colour, its dashes, and how far its label moves (pixels)
METHODS = {
    "planner": ("planner", "#0b4f8a", (1, 0), 0),
    "knn": ("nearest neighbours", "#009e73", (6, 3), -14),
    "mixture": ("best mixture of two fixed plans", "#d55e00", (1, 0), 14),
    "majority": ("majority voting", "#7a7a7a", (1, 0), 0),
}
LOWEST, HIGHEST = 2.0, 64.0


def rows(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy in percent of each method at budgets between the lowest and the highest, in samples.

    Between two points of a curve requests are split among both, so accuracy is linear in the mean budget. The
    last accuracy of a curve holds for all larger budgets: a method need not spend all it may.
    """
    curves = {curve["name"]: curve for curve in evaluation["curves"]}
    budgets = np.geomspace(LOWEST, HIGHEST, 81)
    found = []
    for method, (name, *_) in METHODS.items():
        samples = np.array(curves[method]["flops"]) / evaluation["sample_flops"]
        accuracy = 100.0 * np.interp(budgets, samples, np.array(curves[method]["accuracy"]))
        found += [
            {"method": name, "samples": round(float(at), 4), "accuracy": round(float(value), 3)}
            for at, value in zip(budgets, accuracy, strict=True)
        ]
    return found


def chart(evaluation: dict[str, Any]) -> alt.LayerChart:
    """Accuracy against mean compute, a line and a label for each method."""
    data = rows(evaluation)
    names = [name for name, *_ in METHODS.values()]
    colours = alt.Color(
        "method:N", scale=alt.Scale(domain=names, range=[c for _, c, *_ in METHODS.values()]), legend=None
    )
    dashes = alt.StrokeDash(
        "method:N",
        scale=alt.Scale(domain=names, range=[list(d) for _, _, d, _ in METHODS.values()]),
        legend=None,
    )
    x = alt.X(
        "samples:Q",
        title="mean budget per question (samples of the main model)",
        scale=alt.Scale(type="log", domain=[LOWEST, HIGHEST], nice=False),
        axis=alt.Axis(values=[2, 4, 8, 16, 32, 64], format="~g"),
    )
    y = alt.Y("accuracy:Q", title="questions answered correctly (%)", scale=alt.Scale(zero=False, nice=True))
    lines = (
        alt.Chart(alt.InlineData(values=data))
        .mark_line(strokeWidth=2.5)
        .encode(x=x, y=y, color=colours, strokeDash=dashes)
    )
    layers: list[alt.Chart] = [lines]
    for name, colour, _, moved in METHODS.values():
        last = [row for row in data if row["method"] == name][-1]
        layers.append(
            alt.Chart(alt.InlineData(values=[last]))
            .mark_text(align="left", dx=8, dy=moved, fontSize=13, color=colour, text=name)
            .encode(x=x, y=y)
        )
    drawn: alt.LayerChart = (
        alt.layer(*layers)
        .properties(
            width=470,
            height=270,
            background="white",
            padding={"left": 8, "right": 8, "top": 8, "bottom": 8},
            description="Accuracy of the planner and three rivals against the mean budget.",
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


def main() -> None:
    """Write the chart."""
    evaluation = json.loads(MEASURED.read_text(encoding="utf-8"))["evaluation"][0]
    CHART.write_text(vl_convert.vegalite_to_svg(chart(evaluation).to_dict()), encoding="utf-8")
    print(f"wrote {CHART.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
