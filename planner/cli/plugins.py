"""``planner plugins``: what can be used by name, and where it comes from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import print_json, print_table

if TYPE_CHECKING:
    from search.registry import Plugin

__all__ = ["plugins"]

#: what the names of a kind are used for
_USES = {
    "strategy": "how compute is spent: the name of a plan",
    "domain": "reads and grades answers: --domain, problem sets",
    "grader": "reads and grades answers: --domain, problem sets",
    "engine": "who writes tokens: --engine",
    "PRM family": "who scores steps: --family",
    "importer": "reads records by others: planner import FORMAT",
    "baseline": "what the planner has to beat: planner evaluate",
}


def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List strategies, graders, engines, PRM families, importers and baselines: ours and plug-ins."""
    from planner.plugins import all_plugins

    found = all_plugins()
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for kind in dict.fromkeys(one.kind for one in found):
        members = [one for one in found if one.kind == kind and not one.error]
        print_table(
            f"{kind[0].upper()}{kind[1:]} - {_USES.get(kind, 'used by name')}",
            ["name", "what it does", "from"],
            [(one.name, one.caption or "-", _origin(one)) for one in members],
            left=3,
        )
    faults = [one for one in found if one.error]
    for one in faults:
        typer.echo(f"cannot be used: {one.kind} {one.name!r} ({one.origin}, {one.location}): {one.error}")
    others = [one for one in found if one.origin != "built in"]
    typer.echo(
        f"{len(found)} in all, {len(others)} of them from outside, {len(faults)} that cannot be used. "
        "docs/extending.md says how to add one."
    )


def _origin(one: Plugin) -> str:
    return one.origin if one.origin == "built in" else f"{one.origin} ({one.location})"
