"""``--ray [ADDRESS]``: an option whose value may be left out."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

__all__ = ["RayCommand", "with_address"]

_OPTION = "--ray"
_ADDRESS = re.compile(r"auto|local|ray://\S+|(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):\d{1,5}")


def with_address(arguments: list[str]) -> list[str]:
    """The same arguments; ``auto`` behind a ``--ray`` that no address follows.

    >>> with_address(["--ray", "log"]), with_address(["--ray", "head:6379", "log"])
    (['--ray', 'auto', 'log'], ['--ray', 'head:6379', 'log'])
    """
    found: list[str] = []
    for place, word in enumerate(arguments):
        found.append(word)
        if word == "--":
            return found + arguments[place + 1 :]
        if word == _OPTION and not _ADDRESS.fullmatch(" ".join(arguments[place + 1 : place + 2])):
            found.append("auto")
    return found


class RayCommand(TyperCommand):
    """A command with that option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_address(args))
