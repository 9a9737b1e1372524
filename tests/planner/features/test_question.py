from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.features.question import SURFACE, NgramEncoder, surface
from search.errors import ArtefactError

QUESTIONS = [f"what is {a} plus {b} times ({a} + 1)?" for a in range(6) for b in range(6)] + [
    f"reach {a} from 3, 7 and {a + 2}" for a in range(20)
]
ENCODER = NgramEncoder.fit(QUESTIONS, dimensions=5)


def test_surface_counts() -> None:
    seen = dict(zip(SURFACE, surface("Work out (3 + 41) * [2.5 - 1]?"), strict=True))
    assert (seen["numbers"], seen["decimals"], seen["brackets"], seen["depth"]) == (4, 1, 2, 1)
    assert (seen["plus"], seen["minus"], seen["times"], seen["operators"]) == (1, 1, 1, 3)
    assert seen["largest_log"] == pytest.approx(np.log1p(41))


@given(st.text(max_size=200))
def test_any_text_gives_finite_features(question: str) -> None:
    assert np.isfinite(surface(question)).all()
    assert np.isfinite(ENCODER.encode(question)).all()


def test_a_megabyte_is_read_in_part() -> None:
    long = "1 + 2 * " * 130_000
    assert surface(long)[SURFACE.index("log_chars")] == pytest.approx(np.log1p(len(long)))
    assert np.isfinite(ENCODER.encode(long)).all()


def test_ngrams_tell_kinds_apart_and_not_numbers() -> None:
    one, same, other = (
        ENCODER.encode(q)
        for q in (
            "what is 4 plus 5 times (4 + 1)?",
            "what is 3 plus 2 times (3 + 1)?",
            "reach 9 from 3, 7 and 11",
        )
    )
    assert one @ same > 3 * abs(one @ other)


def test_the_same_seed_gives_the_same_encoder() -> None:
    again = NgramEncoder.fit(QUESTIONS, dimensions=5)
    assert np.array_equal(again.components, ENCODER.components)


def test_refuses_arrays_that_do_not_fit() -> None:
    with pytest.raises(ArtefactError, match="n-gram arrays"):
        NgramEncoder(np.ones(3), np.ones((4, 2)))
