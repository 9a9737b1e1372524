"""``planner search``: an offline campaign; the same command continues where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.interrupt import interruptible
from planner.cli.logs.problems import asked_problems
from planner.cli.printing import error_console, percent, print_json, print_table
from planner.cli.progress import campaign_bar, duration
from planner.models import find_model
from planner.solving.sourcing import API_KEY, Sourcing
from search.budget import Prices
from search.errors import BudgetError, GridError, RemoteError, RewardError

if TYPE_CHECKING:
    from search.campaigns.estimate import Estimate
    from search.campaigns.grid import Grid
    from search.loader import SourceLoader

__all__ = ["search"]

#: what to do with a campaign that was ended before its end
_GO_ON = "What was logged stays; the same command goes on from there."
#: share of samples that reach max_tokens above which that is told
_MUCH = 0.05


def search(
    context: typer.Context,
    problems: Annotated[Path, typer.Argument(help="Problems with answers: JSON lines, plain or .gz.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="LOG", help="The search log: a folder.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="A checkpoint folder or a shipped policy; may be repeated."),
    ] = None,
    prm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="R", help="A PRM to pair with every policy, or a judge: judge:POLICY; may be repeated."
        ),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|PRESET",
            help="A grid (TOML), or fast, full, thinking. --policy and --prm replace its pairs.",
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A models file (TOML): --policy, --prm and grids then name its models."
        ),
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
    in_flight: Annotated[
        int | None,
        typer.Option(min=1, help="Most solutions of a policy in flight; default: as its engine says."),
    ] = None,
    spend: Annotated[
        str | None,
        typer.Option(metavar="usd=X|tokens=N", help="Stop before this run has spent more."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="i/n", help="Only this part of the problems; planner merge joins the logs."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="[ADDRESS]", help="Have actors of a Ray cluster do it: HOST:PORT, auto, local."),
    ] = None,
    actors: Annotated[
        int, typer.Option(min=1, help="--ray: actors of each policy that the models file does not place.")
    ] = 1,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Try a few problems; tell tokens, money and hours; log nothing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a grid of choices on a problem set into a search log. Continues by itself."""
    from planner.cluster.campaign import cluster_campaign
    from search.campaigns.campaign import Campaign, check_problems
    from search.campaigns.estimate import estimate
    from search.campaigns.presets import preset
    from search.campaigns.spending import SpendLimit
    from search.campaigns.trial import measure
    from search.cluster.ray_session import ray_module
    from search.cluster.shard import Shard
    from search.log.cut import cut_share
    from search.log.outcomes import add_outcomes
    from search.log.store import SearchLog
    from search.models_file import ModelsFile
    from search.rewards.prm_names import whole_name
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
    part = None if shard is None else Shard.parse(shard)
    if ray is not None:
        ray_module()
    named = None if models is None else ModelsFile.read(models)
    chosen = _preset(grid)
    file = grid if chosen is None else None
    if named is None:
        asked = _grid(file, sourcing.policy_names, sourcing.prm_names, seed)
    else:
        everyone = [] if file is not None else [entry.name for entry in named.policy]
        judged = named.prm_names if chosen == "full" and not policy else []
        asked = _grid(file, policy or everyone, prm or judged, seed)
    asked = asked.renamed(whole_name if named is None else named.prm_name)
    judges = dict.fromkeys(pair.prm for pair in asked.pair if pair.prm is not None)
    make_loader: Callable[[], SourceLoader]
    if named is None:
        make_loader = partial(sourcing.loader, asked.policies, list(judges))
        loader = make_loader()
    else:
        make_loader = partial(named.loader, asked.policies, list(judges), find=find_model, threads=threads)
        loader = make_loader()
        for name in asked.policies:
            loader.policy_card(name)
        for name in judges:
            loader.prm_card(name)
    known = asked_problems(problems, mapping)
    check_problems(known)
    left_out: Sequence[str] = ()
    try:
        if chosen is not None:
            replaced = {} if seed is None else {"seed": seed}
            asked, left_out = preset(chosen, asked.pair, known, loader, replaced=replaced)
        if part is not None:  # after the preset: what is left out of it depends on all problems
            known = part.of(known, asked.group)
    except BaseException:
        run_sync(loader.close())
        raise
    for line in left_out:
        error_console().print(line, markup=False)
    # whatever can be wrong with the arguments has been read by now; only then a folder is made
    rates = {} if named is None else named.rates([*judges])
    prices = {
        name: Prices(each["input"], each["output"], cached_prompt=each["cached_input"])
        for name, each in rates.items()
        if name in asked.policies or name in judges
    }
    limit = None if spend is None else SpendLimit.parse(spend)
    if limit is not None and limit.usd is not None and not prices:
        raise BudgetError(f"a spend in usd needs prices in a models file, got --spend {spend} without any")
    placements = {} if named is None else named.placements([*judges])
    on_cluster = partial(
        cluster_campaign,
        make_loader=make_loader,
        placements=placements,
        actors=actors,
        in_flight=in_flight,
        prices=prices,
        limit=limit,
        plugins=context.find_root().params.get("plugin") or (),
    )
    if dry_run:
        logged = SearchLog.open(output) if SearchLog.exists(output) else None
        try:
            with interruptible("Nothing was logged."), error_console().status("trying a few problems"):
                if ray is None:
                    tried = run_sync(measure(known, asked, loader))
                else:
                    with TemporaryDirectory() as folder:
                        nowhere = SearchLog.at(Path(folder) / "log")
                        with on_cluster(ray, known, asked, nowhere, loader) as campaign:
                            tried = run_sync(campaign.measure())
        finally:
            run_sync(loader.close())
        found = estimate(known, asked, loader, logged, measured=tried, prices=prices)
        _print_estimate(found, as_json)
        return
    log = SearchLog.at(output)
    most = Campaign(known, asked, log, loader, in_flight=in_flight).limits.max_tokens
    try:
        with interruptible(_GO_ON), campaign_bar() as tell:
            if ray is None:
                state = Campaign(
                    known, asked, log, loader, in_flight=in_flight, prices=prices, limit=limit
                ).run(tell)
            else:
                with on_cluster(ray, known, asked, log, loader) as campaign:
                    state = campaign.run(tell)
    except (RemoteError, RewardError) as error:  # within a run a PRM's server fails as a RewardError
        kind = RemoteError if isinstance(error, RemoteError) else RewardError
        raise kind(f"{error}. What was logged stays; the same command goes on from there") from error
    finally:
        run_sync(loader.close())
    add_outcomes(log, asked.plans())
    rows = {name: log.rows(name) for name in ("problems", "samples", "scores", "runs", "outcomes")}
    failures = log.rows("failures")
    cut = {name: share for name in asked.policies if (share := cut_share(log, name)) > 0.0}
    if as_json:
        told = {"log": log.where, "rows": rows, "tokens": state.tokens, "seconds": state.seconds}
        print_json(
            {**told, "usd": state.usd, "is_stopped": state.is_stopped, "cut": cut, "failures": failures}
        )
        return
    notes = [f"{state.tokens:,} tokens in {state.seconds:.0f} s. Next: planner bins {log.where}"]
    if state.is_stopped:
        units = f"{state.done} of {state.total} units"
        notes.insert(0, f"Stopped before {limit} were passed, with {units} done. {_GO_ON}")
    notes += [
        f"{name}: {percent(share)}% of the samples reached max_tokens={most} and were cut off"
        for name, share in cut.items()
        if share > _MUCH
    ]
    if failures:
        notes.append(f"{failures} pieces of work failed and were left out: the log's table failures says why")
    print_table(
        f"Search log {log.where}",
        ["table", "rows"],
        [(name, f"{count:,}") for name, count in rows.items()],
        notes=notes,
    )


def _preset(grid: Path | None) -> str | None:
    """The preset that is named; a file of that name is a grid."""
    from search.campaigns.presets import PRESETS

    return None if grid is None or str(grid) not in PRESETS or grid.is_file() else str(grid)


def _grid(file: Path | None, policies: Sequence[str], prms: Sequence[str], seed: int | None) -> Grid:
    """The grid that was asked for: the file's, or the default, with what the options replace."""
    from search.campaigns.grid import Grid

    if prms and not policies:
        raise GridError(f"a PRM is paired with a policy, got --prm {prms[0]} without --policy")
    if file is None and not policies:
        raise GridError("a campaign needs --policy or --grid, got neither")
    if file is not None and not file.is_file():
        from search.campaigns.presets import PRESETS

        raise GridError(f"a grid must be a file, or one of {', '.join(PRESETS)}, got {str(file)!r}")
    replaced: dict[str, object] = {}
    judges: list[str | None] = [*prms] or [None]
    if policies:
        replaced["pair"] = [
            {"policy": policy} | ({} if prm is None else {"prm": prm})
            for policy in policies
            for prm in judges
        ]
    if seed is not None:
        replaced["seed"] = seed
    return Grid.of(replaced) if file is None else Grid.read(file, replaced)


def _print_estimate(found: Estimate, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "stages": [asdict(stage) for stage in found.stages],
                "tokens": found.tokens,
                "flops": found.flops,
                "hours": found.hours,
                "usd": found.usd,
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
            duration(3600.0 * stage.hours),
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
            duration(3600.0 * found.hours),
        )
    )
    total = [] if found.usd is None else [f"{found.usd:.2f} USD in all."]
    print_table(
        "What this campaign would cost",
        ["stage", "policy tokens", "PRM tokens", "FLOPs", "time"],
        rows,
        notes=[*total, "Measured or assumed:", *found.assumptions],
        emphasised=[len(rows) - 1],
    )
