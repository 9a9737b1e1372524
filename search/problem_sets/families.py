"""Families of near-duplicates: questions of one template, whatever their numbers, names and dates.

Folds never split a family, so that a planner is judged on questions unlike those it saw. Where a problem
set names no families they are found here. Numbers, dates, capitalised names and pronouns are masked; what
is left becomes a set of shingles (three tokens in a row). Questions whose sets are alike (Jaccard at least
``THRESHOLD``), and those alike to these, are one family. Candidates are found by MinHash and banding
(Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3), and each is checked
on the sets themselves. Hashes are seeded: the families of a set do not depend on its order or the machine.

What it does not find: the same question in other words.

>>> families_of(["Tom has 3 apples. How many are left?", "Ann has 12 apples. How many are left?", "Why?"])
('near-572617d5b0ce', 'near-572617d5b0ce', 'near-a8109c8d4cf6')
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["THRESHOLD", "Likeness", "families_of", "likeness", "template"]

#: Jaccard similarity of shingles from which two questions are near-duplicates
THRESHOLD = 0.45
#: tokens of a shingle
_WIDTH = 3
#: bands and hashes of one: of two questions at the threshold 99% share a band
_BANDS, _ROWS = 48, 3
#: a longer question is taken by its first tokens
_LONGEST = 4000
#: a band that more templates share is compared along a chain: a stock phrase must not cost a square
_CROWD = 300

Ints = NDArray[np.uint64]

_MONTHS = "january february march april june july august september october november december"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million"
)
_NUMBERS = frozenset(f"{_MONTHS} {_DAYS} {_WORDS}".split())
_PRONOUNS = frozenset(["he", "she", "him", "her", "his", "hers", "himself", "herself"])
#: capitalised at the beginning of a sentence without being a name
_OPENING = (
    "a after all an and another any are as assume at before both but by calculate can compute consider could "
    "define describe determine do does draw each either estimate evaluate every explain express factor find "
    "first for from given give had has have how i if in is it its last later let list many most "
    "name next no not now of on one only or our over prove rank round select show simplify since so solve "
    "some sort state suppose that the their then there these they this those to under use using was we were "
    "what when where which while who whom whose why will with write you your"
)
_OPENERS = frozenset(_OPENING.split())
_TOKEN = re.compile(
    r"\\[a-zA-Z]+"  # a LaTeX command
    r"|[0-9]+(?:[.,:/-][0-9]+)*(?:st|nd|rd|th|am|pm|s)?\b"  # numbers, dates, times, ordinals
    r"|[^\W\d_]+(?:['\u2019][^\W\d_]+)?"  # words
    r"|[^\w\s]"
)
_NUMBER, _NAME, _PERSON = "#", "@", "~"
#: marks inside of a date, a list of numbers or a name
_JOINTS = (",", "-", "/")


def template(question: str) -> tuple[str, ...]:
    """The tokens of a question with numbers, names, dates and pronouns masked.

    A question without letters keeps its numbers: of digits alone nothing would be left.

    >>> template("On May 3, 2021 Ann Lee bought 1,200 pens. She sold 7.")
    ('on', '#', '@', 'bought', '#', 'pens', '.', '~', 'sold', '#', '.')
    >>> template("4 5 6 10")
    ('4', '5', '6', '10')
    """
    tokens = _TOKEN.findall(question)[:_LONGEST]
    if not any(token[0].isalpha() or token[0] == "\\" for token in tokens):
        return tuple(tokens) or (question.strip(),)
    out: list[str] = []
    for token in tokens:
        mask = _masked(token)
        # "Ann Lee" and "Jean-Luc" are one name each, and "May 3, 2021" is one date
        if mask in (_NUMBER, _NAME) and out:
            if out[-1] == mask:
                continue
            if out[-1] in _JOINTS and out[-2:-1] == [mask]:
                out.pop()
                continue
        out.append(mask)
    return tuple(out)


def families_of(questions: Sequence[str]) -> tuple[str, ...]:
    """The family of each question. Names are ``near-`` and a hash of a template of the family.

    Deterministic, and independent of the order of the questions.
    """
    return _families([template(question) for question in questions])


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike questions of different groups are.

    ``similarity`` (N,) is that of each question to its nearest neighbour in another group, 0 where none is
    near; ``share`` of them reach ``THRESHOLD``. ``first``: such a pair, by place, or None.
    """

    similarity: NDArray[np.float64]
    share: float
    first: tuple[int, int] | None


def likeness(questions: Sequence[str], groups: Sequence[str]) -> Likeness:
    """How near the nearest neighbours across groups are: groups of folds that probe alike share questions.

    Similarities are of masked templates, as families are found.
    """
    if len(questions) != len(groups):
        raise ValueError(f"every question has a group, got {len(questions)} and {len(groups)}")
    nearest = np.zeros(len(questions))
    first: tuple[int, int] | None = None
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, question in enumerate(questions):
        places[template(question)].append(place)
    unique = sorted(places)
    named = [sorted({groups[place] for place in places[one]}) for one in unique]
    for at, one in enumerate(unique):
        if len(named[at]) > 1:
            nearest[places[one]] = 1.0
            if first is None or places[one][0] < first[0]:
                other = next(p for p in places[one] if groups[p] != groups[places[one][0]])
                first = (places[one][0], other)
    for a, b, similarity in _alike(unique):
        if len(named[a]) == len(named[b]) == 1 and named[a] == named[b]:
            continue
        for mine, theirs in ((a, b), (b, a)):
            for place in places[unique[mine]]:
                if named[theirs] != [groups[place]]:
                    nearest[place] = max(nearest[place], similarity)
        pair = (min(places[unique[a]]), min(places[unique[b]]))
        if groups[pair[0]] != groups[pair[1]] and (first is None or min(pair) < first[0]):
            first = (min(pair), max(pair))
    share = float((nearest >= THRESHOLD).mean()) if len(nearest) else 0.0
    return Likeness(nearest, share, first)


def _masked(token: str) -> str:
    if token[0].isdigit():
        return _NUMBER
    word = token.casefold()
    stem = re.sub(r"['\u2019]s$", "", word)
    if stem in _NUMBERS or token == "May":
        return _NUMBER
    if stem in _PRONOUNS:
        return _PERSON
    if len(token) > 1 and token[0].isupper() and word not in _OPENERS:
        return _NAME
    return word


def _families(templates: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    unique = sorted(set(templates))
    root = list(range(len(unique)))

    def find(at: int) -> int:
        while root[at] != at:
            root[at] = root[root[at]]
            at = root[at]
        return at

    for a, b, _ in _alike(unique):
        a, b = find(a), find(b)
        root[max(a, b)] = min(a, b)  # the first template in sorted order names the family
    names = {one: _named(unique[find(at)]) for at, one in enumerate(unique)}
    return tuple(names[one] for one in templates)


def _named(tokens: tuple[str, ...]) -> str:
    return f"near-{hashlib.sha256(' '.join(tokens).encode('utf-8', 'replace')).hexdigest()[:12]}"


def _alike(unique: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int, float]]:
    """(a, b, similarity) of pairs of different templates that reach the threshold, each once, in order."""
    shingles = [_shingles(tokens) for tokens in unique]
    seen: set[tuple[int, int]] = set()
    for crowd in _bands(shingles):
        chain = len(crowd) > _CROWD
        for place, a in enumerate(crowd):
            for b in crowd[place + 1 : place + 2 if chain else None]:
                if (a, b) in seen:
                    continue
                seen.add((a, b))
                shared = len(shingles[a] & shingles[b])
                similarity = shared / (len(shingles[a]) + len(shingles[b]) - shared)
                if similarity >= THRESHOLD:
                    yield a, b, similarity


def _shingles(tokens: tuple[str, ...]) -> frozenset[int]:
    """Hashes of three tokens in a row, the ends marked, so that a short question has some too."""
    marked = ("^", *tokens, "$")
    count = max(1, len(marked) - _WIDTH + 1)
    return frozenset(
        int.from_bytes(
            hashlib.blake2b(
                "\0".join(marked[at : at + _WIDTH]).encode("utf-8", "replace"), digest_size=8
            ).digest(),
            "little",
        )
        for at in range(count)
    )


def _bands(shingles: Sequence[frozenset[int]]) -> Iterator[list[int]]:
    """Places that share all hashes of a band, ascending, at least two of them."""
    rng = np.random.default_rng(20_261)
    size = _BANDS * _ROWS
    # odd multipliers and an offset each: multiply-shift hashing of 64 bits
    factors = rng.integers(0, 2**63, size, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    offsets = rng.integers(0, 2**63, size, dtype=np.uint64)
    signatures = np.empty((len(shingles), size), np.uint64)
    for at, one in enumerate(shingles):
        values = np.fromiter(one, np.uint64, len(one))
        mixed = values[:, None] * factors + offsets
        signatures[at] = ((mixed >> np.uint64(29)) ^ mixed).min(axis=0)
    for band in range(_BANDS):
        columns = np.ascontiguousarray(signatures[:, band * _ROWS : (band + 1) * _ROWS])
        sharing: dict[bytes, list[int]] = defaultdict(list)
        for at, key in enumerate(columns):
            sharing[key.tobytes()].append(at)
        yield from (crowd for crowd in sharing.values() if len(crowd) > 1)
