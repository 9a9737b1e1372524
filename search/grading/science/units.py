r"""Units as people and models write them, with pint: ``J/mol K``, ``kJ·mol⁻¹``, ``\frac{m}{s^2}``, ``J per
gram``.

Canonical notation is a product of symbols: ``J*K^-1*mol^-1``. Behind a slash everything divides that has no
power of its own below zero. Words that pint does not know name what is counted (``photons``) and have no
dimension. Degrees Celsius in a product are differences, so kelvins. Needs the extra ``grading``.
"""

# ruff: noqa: RUF001 (characters that probe alike are what it reads)
from __future__ import annotations

import re
from functools import lru_cache

from search.grading.science.unit_spelling import plain_unit
from search.grading.science.unit_symbols import symbols

__all__ = ["unit"]

_CONNECTING = frozenset(
    [
        "of",
        "at",
        "for",
        "when",
        "with",
        "from",
        "above",
        "below",
        "to",
        "toward",
        "towards",
        "along",
        "by",
        "is",
        "as",
        "on",
        "and",
        "or",
        "in",
        "into",
        "under",
        "over",
        "using",
        "while",
        "after",
        "before",
        "since",
        "because",
        "where",
        "which",
        "that",
        "so",
        "than",
    ]
)
_NAME = re.compile(r"[a-zA-Zα-ωΑ-Ω]+(?:[-_][a-zA-Z]{4,})*")
_WORD = re.compile(r"(?=.*[aeiouyα-ω])[a-zA-Zα-ω_-]{3,}$", re.IGNORECASE)
_POWER = re.compile(
    r"\s*(?:\^|\*\*)\s*(?:\(\s*([-+]?[0-9]{1,2})(?:\s*/\s*([0-9]))?\s*\)|([-+]?[0-9]{1,2}(?:\.5)?)(?![0-9]))|(-[1-9])(?![0-9])"
)
#: of a word that names what is counted
_DIRECTIONS = frozenset(
    [
        "north",
        "south",
        "east",
        "west",
        "up",
        "down",
        "left",
        "right",
        "upward",
        "upwards",
        "downward",
        "downwards",
        "inward",
        "outward",
        "clockwise",
        "counterclockwise",
        "anticlockwise",
        "n",
        "s",
        "e",
        "w",
        "northward",
        "southward",
        "eastward",
        "westward",
        "am",
        "pm",
    ]
)

#: directions of one letter, which would be read as units again
_COMPASS = {"n": "north", "s": "south", "e": "east", "w": "west"}


@lru_cache(maxsize=65_536)
def unit(text: str) -> str | None:
    """The canonical unit of what follows a number, ``""`` where nothing does; None for what is no unit.

    >>> [unit(text) for text in ("J/mol K", "kg m s-2", "N upward", "photons per second", "m of rope", "x+2")]
    ['J*K^-1*mol^-1', 'kg*m*s^-2', 'N up', 'photons*s^-1', 'm', None]
    """
    plain = plain_unit(text).strip(" .,;!").removeprefix("*").strip()
    if not plain:
        return ""
    reader = _Units(plain)
    if not reader.read():
        return None
    return reader.canonical()


class _Units:
    """Reads factors with their powers."""

    def __init__(self, text: str) -> None:
        self._text, self._place = text, 0
        self._powers: dict[str, float] = {}
        self._labels: dict[str, float] = {}
        self._direction = ""

    def read(self, *, depth: int = 0, sign: int = 1) -> bool:
        """Read to the end or to a closing bracket; False where something is no unit."""
        over = sign
        explicit = True
        while self._place < len(self._text):
            rest = self._text[self._place :]
            if rest[0] in " *":
                explicit = rest[0] == "*" or (explicit and rest[0] == " " and self._place == 0)
                self._place += 1
            elif rest[0] == "/":
                over, explicit = -sign, True
                self._place += 1
            elif rest[0] == "(" and depth < 3:
                self._place += 1
                if not self.read(depth=depth + 1, sign=over):
                    return False
                explicit = False
            elif rest[0] == ")" and depth:
                self._place += 1
                return True
            elif rest[0] == "1" and re.match(r"1\s*/", rest):
                self._place += 1
            elif rest[0] == "-" and self._powers:
                self._place += 1
                explicit = True
            else:
                ended = self._factor(over, explicit=explicit)
                if ended is not None:
                    return ended
                explicit = False
        return not depth

    def _factor(self, over: int, *, explicit: bool) -> bool | None:
        """Take one name and its power. None to go on, else whether the unit ends here well."""
        found = _NAME.match(self._text, self._place)
        if found is None:
            return False
        name = found.group()
        begun = bool(self._powers or self._labels)
        if begun and not explicit and name.lower() in _CONNECTING:
            after = self._text[found.end() :].strip()
            return not (
                name.lower() in ("to", "and", "or")
                and re.match(r"[-+]?[0-9]+(?!\s*(?:s\.?f|sig|dec|d\.?p))", after)
            )
        power_at = _POWER.match(self._text, found.end())
        known = symbols(name)
        end = found.end()
        power = 1.0
        if power_at is not None:
            power = float(power_at[1] or power_at[3] or power_at[4]) / float(power_at[2] or 1)
            end = power_at.end()
        elif (digit := re.compile(r"([2-9])(?![0-9])").match(self._text, end)) is not None and known:
            power, end = float(digit[1]), digit.end()  # m2
        if known is None or (begun and not explicit and name.lower() in _DIRECTIONS and len(name) > 1):
            return self._label(name, end, power * (over if power > 0 else 1), begun and not explicit)
        if name in ("degree", "deg") and re.match(r"\s*[NSEW]\b", self._text[end:]):
            self._powers["deg"] = 1
            self._direction = _COMPASS[self._text[end:].strip()[0].lower()]
            return len(self._text[end:].strip()) == 1
        if name == "ms" and power < 0 and not begun:  # metres per second, run together
            self._powers.update({"m": 1.0, "s": power})
            self._place = end
            return None
        for symbol, times in known:
            # J/mol K^-1: a power below zero says itself where it stands
            self._powers[symbol] = self._powers.get(symbol, 0.0) + times * power * (over if power > 0 else 1)
        self._place = end
        return None

    def _label(self, name: str, end: int, power: float, follows: bool) -> bool | None:
        lower = name.lower()
        if lower in _DIRECTIONS and (self._powers or lower in ("am", "pm")):
            self._direction = _COMPASS.get(lower) or re.sub(r"wards?$", "", lower)
            return True
        if follows and power == 1 and self._powers:
            rest = self._text[self._place :]
            return re.fullmatch(r"[^0-9+=<>^]*", rest) is not None  # 12 g NaCl; what is measured is no unit
        if not _WORD.match(name):
            return False
        words = (
            re.match(r"(?:\s+[a-zA-Z]+){0,2}\s*$", self._text[end:])
            if not self._powers and not self._labels
            else None
        )
        if words is not None and power == 1:
            self._labels["_".join((name + words.group()).split())] = 1.0
            return True
        self._labels[name] = self._labels.get(name, 0.0) + power
        self._place = end
        return None

    def canonical(self) -> str:
        powers = {name: power for name, power in self._powers.items() if power}
        if powers != {"°C": 1.0} and powers != {"°F": 1.0} and len(powers) + len(self._labels) > 0:
            for degrees, difference in (("°C", "K"), ("°F", "degree_Rankine")):
                if degrees in powers:
                    powers[difference] = powers.get(difference, 0.0) + powers.pop(degrees)
        if powers.get("ms", 0.0) < 0:
            powers["millisecond"] = powers.pop("ms")
        both = {**powers, **{name: power for name, power in self._labels.items() if power}}
        parts = [name if power == 1 else f"{name}^{power:g}" for name, power in sorted(both.items())]
        return f"{'*'.join(parts)} {self._direction}".strip()
