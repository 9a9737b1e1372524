r"""Units as people and models write them, with pint: ``J/mol K``, ``kJ·mol⁻¹``, ``\frac{m}{s^2}``, ``J per
gram``.

Canonical notation is a product of symbols: ``J*K^-1*mol^-1``. Behind a slash everything divides that has no
power of its own below zero. Words that pint does not know name what is counted (``photons``) and have no
dimension. Degrees Celsius in a product are differences, so kelvins. Needs the extra ``grading``.
"""

# ruff: noqa: RUF001 (characters that probe alike are what it reads)
from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from search.errors import MissingExtraError

if TYPE_CHECKING:
    from pint import UnitRegistry

__all__ = ["convert", "plain_unit", "unit"]

_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_WRAPPED = re.compile(
    r"\\(?:mathrm|text|mbox|textrm|textit|textnormal|operatorname|rm|mathbf|mathit|textbf|bf|si|unit|pu)\*?\s*\{([^{}]*)\}"
)
_SIUNITX = re.compile(r"\\(?:SI|qty)\s*(?:\[[^\]]*\])?\{([^{}]*)\}\s*\{([^{}]*)\}")
_PREFIX_MACRO = re.compile(r"\\(kilo|milli|micro|nano|pico|femto|centi|deci|mega|giga|tera|hecto)\s*\\")
#: LaTeX and plain spellings in pint's words, in this order
_SPELLINGS = (
    (r"\\(?:circ|degree|textdegree)(?![a-zA-Z])|°|º|˚", " degree"),
    (r"\\%|%", "percent"),
    (r"(?:\\mu(?![a-zA-Z])|\\micro(?![a-zA-Z])|µ|μ)\s*", "u"),
    (r"\\(?:Omega|ohm)(?![a-zA-Z])|Ω|Ω", "ohm"),
    (r"\\AA(?![a-zA-Z])|\\(?:mathring|r)\s*\{A\}|\\angstrom(?![a-zA-Z])|Å|Å", "angstrom"),
    (r"\\ell(?![a-zA-Z])", "l"),
    (r"\\alpha(?![a-zA-Z])", "\N{GREEK SMALL LETTER ALPHA}"),
    (r"\\(?:times|cdot|bullet)(?![a-zA-Z])|\u00d7|·|•|\*", "*"),
    (r"\\per(?![a-zA-Z])", "/"),
    (r"\\squared(?![a-zA-Z])", "^2"),
    (r"\\cubed(?![a-zA-Z])", "^3"),
    (
        r"\\(?:left|right)(?![a-zA-Z])|\\[,;:! ]|\\q?quad(?![a-zA-Z])|\\(?:thin)?space(?![a-zA-Z])|~|\$|\\ ",
        " ",
    ),
    (r"\\([a-zA-Z]+)", r" \1 "),
)
#: phrases, in the order in which they are replaced
_PHRASES = (
    (r"\bmm\s*Hg\b", "mmHg"),
    (r"\bdeg(?:ree)?s?\.?\s*(?:Celsius|celsius|centigrade|C)\b", "degC"),
    (r"\bdeg(?:ree)?s?\.?\s*(?:Fahrenheit|fahrenheit|F)\b", "degF"),
    (r"\bdeg(?:ree)?s?\.?\s*K(?:elvins?)?\b", "K"),
    (r"\bdegrees\b", "degree"),
    (r"\bper\s?cent\b|\bpct\b", "percent"),
    (r"\bper\b", "/"),
    (r"\b(?:square|sq\.?)\s+([a-zA-Z]+)", r"\1^2"),
    (r"\b(?:cubic|cu\.?)\s+([a-zA-Z]+)", r"\1^3"),
    (r"\b([a-zA-Z]+)\s+squared\b", r"\1^2"),
    (r"\b([a-zA-Z]+)\s+cubed\b", r"\1^3"),
    (r"\bparts\s*/\s*million\b", "ppm"),
    (r"\bu\s*degree", "udegree"),
)
#: units, and slips that SciBench and models make for them, or spellings that pint does not know
_WRITTEN = {
    "kJ": "KJ KJs kj Kj",
    "kPa": "kPA KPa Kpa kpa",
    "Pa": "pa",
    "kg": "KG Kg",
    "km": "KM Km",
    "kW": "KW",
    "kHz": "KHz",
    "MHz": "Mhz",
    "Hz": "hz",
    "eV": "ev EV",
    "keV": "Kev KeV",
    "MeV": "Mev",
    "meV": "mev",
    "g": "gm gms gr",
    "s": "sec secs",
    "hour": "hrs",
    "min": "mins",
    "year": "yrs yr",
    "L": "ltr litre",
    "kcal": "Cal Cals Calories Calorie",
    "um": "microns micron",
    "ug": "mcg",
    "mL": "ml",
    "cm^3": "cc ccm",
    "torr": "Torr",
    "bar": "Bar bars",
    "atm": "ATM atms Atm",
    "A": "amp amps",
    "mol": "mole moles mols Mol",
    "km/h": "kmph kph",
    "radian": "rads rad",
    "lb": "lbs",
    "tonne": "tonnes",
    "dalton": "Da",
    "N*m": "Nm",
    "J*K": "JK",
    "J*s": "Js",
    "W*s": "Ws",
    "Pa*s": "Pas",
    "kg*m": "kgm",
    "K": "Kelvins degreeK",
    "degC": "degreeC",
    "degF": "degreeF",
    "psi": "psia",
}
_SLIPS = {slip: word for word, slips in _WRITTEN.items() for slip in slips.split()}
#: words behind a unit that begin what is no unit
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


def plain_unit(text: str) -> str:
    r"""A quantity or a unit without LaTeX.

    >>> plain_unit(r"$\mathrm{~J} \mathrm{~mol}^{-1} \mathrm{~K}^{-1}$"), plain_unit(r"$^{\circ} \mathrm{C}$")
    ('J mol^-1 K^-1', 'degC')
    """
    out = _PREFIX_MACRO.sub(r"\\\1", _SIUNITX.sub(r"\1 \2", text))
    out = re.sub(r"\^\s*\{\s*([-+]?[0-9]+)\s*\}", r"^\1", re.sub(r"\{\s*\}", "", out))
    for _ in range(4):
        out = _WRAPPED.sub(r" \1 ", _FRACTION.sub(r"(\1)/(\2)", out))
    for spelling, word in _SPELLINGS:
        out = re.sub(spelling, word, out)
    out = re.sub(r"\^\s*\{?\s*degree\s*\}?", " degree", out)
    out = re.sub(r"\{\s*([^{}]*?)\s*\}", r"\1", out)
    out = re.sub(r"\s*\^\s*\(\s*([-+]?[0-9]+)\s*\)|\s*\^\s*([-+]?[0-9]+)", r"^\1\2", out)
    out = re.sub(r"\(([-+]?[0-9.]+)\)", r"\1", out)
    for phrase, word in _PHRASES:
        out = re.sub(phrase, word, out)
    for slip in ("KJ", "kPA", "JK"):
        out = re.sub(rf"\b{slip}\b", _SLIPS[slip].replace("*", " "), out)
    return " ".join(out.split())


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
        known = _symbols(name)
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


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


@lru_cache(maxsize=4096)
def _symbols(name: str) -> tuple[tuple[str, int], ...] | None:
    """The symbols and powers of one name; None where pint does not know it."""
    spelled = _SLIPS.get(name, name)
    for spelling in (spelled, spelled.lower() if len(spelled) > 3 else spelled):
        try:
            registry = _registry()
            powers: dict[Any, Any] = dict(registry.parse_units(spelling)._units.items())
            return tuple((_symbol(registry, str(part)), int(power)) for part, power in powers.items()) or None
        except MissingExtraError:
            raise
        except Exception:  # pint and what it is built on raise many types on what models write
            continue
    return None


def _symbol(registry: UnitRegistry[Any], name: str) -> str:
    """The symbol of a unit, or its name where the symbol would not be read as that unit again."""
    symbol = str(registry.get_symbol(name))
    try:
        known = dict(registry.parse_units(plain_unit(symbol))._units.items())
    except Exception:  # as above
        known = {}
    return symbol if known == {name: 1} else name


@lru_cache(maxsize=16_384)
def convert(value: float, one: str, other: str) -> float | None:
    """A value in another unit, both canonical; None where one does not become the other.

    >>> convert(1.0, "kJ", "J"), convert(1.0, "kJ", "kW"), convert(2.0, "Bq", "Hz")
    (1000.0, None, None)
    """
    (one, first, before), (other, second, after) = _split(one), _split(other)
    if (first and second and first != second) or (before and after and before != after):
        return None
    registry = _registry()
    try:
        given, wanted = registry.Unit(one), registry.Unit(other)
        given, wanted = _temperature(registry, given, wanted), _temperature(registry, wanted, given)
        given, wanted = _molal(registry, given, wanted), _molal(registry, wanted, given)
        kinds = _kinds(given) | _kinds(wanted)
        if any(not _kinds(given) >= pair and not _kinds(wanted) >= pair and kinds >= pair for pair in _APART):
            return None
        if kinds >= {"revolutions_per_minute", "hertz"}:
            factor = 1 / 60 if "revolutions_per_minute" in _kinds(given) else 60.0
            return value * factor * (1e3 if "kilohertz" in str(given) else 1.0)
        return float(registry.Quantity(value, given).to(wanted).magnitude)
    except Exception:  # not of one dimension
        return None


#: units of one dimension that do not measure one thing
_APART = (frozenset({"becquerel", "hertz"}), frozenset({"gray", "sievert"}), frozenset({"radian", "hertz"}))


def _kinds(known: Any) -> frozenset[str]:
    names = [str(name) for name, _ in known._units.items()]
    kinds = ("becquerel", "hertz", "gray", "sievert", "radian", "revolutions_per_minute")
    return frozenset(kind for kind in kinds if any(name.endswith(kind) for name in names))


def _temperature(registry: UnitRegistry[Any], known: Any, other: Any) -> Any:
    """``25 C`` beside a temperature is no charge."""
    degrees = {"coulomb": "degree_Celsius", "farad": "degree_Fahrenheit"}
    if str(known) in degrees and str(other) in ("kelvin", "degree_Celsius", "degree_Fahrenheit"):
        return registry.Unit(degrees[str(known)])
    return known


def _molal(registry: UnitRegistry[Any], known: Any, other: Any) -> Any:
    """``0.5 m`` beside moles per kilogram is molal."""
    if str(known) == "meter" and other.dimensionality == registry.Unit("mol/kg").dimensionality:
        return registry.Unit("mol/kg")
    return known


def _split(canonical: str) -> tuple[str, frozenset[str], str]:
    """What pint knows of a unit, the labels, and the direction."""
    product, _, direction = canonical.partition(" ")
    known: list[str] = []
    labels: list[str] = []
    for part in product.split("*") if product else []:
        name = part.partition("^")[0]
        (known if _symbols(plain_unit(name)) else labels).append(
            part.replace("%", "percent").replace("°C", "degC")
        )
    return "*".join(known), frozenset(map(_singular, labels)), direction


@cache
def _registry() -> UnitRegistry[Any]:
    try:
        from pint import UnitRegistry
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"units need the grading extra, got no {error.name}: pip install 'test-time-planner[grading]'"
        ) from error
    return UnitRegistry()
