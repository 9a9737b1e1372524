"""``planner refit``: learns a planner from a search log and from what a server's decisions met, together."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.learning.fit import Folds, print_verdict
from planner.cli.printing import percent, print_json, print_table
from planner.cli.progress import bar
from planner.cli.recommend import planner_folder
from planner.cli.traffic.ope import FeedbackFile, LeastPrice, SourceOptions
from search.errors import ArtefactError, RecordError

if TYPE_CHECKING:
    from planner.evidence.effects import Effects
    from planner.planner import Planner
    from planner.traffic.gather import Gathered
    from training.traffic import Refit

__all__ = ["moment", "refit"]

#: exit code where the planner that serves is better
_BETTER = 1


def refit(
    log: Annotated[Path, typer.Option(metavar="LOG", help="The search log of a campaign.")],
    decisions: Annotated[
        str, typer.Option(metavar="DECISIONS", help="A decision log: a file or postgresql://...")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="NEW", help="A new folder.")],
    planner: Annotated[
        str | None,
        typer.Option(metavar="OLD", help="The planner that would be replaced: a better one is kept."),
    ] = None,
    source: SourceOptions = None,
    feedback: FeedbackFile = None,
    price: LeastPrice = 0.0,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Learn from decisions since then: 2026-11-30 or 2026-11-30T12:00 (UTC)."
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=0, help="Optuna trials; 0 takes the default settings.")] = 0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    folds: Annotated[
        Folds, typer.Option(help="What a fit leaves out to judge itself, as in planner fit.")
    ] = Folds.FAMILY,
    threads: Annotated[int, typer.Option(min=1, help="Folds fitted at the same time.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn a planner from a campaign and from traffic. Exit code 1: the planner that serves is better."""
    if output.exists():
        raise ArtefactError(f"a planner is written to a new folder, got {str(output)!r}, which exists")
    from planner.evidence.training_data import read_training_data
    from planner.planner import Planner
    from planner.traffic.run import fingerprint_of, follow_log, sources_of
    from search.log.store import SearchLog
    from training.study import fit
    from training.traffic import Traffic
    from training.traffic import refit as learn

    sources, begin = sources_of(source or []), None if since is None else moment(since)
    logged = SearchLog.open(log)
    manifest = logged.manifest
    folder = None if planner is None else planner_folder(planner)
    old = None if folder is None else (Planner.load(folder), fingerprint_of(folder))

    def follow(one: Planner, fingerprint: str) -> Gathered:
        return follow_log(decisions, one, fingerprint, feedback=feedback, least_price=price, since=begin)

    with bar("refit") as tell:

        def fitted(effects: Effects | None) -> Planner:
            return fit(
                logged,
                manifest.policies,
                manifest.prms,
                trials=trials,
                seed=seed,
                threads=threads,
                folds=folds.value,
                promptings=manifest.promptings,
                drawings=manifest.drawings,
                words=manifest.words,
                effects=effects,
                date=date.today().isoformat(),
                progress=lambda done, total, best: tell(done, total, f"best utility {best:.4f}"),
            )

        data = read_training_data(logged, manifest.policies, manifest.prms)
        made = learn(fitted, data, Traffic(follow=follow, sources=sources), old=old, seed=seed)
    refusal = "" if made.comparison is None else made.comparison.refusal
    if not refusal:
        made.planner.save(output)
    if as_json:
        written = None if refusal else str(output)
        print_json({"planner": written, "refused": refusal or None, "card": dict(made.planner.card)})
    else:
        _print(made, output, refusal)
    if refusal:
        typer.echo(f"planner: {refusal}", err=True)
        raise typer.Exit(_BETTER)


def moment(text: str) -> float:
    """Seconds since the epoch of a time in ISO 8601, of UTC where it names no zone. Raises RecordError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RecordError(f"a time is a date such as 2026-11-30 or 2026-11-30T12:00, got {text!r}") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _print(made: Refit, output: Path, refusal: str) -> None:
    learned = made.learned
    shifts, lost = learned.effects.to_json(), sorted(learned.effects.lost.items())
    notes = [
        f"Learned from {learned.outcomes:,} outcomes of traffic (effective size {learned.effective:,.0f}).",
        f"On left-out questions the squared error of expectations fell by {learned.gain:.1%}.",
        *(note[0].upper() + note[1:] + "." for note in made.notes),
    ]
    if made.comparison is not None and made.comparison.value is not None:
        found = made.comparison.value
        notes.append(
            f"On traffic that was left out, against the planner that serves: {percent(found.value)} points "
            f"({percent(found.low)} to {percent(found.high)})."
        )
    elif made.comparison is not None:
        notes.append(f"Traffic cannot compare it with the planner that serves: {made.comparison.why}.")
    print_table(
        "Nothing is written" if refusal else f"Planner {output}",
        ["what traffic moved", "points"],
        [(f"{name}: share of what it says that is lost, %", f"{100 * share:.0f}") for name, share in lost]
        + [(name, f"{100 * value:+z.1f}") for name, value in shifts.items()]
        or [("nothing", "0")],
        notes=notes,
    )
    print_verdict(made.planner.card["verdict"], made.planner.sample_flops)
