"""``planner search``: an offline campaign; the same command continues where it was stopped."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.printing import print_json, print_table
from planner.cli.problems import asked_problems
from planner.cli.progress import bar, campaign_progress
from planner.cli.sourcing import API_KEY, Sourcing
from search.errors import GridError, RemoteError, RewardError

if TYPE_CHECKING:
    from search.estimate import Estimate
    from search.grid import Grid
    from search.log.store import SearchLog

__all__ = ["search"]


def search(
    problems: Annotated[Path, typer.Argument(help="Problems with answers: JSON lines, plain or .gz.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="LOG", help="The search log: a folder.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="A checkpoint folder or a shipped policy; may be repeated."),
    ] = None,
    prm: Annotated[
        list[str] | None,
        typer.Option(metavar="R", help="A PRM to pair with every policy; may be repeated."),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A grid (TOML). --policy and --prm replace its pairs."),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            metavar="M", help="How problems by others are read: math-500, gsm8k, ... (planner problems)."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Replaces the grid's seed.")] = None,
    engine: Annotated[
        str, typer.Option(help="How policies run: embedded (here, by torch), vllm (here), openai (a server).")
    ] = "embedded",
    base_url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="openai: the server, or POLICY=URL; may be repeated."),
    ] = None,
    prm_url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A vLLM server that runs the PRM, or PRM=URL; may be repeated."),
    ] = None,
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(metavar="FOLDER", help="openai: the tokenizer, or POLICY=FOLDER; the server's else."),
    ] = None,
    engine_option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="For the engine: tensor_parallel_size=2; may be repeated."),
    ] = None,
    prm_engine: Annotated[
        str, typer.Option(help="How PRMs without --prm-url run: embedded (here, by torch), vllm (here).")
    ] = "embedded",
    prm_option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="For what runs the PRM: device=cuda; may be repeated."),
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0.0, help="Seconds to wait for a server that cannot be reached.")
    ] = 30.0,
    api_key_env: Annotated[
        str, typer.Option(metavar="NAME", help="The environment variable that holds the servers' API key.")
    ] = API_KEY,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads; part of what a log depends on.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell tokens, FLOPs and hours; run nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a grid of choices on a problem set into a search log. Continues by itself."""
    from search.campaign import Campaign, check_problems
    from search.estimate import estimate
    from search.log.manifest import MANIFEST_NAME
    from search.log.store import SearchLog
    from search.sync import run_sync

    sourcing = Sourcing(
        engine=engine,
        policies=policy or (),
        prms=prm or (),
        base_urls=base_url or (),
        prm_urls=prm_url or (),
        tokenizers=tokenizer or (),
        options=engine_option or (),
        prm_engine=prm_engine,
        prm_options=prm_option or (),
        threads=threads,
        patience=patience,
        key_variable=api_key_env,
    )
    asked = _grid(grid, sourcing, seed)
    judges = dict.fromkeys(pair.prm for pair in asked.pair if pair.prm is not None)
    loader = sourcing.loader(asked.policies, list(judges))
    known = asked_problems(problems, mapping)
    check_problems(known)
    # whatever can be wrong with the arguments has been read by now; only then a folder is made
    if dry_run:
        logged = SearchLog.open(output) if (output / MANIFEST_NAME).exists() else None
        _print_estimate(estimate(known, asked, loader, logged), as_json)
        return
    log = SearchLog.at(output)
    try:
        with bar("search") as tell:
            state = Campaign(known, asked, log, loader).run(campaign_progress(tell))
    except (RemoteError, RewardError) as error:  # within a run a PRM's server fails as a RewardError
        kind = RemoteError if isinstance(error, RemoteError) else RewardError
        raise kind(f"{error}. What was logged stays; the same command goes on from there") from error
    finally:
        run_sync(loader.close())
    _build_outcomes(log, asked)
    rows = {name: log.rows(name) for name in ("problems", "samples", "scores", "runs", "outcomes")}
    if as_json:
        print_json({"log": str(output), "rows": rows, "tokens": state.tokens, "seconds": state.seconds})
        return
    print_table(
        f"Search log {output}",
        ["table", "rows"],
        [(name, f"{count:,}") for name, count in rows.items()],
        notes=[f"{state.tokens:,} tokens in {state.seconds:.0f} s. Next: planner bins {output}"],
    )


def _grid(file: Path | None, sourcing: Sourcing, seed: int | None) -> Grid:
    """The grid that was asked for: the file's, or the default, with what the options replace."""
    from search.grid import Grid

    if sourcing.prms and not sourcing.policies:
        raise GridError(f"a PRM is paired with a policy, got --prm {sourcing.prms[0]} without --policy")
    if file is None and not sourcing.policies:
        raise GridError("a campaign needs --policy or --grid, got neither")
    replaced: dict[str, object] = {}
    judges: list[str | None] = [*sourcing.prm_names] or [None]
    if sourcing.policies:
        replaced["pair"] = [
            {"policy": policy} | ({} if prm is None else {"prm": prm})
            for policy in sourcing.policy_names
            for prm in judges
        ]
    if seed is not None:
        replaced["seed"] = seed
    return Grid.of(replaced) if file is None else Grid.read(file, replaced)


def _build_outcomes(log: SearchLog, grid: Grid) -> None:
    """Outcomes of the grid's plans, and of those that the log had before it was extended."""
    from search.log.outcomes import rebuild_outcomes
    from search.plan import Plan

    before = log.read("outcomes", ["plan"])["plan"].unique().to_list()
    plans = {*grid.plans(), *map(Plan.parse, before)}
    with log.writing():
        rebuild_outcomes(log, sorted(plan for plan in plans if not plan.must_run))


def _print_estimate(found: Estimate, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "stages": [asdict(stage) for stage in found.stages],
                "tokens": found.tokens,
                "flops": found.flops,
                "hours": found.hours,
                "assumptions": found.assumptions,
            }
        )
        return
    rows = [
        (
            stage.name,
            f"{stage.policy_tokens:,.0f}",
            f"{stage.prm_tokens:,.0f}",
            f"{stage.flops:.2e}",
            _time(stage.hours),
        )
        for stage in found.stages
    ]
    generated = sum(stage.policy_tokens for stage in found.stages)
    rows.append(
        (
            "all",
            f"{generated:,.0f}",
            f"{found.tokens - generated:,.0f}",
            f"{found.flops:.2e}",
            _time(found.hours),
        )
    )
    print_table(
        "What this campaign would cost",
        ["stage", "policy tokens", "PRM tokens", "FLOPs", "time"],
        rows,
        notes=["Assumed:", *found.assumptions],
        emphasised=[len(rows) - 1],
    )


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
