"""Writes a report: the page, and the same charts as PNG and SVG for papers.

Altair and vl-convert are the extra ``report``; nothing else of the project needs them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from search.atomic import write_atomic
from search.errors import MissingExtraError, PlannerError

if TYPE_CHECKING:
    from planner.report.charts.style import Spec
    from planner.report.findings import Findings

__all__ = ["check_target", "require_extra", "write_report"]

#: pixels of a PNG per pixel of the page: 216 dots per inch
_SCALE = 3.0

#: an id that ends in a number, and wherever an id stands
_ID = re.compile(r'id="(([A-Za-z_-]+)\d+)"')
_USE = re.compile(r'(id="|url\(#|href="#)([^")]+)([")])')

#: how far into a file the mark of a report stands
_HEAD = 4096


def require_extra() -> None:
    """Raises MissingExtraError, with the line that installs it, where the extra ``report`` is missing."""
    try:
        import altair
        import vl_convert
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"a report needs the report extra, got no {error.name}: pip install 'test-time-planner[report]'"
        ) from error
    _ = altair, vl_convert


def check_target(output: Path, figures: Path | None = None) -> None:
    """Raises PlannerError for what a report must not replace: a folder, or a file that no report wrote."""
    require_extra()
    from planner.report.page import GENERATOR

    if output.is_dir():
        raise PlannerError(f"a report is one file, got the folder {str(output)!r}")
    if output.exists() and GENERATOR.encode() not in output.read_bytes()[:_HEAD]:
        raise PlannerError(
            f"a report is written to a new file or over another report, got {str(output)!r}, which is neither"
        )
    if figures is not None and figures.exists() and not figures.is_dir():
        raise PlannerError(f"figures are written to a folder, got the file {str(figures)!r}")


def write_report(findings: Findings, output: Path, figures: Path | None = None) -> tuple[Path, ...]:
    """Write the page and, into ``figures``, every chart as PNG (216 dpi) and SVG. Returns what was written.

    Raises MissingExtraError, PlannerError (``check_target``).
    """
    check_target(output, figures)
    from planner.report.charts.gallery import drawn
    from planner.report.charts.style import NARROW, WIDE
    from planner.report.page import page

    wide, narrow = drawn(findings, WIDE), drawn(findings, NARROW)
    stills = {name: _svg(spec) for name, spec in wide.items()}
    written = []
    if figures is not None:
        figures.mkdir(parents=True, exist_ok=True)
        for name, spec in wide.items():
            for path, content in (
                (figures / f"{name}.png", _png(spec)),
                (figures / f"{name}.svg", stills[name].encode()),
            ):
                write_atomic(path, content)
                written.append(path)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output, page(findings, wide, narrow, stills, _script()).encode())
    return (output, *written)


def _version() -> str:
    """The Vega-Lite that Altair writes for, as vl-convert calls it: ``6.4``."""
    from altair import SCHEMA_VERSION

    return ".".join(SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def _svg(spec: Spec) -> str:
    import vl_convert

    return _renumbered(str(vl_convert.vegalite_to_svg(spec, vl_version=_version())))


def _renumbered(svg: str) -> str:
    """Ids counted from 0: Vega counts through a whole process, and equal charts must give equal files.

    >>> _renumbered('<g id="clip7"/><g clip-path="url(#clip7)"/><g id="clip9"/>')
    '<g id="clip0"/><g clip-path="url(#clip0)"/><g id="clip1"/>'
    """
    names = {name: f"{stem}{at}" for at, (name, stem) in enumerate(_ID.findall(svg))}
    return _USE.sub(lambda found: found[1] + names.get(found[2], found[2]) + found[3], svg)


def _png(spec: Spec) -> bytes:
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(spec, vl_version=_version(), scale=_SCALE))


def _script() -> str:
    """Vega, Vega-Lite and vega-embed in one script that defines ``vegaEmbed``."""
    import vl_convert

    # the stub of vl-convert asks for a snippet; the library has one of its own
    return str(vl_convert.javascript_bundle(vl_version=_version()))  # type: ignore[call-arg]
