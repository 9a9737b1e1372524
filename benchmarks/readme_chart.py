"""Draws two charts from measured figures: ``python benchmarks/readme_chart.py``. Needs the extra ``report``.

``docs/real_models.svg``, the README's: two real models, from ``benchmarks/real_logs.json``.
``docs/accuracy.svg``: the lab, from ``benchmarks/decision_quality.json``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import vl_convert

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks" / "decision_quality.json"
CHART = ROOT / "docs" / "accuracy.svg"
REAL, REAL_CHART = ROOT / "benchmarks" / "real_logs.json", ROOT / "docs" / "real_models.svg"
PRICES = ROOT / "benchmarks" / "head_to_head_prices.toml"

#: method of the file -> its name in the chart, its colour, its dashes, and how far its label moves (pixels)
METHODS = {
    "planner": ("planner", "#0b4f8a", (1, 0), 0),
    "knn": ("nearest neighbours", "#009e73", (6, 3), -14),
    "mixture": ("best mixture of two fixed plans", "#d55e00", (1, 0), 14),
    "majority": ("majority voting", "#7a7a7a", (1, 0), 0),
}
LOWEST, HIGHEST = 2.0, 64.0
#: the same of the real models
REAL_METHODS = {
    "planner": ("planner", "#0b4f8a", (1, 0), -8),
    "mixture": ("best mixture of two fixed plans", "#d55e00", (1, 0), 6),
    "best_fixed": ("best fixed plan", "#009e73", (6, 3), 22),
    "adaptive_consistency": ("Adaptive-Consistency", "#a05a8c", (6, 3), -4),
    "majority": ("majority voting", "#7a7a7a", (1, 0), 10),
}
#: FLOPs of a token for each weight
_PER_WEIGHT = 2.0
_WEIGHTS = 494_032_768

Methods = Mapping[str, tuple[str, str, tuple[int, int], int]]


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


def real_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy in percent of each method at the mean budgets of a log, in dollars per million questions.

    Both models have prices in proportion to their weights, so dollars are in proportion to FLOPs.
    """
    prices = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    a_flop = prices[found["budgets"][0]["of"]]["output"] / 1e6 / (_PER_WEIGHT * _WEIGHTS)
    return [
        {
            "method": name,
            "dollars": round(1e6 * budget["flops"] * a_flop, 2),
            "accuracy": budget["accuracy"][method],
        }
        for budget in found["budgets"]
        for method, (name, *_) in REAL_METHODS.items()
        if method in budget["accuracy"]
    ]


def real_chart(found: dict[str, Any]) -> alt.LayerChart:
    """Right answers against cost, two real models."""
    data = real_rows(found)
    dollars = sorted({row["dollars"] for row in data})
    x = alt.X(
        "dollars:Q",
        title="mean cost (dollars per million questions)",
        scale=alt.Scale(type="log", domain=[dollars[0], dollars[-1]], nice=False),
        axis=alt.Axis(values=dollars, format=".0f"),
    )
    return drawn(data, REAL_METHODS, x, "Right answers of the planner and four rivals against cost.")


def chart(evaluation: dict[str, Any]) -> alt.LayerChart:
    """Accuracy against mean compute, a line and a label for each method."""
    x = alt.X(
        "samples:Q",
        title="mean budget per question (samples of the main model)",
        scale=alt.Scale(type="log", domain=[LOWEST, HIGHEST], nice=False),
        axis=alt.Axis(values=[2, 4, 8, 16, 32, 64], format="~g"),
    )
    told = "Accuracy of the planner and three rivals against the mean budget."
    return drawn(rows(evaluation), METHODS, x, told)


def drawn(data: list[dict[str, Any]], methods: Methods, x: alt.X, told: str) -> alt.LayerChart:
    """Accuracy against ``x``, a line and a label for each method."""
    names = [name for name, *_ in methods.values()]
    colours = alt.Color(
        "method:N", scale=alt.Scale(domain=names, range=[c for _, c, *_ in methods.values()]), legend=None
    )
    dashes = alt.StrokeDash(
        "method:N",
        scale=alt.Scale(domain=names, range=[list(d) for _, _, d, _ in methods.values()]),
        legend=None,
    )
    y = alt.Y("accuracy:Q", title="questions answered correctly (%)", scale=alt.Scale(zero=False, nice=True))
    lines = (
        alt.Chart(alt.InlineData(values=data))
        .mark_line(strokeWidth=2.5)
        .encode(x=x, y=y, color=colours, strokeDash=dashes)
    )
    layers: list[alt.Chart] = [lines]
    for name, colour, _, moved in methods.values():
        last = [row for row in data if row["method"] == name][-1]
        layers.append(
            alt.Chart(alt.InlineData(values=[last]))
            .mark_text(align="left", dx=8, dy=moved, fontSize=13, color=colour, text=name)
            .encode(x=x, y=y)
        )
    layered: alt.LayerChart = (
        alt.layer(*layers)
        .properties(
            width=470,
            height=270,
            background="white",
            padding={"left": 8, "right": 48, "top": 8, "bottom": 8},
            description=told,
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
    return layered


def main() -> None:
    """Write both charts."""
    logs = json.loads(REAL.read_text(encoding="utf-8"))
    campaign = next(one for one in logs if one["log"] == "real-campaign")
    evaluation = json.loads(MEASURED.read_text(encoding="utf-8"))["evaluation"][0]
    for made, path in ((real_chart(campaign), REAL_CHART), (chart(evaluation), CHART)):
        path.write_text(vl_convert.vegalite_to_svg(made.to_dict()), encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
