from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search.engines.sampler import draw, uniforms

LOGITS = torch.tensor([[2.0, 0.0, 1.0, -1.0, -torch.inf, 0.5]])


def sample(count: int, *, temperature=1.0, top_p=1.0, top_k=0) -> np.ndarray:
    uniform = uniforms(
        np.arange(count, dtype=np.uint64) * np.uint64(0x1234567), np.zeros(count, dtype=np.int64)
    )
    tokens = draw(
        LOGITS.repeat(count, 1),
        np.full(count, temperature, dtype=np.float32),
        np.full(count, top_p),
        np.full(count, top_k),
        uniform,
    )
    return np.bincount(tokens.numpy(), minlength=6) / count


def test_frequencies_are_the_tempered_probabilities():
    for temperature in (0.5, 1.0, 2.0):
        expected = (LOGITS[0] / temperature).softmax(-1).numpy()
        np.testing.assert_allclose(sample(200_000, temperature=temperature), expected, atol=0.005)


def test_top_k_and_top_p_keep_the_likeliest_in_proportion():
    p = LOGITS[0].softmax(-1).numpy()
    two = np.where(np.isin(np.arange(6), [0, 2]), p, 0)
    np.testing.assert_allclose(sample(100_000, top_k=2), two / two.sum(), atol=0.006)
    np.testing.assert_allclose(sample(100_000, top_p=p[0] + p[2] / 2), two / two.sum(), atol=0.006)
    np.testing.assert_allclose(sample(100, top_p=p[0] * 0.9), [1, 0, 0, 0, 0, 0])


def test_rows_of_other_kinds_share_a_batch():
    mixed = draw(
        LOGITS.repeat(3, 1),
        np.float32([0, 1, 1]),
        np.array([1, 1, 1e-9]),
        np.array([0, 1, 0]),
        np.full(3, 0.99),
    )
    assert mixed.tolist() == [0, 0, 0]


@given(
    seed=st.integers(0, 2**63 - 1),
    temperature=st.floats(0.1, 5),
    top_p=st.floats(0.01, 1),
    top_k=st.integers(0, 9),
    uniform=st.sampled_from([0.0, 0.5, 1 - 2.0**-52]),
)
@settings(max_examples=60, deadline=None)
def test_an_impossible_token_is_never_drawn(seed, temperature, top_p, top_k, uniform):
    logits = torch.randn(4, 8, generator=torch.Generator().manual_seed(seed))
    logits[:, [0, 3, 7]] = -torch.inf
    tokens = draw(
        logits,
        np.full(4, temperature, dtype=np.float32),
        np.full(4, top_p),
        np.full(4, top_k),
        np.full(4, uniform),
    )
    assert torch.isfinite(logits.gather(1, tokens[:, None])).all()


def test_uniforms_are_uniform_and_differ_between_neighbours():
    keys, indices = np.meshgrid(np.arange(300, dtype=np.uint64), np.arange(300))
    numbers = uniforms(keys.ravel(), indices.ravel())
    assert len(np.unique(numbers)) == numbers.size
    counts, _ = np.histogram(numbers, bins=10, range=(0, 1))
    assert abs(counts - numbers.size / 10).max() < 5 * np.sqrt(numbers.size * 0.09)
