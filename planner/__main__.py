"""The program ``planner``, and ``python -m planner``.

Imports nothing before it runs, so that Ctrl-C within the first second ends as it does later.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """The console script."""
    try:
        from planner.cli.main import main as commands
    except KeyboardInterrupt:
        print("planner: interrupted", file=sys.stderr)
        sys.exit(130)
    commands()


if __name__ == "__main__":
    main()
