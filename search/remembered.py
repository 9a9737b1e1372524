"""A function of a text whose newest results are kept, as ``functools.lru_cache`` does, within a size.

    >>> upper = Remembered(str.upper, entries=2, characters=10)
    >>> [upper(text) for text in ("a", "b", "a", "c")], list(upper)
    (['A', 'B', 'A', 'C'], ['a', 'c'])
    >>> upper("far too long a text"), list(upper)
    ('FAR TOO LONG A TEXT', ['a', 'c'])

Texts come from whoever asks a server, so a bound on their number alone bounds no memory. For any thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")


class Remembered(Generic[T]):
    """Call it as the function. What raises is not kept.

    Parameters
    ----------
    function:
        Of a text; the same text gives the same result, which nobody changes.
    entries, characters:
        Most results that are kept, and most characters of their texts together.
    """

    def __init__(self, function: Callable[[str], T], entries: int = 4096, characters: int = 1 << 21) -> None:
        if entries < 1 or characters < 1:
            raise ValueError(f"at least one result is kept, got entries={entries}, characters={characters}")
        self._function, self._entries, self._characters = function, entries, characters
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __call__(self, text: str) -> T:
        with self._lock:
            if text in self._kept:
                self._kept.move_to_end(text)
                return self._kept[text]
        found = self._function(text)
        if len(text) <= self._characters:
            with self._lock:
                self._keep(text, found)
        return found

    def __iter__(self) -> Iterator[str]:
        """The texts, oldest use first."""
        return iter(tuple(self._kept))

    def _keep(self, text: str, found: T) -> None:
        if text not in self._kept:  # another thread may have been first
            self._size += len(text)
        self._kept[text] = found
        while len(self._kept) > self._entries or self._size > self._characters:
            oldest, _ = self._kept.popitem(last=False)
            self._size -= len(oldest)
