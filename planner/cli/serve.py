"""``planner serve``: the OpenAI-compatible server."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from planner.cli.sourcing import Sourcing
from planner.models import find_model, shipped
from search.errors import MissingExtraError, ServeError

__all__ = ["serve"]

#: environment variables, so that no secret stands on a command line
_KEY, _HASH_KEY, _UPSTREAM_KEY = "PLANNER_API_KEY", "PLANNER_HASH_KEY", "PLANNER_UPSTREAM_KEY"

_SERVER = "Server"
_MODELS = "Models"
_BUDGETS = "Budgets"
_LOG = "Decision log"


def serve(
    lab: Annotated[
        bool, typer.Option("--lab", help="Shipped models, in this process.", rich_help_panel=_MODELS)
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Models in this process, run by an engine that planner plugins lists.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    engine_option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="For --engine; may be repeated.", rich_help_panel=_MODELS),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The policy's OpenAI-compatible server.", rich_help_panel=_MODELS),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="ID", help="What that server calls the policy.", rich_help_panel=_MODELS),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="P",
            help="With --base-url, a policy's checkpoint folder (its tokenizer); else where a policy lies.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    prm: Annotated[
        list[str] | None,
        typer.Option(metavar="R", help="Where a PRM of the planner lies.", rich_help_panel=_MODELS),
    ] = None,
    prm_url: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=URL", help="A PRM behind its own server.", rich_help_panel=_MODELS),
    ] = None,
    planner: Annotated[
        str | None,
        typer.Option(
            "--planner",
            metavar="MODEL",
            help="A fitted planner. Default: the shipped one.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    allow_foreign: Annotated[
        bool,
        typer.Option(
            "--allow-foreign", help="Serve models the planner was not learned from.", rich_help_panel=_MODELS
        ),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.", rich_help_panel=_MODELS)] = 1,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Most tokens of a solution.", rich_help_panel=_MODELS)
    ] = 224,
    host: Annotated[
        str,
        typer.Option(help="Where to listen; an address others reach needs keys.", rich_help_panel=_SERVER),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, rich_help_panel=_SERVER)] = 8400,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Keys (TOML); {_KEY} adds one.", rich_help_panel=_SERVER),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Print a new key and its lines for FILE.", rich_help_panel=_SERVER),
    ] = None,
    running: Annotated[
        int, typer.Option(min=1, help="Most requests worked on at a time.", rich_help_panel=_SERVER)
    ] = 32,
    waiting: Annotated[
        int, typer.Option(min=0, help="Most that wait; beyond: 429.", rich_help_panel=_SERVER)
    ] = 128,
    cancel_within: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            help="What was cancelled and has not ended by then is left alone and charged in full.",
            rich_help_panel=_SERVER,
        ),
    ] = 2.0,
    floor: Annotated[
        float,
        typer.Option(
            help="Smallest share of a budget under load, in (0, 1]; 1: never shrunk.",
            rich_help_panel=_BUDGETS,
        ),
    ] = 1.0,
    default_budget: Annotated[
        str,
        typer.Option(
            metavar="BUDGET", help='Samples, or JSON such as {"tokens": 800}.', rich_help_panel=_BUDGETS
        ),
    ] = "16",
    ceiling: Annotated[
        str | None,
        typer.Option(metavar="BUDGET", help="No request may spend more.", rich_help_panel=_BUDGETS),
    ] = None,
    price: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Spend a GFLOP more only where it is expected to add this accuracy.",
            rich_help_panel=_BUDGETS,
        ),
    ] = 0.0,
    usd: Annotated[
        str | None,
        typer.Option(
            metavar="P,G,R",
            help="Dollars per million tokens: prompt, generated, PRM. Needed for budgets in usd.",
            rich_help_panel=_BUDGETS,
        ),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            help="What reads answers. Default: guessed from the question.", rich_help_panel=_BUDGETS
        ),
    ] = None,
    explore: Annotated[
        float,
        typer.Option(
            help="Share of requests that may try another plan, within their budget.", rich_help_panel=_LOG
        ),
    ] = 0.0,
    decisions: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE", help="A file, or postgresql://...; none: kept in memory.", rich_help_panel=_LOG
        ),
    ] = None,
    hash_questions: Annotated[
        bool,
        typer.Option(
            "--hash-questions", help=f"Keep keyed hashes of questions ({_HASH_KEY}).", rich_help_panel=_LOG
        ),
    ] = False,
    keep_days: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Keep decisions so long.", rich_help_panel=_LOG)
    ] = None,
    keep_bytes: Annotated[
        int | None, typer.Option(metavar="N", help="Keep so many bytes of them.", rich_help_panel=_LOG)
    ] = None,
) -> None:
    """Serve an OpenAI-compatible API that spends the right compute on each request."""
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"planner serve needs {error.name}: pip install 'test-time-planner[serve]'"
        ) from error
    from planner.server.keys import Keys
    from planner.server.keys import new_key as make

    if new_key is not None:
        secret, lines = make(new_key)
        typer.echo(f"# the key, shown once: {secret}\n{lines}", nl=False)
        return
    places = {"--lab": lab, "--base-url": base_url is not None, "--engine": engine is not None}
    if sum(places.values()) != 1:
        named = " and ".join(name for name, is_given in places.items() if is_given)
        raise ServeError(f"a server has one of {', '.join(places)}, got {named or 'none'}")

    from planner.planner import Planner
    from planner.server.admission import Admission
    from planner.server.app import create_app
    from planner.server.backends import embedded, opened, remote
    from planner.server.current import Current
    from planner.server.rules import Rules
    from planner.server.run import check_bind, run
    from planner.server.service import Service
    from search.strategies.protocol import Limits

    _log_to_stderr()
    guards = Keys.read(keys, os.environ.get(_KEY))
    check_bind(host, guards)
    rules = Rules(
        default=_allowance(default_budget),
        ceiling=None if ceiling is None else _allowance(ceiling),
        price=price / 1e9,
        prices=_prices(usd),
        domain=domain,
        explore=explore,
        cancel_within=cancel_within,
    )
    folder = shipped("planner") if planner is None else find_model(planner)
    decider = Planner.load(folder)
    limits = Limits(max_tokens=max_tokens)
    models = [*(policy or []), *(prm or [])] if engine is None else []  # an engine finds its own
    given = {path.resolve().name: path for path in map(find_model, models)}
    prms = {name: given.get(name) or find_model(name) for name in decider.prms if engine is None}
    if engine is not None:
        sourcing = Sourcing(engine, policy or (), prm or (), options=engine_option or (), threads=threads)
        loader = sourcing.loader([*decider.policies], [*decider.prms])
        backends = opened(decider, loader, limits=limits)
    elif base_url is None:
        policies = {name: given.get(name) or find_model(name) for name in decider.policies}
        backends = embedded(decider, policies, prms, threads=threads, limits=limits)
    else:
        name = next((n for n in decider.policies if n in given), None)
        name = name or (next(iter(decider.policies)) if len(decider.policies) == 1 else None)
        if name is None:
            raise ServeError(f"--policy must name one of {', '.join(decider.policies)}, got none of them")
        backends = remote(
            decider,
            base_url,
            prms,
            model=model,
            policy=name,
            tokenizer=given.get(name) or find_model(name),
            api_key=os.environ.get(_UPSTREAM_KEY),
            prm_urls=dict(_pair(text) for text in prm_url or []),
            threads=threads,
            limits=limits,
        )
    service = Service(
        Current(folder, backends.models.cards, allow_foreign=allow_foreign),
        backends.models,
        rules,
        guards,
        upstream=backends.upstream,
        admission=Admission(running, waiting, floor),
        **_recorder(decisions, hash_questions, keep_days, keep_bytes),
    )
    run(
        create_app(service),
        service,
        host=host,
        port=port,
        on_ready=lambda address: typer.echo(f"planner serve: {address} (console), {address}/v1 (API)"),
    )


def _allowance(text: str) -> Any:
    from planner.server.budget import Allowance

    return Allowance.read(text)


def _prices(text: str | None) -> Any:
    from search.budget import Prices

    if text is None:
        return None
    try:
        return Prices(*map(float, text.split(",")))
    except (TypeError, ValueError) as error:
        raise ServeError(f"prices are P,G,R in dollars per million tokens, got {text!r}") from error


def _pair(text: str) -> tuple[str, str]:
    name, sign, address = text.partition("=")
    if not (name and sign and address):
        raise ServeError(f"--prm-url is NAME=URL, got {text!r}")
    return name, address


def _recorder(where: str | None, hashed: bool, days: float | None, most: int | None) -> dict[str, Any]:
    """The recorder, as Service takes it."""
    if where is None:
        if hashed or days is not None or most is not None:
            raise ServeError("--hash-questions and --keep-... need --decisions, got none")
        return {}
    from planner.server.decisions.log import DecisionLog
    from planner.server.decisions.retention import Retention

    key = os.environ.get(_HASH_KEY, "")
    if hashed and not key:
        raise ServeError(f"--hash-questions needs a secret in {_HASH_KEY}, got none")
    log = DecisionLog.open(
        where, hash_key=key.encode() if hashed else None, retention=Retention(days=days, bytes=most)
    )
    return {"recorder": log}


class _Lines(logging.Formatter):
    """A JSON object a line; never a traceback's values, never a question."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {"at": self.formatTime(record), "level": record.levelname.lower(), "what": record.getMessage()}
        )


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("planner").setLevel(logging.INFO)
