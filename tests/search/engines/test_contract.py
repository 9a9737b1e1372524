"""Every engine keeps the contract (``search.testing.engine``); the members are in ``conftest.py``."""

from __future__ import annotations

import pytest

from search.testing.engine import EngineCase, EngineContract


class TestEngines(EngineContract):
    @pytest.fixture
    def case(self, member: EngineCase) -> EngineCase:
        return member

    @pytest.fixture
    def races(self, request: pytest.FixtureRequest) -> bool:
        return "vllm-serve" in request.node.name
