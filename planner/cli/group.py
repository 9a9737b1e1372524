"""How a command ends: a wrong argument with one line on stderr and exit code 2, never a traceback.

Every ``PlannerError`` and every file that cannot be read or written is told in one line that says
the rule and the value; faulty settings of a server have a line each. ``planner --debug ...`` shows the
traceback instead.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Any

from typer import Abort, TyperException
from typer.core import TyperGroup

from search.errors import PlannerError, SettingsError

__all__ = ["Commands", "Refused"]


class Refused(TyperException):
    """A command that was given something wrong. Exit code 2, as for options that do not parse."""

    exit_code = 2


class Commands(TyperGroup):
    """The group of all commands. Knows how they fail, not what they do."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named; turn expected failures into ``Refused``."""
        try:
            return super().invoke(ctx)
        except (PlannerError, OSError) as error:
            if ctx.params.get("debug") or _is_broken_pipe(error):
                raise
            raise Refused(_message(error)) from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Parse, run, and end the process with the exit code (unless ``standalone_mode`` is False)."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except TyperException as error:
            for line in _refusals(error):
                print(f"planner: {line}", file=sys.stderr)
            code = error.exit_code
        except Abort:
            print("planner: aborted", file=sys.stderr)
            code = 1
        if code == _INTERRUPTED:
            print("planner: interrupted", file=sys.stderr)
        sys.exit(code or 0)


#: what a shell reports for a process ended by SIGINT; Typer returns it for KeyboardInterrupt
_INTERRUPTED = 130


def _message(error: PlannerError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"a path must be accessible, got {str(error.filename)!r}: {error.strerror}"
    return str(error)


def _refusals(error: TyperException) -> tuple[str, ...]:
    """One line, or one for each setting of a server that breaks a rule."""
    if isinstance(error.__cause__, SettingsError):
        return tuple(" ".join(fault.split()) for fault in error.__cause__.faults)
    return (_refusal(error),)


def _refusal(error: TyperException) -> str:
    """One line. Typer tells which rule an option broke; the value is in the cause only."""
    from pydantic import ValidationError  # slow to import, and only needed where typer has done so

    # where only the help was printed there is no message
    message = " ".join(error.format_message().split()) or "a command must be named, got none"
    if isinstance(error.__cause__, ValidationError):
        message += f", got {error.__cause__.errors()[0]['input']!r}"
    return message


def _is_broken_pipe(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EPIPE
