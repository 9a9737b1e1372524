"""The page: one HTML document that asks nothing of a network, for screens, phones and paper.

Charts are drawn by the JavaScript that travels inside, in two layouts of which the one that fits is shown;
where scripts do not run, a still picture stands in. Nothing that a log says is trusted: text is escaped, the
data of charts cannot close their script, and a content policy allows only the two scripts that were written
here, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from planner.report.captions import CAPTIONS
from planner.report.charts.style import Spec
from planner.report.findings import Findings, Header
from planner.report.sheet import DRAW, STYLE
from planner.report.story_cards import story_cards
from planner.report.tables import measures_table, methods_table

__all__ = ["GENERATOR", "page"]

#: marks a file that a report may replace
GENERATOR = '<meta name="generator" content="planner report">'


def page(
    findings: Findings,
    wide: Mapping[str, Spec],
    narrow: Mapping[str, Spec],
    stills: Mapping[str, str],
    script: str,
) -> str:
    """The document.

    Parameters
    ----------
    wide, narrow:
        The charts by name, in both layouts.
    stills:
        The wide ones as SVG.
    script:
        JavaScript that defines ``vegaEmbed``.
    """
    header = findings.header
    charts = {name: {"wide": _bare(spec), "narrow": _bare(narrow[name])} for name, spec in wide.items()}
    data = {name: rows for spec in (*wide.values(), *narrow.values()) for name, rows in _data(spec).items()}
    # may stand in a script element: a browser must not see "</script>" in either
    script = script.replace("</script", "<\\/script")
    body = "".join(
        (
            f"<h1>Test-time planner: {escape(header.log)}</h1>",
            f'<p class="headline">{escape(header.headline)}</p>',
            _facts(header),
            *(f'<p class="note">Note: {escape(note)}.</p>' for note in findings.notes),
            *(_section(name, findings, stills) for name in CAPTIONS if name in wide),
            _missing([name for name in CAPTIONS if name not in wide]),
            "<h2>Ten decisions, good and bad</h2>" if len(findings.stories) == 10 else "<h2>Decisions</h2>",
            story_cards(findings),
        )
    )
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {_hash(script)} {_hash(DRAW)}"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{GENERATOR}\n<title>Test-time planner: {escape(header.log)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n"
        f'<script type="application/json" id="charts">{_json({"charts": charts, "data": data})}</script>\n'
        f"<script>{script}</script>\n<script>{DRAW}</script>\n</body>\n</html>\n"
    )


def _facts(header: Header) -> str:
    picked = (
        f"on the log {header.training}"
        if header.training
        else "on other families of the same log (cross-fitting, which favours them)"
    )
    facts = (
        ("Log", f"{header.log}: {header.problems:,} problems of {header.families:,} families"),
        ("Domains", ", ".join(header.domains)),
        ("Planner", f"{header.planner}, learned from {header.learned_from}"),
        ("Policies", ", ".join(header.policies)),
        ("PRMs", ", ".join(header.prms) or "none"),
        ("Baselines pick", picked),
        ("Charged", header.charged),
        (
            "Unit of cost",
            f"1 sample of {header.unit}, {_flops(header.sample_flops)} on average",
        ),
    )
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f'<dl class="facts">{rows}</dl>'


def _flops(value: float) -> str:
    """With a prefix.

    >>> _flops(70_611_770.0)
    '70.6 MFLOPs'
    """
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {prefix}FLOPs"
    return f"{value:.3g} FLOPs"


def _section(name: str, findings: Findings, stills: Mapping[str, str]) -> str:
    caption = CAPTIONS[name]
    still = base64.b64encode(stills[name].encode()).decode()
    reading = caption.reading
    if name == "influence":
        reading += f" Decisions at the price of a mean budget of {findings.middle:.3g} samples."
    after = methods_table(findings) + measures_table(findings) if name == "rivals" else ""
    return (
        f'<section><h2>{escape(caption.heading)}</h2><p class="lead">{escape(caption.lead)}</p>'
        f'<div class="chart"><div class="wide" id="{name}-wide"></div>'
        f'<div class="narrow" id="{name}-narrow"></div><noscript>'
        f'<img alt="{escape(caption.heading)}" src="data:image/svg+xml;base64,{still}"></noscript></div>'
        f'<p class="note">{escape(reading)}</p></section>{after}'
    )


def _missing(names: Sequence[str]) -> str:
    if not names:
        return ""
    headings = ", ".join(CAPTIONS[name].heading.lower() for name in names)
    return (
        f'<p class="note">Left out, since the log or the planner has nothing to show: {escape(headings)}.</p>'
    )


def _data(spec: Spec) -> dict[str, Any]:
    """The data of a chart by name; both layouts have the same, under the same names."""
    return dict(spec.get("datasets", {}))


def _bare(spec: Spec) -> Spec:
    return {name: value for name, value in spec.items() if name != "datasets"}


def _json(value: object) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
