from __future__ import annotations

import pytest

from search.remote.circuit import Circuit
from search.testing import Clock


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    clock = Clock()
    circuit = Circuit(failures=3, rest=5.0, clock=clock)
    for actual in (circuit.failed, circuit.failed, circuit.succeeded, circuit.failed, circuit.failed):
        actual()
        assert not circuit.is_open
        assert circuit.wait() == 0.0
    circuit.failed()
    assert circuit.is_open
    assert circuit.wait() == 5.0


def test_one_request_tries_and_its_fate_is_that_of_the_circuit() -> None:
    clock = Clock()
    circuit = Circuit(failures=1, rest=5.0, clock=clock)
    circuit.failed()
    clock.now = 5.0
    assert [circuit.wait(), circuit.wait()] == [0.0, 5.0]
    clock.now = 6.0
    circuit.failed()
    assert circuit.wait() == 5.0
    clock.now = 11.0
    assert circuit.wait() == 0.0
    circuit.succeeded()
    assert [circuit.wait(), circuit.wait()] == [0.0, 0.0]
    assert not circuit.is_open


def test_a_try_that_is_never_heard_of_does_not_hold_it_for_ever() -> None:
    clock = Clock()
    circuit = Circuit(failures=1, rest=5.0, clock=clock)
    circuit.failed()
    clock.now = 5.0
    assert circuit.wait() == 0.0
    clock.now = 10.0
    assert circuit.wait() == 0.0


def test_numbers_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="failures must be at least 1, got 0"):
        Circuit(failures=0)
    with pytest.raises(ValueError, match=r"rest must be positive, got 0\.0"):
        Circuit(rest=0.0)
