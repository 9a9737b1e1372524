"""Canonical JSON: one text for all the ways to write the same value.

>>> canonical('{"b": 1.50, "a": [1e2, -0.0]}')
'{"a":[100,0],"b":1.5}'
>>> canonical("no JSON") is None
True
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

__all__ = ["canonical", "canonical_value", "parse"]

#: what models put around JSON in a text
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
#: digits up to which a number is written without an exponent
_PLAIN = 21


def canonical(text: str) -> str | None:
    """The canonical text of the value that a text holds; None where it holds none.

    Keys are sorted, of equal keys the last counts; numbers are exact and of one spelling (``1.0`` is ``1``);
    no space is left. NaN and infinities are no JSON. A text in a block of Markdown is read.
    """
    try:
        return canonical_value(parse(text))
    except (ValueError, ArithmeticError, RecursionError):
        return None


def parse(text: str) -> Any:
    """The value of a text, with numbers as decimals. Raises ValueError, ArithmeticError, RecursionError."""
    fenced = _FENCE.fullmatch(text)
    return json.loads(
        text if fenced is None else fenced[1], parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse
    )


def canonical_value(value: Any) -> str:
    """The canonical text of a value, as ``parse`` gives it. Raises RecursionError.

    >>> canonical_value(parse('[12300000000000000000000000, 1e-30, "\\\\u00e9", true, null]'))
    '[123e23,1e-30,"\\\\u00e9",true,null]'
    """
    if isinstance(value, dict):
        inner = (f"{json.dumps(key)}:{canonical_value(value[key])}" for key in sorted(value))
        return "{" + ",".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical_value, value)) + "]"
    return _number(value) if isinstance(value, Decimal) else json.dumps(value)


def _number(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # NaN and infinities were refused
    whole = "".join(map(str, digits)).lstrip("0")
    kept = whole.rstrip("0")
    exponent += len(whole) - len(kept)
    if not kept:
        return "0"
    minus = "-" if sign else ""
    if exponent >= 0 and len(kept) + exponent <= _PLAIN:
        return f"{minus}{kept}{'0' * exponent}"
    if -_PLAIN < exponent < 0:
        padded = kept.rjust(1 - exponent, "0")
        return f"{minus}{padded[:exponent]}.{padded[exponent:]}"
    return f"{minus}{kept}e{exponent}"


def _refuse(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")
