"""What every domain keeps: it reads any text, grades what it reads, and is the same every time.

class TestParity(GraderContract):
    @pytest.fixture
    def domain(self) -> Domain:
        return Parity()

    @pytest.fixture
    def problem(self) -> Problem:
        return Problem("p", "f", "parity", "Is 4 even or odd?", "even")

    right, wrong, unreadable = ("4 is even",), ("4 is odd",), ("no idea",)
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.protocol import Domain
from search.grading.verdict import Verdict
from search.problem import Problem

__all__ = ["GraderContract"]

_any_text = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    max_examples=30,
)


class GraderContract:
    """Subclass it as ``Test...``; give ``domain``, a ``problem`` with its reference, and solution texts."""

    #: whole solutions whose answer is right, wrong, or cannot be read
    right: ClassVar[tuple[str, ...]] = ()
    wrong: ClassVar[tuple[str, ...]] = ()
    unreadable: ClassVar[tuple[str, ...]] = ("",)
    #: False where the question itself says what is right
    needs_reference: ClassVar[bool] = True

    @pytest.fixture
    def domain(self) -> Domain:
        """The domain that is tested."""
        raise NotImplementedError("a contract is given a fixture domain")

    @pytest.fixture
    def problem(self) -> Problem:
        """A problem of the domain with its reference answer."""
        raise NotImplementedError("a contract is given a fixture problem")

    def test_it_is_made_without_arguments_and_has_a_name(self, domain: Domain, problem: Problem) -> None:
        assert isinstance(domain, Domain)
        assert domain.name == problem.domain
        assert type(domain)().name == domain.name

    def test_there_is_something_to_test(self) -> None:
        assert self.right, "a contract is given right solutions"
        assert self.wrong, "a contract is given wrong solutions"

    def test_right_answers_are_right(self, domain: Domain, problem: Problem) -> None:
        for text in self.right:
            answer = domain.read(problem, text)
            assert answer is not None, text
            assert domain.grade(problem, answer) is True, text
            assert domain.judge(problem, answer) is Verdict.RIGHT, text

    def test_wrong_answers_are_wrong(self, domain: Domain, problem: Problem) -> None:
        for text in self.wrong:
            answer = domain.read(problem, text)
            assert answer is not None, text
            assert domain.grade(problem, answer) is False, text
            assert domain.judge(problem, answer) is Verdict.WRONG, text

    def test_unreadable_answers_are_none_and_wrong(self, domain: Domain, problem: Problem) -> None:
        for text in self.unreadable:
            assert domain.read(problem, text) is None, text
        assert domain.grade(problem, None) is False
        assert domain.judge(problem, None) is Verdict.UNREADABLE

    def test_equality_is_one(self, domain: Domain, problem: Problem) -> None:
        """Reflexive, symmetric, and never between a right answer and a wrong one."""
        good = [domain.read(problem, text) or "" for text in self.right]
        bad = [domain.read(problem, text) or "" for text in self.wrong]
        for first in (*good, *bad):
            assert domain.equal(problem, first, first)
            for second in (*good, *bad):
                assert domain.equal(problem, first, second) == domain.equal(problem, second, first)
                assert not domain.exact or domain.equal(problem, first, second) == (first == second)
        assert not any(domain.equal(problem, first, second) for first in good for second in bad)

    def test_it_keeps_nothing(self, domain: Domain, problem: Problem) -> None:
        texts = (*self.right, *self.wrong, *self.unreadable)
        forwards = [domain.read(problem, text) for text in texts]
        backwards = [type(domain)().read(problem, text) for text in reversed(texts)]
        assert forwards == backwards[::-1]

    def test_without_a_reference_it_reads_all_the_same(self, domain: Domain, problem: Problem) -> None:
        online = replace(problem, answer=None)
        answer = domain.read(online, self.right[0])
        assert answer is not None
        with pytest.raises(GradingError) if self.needs_reference else nullcontext():
            assert domain.grade(online, answer) is True

    @_any_text
    @given(text=st.text(max_size=200))
    def test_any_text_is_read(self, domain: Domain, problem: Problem, text: str) -> None:
        answer = domain.read(problem, text)
        assert answer is None or isinstance(answer, str)
