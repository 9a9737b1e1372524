"""The figures behind the pictures, as HTML tables."""

from __future__ import annotations

from html import escape

from planner.report.findings import Findings, Measure
from planner.report.words import starred

__all__ = ["measures_table", "methods_table"]

_UNITS = {"times": "\u00d7", "%": "%", "points": " points", "ms": " ms", "": ""}


def methods_table(findings: Findings) -> str:
    """Accuracy of every method at every budget, and how far the planner is above it."""
    head = "".join(f"<th>{escape(budget)}</th>" for budget in findings.budgets)
    lines = []
    for row in findings.table:
        cells = []
        for accuracy, above in zip(row.accuracy, row.above, strict=True):
            value = "-" if accuracy is None else f"{100 * accuracy:z.1f}"
            small = ""
            if above is not None:
                points, low, high = (_points(share) for share in above)
                sign = "+" if above[0] >= 0 else ""
                small = f"<small>{sign}{points} <span>[{low}, {high}]</span></small>"
            cells.append(f"<td>{value}{small}</td>")
        kind = ' class="ours"' if row.method == "planner" else ""
        lines.append(f"<tr{kind}><td>{escape(starred(row.method))}</td>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th>mean budget</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
        '<p class="note">Accuracy (%) at equal mean FLOPs. Small: points that the planner is above, with the '
        "95% interval of this difference, paired by problem. * cannot be deployed.</p>"
    )


def measures_table(findings: Findings) -> str:
    """The planner's own figures."""
    lines = "".join(
        f"<tr><td>{escape(one.what)}</td><td>{_value(one)}</td><td>{_interval(one)}</td></tr>"
        for one in findings.measures
    )
    notes = "".join(f'<p class="note">{escape(text)}</p>' for text in findings.definitions)
    return (
        "<h2>What it saves, and how far its word holds</h2>"
        '<div class="scroll"><table class="measures"><thead><tr><th>figure</th><th>value</th><th>95%</th>'
        f"</tr></thead><tbody>{lines}</tbody></table></div>{notes}"
    )


def _value(one: Measure) -> str:
    if one.value is None:
        return "not reached"
    if not one.is_told:
        return "withheld: too few problems"
    return f"{'&gt; ' if one.at_least else ''}{_number(one.value)}{_UNITS[one.unit]}"


def _interval(one: Measure) -> str:
    if one.low is None and one.high is None:
        return ""
    low, high = ("\u221e" if end is None else _number(end) for end in (one.low, one.high))
    return f"[{low}, {high}]"


def _number(value: float) -> str:
    """Three digits and four decimals at most, with a real minus sign.

    >>> _number(39.79), _number(-0.0372), _number(1234.0), _number(0.00000336)
    ('39.8', '\u22120.0372', '1,234', '0')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 4) + 0.0:.3g}"
    return text.replace("-", "\u2212")


def _points(share: float) -> str:
    """With a real minus sign.

    >>> _points(-0.021), _points(0.021)
    ('\u22122.1', '2.1')
    """
    return f"{100 * share:z.1f}".replace("-", "\u2212")
