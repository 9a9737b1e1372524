from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from planner.report.findings import Findings
from planner.report.write import check_target, require_extra, write_report
from search.errors import MissingExtraError, PlannerError


def test_page_and_figures_are_written_whole(findings: Findings, tmp_path: Path) -> None:
    # one chart with a legend that Vega numbers, and one without
    few = replace(
        findings, lines=findings.lines[:2], panels=findings.panels[:1], shares=(), promises=(), costs=()
    )
    output, figures = tmp_path / "new" / "report.html", tmp_path / "figures"
    written = write_report(few, output, figures)
    assert written[0] == output
    assert {path.suffix for path in written[1:]} == {".png", ".svg"}
    assert sorted(written) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for path in written[1:]:
        head = path.read_bytes()[:16]
        assert head.startswith(b"\x89PNG\r\n\x1a\n" if path.suffix == ".png" else b"<svg"), path
    text = output.read_text()
    assert "vegaEmbed" in text
    assert text.rstrip().endswith("</html>")
    # the same again goes over it
    before = output.read_bytes()
    assert write_report(few, output) == (output,)
    assert output.read_bytes() == before


def test_what_no_report_wrote_is_not_replaced(tmp_path: Path) -> None:
    other = tmp_path / "thesis.html"
    other.write_text("<html>years of work</html>")
    with pytest.raises(PlannerError, match="over another report, got"):
        check_target(other)
    with pytest.raises(PlannerError, match="a report is one file, got the folder"):
        check_target(tmp_path)
    with pytest.raises(PlannerError, match="figures are written to a folder, got the file"):
        check_target(tmp_path / "report.html", other)
    check_target(tmp_path / "report.html", tmp_path)
    assert other.read_text() == "<html>years of work</html>"


@pytest.mark.parametrize("package", ["altair", "vl_convert"])
def test_without_the_extra_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as error:
        require_extra()
    assert str(error.value) == (
        f"a report needs the report extra, got no {package}: pip install 'test-time-planner[report]'"
    )
