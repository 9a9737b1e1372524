from __future__ import annotations

import numpy as np
import pytest
import torch

from search.engines.cache import Prefix
from search.engines.decoder import Shape
from search.engines.shared_prefix_cache import SharedPrefixCache

SHAPE = Shape(
    hidden=16, inner=16, layers=2, heads=4, kv_heads=2, head_size=4, vocabulary=9, context=400,
    epsilon=1e-6, theta=1e4, tied=True,
)  # fmt: skip


@pytest.fixture
def prefixes():
    generator = torch.Generator().manual_seed(0)
    sizes = (1, 5, 16, 17, 60, 60, 210)
    return [Prefix(*torch.randn(2, 2, 2, size, 4, generator=generator)) for size in sizes]


def check(shared_prefix_cache, numbers, prefixes):
    """Each row must attend to the prefix that it names, whatever stands beside it."""
    attended = shared_prefix_cache.attend(np.array(numbers))
    for layer in range(SHAPE.layers):
        q = torch.randn(len(numbers), 4, 4)
        out = attended(layer, q).out.view(len(numbers), 4, 4)
        for row, prefix in enumerate(prefixes):
            keys, values = (each[layer].repeat_interleave(2, 0) for each in (prefix.keys, prefix.values))
            weights = torch.einsum("hd,hcd->hc", q[row], keys).softmax(-1)
            expected = torch.einsum("hc,hcd->hd", weights, values)
            torch.testing.assert_close(out[row], expected, atol=1e-5, rtol=1e-5)


def test_rows_attend_to_their_trunks_in_any_order(prefixes):
    shared_prefix_cache = SharedPrefixCache(SHAPE)
    numbers = [
        shared_prefix_cache.add(prefix, children)
        for prefix, children in zip(prefixes, (3, 1, 40, 3, 3, 3, 1), strict=True)
    ]
    rows = [4, 0, 5, 5, 2, 6, 3, 3, 3, 1, 4, *[2] * 40]
    check(shared_prefix_cache, [numbers[row] for row in rows], [prefixes[row] for row in rows])


def test_trunks_come_and_go_and_numbers_are_used_again(prefixes):
    shared_prefix_cache = SharedPrefixCache(SHAPE)
    first = [shared_prefix_cache.add(prefix, 2) for prefix in prefixes]
    for gone in (4, 0, 6):
        shared_prefix_cache.drop(first[gone])
    left = [1, 2, 3, 5]
    check(shared_prefix_cache, [first[row] for row in left], [prefixes[row] for row in left])
    again = shared_prefix_cache.add(prefixes[4], 2)
    assert again in {first[gone] for gone in (4, 0, 6)}
    check(shared_prefix_cache, [again, first[5], again], [prefixes[4], prefixes[5], prefixes[4]])
    for number in (again, *(first[row] for row in left)):
        shared_prefix_cache.drop(number)
    check(shared_prefix_cache, [shared_prefix_cache.add(prefixes[2], 2)], [prefixes[2]])


def test_an_empty_prompt_is_a_trunk_without_mass():
    shared_prefix_cache = SharedPrefixCache(SHAPE)
    part = shared_prefix_cache.attend(np.array([shared_prefix_cache.add(None, 1)]))(0, torch.randn(1, 4, 4))
    assert (part.marks[0, :4] < -1e29).all()
    assert torch.isfinite(part.out).all()
