"""``planner import``: makes a search log from records that others have written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import error_console, print_json, print_table

if TYPE_CHECKING:
    from search.importing.preview import Shown
    from search.importing.pricing import Price
    from search.importing.report import Report

__all__ = ["import_"]

_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_NUMBER = re.compile(r"([0-9]*\.?[0-9]+(?:e[0-9]+)?)([kmbt]?)", re.IGNORECASE)


def import_(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="search-and-learn, tree-of-thoughts, gsm8k-solutions, qwen-math-rm, compute-optimal-tts, "
            "reasoning-gym, llmrouter, lm-eval, inspect or table.",
        ),
    ],
    files: Annotated[
        list[Path], typer.Argument(help="Records by others: plain, .gz, or what the format says.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="LOG", help="The search log: a folder.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the first samples as they would be read; write nothing.")
    ] = False,
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="Who wrote the solutions.")] = None,
    parameters: Annotated[
        str | None, typer.Option(metavar="N", help="The policy's size: 7B, 350M, 1.5e9.")
    ] = None,
    prm: Annotated[str | None, typer.Option(metavar="NAME", help="Who gave the rewards.")] = None,
    prm_parameters: Annotated[str | None, typer.Option(metavar="N", help="The PRM's size.")] = None,
    plan: Annotated[
        str | None, typer.Option(metavar="PLAN", help="The tree search that files are runs of.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="Samples behind a verified answer.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Generated tokens of an answer that no record counts.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="How samples were drawn.")] = None,
    top_p: Annotated[float | None, typer.Option(help="How samples were drawn.")] = None,
    logits: Annotated[bool, typer.Option("--logits", help="Rewards are logits.")] = False,
    domain: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="Reads and grades the answers.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="A table's column for a role; '*' in NAME: one column per policy. May be repeated.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A policy that '*' stands for; may be repeated."),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="POLICY=N", help="The size of one of several policies; may be repeated."),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POLICY=IN,OUT", help="Dollars per million prompt and generated tokens; may be repeated."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="SCORE", help="Right from this score; by default fractions are kept."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="The metric of lm-eval that judges.")
    ] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="NAME", help="The filter of lm-eval that is taken.")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(metavar="NAME", help="The scorer of inspect that judges.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a search log from records that others have written; say what was left out and why."""
    given: dict[str, object] = {
        "policy": policy,
        "parameters": None if parameters is None else _parameters(parameters),
        "prm": prm,
        "prm_parameters": None if prm_parameters is None else _parameters(prm_parameters),
        "plan": plan,
        "samples": samples,
        "tokens": tokens,
        "temperature": temperature,
        "top_p": top_p,
        "logits": logits or None,
        "domain": domain,
        "columns": _pairs(column, "ROLE=NAME") if column else None,
        "models": tuple(model) if model else None,
        "sizes": {name: _parameters(n) for name, n in _pairs(size, "POLICY=N").items()} if size else None,
        "prices": _prices(price) if price else None,
        "threshold": threshold,
        "metric": metric,
        "filter": filter_,
        "scorer": scorer,
    }
    if output is None and not dry_run:
        raise typer.BadParameter("an import writes a log, got no -o LOG (--dry-run writes nothing)")
    from search.importing.registry import importer
    from search.importing.write import import_records

    chosen = importer(form, {name: value for name, value in given.items() if value is not None})
    if output is None or dry_run:
        from search.importing.preview import preview

        shown = preview(chosen, files)
        if as_json:
            print_json([one.to_dict() for one in shown])
        else:
            _print_preview(shown, form)
        return
    with error_console().status("importing") as status:
        report = import_records(
            chosen, files, output, progress=lambda read: status.update(f"importing: {read:,} records")
        )
    if as_json:
        print_json({"log": str(output), **report.to_json()})
    else:
        _print_report(report, output)


def _print_preview(shown: list[Shown], form: str) -> None:
    print_table(
        f"The first samples of {form}, as they would be read",
        ["where", "question", "reference", "policy", "answer", "right", "tokens"],
        [
            (
                *(one.where, _short(one.question), _short(one.reference or "-"), one.policy),
                *(_short(one.answer or "unreadable"), _right(one), f"{one.tokens:,}"),
            )
            for one in shown
        ],
        left=5,
        notes=["Nothing was written."],
    )


def _right(one: Shown) -> str:
    if one.credit is not None:
        return f"{one.credit:.2f}"
    return {True: "yes", False: "no", None: "?"}[one.correct]


def _print_report(report: Report, output: Path) -> None:
    print_table(
        f"Search log {output}, from {report.format}",
        ["taken", "rows"],
        [(name, f"{report.taken[name]:,}") for name in ("problems", "samples", "scores", "runs")],
        notes=[] if report.left_out else ["Nothing was left out."],
    )
    if report.left_out:
        print_table(
            "Left out",
            ["because", "first", "times"],
            [(why, entry.first, f"{entry.count:,}") for why, entry in report.left_out.items()],
            left=2,
        )
    for note in (*report.notes, f"Next: planner fit {output} -o MODEL"):
        typer.echo(f"- {note}")


def _parameters(text: str) -> int:
    """``7B``, ``350m`` or ``1.5e9`` as a number."""
    match = _NUMBER.fullmatch(text.strip())
    value = float(match[1]) * _SCALES[match[2].lower()] if match else 0.0
    if not 1.0 <= value < 1e16:
        raise typer.BadParameter(f"a size is a number of parameters such as 7B or 1.5e9, got {text!r}")
    return round(value)


def _prices(texts: list[str]) -> dict[str, Price]:
    from search.importing.pricing import Price

    found = {}
    for name, text in _pairs(texts, "POLICY=IN,OUT").items():
        try:
            prompt, generated = (float(part) for part in text.split(","))
        except ValueError as error:
            raise typer.BadParameter(f"a price is written POLICY=IN,OUT, got {name}={text}") from error
        found[name] = Price(prompt, generated)
    return found


def _pairs(texts: list[str], form: str) -> dict[str, str]:
    """Pairs as they are written; each name is given once."""
    found: dict[str, str] = {}
    for text in texts:
        name, value = _pair(text, form)
        if found.setdefault(name, value) != value:
            raise typer.BadParameter(f"{form.partition('=')[0]} is given once, got {name} twice: {text!r}")
    return found


def _pair(text: str, form: str) -> tuple[str, str]:
    left, equals, right = (part.strip() for part in text.partition("="))
    if not (left and equals and right):
        raise typer.BadParameter(f"it is written {form}, got {text!r}")
    return left, right


def _short(text: str, characters: int = 40) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[:characters]}..."
