r"""The tokens of an expression: numbers in every spelling, commands, letters, marks.

>>> [(token.kind, token.text) for token in tokens(r"2\frac12x")]
[('number', '2'), ('command', '\\frac'), ('number', '12'), ('letter', 'x')]
>>> [str(token.value) for token in tokens(r"11 5/6+0.1\overline{6}-1,200") if token.value is not None]
['71/6', '1/6', '1200']
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["BeyondError", "Token", "tokens"]

#: tokens of an expression; a longer one is no answer
_MOST_TOKENS = 400

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?: \d{3})+(?! ?\d)|\d+)"
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<recurring>\d*\.\d*(?:\\overline\{?(?P<bar>\d+)\}?|\((?P<round>\d+)\)"
    r"|\\dot\{?(?P<first>\d)\}?(?:(?P<between>\d*)\\dot\{?(?P<last>\d)\}?)?|(?=\d)(?P<dots>)(?:\d+)(?:\.\.\.|\\ldots)))"
    rf"|(?P<mixed>(?P<whole>\d+) (?P<top>\d+)/(?P<bottom>\d+)(?!\d))"
    rf"|(?P<number>(?:{_DIGITS}(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+(?![\d.]))?)"
    r"|(?P<command>\\[a-zA-Z]+|\\[{}|%$])"
    r"|(?P<letter>[a-zA-Z])"
    r"|(?P<mark>\*\*|[-+*/^_!'()\[\]{}|,])"
)  # fmt: skip
_DOTTED = re.compile(r"(\d*)\.(\d+)(?:\.\.\.|\\ldots)")


class BeyondError(ValueError):
    """The text is no expression of this grammar."""


@dataclass(frozen=True, slots=True)
class Token:
    """``kind``: "number", "command", "letter" or "mark". ``is_whole``: of digits alone."""

    kind: str
    text: str
    value: Fraction | None = None
    is_whole: bool = False


def tokens(text: str) -> list[Token]:
    """The tokens of a text, spaces left out. Raises BeyondError for marks that are not known."""
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or len(found) >= _MOST_TOKENS:
            raise BeyondError(f"an expression has marks that are known, got {text[place : place + 20]!r}")
        place = match.end()
        kind = match.lastgroup
        if match["space"] is not None:
            continue
        if match["recurring"] is not None:
            found.append(Token("number", match[0], _recurring(match)))
        elif match["mixed"] is not None:
            if not int(match["bottom"]):
                raise BeyondError(f"a fraction has a denominator, got {match[0]!r}")
            value = int(match["whole"]) + Fraction(int(match["top"]), int(match["bottom"]))
            found.append(Token("number", match[0], value))
        elif match["number"] is not None:
            digits = match[0].replace(",", "").replace(" ", "")
            found.append(Token("number", match[0], _number(digits), digits.isdigit()))
        else:
            found.append(Token(str(kind), match[0]))
    return found


def _number(digits: str) -> Fraction:
    _, _, exponent = digits.lower().partition("e")
    if len(digits) > 1_000 or (exponent and abs(int(exponent)) > 3_000):
        raise BeyondError(f"a number has at most 1,000 digits, got {digits[:40]!r}")
    return Fraction(digits)


def _recurring(match: re.Match[str]) -> Fraction:
    whole, _, rest = match[0].partition(".")
    fixed = (re.match(r"\d*", rest) or [""])[0]
    if match["bar"] is not None or match["round"] is not None:
        block = match["bar"] or match["round"]
    elif match["first"] is not None:
        block = match["first"] + (f"{match['between'] or ''}{match['last']}" if match["last"] else "")
    else:
        fixed, block = _block(fixed)
    value = Fraction(int(whole or "0")) + Fraction(int(fixed or "0"), 10 ** len(fixed))
    return value + Fraction(int(block), (10 ** len(block) - 1) * 10 ** len(fixed))


def _block(digits: str) -> tuple[str, str]:
    """The digits before the block that ``0.1666...`` repeats, and the block."""
    for size in range(1, len(digits) // 2 + 1):
        block = digits[-size:]
        times = 0
        while digits[: len(digits) - times * size].endswith(block):
            times += 1
        if times >= (3 if size == 1 and len(digits) > 2 else 2):
            return digits[: len(digits) - times * size], block
    raise BeyondError(f"dots after a decimal go on with a block that is repeated, got {digits!r}")
