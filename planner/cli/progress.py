"""A progress bar on standard error, for everything that takes longer than a breath."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from planner.cli.printing import error_console

if TYPE_CHECKING:
    from search.campaigns import campaign

__all__ = [
    "Bar",
    "Bars",
    "bar",
    "bars",
    "campaign_bar",
    "campaign_progress",
    "duration",
    "progress_line",
]

#: seconds between two lines where no bar can move
_EVERY = 15.0


class Bar(Protocol):
    """Tells how far the work is."""

    def __call__(self, done: int, total: int, what: str = "") -> None: ...


class Bars(Protocol):
    """Tells how far each of several pieces of work is, by name."""

    def __call__(self, name: str, done: int, total: int, what: str = "") -> None: ...


@contextmanager
def bars(*, clock: Callable[[], float] = time.monotonic, every: float = _EVERY) -> Iterator[Bars]:
    """Bars that last as long as the block, one per name that is told of.

    Where nothing can move (a file, CI), a line every so many seconds, and one per name at the end.
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
    said = clock()
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:

        def tell(name: str, done: int, total: int, what: str = "") -> None:
            nonlocal said
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=None, what="")
            shown.update(tasks[name], completed=done, total=total, what=what)
            if not console.is_terminal and done < total and clock() - said >= every:
                said = clock()
                line = f"{name}: {done} of {total}" + (f", {what}" if what else "")
                console.print(line, markup=False, soft_wrap=True)

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


@contextmanager
def campaign_bar(
    *, clock: Callable[[], float] = time.monotonic, every: float = _EVERY
) -> Iterator[Callable[[campaign.Progress], None]]:
    """What a campaign calls. A bar; where nothing can move, a line every so many seconds, and at the end."""
    console = error_console()
    if console.is_terminal:
        with bar("search") as tell:
            yield campaign_progress(tell)
        return
    last: campaign.Progress | None = None
    said = clock()

    def show(now: campaign.Progress) -> None:
        nonlocal last, said
        last = now
        if clock() - said >= every:
            said = clock()
            console.print(f"search: {progress_line(now)}", markup=False, soft_wrap=True)

    yield show
    if last is not None:
        console.print(f"search: {progress_line(last)}", markup=False, soft_wrap=True)


def campaign_progress(tell: Bar) -> Callable[[campaign.Progress], None]:
    """What a campaign calls, for a bar."""

    def show(now: campaign.Progress) -> None:
        tell(now.done, now.total, f"{now.stage}, {_spent(now)}")

    return show


def progress_line(now: campaign.Progress) -> str:
    """How far a campaign is, in one line."""
    return f"{now.done} of {now.total} units, {_spent(now)}, {now.stage}"


def _spent(now: campaign.Progress) -> str:
    parts = [f"{now.tokens:,} tokens"]
    if now.usd is not None:
        parts.append(f"{now.usd:.4f} USD")
    if now.seconds >= 1.0 and now.tokens:
        parts.append(f"{now.tokens / now.seconds:,.0f} tokens/s")
    if now.left is not None and now.done < now.total:
        parts.append(f"{duration(now.left)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time for people.

    >>> [duration(seconds) for seconds in (4.2, 61, 3600 * 7.5)]
    ['4 s', '1.0 min', '7.5 h']
    """
    if seconds < 60.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:z.1f} min" if seconds < 3600.0 else f"{seconds / 3600:z.1f} h"
