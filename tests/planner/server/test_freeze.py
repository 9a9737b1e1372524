"""What is there once a server has started is left out of later collections; what comes after is collected."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from planner.server.freeze import freeze_gc, freeze_gc_again


class Ring:
    """Holds itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def frozen() -> Iterator[weakref.ref[Ring]]:
    garbage, before = weakref.ref(Ring()), gc.get_threshold()
    freeze_gc()
    yield garbage
    gc.unfreeze()
    gc.set_threshold(*before)


def test_only_what_came_after_is_looked_through(frozen: weakref.ref[Ring]) -> None:
    assert frozen() is None  # collected before anything was frozen
    assert gc.get_freeze_count() > 1_000
    assert len(gc.get_objects()) < gc.get_freeze_count()
    later = weakref.ref(Ring())
    gc.collect()
    assert later() is None


def test_what_was_loaded_since_is_set_apart_where_anything_was(frozen: weakref.ref[Ring]) -> None:
    before, loaded = gc.get_freeze_count(), [Ring() for _ in range(1000)]
    freeze_gc_again()
    assert gc.get_freeze_count() >= before + len(loaded)
    gc.unfreeze()
    freeze_gc_again()
    assert gc.get_freeze_count() == 0


def test_what_was_set_apart_and_is_needed_no_more_is_freed(frozen: weakref.ref[Ring]) -> None:
    running = Ring()
    theirs = weakref.ref(running)
    freeze_gc_again()
    assert gc.get_freeze_count() > 1_000
    del running
    gc.collect()
    assert theirs() is not None  # it refers to itself, and was set apart
    freeze_gc_again()
    assert theirs() is None
