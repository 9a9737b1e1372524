"""``planner serve`` without one of its hand-made speed-ups, for ``serve_speedups.py``.

    python benchmarks/serve_without.py direct --base-url http://127.0.0.1:8000 --policy lab-policy-m

The first word names what is left out, ``nothing`` leaves out none. One function of the server is replaced by
one that does it the plain way; the rest is the real command.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import planner.server.app
import planner.server.run
from planner.cli.main import main
from planner.predicting.trees import BitTrees

__all__ = ["SPEEDUPS", "Speedup"]


def _walk() -> None:
    """One row walks down the trees level by level, as many rows do."""

    def of(cls: type[BitTrees], *arrays: Any) -> None:
        return None

    BitTrees.of = classmethod(of)  # type: ignore[method-assign, assignment]


def _ask_the_framework() -> None:
    """Every request goes through FastAPI's own handlers."""
    planner.server.app.handlers = lambda router: iter(())  # type: ignore[attr-defined]


def _collect_as_usual() -> None:
    """The collector's thresholds are Python's, and it scans everything."""
    planner.server.run.freeze_gc = lambda: None  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Speedup:
    """``caption``: what it is, ``leave_out``: do without it in this process."""

    caption: str
    leave_out: Callable[[], None]


#: by the words of a command line
SPEEDUPS: Mapping[str, Speedup] = {
    "nothing": Speedup("nothing: the same server again", lambda: None),
    "bits": Speedup("bit-scored trees", _walk),
    "direct": Speedup("direct routes", _ask_the_framework),
    "collector": Speedup("settings of the garbage collector", _collect_as_usual),
}


if __name__ == "__main__":
    SPEEDUPS[sys.argv[1]].leave_out()
    sys.argv[:] = ["planner", "serve", *sys.argv[2:]]
    main()
