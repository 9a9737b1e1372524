"""Values in other units."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search.grading.science.unit_spelling import plain_unit
from search.grading.science.unit_symbols import registry, symbols

if TYPE_CHECKING:
    from pint import UnitRegistry

__all__ = ["convert"]

#: units of one dimension that do not measure one thing
_APART = (frozenset({"becquerel", "hertz"}), frozenset({"gray", "sievert"}), frozenset({"radian", "hertz"}))


@lru_cache(maxsize=16_384)
def convert(value: float, one: str, other: str) -> float | None:
    """A value in another unit, both canonical; None where one does not become the other.

    >>> convert(1.0, "kJ", "J"), convert(1.0, "kJ", "kW"), convert(2.0, "Bq", "Hz")
    (1000.0, None, None)
    """
    (one, first, before), (other, second, after) = _split(one), _split(other)
    if (first and second and first != second) or (before and after and before != after):
        return None
    units = registry()
    try:
        given, wanted = units.Unit(one), units.Unit(other)
        given, wanted = _temperature(units, given, wanted), _temperature(units, wanted, given)
        given, wanted = _molal(units, given, wanted), _molal(units, wanted, given)
        kinds = _kinds(given) | _kinds(wanted)
        if any(not _kinds(given) >= pair and not _kinds(wanted) >= pair and kinds >= pair for pair in _APART):
            return None
        if kinds >= {"revolutions_per_minute", "hertz"}:
            factor = 1 / 60 if "revolutions_per_minute" in _kinds(given) else 60.0
            return value * factor * (1e3 if "kilohertz" in str(given) else 1.0)
        return float(units.Quantity(value, given).to(wanted).magnitude)
    except Exception:  # not of one dimension
        return None


def _kinds(known: Any) -> frozenset[str]:
    names = [str(name) for name, _ in known._units.items()]
    kinds = ("becquerel", "hertz", "gray", "sievert", "radian", "revolutions_per_minute")
    return frozenset(kind for kind in kinds if any(name.endswith(kind) for name in names))


def _temperature(units: UnitRegistry[Any], known: Any, other: Any) -> Any:
    """``25 C`` beside a temperature is no charge."""
    degrees = {"coulomb": "degree_Celsius", "farad": "degree_Fahrenheit"}
    if str(known) in degrees and str(other) in ("kelvin", "degree_Celsius", "degree_Fahrenheit"):
        return units.Unit(degrees[str(known)])
    return known


def _molal(units: UnitRegistry[Any], known: Any, other: Any) -> Any:
    """``0.5 m`` beside moles per kilogram is molal."""
    if str(known) == "meter" and other.dimensionality == units.Unit("mol/kg").dimensionality:
        return units.Unit("mol/kg")
    return known


def _split(canonical: str) -> tuple[str, frozenset[str], str]:
    """What pint knows of a unit, the labels, and the direction."""
    product, _, direction = canonical.partition(" ")
    known: list[str] = []
    labels: list[str] = []
    for part in product.split("*") if product else []:
        name = part.partition("^")[0]
        (known if symbols(plain_unit(name)) else labels).append(
            part.replace("%", "percent").replace("°C", "degC")
        )
    return "*".join(known), frozenset(map(_singular, labels)), direction


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
