"""Numbers in English words: ``twelve``, ``twenty-five``, ``one hundred and five``, ``two thirds``,
``3 million``.

>>> [spoken(text) for text in ("Twelve", "two hundred and five", "three-fourths", "three thousand", "tense")]
[Fraction(12, 1), Fraction(205, 1), Fraction(3, 4), Fraction(3000, 1), None]
"""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["MULTIPLES", "spoken"]

_SMALL = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
#: words that multiply the number before them
MULTIPLES = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "quadrillion": 10**15,
}  # fmt: skip
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100,
}  # fmt: skip


def spoken(text: str) -> Fraction | None:
    """The number that words name; None for other words."""
    words = re.findall(r"[a-z]+", text.casefold())
    if not words or len(words) > 12 or re.search(r"[^a-z\s,-]", text.casefold()):
        return None
    if words in (["a", "dozen"], ["half", "a", "dozen"]):
        return Fraction(12 if len(words) == 2 else 6)
    if "and" in words[1:-1] and (words[-1] in ("half", "quarter", "third")):
        place = len(words) - 1 - words[::-1].index("and")
        whole, fraction = _whole(words[:place]), spoken(" ".join(words[place + 1 :]))
        return None if whole is None or fraction is None else whole + fraction
    part = _PARTS.get(words[-1]) or _PARTS.get(words[-1].removesuffix("s"))
    if part is not None:
        rest = [word for word in words[:-1] if word != "a"]
        top = _whole(rest) if rest else 1
        return None if top is None else Fraction(top, part)
    whole = _whole(words)
    return None if whole is None else Fraction(whole)


def _whole(words: list[str]) -> int | None:
    if words[0] == "a" and len(words) > 1 and words[1] in MULTIPLES:
        words = ["one", *words[1:]]
    if words[0] not in _SMALL and words[0] not in _TENS:
        return None
    total = current = 0
    last = 0  # size of the last word: "two five" is no number
    for word in words:
        if word in _SMALL and (last == 0 or last >= 20):
            current += _SMALL[word]
            last = 1
        elif word in _TENS and (last == 0 or last >= 100):
            current += _TENS[word]
            last = 20
        elif word == "hundred":
            current, last = current * 100, 100
        elif word in MULTIPLES:
            total, current, last = total + current * MULTIPLES[word], 0, 1000
        elif word == "and" and last >= 100:
            continue
        else:
            return None
    return total + current
