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
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from search.bounded import Bounded

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
        self._function = function
        self._kept = Bounded[str, tuple[T]](entries=entries, size=characters, weigh=lambda text, _: len(text))
        self._lock = threading.Lock()

    def __call__(self, text: str) -> T:
        with self._lock:
            known = self._kept.get(text)
        if known is not None:
            return known[0]
        found = self._function(text)
        with self._lock:
            self._kept.put(text, (found,))
        return found

    def __iter__(self) -> Iterator[str]:
        """The texts, oldest use first."""
        return iter(self._kept)
