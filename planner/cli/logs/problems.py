"""``planner problems``: reads a problem set by others, says what was taken and left out, and converts it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import error_console, print_json, print_table

if TYPE_CHECKING:
    from search.importing.report import Report
    from search.problem import Problem
    from search.problem_sets.mapping import ProblemMapping

__all__ = ["asked_problems", "problems"]


def problems(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE", help="JSON lines, JSON, CSV or Parquet; or hf:NAME[:CONFIG][@SPLIT]."),
    ],
    mapping: Annotated[
        str | None,
        typer.Option(metavar="M", help="math-500, aime24, amc23, gsm8k, humaneval or scibench."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=NAME", help="The column of a role (question, answer, ...); repeatable."),
    ] = None,
    domain: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="Reads and grades answers; the mapping's by default.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Writes them as our JSON lines.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read a problem set by others; say what was taken and what was left out; write it as ours."""
    from search.importing.report import Report
    from search.problem_sets.problem_set import read_problems, write_problems

    chosen = _mapping(mapping, column or [], domain)
    report = Report("problems" if chosen is None else chosen.name)
    found = read_problems(source, mapping=chosen, report=report)
    if output is not None:
        write_problems(output, found)
    if as_json:
        body = {
            "problems": len(found),
            "domains": _domains(found),
            "families": len({p.family for p in found}),
        }
        print_json({**body, "output": None if output is None else str(output), **report.to_json()})
        return
    first = found[0]
    print_table(
        f"Problems of {source}",
        ["what", "value"],
        [
            ("taken", f"{len(found):,}"),
            ("domains", ", ".join(f"{name} {count:,}" for name, count in _domains(found).items())),
            ("families", f"{len({problem.family for problem in found}):,}"),
            ("the first one", first.problem_id),
            ("its question", _short(first.question)),
            ("its answer", _short(first.answer or "-")),
        ],
        left=2,
        notes=[] if report.left_out else ["Nothing was left out."],
    )
    if report.left_out:
        print_table("Left out", ["because", "first", "times"], _left_out(report), left=2)


def asked_problems(source: str | Path, mapping: str | None = None) -> list[Problem]:
    """The problems of a file for a command that runs them; what a mapping left out goes to standard error."""
    from search.importing.report import Report
    from search.problem_sets.problem_set import read_problems

    report = Report(mapping or "problems")
    found = read_problems(source, mapping=mapping, report=report)
    for why, first, times in _left_out(report):
        error_console().print(f"left out, {times} times: {why} ({first})", markup=False)
    return found


def _mapping(name: str | None, columns: list[str], domain: str | None) -> ProblemMapping | None:
    from search.problem_sets.mapping import ProblemMapping
    from search.problem_sets.shipped import mapping_of

    pairs = dict(_pair(text) for text in columns)
    if name is not None:
        return mapping_of(name).with_columns(pairs, domain)
    if not pairs and domain is None:
        return None
    if domain is None:
        raise typer.BadParameter("columns need a domain that grades, got no --domain and no --mapping")
    return ProblemMapping("problems", domain).with_columns(pairs)


def _pair(text: str) -> tuple[str, str]:
    left, equals, right = (part.strip() for part in text.partition("="))
    if not (left and equals and right):
        raise typer.BadParameter(f"it is written ROLE=NAME, got {text!r}")
    return left, right


def _domains(found: list[Problem]) -> dict[str, int]:
    names = [problem.domain for problem in found]
    return {name: names.count(name) for name in sorted(set(names))}


def _left_out(report: Report) -> list[tuple[str, str, str]]:
    return [(why, entry.first, f"{entry.count:,}") for why, entry in report.left_out.items()]


def _short(text: str, characters: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[:characters]}..."
