"""Whatever goes wrong ends with one line, exit code 2, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from planner.cli.group import Commands
from planner.cli.main import app
from search.errors import BudgetError, PlannerError


def make_app(raised: BaseException | None = None) -> typer.Typer:
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False, add_completion=False)

    @app.callback()
    def group(debug: bool = False) -> None:
        """A group."""

    @app.command()
    def work(n: int = 1) -> None:
        """Work or fail."""
        if raised is not None:
            raise raised
        typer.echo(f"n is {n}")

    return app


def test_a_command_that_works_ends_with_zero() -> None:
    done = CliRunner().invoke(make_app(), ["work", "--n", "3"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "n is 3\n", "")


def test_our_errors_are_one_line_on_standard_error() -> None:
    done = CliRunner().invoke(make_app(BudgetError("a budget cannot be negative,\n got tokens=-1")), ["work"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "planner: a budget cannot be negative, got tokens=-1\n"


def test_debug_lets_the_error_through() -> None:
    done = CliRunner().invoke(make_app(PlannerError("rule, value")), ["--debug", "work"])
    assert isinstance(done.exception, PlannerError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["work", "--n", "many"],
            "--n': Input should be a valid integer, unable to parse string as an integer, got 'many'",
        ),
        (["work", "--nn", "3"], "No such option: --nn"),
        (["wrok"], "No such command 'wrok'"),
    ],
)
def test_arguments_that_do_not_parse_are_one_line(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(make_app(), arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["models", "train"])
def test_a_group_without_a_command_shows_its_help_and_says_so(name: str) -> None:
    done = CliRunner().invoke(app, [name])
    assert (done.exit_code, done.stderr) == (2, "planner: a command must be named, got none\n")
    assert f"planner {name}" in done.stdout


def test_a_file_that_cannot_be_read_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "missing").read_text()
    done = CliRunner().invoke(make_app(caught.value), ["work"])
    assert done.exit_code == 2
    missing = f"'{tmp_path / 'missing'}': No such file or directory"
    assert done.stderr == f"planner: a path must be accessible, got {missing}\n"


def test_an_interrupted_command_says_so() -> None:
    done = CliRunner().invoke(make_app(KeyboardInterrupt()), ["work"])
    assert (done.exit_code, done.stderr) == (130, "planner: interrupted\n")


def test_a_fault_of_ours_is_not_hidden() -> None:
    done = CliRunner().invoke(make_app(ZeroDivisionError("a bug")), ["work"])
    assert isinstance(done.exception, ZeroDivisionError)
