"""Grouping for an event loop: others go on meanwhile, a deadline ends it with what is known."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

import pytest

from search.errors import MissingExtraError
from search.grading.mathematics.math import MathDomain
from search.grading.text import TextDomain
from search.problem import Problem
from search.testing.stepped_loop import stepped
from search.voting.grouping import Groups, comparing_within, grouped, read_answer

PROBLEM = Problem("p", "f", "text", "?")


class Waiting(TextDomain):
    """Compares on threads, and waits until it is released."""

    waits = True

    def __init__(self) -> None:
        self.begun, self.released, self.asked = threading.Event(), threading.Event(), [0]

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        self.asked[0] += 1
        self.begun.set()
        assert self.released.wait(20.0), "somebody must release it"
        return super().equal(problem, first, second)


async def test_what_waits_leaves_the_loop_to_others() -> None:
    domain = Waiting()
    work = asyncio.ensure_future(grouped(PROBLEM, domain, ["a", "A", None, "b"]))
    while not domain.begun.is_set():
        await asyncio.sleep(0.001)
    assert not work.done()
    domain.released.set()
    assert await work == [0, 0, -1, 1]


def test_a_deadline_ends_with_what_is_known_and_stops_the_rest() -> None:
    domain = Waiting()

    async def run() -> list[int]:
        work = asyncio.ensure_future(grouped(PROBLEM, domain, ["a", "A", "a", None, "b", "c"], seconds=3600))
        while not domain.begun.is_set():
            await asyncio.sleep(0)
        found = await work
        assert asyncio.get_running_loop().time() >= 3600
        assert domain.asked == [1]
        domain.released.set()
        await asyncio.get_running_loop().shutdown_default_executor()
        return found

    assert stepped(run()) == [0, 1, 0, -1, 2, 3]
    assert domain.asked == [1]  # the pairs that followed were not compared


async def test_without_time_nothing_is_waited_for() -> None:
    domain = Waiting()
    assert await grouped(PROBLEM, domain, ["a", "A", "a"], seconds=0.0) == [0, 1, 0]
    assert domain.asked == [0]


async def test_what_does_not_wait_is_done_at_once() -> None:
    step = grouped(PROBLEM, TextDomain(), ["a", "A", "b"], seconds=0.0)
    with pytest.raises(StopIteration) as found:
        step.send(None)  # it never suspends
    assert found.value.value == [0, 0, 1]


async def test_an_error_is_raised_where_somebody_waits() -> None:
    class Lacking(Waiting):
        def equal(self, problem: Problem, first: str, second: str) -> bool:
            raise MissingExtraError("the grading extra")

    with pytest.raises(MissingExtraError):
        await grouped(PROBLEM, Lacking(), ["a", "b"])


async def test_mathematics_without_time_is_compared_by_exact_values() -> None:
    class Blocked(MathDomain):
        def equal(self, problem: Problem, first: str, second: str) -> bool:
            raise AssertionError("no time for that")

    answers = ["1/2", "(1,2)", "(1,4/2)", r"\sqrt{4}", "2", r"\sqrt{8}", r"2\sqrt{2}"]
    domain = Blocked()
    known = [domain.equal_so_far(PROBLEM, first, second) for first, second in pairwise(answers)]
    assert known == [False, True, False, True, False, False]


async def test_one_that_hangs_takes_no_thread_from_others() -> None:
    """However many hang: the loop's own threads, and those of other domains, are free."""
    hung, quick = Waiting(), Waiting()
    hung.name, quick.name = "hung", "quick"
    quick.released.set()
    works = [asyncio.ensure_future(grouped(PROBLEM, hung, ["a", "A"])) for _ in range(100)]
    while hung.asked[0] < 32:
        await asyncio.sleep(0.001)
    assert await asyncio.to_thread(lambda: 7) == 7
    assert await grouped(PROBLEM, quick, ["a", "A"]) == [0, 0]
    assert hung.asked == [32]
    hung.released.set()
    assert await asyncio.gather(*works) == [[0, 0]] * 100


async def test_a_server_bounds_what_has_no_deadline() -> None:
    domain = Waiting()
    with comparing_within(0.05):
        assert await asyncio.ensure_future(grouped(PROBLEM, domain, ["a", "A"])) == [0, 1]
    domain.released.set()
    assert await grouped(PROBLEM, domain, ["a", "A"]) == [0, 0]


class Foreign(TextDomain):
    """A plug-in's, which does not say that it waits."""

    name = "foreign"

    def __init__(self) -> None:
        self.released = threading.Event()

    def read(self, problem: Problem, text: str) -> str | None:
        assert self.released.wait(20.0)
        return text

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        assert self.released.wait(20.0)
        return super().equal(problem, first, second)


def test_a_plug_in_that_hangs_has_a_thread_too() -> None:
    domain = Foreign()

    async def run() -> None:
        assert await grouped(PROBLEM, domain, ["a", "A"], seconds=0.0) == [0, 1]
        assert await grouped(PROBLEM, domain, ["a", "A"], seconds=3600) == [0, 1]
        assert await read_answer(PROBLEM, domain, "a", seconds=3600) is None
        domain.released.set()
        assert await grouped(PROBLEM, domain, ["a", "A"]) == [0, 0]
        assert await read_answer(PROBLEM, domain, "a") == "a"
        assert await read_answer(PROBLEM, TextDomain(), "# Paris", seconds=0.0) == "paris"

    stepped(run())


async def test_groups_go_on_as_answers_come() -> None:
    groups = Groups(Problem("p", "f", "text", "?"))
    assert await groups.numbers(["b", None, "a"], seconds=1.0) == [0, -1, 1]
    assert await groups.numbers(["B ", "c", "a"], seconds=1.0) == [0, 2, 1]
    assert groups.answers == ["b", "a", "c"]
