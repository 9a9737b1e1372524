"""Arrays that are filled a few rows at a time, each allocated once for all of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays"]


class Arrays:
    """Arrays by name, ``problems`` rows each, filled a few problems at a time.

    >>> arrays = Arrays(3)
    >>> arrays.put(0, np.array([[1, 2], [3, 4]]), "pool", "tokens")
    >>> arrays.full("pool", "tokens")
    False
    >>> arrays.put(2, np.array([[5, 6]]), "pool", "tokens")
    >>> arrays.all("pool", "tokens").tolist()
    [[1, 2], [3, 4], [5, 6]]
    >>> arrays.add(np.array([[1], [2]]), "right")
    >>> arrays.add(np.array([[3, 4]]), "right")
    >>> arrays.ragged(0, "right").tolist()
    [[1, 0], [2, 0], [3, 4]]
    """

    def __init__(self, problems: int) -> None:
        self._problems = problems
        self._filled: dict[tuple[str, ...], int] = {}
        self._whole: dict[tuple[str, ...], NDArray[Any]] = {}
        self._parts: dict[tuple[str, ...], list[NDArray[Any]]] = {}

    def put(self, begin: int, values: NDArray[Any], *name: str) -> None:
        """Rows whose other axes are the same everywhere."""
        if name not in self._whole:
            self._whole[name] = np.empty((self._problems, *values.shape[1:]), values.dtype)
        self._whole[name][begin : begin + len(values)] = values
        self._filled[name] = self._filled.get(name, 0) + len(values)

    def full(self, *name: str) -> bool:
        """Whether ``put`` gave the rows of every problem."""
        return self._filled.get(name, 0) == self._problems

    def add(self, values: NDArray[Any], *name: str) -> None:
        """The next rows, whose last axis is as long as these rows need."""
        self._parts.setdefault(name, []).append(values)

    def all(self, *name: str) -> NDArray[Any]:
        """What ``put`` gave."""
        return self._whole.pop(name)

    def ragged(self, fill: object, *name: str) -> NDArray[Any]:
        """What ``add`` gave, its last axis as long as the longest, with ``fill`` beyond."""
        rows = self._parts.pop(name)
        width = max(part.shape[-1] for part in rows)
        out = np.full((self._problems, *rows[0].shape[1:-1], width), fill, rows[0].dtype)
        begin = 0
        for part in rows:
            out[begin : begin + len(part), ..., : part.shape[-1]] = part
            begin += len(part)
        return out

    def names(self, *prefix: str) -> list[str]:
        """The names one level below ``prefix``, in order."""
        size = len(prefix)
        return sorted({name[size] for name in self._whole if name[:size] == prefix and len(name) > size})
