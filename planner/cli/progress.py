"""A progress bar on standard error, for everything that takes longer than a breath."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from planner.cli.printing import error_console

if TYPE_CHECKING:
    from search import campaign

__all__ = ["Bar", "bar", "campaign_progress"]


class Bar(Protocol):
    """Tells how far the work is."""

    def __call__(self, done: int, total: int, what: str = "") -> None: ...


@contextmanager
def bar(name: str) -> Iterator[Bar]:
    """A bar that lasts as long as the block. Where nothing can move (a file, CI), one line at the end."""
    console = error_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[what]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(name, total=None, what="")

        def tell(done: int, total: int, what: str = "") -> None:
            shown.update(task, completed=done, total=total, what=what)

        yield tell
        shown.update(task, what="")
    if not console.is_terminal:
        finished = shown.tasks[0]
        console.print(f"{name}: {int(finished.completed)} of {finished.total or 0:.0f}")


def campaign_progress(tell: Bar) -> Callable[[campaign.Progress], None]:
    """What a campaign calls, for a bar."""

    def told(now: campaign.Progress) -> None:
        tell(now.done, now.total, f"{now.stage}, {now.tokens:,} tokens")

    return told
