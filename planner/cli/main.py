"""The command line: ``planner COMMAND``. One file per command; each parses, calls one function, prints.

Nothing heavy is imported before a command runs, so ``planner --help`` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli import demo, models, plugins, recommend, report, serve, solve
from planner.cli.group import Commands
from planner.cli.learning import evaluate, extend, fit, train
from planner.cli.logs import bins, grade, import_, merge, prm_eval, problems, search, split
from planner.cli.traffic import challenge, export, ope, refit, savings
from planner.cluster.option import RayCommand
from planner.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Commands,
    name="planner",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"planner {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def planner(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks instead of one line.")] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            envvar="PLANNER_PLUGINS",
            help="A class of your own (package.module:Class) that is not installed; may be repeated.",
        ),
    ] = None,
) -> None:
    """Decide how much a small language model should think: strategy and budget, per problem."""
    if plugin:
        from planner.plugins import load_plugins

        load_plugins(plugin)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in (
    demo.demo,
    problems.problems,
    search.search,
    merge.merge,
    split.split,
    export.export,
    ope.ope,
    challenge.challenge,
    grade.grade,
    bins.bins,
    fit.fit,
    refit.refit,
    extend.extend,
    evaluate.evaluate,
    report.report,
    recommend.recommend,
    solve.solve,
    serve.serve,
    savings.savings,
    plugins.plugins,
):
    app.command(cls=RayCommand)(command)
app.command("prm-eval")(prm_eval.prm_eval)
app.command("import")(import_.import_)
app.add_typer(train.app, name="train")
app.add_typer(models.app, name="models")


def main() -> None:
    """The console script."""
    app()
