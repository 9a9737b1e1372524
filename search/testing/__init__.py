"""Contract suites for plug-ins: what every strategy, engine, reward, grader and importer keeps.

Subclass one as ``Test...`` in a test file and give its fixtures; pytest then runs the whole suite. Needs the
extra ``testing`` (pytest, pytest-asyncio, hypothesis). Nothing else in this project imports this package.
"""

from __future__ import annotations

from search.testing.bench import Bench, CountingEngine, CountingReward, make_bench
from search.testing.clock import Clock
from search.testing.engine import EngineCase, EngineContract
from search.testing.grader import GraderContract
from search.testing.importer import ImporterContract
from search.testing.reward import RewardContract
from search.testing.stepped_loop import SteppedLoop, stepped, stepped_ledger
from search.testing.strategy import StrategyContract

__all__ = [
    "Bench",
    "Clock",
    "CountingEngine",
    "CountingReward",
    "EngineCase",
    "EngineContract",
    "GraderContract",
    "ImporterContract",
    "RewardContract",
    "SteppedLoop",
    "StrategyContract",
    "make_bench",
    "stepped",
    "stepped_ledger",
]
