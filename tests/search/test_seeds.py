"""Seeds: 63 bits, a pure function of all parts and their places."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from search.seeds import seed_of

parts = st.lists(st.text(max_size=8) | st.integers(-(10**6), 10**6), min_size=1, max_size=4)


@given(parts)
def test_a_seed_fits_63_bits_and_repeats(given_: list[str | int]) -> None:
    seed = seed_of(*given_)
    assert 0 <= seed < 2**63
    assert seed == seed_of(*given_)


@given(parts, parts)
def test_other_parts_give_another_seed(first: list[str | int], second: list[str | int]) -> None:
    same = [str(part) for part in first] == [str(part) for part in second]
    assert (seed_of(*first) == seed_of(*second)) == same


def test_the_border_between_parts_counts() -> None:
    assert len({seed_of("ab", "c"), seed_of("a", "bc"), seed_of("abc"), seed_of("", "abc")}) == 4


def test_neighbours_lie_far_apart() -> None:
    seeds = sorted(seed_of(0, "policy", draw) for draw in range(1000))
    # vLLM gives child i of a request the seed base + i: bases must not be neighbours
    assert min(high - low for low, high in pairwise(seeds)) > 65536


def test_seeds_stay_what_they_were() -> None:
    """Logs depend on them: a change here makes old logs unrepeatable."""
    assert seed_of(0, "policy", "temperature=1", "p1", 3) == 2092025993801099880
