"""Freezes the objects of a started server, so that the garbage collector does not scan them again.

Python's collector of cycles stops everything while it looks through all objects, and models, libraries and
the planner are so many that this takes as long as a short deadline. What has been frozen is left out, and a
collection looks at what requests have made since. Nearly all of that goes without a collector, as the request
ends, so it is only looked for once tens of thousands of objects are left over: at Python's 700, requests
under way would be looked through again and again.
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
    """Set apart what has been loaded since, a new planner say; nothing where nothing was set apart."""
    if gc.get_freeze_count():
        freeze_gc()
