from __future__ import annotations

from random import Random

import pytest

from search.remote.retry import Retry


def test_the_wait_doubles_up_to_a_limit_and_is_never_the_same() -> None:
    retry, rng = Retry(first=1.0, longest=8.0), Random(3)
    for tries, limit in enumerate([1.0, 2.0, 4.0, 8.0, 8.0, 8.0]):
        waits = {retry.delay(tries, rng) for _ in range(50)}
        assert len(waits) == 50
        assert limit / 2 <= min(waits) <= max(waits) <= limit
    assert retry.delay(10**6, rng) <= 8.0


def test_a_server_that_says_when_is_not_asked_earlier() -> None:
    assert Retry(first=1.0).delay(0, Random(0), at_least=9.0) == 9.0
    assert Retry(first=1.0).delay(0, Random(0), at_least=0.0) >= 0.5


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"patience": -1.0}, "patience cannot be negative but got -1.0"),
        ({"patience": float("nan")}, "patience cannot be negative but got nan"),
        ({"breaks": -1}, "breaks cannot be negative but got -1"),
        ({"first": 2.0, "longest": 1.0}, r"the first wait must be in \(0, longest\], got first=2.0"),
    ],
)
def test_numbers_that_make_no_sense(numbers: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Retry(**numbers)  # type: ignore[arg-type]
