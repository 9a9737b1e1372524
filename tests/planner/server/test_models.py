"""Settings of a request are made when they are first asked for, once."""

from __future__ import annotations

import pytest

from planner.server.models import MadeSettings
from search.engines.scripted import ScriptedEngine
from search.strategies.protocol import Setting


def test_a_pair_is_made_when_it_is_asked_for() -> None:
    made: list[tuple[str, str | None]] = []

    def make(policy: str, prm: str | None) -> Setting:
        made.append((policy, prm))
        return Setting(ScriptedEngine(lambda text, rng: "# 1", name=policy))

    settings = MadeSettings(("small", "large"), ("good",), make)
    pairs = [("small", None), ("small", "good"), ("large", None), ("large", "good")]
    assert ([*settings], len(settings), made) == (pairs, 4, [])
    assert settings["large", "good"] is settings["large", "good"]
    assert made == [("large", "good")]
    for other in (("large", "bad"), ("huge", None)):
        assert settings.get(other) is None
        with pytest.raises(KeyError):
            settings[other]
    assert [setting.engine.card.name for setting in settings.values()] == [policy for policy, _ in pairs]
    assert made == [("large", "good"), *pairs[:3]]
