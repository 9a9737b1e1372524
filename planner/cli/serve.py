"""``planner serve``: the OpenAI-compatible server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from planner.cli.flags import given_flags, with_flags
from planner.server.settings import ServeSettings
from planner.server.settings_sources import CONFIG, read_settings
from search.errors import MissingExtraError

__all__ = ["serve"]


@with_flags(ServeSettings.model_fields)
def serve(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Settings (TOML), for what no flag and no variable PLANNER_SERVE_... says; or {CONFIG}.",
            rich_help_panel="Server",
        ),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Print a new key and its lines for --keys FILE.", rich_help_panel="Server"
        ),
    ] = None,
    **flags: Any,
) -> None:
    """Serve an OpenAI-compatible API that spends the right compute on each request."""
    _check_extra()
    from planner.server.access.exchange import log_to_stderr
    from planner.server.access.keys import new_key as make
    from planner.server.serve import serve as run

    if new_key is not None:
        secret, lines = make(new_key)
        typer.echo(f"# the key, shown once: {secret}\n{lines}", nl=False)
        return
    settings = read_settings(given_flags(flags), os.environ, config)
    log_to_stderr()
    run(
        settings,
        os.environ,
        on_ready=lambda address: typer.echo(f"planner serve: {address} (console), {address}/v1 (API)"),
        on_loading=lambda: _say_loading(settings),
    )


def _say_loading(settings: ServeSettings) -> None:
    """Tell a person at a terminal what is waited for; other readers of standard error get JSON lines only."""
    if not sys.stderr.isatty():
        return
    source = settings.models or settings.base_url or settings.engine or "the lab's models"
    typer.echo(f"planner serve: loading {source}", err=True)


def _check_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"planner serve needs {error.name}: pip install 'test-time-planner[serve]'"
        ) from error
