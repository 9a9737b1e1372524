from __future__ import annotations

import math

import pytest
import torch

from search.engines.attention import MASKED, Part, attend, join, padded, weigh


def part_of(q, keys, values, columns):
    """Attention over the first columns of what is there."""
    pairs, queries, size = q.shape
    mask = torch.full((pairs, 1, keys.shape[1]), MASKED)
    mask[:, :, :columns] = 0
    part = Part.empty(pairs * queries, size)
    attend(q, keys, values, mask, part.rows(slice(pairs * queries)))
    return part


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator) for size in ((5, 3, 8), (5, 48, 8), (5, 48, 8))]


def test_columns_are_rounded_up():
    assert [padded(columns) for columns in (1, 16, 17, 48)] == [16, 16, 32, 48]


def test_two_parts_joined_are_attention_over_all_columns(drawn):
    q, keys, values = drawn
    expected = (q @ keys[:, :36].transpose(1, 2)).softmax(-1) @ values[:, :36]
    first = part_of(q, keys[:, :16], values[:, :16], 16)
    second = part_of(q, keys[:, 16:], values[:, 16:], 20)
    torch.testing.assert_close(join(first, second).view(5, 3, 8), expected)


def test_the_order_of_the_parts_means_nothing_and_far_scores_do_not_overflow(drawn):
    q, keys, values = drawn
    far = part_of(100 * q, keys[:, :16], values[:, :16], 16)
    near = part_of(q, keys[:, 16:], values[:, 16:], 32)
    one = join(far, near)
    assert torch.isfinite(one).all()
    torch.testing.assert_close(one, join(near, far))


def test_a_part_without_columns_has_no_mass(drawn):
    q, keys, values = drawn
    none, some = part_of(q, keys, values, 0), part_of(q, keys, values, 30)
    assert torch.equal(join(none, some), some.out)


def test_the_weight_of_the_highest_score_tells_the_mass(drawn):
    q, keys, values = drawn
    part = part_of(q, keys, values, 40)
    scores = (q @ keys[:, :40].transpose(1, 2)).view(15, 40)
    for place in range(15):
        mass = float(part.marks[0, place]) - math.log(float(part.marks[1, place]))
        assert mass == pytest.approx(float(scores[place].logsumexp(-1)), abs=1e-5)


def test_select_gives_rows_in_the_order_asked_for(drawn):
    part = part_of(*drawn, 48)
    chosen = part.select(torch.tensor([7, 0, 7]))
    assert torch.equal(chosen.out, part.out[[7, 0, 7]])
    assert torch.equal(chosen.marks[:, :3], part.marks[:, [7, 0, 7]])


@pytest.mark.parametrize("columns", [16, 192, 208, 400])
def test_weighing_in_pieces_is_one_product(columns):
    weights, values = torch.rand(2, 4, columns), torch.randn(2, columns, 8)
    torch.testing.assert_close(weigh(weights, values, torch.empty(2, 4, 8)), weights @ values)
