"""Freezes the objects of a started server, so that the garbage collector does not scan them again.

Python's collector of reference cycles stops everything while it scans all objects. Models, libraries and
the planner hold so many that a scan takes as long as a short deadline. Frozen objects are left out, so that
a collection scans only what requests have created since. Nearly all of that is freed by reference counting
when a request ends, so the threshold is tens of thousands of objects: at Python's default of 700, objects
of running requests would be scanned again and again.
"""

from __future__ import annotations

import gc

__all__ = ["freeze_gc", "freeze_gc_again"]

#: objects left over, then collections of the next younger generation, between two collections of one
_YOUNG, _MIDDLE, _OLD = 50_000, 10, 10


def freeze_gc() -> None:
    """Collect once, then set all that is left apart from later collections."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


def freeze_gc_again() -> None:
    """Set apart what has been loaded since, a new planner say; nothing where nothing was set apart.

    What was set apart before is looked through once, so that what nobody needs any more is freed: an old
    planner, and objects of requests that ran when it was set apart and refer to it in cycles.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        freeze_gc()
