"""What is remembered within bounds: a mapping, and a function of a text, that keep their newest entries.

Both keep so many of them, and no more than a size together.

    >>> newest = Bounded[str, str](entries=3, size=6, weigh=lambda key, value: len(value))
    >>> for key, value in (("a", "aa"), ("b", "bb"), ("c", "cccc")):
    ...     newest.put(key, value)
    >>> list(newest), newest.size, newest.get("a")
    (['b', 'c'], 6, None)
    >>> upper = Remembered(str.upper, entries=2, characters=10)
    >>> [upper(text) for text in ("a", "b", "a", "c")], list(upper)
    (['A', 'B', 'A', 'C'], ['a', 'c'])
    >>> upper("far too long a text"), list(upper)
    ('FAR TOO LONG A TEXT', ['a', 'c'])

What a server remembers comes from whoever asks it, so a bound on the number of entries alone
bounds no memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["Bounded", "Remembered"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Bounded(Generic[K, V]):
    """Entries are forgotten by when they were last put or got, the oldest first. For one thread at a time.

    Parameters
    ----------
    entries, size:
        Most entries, and the most that they weigh together.
    weigh:
        What an entry weighs, 0 or more.
    least:
        So many of the newest entries are kept whatever they weigh.
    """

    def __init__(self, *, entries: int, size: int, weigh: Callable[[K, V], int], least: int = 0) -> None:
        if entries < 1 or size < 1 or not 0 <= least <= entries:
            raise ValueError(
                f"at least one entry is kept, and no more at least than at most, got entries={entries},"
                f" size={size}, least={least}"
            )
        self._entries, self._most, self._weigh, self._least = entries, size, weigh, least
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """What all entries weigh together."""
        return self._size

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[K]:
        """The keys, oldest use first."""
        return iter(tuple(self._kept))

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def get(self, key: K) -> V | None:
        """What is kept under a key, which is the newest from now on; None where nothing is."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V) -> None:
        """Keep an entry as the newest. One that is too heavy alone is not kept, and forgets no other."""
        weight = self._weigh(key, value)
        self._size -= self._kept.pop(key, (None, 0))[1]
        if weight > self._most and not self._least:
            return
        self._kept[key] = value, weight
        self._size += weight
        while len(self._kept) > max(1, self._least) and (
            len(self._kept) > self._entries or self._size > self._most
        ):
            _, (_, dropped) = self._kept.popitem(last=False)
            self._size -= dropped


class Remembered(Generic[T]):
    """A function of a text whose newest results are kept, as ``functools.lru_cache`` does.

    Call it as the function, from any thread. What raises is not kept.

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
