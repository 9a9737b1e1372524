"""The bench of the contract suite, for every test of strategies."""

from __future__ import annotations

import pytest

from search.testing.bench import MakeBench, make_bench


@pytest.fixture
def bench() -> MakeBench:
    """Makes a bench: ``bench(script, judge)``, with limits and contexts where they matter."""
    return make_bench
