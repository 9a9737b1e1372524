"""What all charts share: sizes, colours, fonts, axes of cost, and how a chart becomes a specification.

A chart is drawn in one of two layouts: ``WIDE`` for screens, paper and figures, ``NARROW`` for phones.
Colours differ in lightness too, so that they can be told apart in grey.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

__all__ = [
    "BAR",
    "GREY",
    "NARROW",
    "OURS",
    "PALETTE",
    "RIVAL",
    "WIDE",
    "Drawing",
    "Layout",
    "Spec",
    "cost_scale",
    "finished",
    "inline",
    "ladder_colours",
    "log_ticks",
    "titled",
]

#: a Vega-Lite specification as plain values
Spec = dict[str, Any]

#: what a chart may be before it is dressed
Drawing = alt.Chart | alt.LayerChart | alt.FacetChart | alt.VConcatChart

OURS, RIVAL, GREY, BAR = "#0b4f8a", "#d55e00", "#8a8a8a", "#7ba6c9"

#: colour, dashes and shape of methods beside the planner (colours: Okabe and Ito 2008)
PALETTE = (
    ("#d55e00", (), "square"),
    ("#009e73", (7, 3), "triangle-up"),
    ("#b5559a", (2, 2), "diamond"),
    ("#e69f00", (9, 3, 2, 3), "cross"),
    ("#3aa0dc", (5, 2), "triangle-down"),
    ("#6b4c1e", (3, 1), "triangle-right"),
)

_FONT = "Helvetica, Arial, sans-serif"

#: light to dark (viridis), cheap to dear
_LADDER = (
    "#f6e373",
    "#addc30",
    "#5ec962",
    "#28ae80",
    "#21918c",
    "#2c728e",
    "#3b528b",
    "#472d7b",
    "#440154",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """``width`` of a whole chart and ``text`` of labels in pixels; ``phone``: one column of things."""

    name: str
    width: int
    text: int
    phone: bool


WIDE = Layout(name="wide", width=720, text=12, phone=False)
NARROW = Layout(name="narrow", width=330, text=11, phone=True)


def inline(rows: Iterable[Mapping[str, object]]) -> alt.InlineData:
    """Rows as data that travels inside the specification; numbers keep six digits."""
    values = [{name: _short(value) for name, value in row.items()} for row in rows]
    return alt.InlineData(values=values)


def _short(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def log_ticks(low: float, high: float) -> list[float]:
    """Few labels for a logarithmic axis: powers of four, or of two where four would give less than three.

    >>> log_ticks(0.7, 110)
    [1.0, 4.0, 16.0, 64.0]
    >>> log_ticks(0.9, 9)
    [1.0, 2.0, 4.0, 8.0]
    """
    for base in (4.0, 2.0):
        first = math.ceil(math.log(low, base) - 1e-9)
        last = math.floor(math.log(high, base) + 1e-9)
        if last - first >= 2 or base == 2.0:
            return [base**power for power in range(first, last + 1)]
    raise AssertionError("the last base always returns")


def cost_scale(costs: Sequence[float]) -> tuple[alt.Scale, alt.Axis]:
    """A logarithmic scale around costs (above 0), and an axis with few labels."""
    low, high = min(costs), max(costs)
    low, high = low / 1.08, max(high * 1.08, low * 1.3)
    ticks = log_ticks(low, high)
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    return scale, alt.Axis(values=ticks, format="~g", labelOverlap=False)


def titled(what: str, unit: str, layout: Layout) -> str | list[str]:
    """An axis title with its unit, on two lines where there is little room.

    >>> titled("cost", "(samples)", WIDE), titled("cost", "(samples)", NARROW)
    ('cost (samples)', ['cost', '(samples)'])
    """
    return [what, unit] if layout.phone else f"{what} {unit}"


def ladder_colours(count: int) -> list[str]:
    """Colours from light to dark.

    >>> ladder_colours(3)
    ['#f6e373', '#21918c', '#440154']
    """
    last = len(_LADDER) - 1
    return [_LADDER[round(place * last / max(count - 1, 1))] for place in range(count)]


def finished(chart: Drawing, layout: Layout, says: str) -> Spec:
    """A chart's specification in the common look. ``says``: the picture in words, for those who listen."""
    dressed = (
        chart.properties(description=says, background="white", padding=6)
        .configure(font=_FONT)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=layout.text,
            titleFontSize=layout.text,
            titleFontWeight="normal",
            labelColor="#222",
            titleColor="#222",
            gridColor="#e4e4e4",
            domainColor="#888",
            tickColor="#888",
            titlePadding=8,
        )
        .configure_legend(
            labelFontSize=layout.text,
            titleFontSize=layout.text,
            titleFontWeight="normal",
            labelColor="#222",
            titleColor="#222",
            labelLimit=layout.width - 40 if layout.phone else 300,
            titleLimit=layout.width,
            symbolSize=70,
        )
        .configure_header(labelFontSize=layout.text, labelColor="#222", titleFontSize=layout.text)
        .configure_title(fontSize=layout.text + 1, anchor="start", fontWeight="bold", color="#222", offset=6)
    )
    spec: Spec = dressed.to_dict()
    return spec
