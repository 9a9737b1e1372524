"""JSON read without losing anything silently: digits of numbers, half characters, keys given twice.

Numbers keep the digits that they were written with (``Written``), half of a surrogate pair becomes U+FFFD
(no text can hold it), and a key that comes twice is an error: one of its values would be lost.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["DECODER", "Twice", "Written", "json_value", "mended", "plain_number", "text_of"]

_HALF = re.compile("[\ud800-\udfff]")
#: digits that a number without an exponent may need; beyond it the exponent stays
_DIGITS = 40


class Written(float):
    """A number of a JSON file that remembers how it was written.

    >>> json_value("1e-07"), plain_number(json_value("0.10"))
    (1e-07, '0.10')
    """

    text: str

    def __new__(cls, text: str) -> Written:
        """Read by ``json`` where a number has a fraction or an exponent."""
        made = super().__new__(cls, text)
        made.text = text
        return made


class Twice(ValueError):
    """A key that an object has twice."""


def json_value(text: str) -> Any:
    """``json.loads`` that keeps the digits of numbers, mends half characters and refuses a key given twice.

    Raises json.JSONDecodeError, RecursionError, or ValueError for a key that is given twice.
    """
    return mended(DECODER.decode(text))


def mended(value: Any) -> Any:
    """A JSON value whose texts are Unicode: half of a surrogate pair becomes U+FFFD.

    >>> mended({"a": ["\\ud83d!"]})
    {'a': ['\ufffd!']}
    """
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value) if _HALF.search(value) else value
    if isinstance(value, list):
        return [mended(one) for one in value]
    if isinstance(value, dict):
        return {mended(name): mended(one) for name, one in value.items()}
    return value


def plain_number(value: float) -> str:
    """A number as text, without an exponent and with the digits it was written with; ``27.0`` is ``27``.

    >>> plain_number(1e-07), plain_number(27.0), plain_number(0.1)
    ('0.0000001', '27', '0.1')
    """
    text = value.text if isinstance(value, Written) else repr(value)
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return text
    if not exact.is_finite() or abs(exact.adjusted()) > _DIGITS:
        return text
    if exact == exact.to_integral_value():
        return format(exact.quantize(Decimal(1)), "f")
    return format(exact, "f")


def text_of(value: Any) -> str:
    """A cell as text: "" for null and NaN, numbers by ``plain_number``.

    >>> text_of(float("nan")), text_of(None), text_of(True), text_of(" 4 ")
    ('', '', 'True', '4')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return plain_number(value)
    return str(value).strip()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Twice(f"a key of an object is given once, got {twice!r} twice")
    return found


#: what ``json_value`` decodes with
DECODER = json.JSONDecoder(parse_float=Written, object_pairs_hook=_once)
