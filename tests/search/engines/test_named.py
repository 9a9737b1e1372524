from __future__ import annotations

from dataclasses import replace

from search.engines.named import NamedEngine
from search.engines.protocol import ChildFinished, Request, Sampling
from search.engines.scripted import ScriptedEngine


async def test_only_the_card_differs() -> None:
    inner = ScriptedEngine(lambda text, rng: "# 1")
    card = replace(inner.card, name="mine", parameters=7)
    async with NamedEngine(inner, card) as engine:
        assert engine.card == card
        assert (engine.backend, engine.equal_bits) == (inner.backend, inner.equal_bits)
        request = Request(engine.prompt("q"), 1, 9, Sampling(), 1)
        found = [event async for event in engine.submit(request) if isinstance(event, ChildFinished)]
    assert [child.text for child in found] == ["# 1"]
