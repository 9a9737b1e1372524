from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from search.campaigns.scheduler import run_units
from search.campaigns.unit import Unit
from search.plan import Plan


def unit(name: str, table: str = "samples", policy: str = "m", prm: str = "") -> Unit:
    return Unit(table, name, (), policy, prm, Plan.of("majority", n=1), 0)


@dataclass
class Told:
    """Rules that a test states."""

    alone: set[str] = field(default_factory=set)
    need: dict[str, str] = field(default_factory=dict)
    room: int = 99
    refused: set[str] = field(default_factory=set)
    inside: int = 0

    def is_alone(self, one: Unit) -> bool:
        return one.name in self.alone

    def needs(self, one: Unit) -> str | None:
        return self.need.get(one.name)

    def has_room(self, one: Unit) -> bool:
        return self.inside < self.room

    def may_start(self, one: Unit, running: Sequence[Unit]) -> bool:
        return one.name not in self.refused


@dataclass
class Work:
    """Units that last some turns of the loop; tells what ran beside what."""

    rules: Told
    changed: asyncio.Event
    turns: dict[str, int] = field(default_factory=dict)
    fails: str = ""
    started: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    beside: dict[str, set[str]] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)

    async def __call__(self, one: Unit) -> None:
        self.started.append(one.name)
        self.running.add(one.name)
        for name in self.running:
            self.beside.setdefault(name, set()).update(self.running)
        self.rules.inside += 1
        self.changed.set()
        try:
            for _ in range(self.turns.get(one.name, 20)):
                await asyncio.sleep(0)
            if one.name == self.fails:
                raise KeyError(one.name)
            self.ended.append(one.name)
        finally:
            self.running.discard(one.name)
            self.rules.inside -= 1
            self.changed.set()


Run = Callable[..., Awaitable[tuple[bool, Work]]]


async def ran(
    units: Sequence[Unit], rules: Told, stopped: asyncio.Event | None = None, **more: object
) -> tuple[bool, Work]:
    changed = asyncio.Event()
    work = Work(rules, changed, **more)  # type: ignore[arg-type]
    whole = await run_units(units, work, rules, changed=changed, stopped=stopped or asyncio.Event())
    return whole, work


async def test_as_many_units_run_as_there_is_room_for() -> None:
    units = [unit(str(number)) for number in range(8)]
    whole, work = await ran(units, Told(room=3))
    assert whole
    assert work.started == [one.name for one in units]
    assert max(map(len, work.beside.values())) > 1
    assert work.rules.inside == 0


async def test_a_unit_that_must_be_alone_is() -> None:
    units = [unit(name) for name in "abcde"]
    whole, work = await ran(units, Told(alone={"b", "c"}))
    assert whole
    assert work.beside["b"] == {"b"}
    assert work.beside["c"] == {"c"}
    assert len(work.beside["e"]) > 1


async def test_what_a_unit_needs_comes_first_and_holds_up_nobody_else() -> None:
    units = [unit("a"), unit("b"), unit("score a", "scores", prm="r"), unit("score b", "scores", prm="r")]
    rules = Told(need={"score a": "a", "score b": "b"})
    whole, work = await ran(units, rules, turns={"a": 60, "b": 5})
    assert whole
    assert work.started == ["a", "b", "score b", "score a"]
    assert work.ended.index("a") < len(work.ended) - 1


async def test_policies_advance_side_by_side() -> None:
    units = [unit(f"{policy}{n}", policy=policy) for policy in ("m", "n") for n in range(3)]
    _, work = await ran(units, Told())
    assert work.beside["m0"] & {"n0", "n1", "n2"}


async def test_a_failure_cancels_the_others_and_is_raised() -> None:
    rules = Told()
    with pytest.raises(KeyError, match="b"):
        await ran([unit(name) for name in "abc"], rules, turns={"a": 500, "b": 3, "c": 500}, fails="b")
    assert rules.inside == 0


async def test_a_unit_that_is_refused_ends_it_when_the_others_are_done() -> None:
    whole, work = await ran([unit(name) for name in "abc"], Told(refused={"b"}))
    assert not whole
    assert work.ended == ["a"]


async def test_being_stopped_cancels_everything_and_is_no_error() -> None:
    stopped = asyncio.Event()
    rules = Told()
    running = asyncio.ensure_future(ran([unit("a"), unit("b")], rules, stopped, turns={"a": 10**9}))
    for _ in range(50):
        await asyncio.sleep(0)
    stopped.set()
    whole, work = await running
    assert (whole, work.ended, rules.inside) == (False, ["b"], 0)


async def test_nothing_to_do_is_done() -> None:
    assert (await ran([], Told()))[0]
