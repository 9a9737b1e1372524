"""Units that stand behind the numbers of school mathematics, and how they compare.

An answer without a unit may stand for one with it (the question says which it is); two units must be the
same, or measure the same: ``1 m`` is ``100 cm``. Units that nobody knows (``apples``) are words.
"""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["canonical_unit", "factor", "is_known"]

#: unit -> what it measures, how many of the base unit it is
_SIZES: dict[str, tuple[str, Fraction]] = {}
_ALIASES: dict[str, str] = {}


def _define(measure: str, table: dict[str, str]) -> None:
    for line, size in table.items():
        name, *others = line.split("|")
        _SIZES[name] = (measure, Fraction(size))
        for other in others:
            _ALIASES[other] = name


_define("length", {
    "mm|millimeter|millimetre": "1/1000", "cm|centimeter|centimetre|cms": "1/100",
    "dm|decimeter|decimetre": "1/10",
    "m|meter|metre": "1", "km|kilometer|kilometre|kms": "1000", "in|inch|inches": "127/5000",
    "ft|foot|feet": "381/1250", "yd|yard|yds": "1143/1250", "mi|mile": "201168/125",
})  # fmt: skip
_define("mass", {
    "mg|milligram|milligramme": "1/1000", "g|gram|gramme|gm|gms": "1",
    "kg|kilogram|kilogramme|kgs|kilo": "1000",
    "lb|pound|lbs": "45359237/100000", "oz|ounce": "45359237/1600000",
})  # fmt: skip
_define("time", {
    "ms|millisecond": "1/1000", "s|second|sec|secs": "1", "min|minute|mins": "60", "h|hour|hr|hrs": "3600",
    "day": "86400", "week|wk": "604800",
})  # fmt: skip
_define("months", {"month": "1", "year|yr|yrs": "12"})
_define("dollars", {"$|dollar|usd|buck": "1", "cent|¢|penny|pennies": "1/100"})
_define("volume", {"ml|milliliter|millilitre": "1/1000", "cl": "1/100", "l|liter|litre": "1"})
_define("volume (us)", {"gallon|gal": "4", "quart|qt": "1", "pint|pt": "1/2", "cup": "1/4"})
_define("angle", {"deg|degree|^\\circ": "1", "rad|radian": "0"})
_define("speed", {"mph|mi/h": "1"})
_define("speed (metric)", {"km/h|kmh|kmph|kph": "5/18", "m/s|mps": "1"})
_define(
    "other",
    {"€|euro|eur": "1", "£|gbp": "2", "¥|yen": "3", "₹|rupee|rs|inr": "5", "unit": "7", "pt|point": "11"},
)
_define("energy", {"J|joule": "1", "kJ|kilojoule": "1000"})
for _name in ("N", "W", "V", "K", "Hz", "Pa", "mol"):
    _define(f"physics {_name}", {_name: "1"})
#: measured by squares or cubes of lengths, in words
_WORDS_OF_POWER = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWER = re.compile(r"^(.*?)\s*\^?\{?([23])\}?$")


def is_known(word: str) -> bool:
    """Whether one word is a unit here."""
    return _one(word) in _SIZES


def canonical_unit(text: str) -> str:
    r"""One spelling of a unit: ``square centimeters``, ``cm^{2}`` and ``cm2`` are ``cm^2``.

    >>> [canonical_unit(text) for text in ("square units", "cm^{2}", "Meters per second", "cu. in.")]
    ['unit^2', 'cm^2', 'm/s', 'in^3']
    """
    bare = re.sub(r"\\text|\\cdot|[{}]", lambda found: " " if found[0] in "{}" else "", text)
    words = re.sub(r"\s*\bper\b\s*|\s*/\s*", "/", bare.replace(".", " ").strip()).replace("^ ", "^")
    words = re.sub(r"\s+\^", "^", words)
    power = 1
    head, *rest = words.split()
    if head.casefold() in _WORDS_OF_POWER and rest:
        power, words = _WORDS_OF_POWER[head.casefold()], " ".join(rest)
    elif rest and rest[-1].casefold() in ("squared", "cubed"):
        power, words = {"squared": 2, "cubed": 3}[rest[-1].casefold()], " ".join([head, *rest[:-1]])
    parts = ["/".join(_powered(one) for one in word.split("/")) for word in words.split()]
    name = " ".join(parts)
    name = _ALIASES.get(name, name)
    return name if power == 1 else f"{name}^{power}"


def factor(unit: str, other: str) -> Fraction | None:
    """How many of ``other`` one ``unit`` is; None where they measure different things."""
    if unit == other:
        return Fraction(1)
    first, second = _size(unit), _size(other)
    if first is None or second is None or first[0] != second[0] or "other" in first[0] or not second[1]:
        return None
    return first[1] / second[1] if first[1] else None


def _size(unit: str) -> tuple[str, Fraction] | None:
    base, _, power = unit.partition("^")
    known = _SIZES.get(base)
    if known is None or power not in ("", "2", "3"):
        return None
    return f"{known[0]}^{power}", known[1] ** int(power or 1)


def _powered(word: str) -> str:
    found = _POWER.match(word)
    if found is not None and _one(found[1]) in _SIZES:
        return f"{_one(found[1])}^{found[2]}"
    return _one(word)


def _one(word: str) -> str:
    """A unit's own name; a word that is none in the singular."""
    if word in _SIZES:
        return word
    low = word.casefold()
    for name in (low, low.removesuffix("s"), low.removesuffix("es")):
        if name in _ALIASES:
            return _ALIASES[name]
        if name in _SIZES and (len(name) > 1 or not name.isalpha() or word == low):
            return name
    return low[:-1] if len(low) > 3 and low.endswith("s") and not low.endswith("ss") else low
