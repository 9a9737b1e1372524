"""What is there once a server has started is left out of later collections; what comes after is collected."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from planner.server.heap import settle


class Ring:
    """Holds itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def settled() -> Iterator[weakref.ref[Ring]]:
    garbage = weakref.ref(Ring())
    settle()
    yield garbage
    gc.unfreeze()


def test_only_what_came_after_is_looked_through(settled: weakref.ref[Ring]) -> None:
    assert settled() is None  # collected before anything was frozen
    assert gc.get_freeze_count() > 1_000
    assert len(gc.get_objects()) < gc.get_freeze_count()
    later = weakref.ref(Ring())
    gc.collect()
    assert later() is None
