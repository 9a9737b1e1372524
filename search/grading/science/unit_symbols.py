"""The units that pint knows. Needs the extra ``grading``."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from search.errors import MissingExtraError
from search.grading.science.unit_spelling import SLIPS, plain_unit

if TYPE_CHECKING:
    from pint import UnitRegistry

__all__ = ["registry", "symbols"]


@lru_cache(maxsize=4096)
def symbols(name: str) -> tuple[tuple[str, int], ...] | None:
    """The symbols and powers of one name; None where pint does not know it."""
    spelled = SLIPS.get(name, name)
    for spelling in (spelled, spelled.lower() if len(spelled) > 3 else spelled):
        try:
            known = registry()
            powers: dict[Any, Any] = dict(known.parse_units(spelling)._units.items())
            return tuple((_symbol(known, str(part)), int(power)) for part, power in powers.items()) or None
        except MissingExtraError:
            raise
        except Exception:  # pint and what it is built on raise many types on what models write
            continue
    return None


def _symbol(units: UnitRegistry[Any], name: str) -> str:
    """The symbol of a unit, or its name where the symbol would not be read as that unit again."""
    symbol = str(units.get_symbol(name))
    try:
        known = dict(units.parse_units(plain_unit(symbol))._units.items())
    except Exception:  # as above
        known = {}
    return symbol if known == {name: 1} else name


@cache
def registry() -> UnitRegistry[Any]:
    """pint's units, read once. Raises MissingExtraError."""
    try:
        from pint import UnitRegistry
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"units need the grading extra, got no {error.name}: pip install 'test-time-planner[grading]'"
        ) from error
    return UnitRegistry()
