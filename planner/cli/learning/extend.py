"""``planner extend``: teaches a planner a policy or a PRM that was not there when it was fitted."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.learning.fit import print_verdict
from planner.cli.printing import output_console, print_json
from search.errors import ArtefactError

__all__ = ["extend"]


def extend(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A planner that planner fit wrote.")],
    log: Annotated[
        Path,
        typer.Option(
            "--log",
            metavar="NEW",
            help="A search log of 50 to 100 problems that holds one new model; with the known ones beside it "
            "the verdict can compare.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="A new folder.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A models file: the numbers of weights that it tells count in the place of the log's.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Teach a planner a new policy or PRM, from a small log."""
    if output.exists():
        raise ArtefactError(f"a planner is written to a new folder, got {str(output)!r}, which exists")
    from planner.planner import Planner
    from search.log.store import SearchLog
    from search.models_file import ModelsFile
    from training.extending.extend import extend as learn

    told = None if models is None else ModelsFile.read(models)
    planner = Planner.load(model)
    logged = SearchLog.open(log)
    manifest = logged.manifest
    extended = learn(
        planner,
        logged,
        manifest.policies if told is None else told.known(manifest.policies),
        manifest.prms,
        seed=seed,
        date=date.today().isoformat(),
        promptings=manifest.promptings,
        drawings=manifest.drawings,
    )
    extended.save(output)
    card = extended.card
    added = card["extended"][-1]
    if as_json:
        print_json({"planner": str(output), "card": dict(card)})
        return
    alike = ", ".join(f"{who} ({value:.2f})" for who, value in list(added["like"].items())[:3])
    lines = [
        f"Planner {output} decides about {added['model']} too, learned from {added['problems']} problems of "
        f"{len(added['families'])} families.",
        f"Its expected accuracies go most along with those of {alike}." if alike else "",
        f"New choices: {'; '.join(added['choices'])}."
        if added["choices"]
        else "None of its choices comes near the best known one: what is decided stays as it was.",
    ]
    for line in filter(None, lines):
        output_console().print(line, markup=False)
    print_verdict(card["verdict"], extended.sample_flops)
