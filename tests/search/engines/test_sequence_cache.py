from __future__ import annotations

import numpy as np
import pytest
import torch

from search.engines.decoder import Shape
from search.engines.sequence_cache import SequenceCache

SHAPE = Shape(
    hidden=16, inner=16, layers=2, heads=4, kv_heads=2, head_size=4, vocabulary=9, context=400,
    epsilon=1e-6, theta=1e4, tied=True,
)  # fmt: skip


class Twin:
    """Branches, and beside them what each row has been fed, in plain lists."""

    def __init__(self, rows: int = 1000) -> None:
        self.sequence_cache = SequenceCache(SHAPE, rows)
        self.fed: list[list[tuple[torch.Tensor, torch.Tensor]]] = []
        self._generator = torch.Generator().manual_seed(0)

    def append(self, rows: int) -> None:
        self.sequence_cache.append(rows)
        self.fed += [[] for _ in range(rows)]

    def drop(self, rows: list[int]) -> None:
        order = self.sequence_cache.drop(rows)
        assert sorted(order) == sorted(set(range(len(self.fed))) - set(rows))
        self.fed = [self.fed[place] for place in order]

    def step(self) -> None:
        """Feed a token to every row; what comes back must be attention over what that row holds."""
        rows = len(self.fed)
        attended = self.sequence_cache.attend(np.array([len(fed) for fed in self.fed]))
        for layer in range(SHAPE.layers):
            q = torch.randn(rows, 4, 4, generator=self._generator)
            k, v = torch.randn(2, rows, 2, 4, generator=self._generator)
            part = attended(layer, q, k, v)
            for row, fed in enumerate(self.fed):
                if layer == 0:
                    fed.append((torch.stack([k[row]] * 2), torch.stack([v[row]] * 2)))
                else:
                    fed[-1][0][layer], fed[-1][1][layer] = k[row], v[row]
                keys = torch.stack([key[layer] for key, _ in fed]).repeat_interleave(2, 1)
                values = torch.stack([value[layer] for _, value in fed]).repeat_interleave(2, 1)
                weights = torch.einsum("hd,chd->hc", q[row], keys).softmax(-1)
                expected = torch.einsum("hc,chd->hd", weights, values)
                found = part.out.view(rows, 4, 4)[row]
                torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_every_row_attends_to_its_own_columns_as_rows_come_and_go():
    twin = Twin()
    twin.append(3)
    for _ in range(18):
        twin.step()
    twin.append(50)  # too many to be padded: a block of their own
    twin.step()
    twin.drop([0, 10, 52])
    twin.append(2)
    for _ in range(20):
        twin.step()
    twin.drop(list(range(1, 40)))  # so few are left that blocks are joined
    twin.step()
    twin.drop(list(range(len(twin.fed))))
    twin.append(1)
    twin.step()


def test_take_gives_what_a_row_was_fed():
    twin = Twin()
    twin.append(140)  # more than a block
    for _ in range(3):
        twin.step()
    twin.drop([5, 130])
    for row in (0, 5, 128, 137):
        keys, values = twin.sequence_cache.take(row, 3)
        assert torch.equal(keys, torch.stack([key for key, _ in twin.fed[row]], 2))
        assert torch.equal(values, torch.stack([value for _, value in twin.fed[row]], 2))
    with pytest.raises(IndexError, match="one of those in use"):
        twin.sequence_cache.take(138, 1)


def test_a_narrow_batch_and_a_long_row():
    twin = Twin(rows=1)
    twin.append(1)
    for _ in range(70):  # columns grow twice
        twin.step()
