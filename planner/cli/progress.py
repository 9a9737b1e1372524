"""A progress bar on standard error, for everything that takes longer than a breath."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from planner.cli.printing import error_console

if TYPE_CHECKING:
    from search import campaign

__all__ = ["Bar", "Bars", "bar", "bars", "campaign_progress"]


class Bar(Protocol):
    """Tells how far the work is."""

    def __call__(self, done: int, total: int, what: str = "") -> None: ...


class Bars(Protocol):
    """Tells how far each of several pieces of work is, by name."""

    def __call__(self, name: str, done: int, total: int, what: str = "") -> None: ...


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars that last as long as the block, one per name that is told of.

    Where nothing can move (a file, CI), one line per name at the end.
    """
    console = error_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[what]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:

        def tell(name: str, done: int, total: int, what: str = "") -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=None, what="")
            shown.update(tasks[name], completed=done, total=total, what=what)

        yield tell
        for task in tasks.values():
            shown.update(task, what="")
    if not console.is_terminal:
        for finished in shown.tasks:
            console.print(f"{finished.description}: {int(finished.completed)} of {finished.total or 0:.0f}")


@contextmanager
def bar(name: str) -> Iterator[Bar]:
    """One bar, as ``bars`` has them."""
    with bars() as tell:
        yield lambda done, total, what="": tell(name, done, total, what)


def campaign_progress(tell: Bar) -> Callable[[campaign.Progress], None]:
    """What a campaign calls, for a bar."""

    def show(now: campaign.Progress) -> None:
        tell(now.done, now.total, f"{now.stage}, {now.tokens:,} tokens")

    return show
