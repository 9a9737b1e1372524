r"""Reads the number that a text begins with, as an expression: ``2\pi``, ``3\ln 2``, ``1.5 \times 10^{-3}``.

The expression is read to its end and evaluated, or refused: it is never cut at its first number. A text of
LaTeX commands or of plain characters will do; letters that are no constant or function end the expression.

>>> amount(r"\frac{1}{4}\sqrt{4} J")
(0.5, 'J')
>>> amount("2 1/2 cups"), amount("101 325 Pa"), amount("1,200"), amount("4-6 m"), amount("x m")
((2.5, 'cups'), (101325.0, 'Pa'), (1200.0, ''), None, None)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

__all__ = ["amount"]

#: characters of an expression
_LONGEST = 400
#: brackets in brackets
_DEEPEST = 30

_NUMBER = re.compile(
    r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9])|[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9])|[0-9]+)"
    r"(?:\.[0-9]*)?|\.[0-9]+"
)
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]{1,4})(?![0-9A-Za-z.])")
_MIXED = re.compile(
    r"\s*([0-9]+)\s*/\s*([0-9]+)(?![0-9.])|\s*\\[dt]?frac\s*(?:\{\s*([0-9]+)\s*\}|([0-9]))\s*(?:\{\s*([0-9]+)\s*\}|([0-9]))"
)
_TIMES = re.compile(
    r"\s*(?:\\times(?![a-zA-Z])|\\cdot(?![a-zA-Z])|\u00d7|·|\*(?!\*)|[xX](?=\s*10\s*(?:\^|\*\*)))\s*"
)
_OVER = re.compile(r"\s*(?:/|\u00f7|\\div(?![a-zA-Z]))\s*")
_FRACTION = re.compile(r"\\[dt]?frac(?![a-zA-Z])\s*")
_ROOT = re.compile(r"(?:\\sqrt(?![a-zA-Z])|√|sqrt(?![a-zA-Z]))\s*(?:\[\s*([0-9]{1,3})\s*\])?\s*")
_PI = re.compile(r"\\pi(?![a-zA-Z])|π|pi(?![a-zA-Z])")
_EULER = re.compile(r"e(?=\s*\^)")
_FUNCTION = re.compile(
    r"\\?(ln|lg|exp|arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|log_\{?\s*10\s*\}?|log_\{?\s*2\s*\}?)(?![a-zA-Z])\s*"
)
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "ln": math.log,
    "lg": math.log10,
    "exp": math.exp,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "log_10": math.log10,
    "log_2": math.log2,
}
_DEGREES = re.compile(r"\s*\^?\s*\{?\s*(?:\\circ|°|\\degree)\s*\}?")
_CLOSING = {"(": ")", "{": "}", "[": "]"}


class _Refused(Exception):
    """The text is an expression whose value cannot be told."""


def amount(text: str) -> tuple[float, str] | None:
    """The value of the expression at the beginning, and what follows it; None without one. Never raises."""
    if len(text) > _LONGEST:
        return None
    reader = _Reader(text.strip())
    try:
        found = reader.sum()
    except (_Refused, ArithmeticError, ValueError, RecursionError):
        return None
    if found is None or not math.isfinite(found):
        return None
    return found, reader.rest.strip()


class _Reader:
    """One text and the place up to which it is read. A method gives None and stays where nothing fits."""

    def __init__(self, text: str) -> None:
        self._text, self._place, self._depth = text, 0, 0

    @property
    def rest(self) -> str:
        return self._text[self._place :]

    def sum(self) -> float | None:
        """Products with plus or minus between. Between two plain numbers a minus is a range, so refused."""
        sign = self._sign()
        begin = self._place
        total = self._product()
        if total is None:
            return None
        total *= sign
        plain = self._is_plain(begin)
        while (operator := self._take(re.compile(r"\s*([-+])\s*"))) is not None:
            before, begin = self._place - len(operator.group()), self._place
            term = self._product()
            if term is None:
                self._place = before
                break
            if plain and self._is_plain(begin) and not self._depth:
                raise _Refused
            plain = False
            total += term if operator[1] == "+" else -term
        return total

    def _is_plain(self, begin: int) -> bool:
        return re.fullmatch(r"[0-9., ]+", self._text[begin : self._place]) is not None

    def _sign(self) -> int:
        found = self._take(re.compile(r"([-+])?\s*"))
        return -1 if found is not None and found[1] == "-" else 1

    def _product(self) -> float | None:
        value = self._power()
        if value is None:
            return None
        while True:
            before = self._place
            if self._take(_TIMES) is not None:
                factor = self._signed_power()
                if factor is None:
                    self._place = before
                    return value
                value *= factor
            elif self._take(_OVER) is not None:
                factor = self._signed_power()
                if factor is None:
                    self._place = before
                    return value
                value /= factor
            else:
                self._take(re.compile(r"\s*"))
                if re.match(r"1\s*/\s*\\?[a-zA-Z(]", self.rest):  # 3 1/s
                    self._place = before
                    return value
                if re.match(r"[0-9]", self.rest) and not re.match(r"10\s*(?:\^|\*\*)", self.rest):
                    raise _Refused  # two numbers in a row
                factor = self._power()
                if factor is None:
                    self._place = before
                    return value
                value *= factor

    def _signed_power(self) -> float | None:
        before, sign = self._place, self._sign()
        value = self._power()
        if value is None:
            self._place = before
            return None
        return sign * value

    def _power(self) -> float | None:
        base = self._factor()
        if base is None:
            return None
        before = self._place
        if self._take(re.compile(r"\s*(?:\^|\*\*)\s*")) is not None:
            exponent = self._exponent()
            if exponent is None:
                self._place = before
                return base
            base = math.pow(base, exponent)
        if self._take(re.compile(r"!(?!=)")) is not None:
            if base != int(base) or not 0 <= base <= 170:
                raise _Refused
            base = float(math.factorial(int(base)))
        return base

    def _exponent(self) -> float | None:
        before, sign = self._place, self._sign()
        value = self._factor()
        if value is None:
            self._place = before
            return None
        return sign * value

    def _factor(self) -> float | None:
        """A number, a bracket, a fraction, a root, a constant or a function of a factor."""
        number = self._number()
        if number is not None:
            return number
        if self.rest[:1] in _CLOSING and self.rest:
            return self._bracket()
        if self._take(_PI) is not None:
            return math.pi
        if self._take(_EULER) is not None:
            return math.e
        before = self._place
        value: float | None = None
        if self._take(_FRACTION) is not None:
            over = self._argument()
            under = None if over is None else self._argument()
            value = None if over is None or under is None else over / under
        elif (root := self._take(_ROOT)) is not None:
            inside = self._argument()
            if inside is not None:
                value = math.pow(inside, 1.0 / int(root[1])) if root[1] else math.sqrt(inside)
        elif (function := self._take(_FUNCTION)) is not None:
            inside = self._argument(digits=True)
            if inside is not None:
                if self._take(_DEGREES) is not None:
                    inside = math.radians(inside)
                value = _FUNCTIONS[re.sub(r"[{}\s]", "", function[1])](inside)
        if value is None:
            self._place = before
        return value

    def _argument(self, *, digits: bool = False) -> float | None:
        """What a command takes: a bracket, or the next digit (all of a number's behind a function)."""
        self._take(re.compile(r"\s*"))
        if self.rest[:1] and self.rest[:1] in _CLOSING:
            return self._bracket(angle=digits)
        if digits:
            return self._power()
        digit = self._take(re.compile(r"[0-9]"))
        return float(digit.group()) if digit is not None else self._factor()

    def _bracket(self, *, angle: bool = False) -> float | None:
        before = self._place
        closing = _CLOSING[self.rest[0]]
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Refused
        self._place += 1
        self._take(re.compile(r"\s*"))
        value = self.sum()
        if angle and value is not None and self._take(_DEGREES) is not None:
            value = math.radians(value)
        self._take(re.compile(r"\s*"))
        self._depth -= 1
        if value is None or not self.rest.startswith(closing):
            self._place = before
            return None
        self._place += 1
        return value

    def _number(self) -> float | None:
        found = self._take(_NUMBER)
        if found is None:
            return None
        digits = found.group().replace(",", "").replace(" ", "")
        exponent = self._take(_EXPONENT)
        if exponent is not None:
            return float(f"{digits}e{exponent[1]}")
        if digits.isdigit() and (mixed := _MIXED.match(self.rest)) is not None:
            spaced = mixed[1] is not None and mixed.group()[:1].isspace()
            over, under = (int(mixed[one] or mixed[two] or mixed[three] or 0) for one, two, three in _PLACES)
            if under and over < under and (spaced or mixed[1] is None):
                self._place += mixed.end()
                return float(digits) + over / under
        return float(digits)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._place)
        if found is not None:
            self._place = found.end()
        return found


#: the groups of a mixed number that hold what stands over, and under, the line
_PLACES = ((1, 3, 4), (2, 5, 6))
