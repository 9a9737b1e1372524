"""All charts by the name that their files have, in the order of the page; those without data are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner.report.charts.accuracy import accuracy_chart
from planner.report.charts.best_plans import best_plans_chart
from planner.report.charts.cost import cost_chart
from planner.report.charts.endings import endings_chart
from planner.report.charts.influence import influence_chart
from planner.report.charts.reliability import reliability_chart
from planner.report.charts.rivals import rivals_chart
from planner.report.charts.style import Layout, Spec
from planner.report.findings import Findings

__all__ = ["CHARTS", "drawn"]

#: name -> what draws it, and what it cannot be drawn without
CHARTS: Mapping[str, tuple[Callable[[Findings, Layout], Spec], Callable[[Findings], tuple[object, ...]]]] = {
    "accuracy": (accuracy_chart, lambda found: found.lines),
    "rivals": (rivals_chart, lambda found: found.lines[1:]),
    "best-plans": (best_plans_chart, lambda found: found.cells),
    "reliability": (reliability_chart, lambda found: found.promises),
    "cost": (cost_chart, lambda found: found.costs),
    "endings": (endings_chart, lambda found: found.shares),
    "influence": (influence_chart, lambda found: found.panels),
}


def drawn(findings: Findings, layout: Layout) -> dict[str, Spec]:
    """Every chart that there is data for."""
    return {name: draw(findings, layout) for name, (draw, needs) in CHARTS.items() if needs(findings)}
