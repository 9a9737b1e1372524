r"""Single values with what stands around them: currency, percent, degrees, units, words.

>>> scalar(r"12\text{cm}^2"), scalar(r"\$5")
(Scalar(text='12', unit='cm^2', percent=''), Scalar(text='5', unit='$', percent=''))
>>> scalar("35%")
Scalar(text='35', unit='', percent='%')
"""

from __future__ import annotations

import re
from functools import lru_cache

from search.grading.mathematics.answer_shape import Scalar, Shape, Words
from search.grading.mathematics.answer_units import canonical_unit, factor, is_known
from search.grading.mathematics.latex_expression import BeyondError, parsed
from search.grading.mathematics.number_words import MULTIPLES

__all__ = ["CHANGING_WORDS", "compound", "in_words", "is_symbolic", "is_word", "scalar", "with_unit"]

_UNIT_FRACTION = re.compile(r"\\frac\{\s*\\text\{([^{}]*)\}\s*\}\{\s*\\text\{([^{}]*)\}\s*\}$")
_ORDINAL = re.compile(r"(\d+)\s*(?:\^\s*\{?)?\s*(?:\\text\{)?\s*(?:st|nd|rd|th)\s*\}*")
_COMPOUND = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:\\text\{\s*([^{}\d]*?[a-z])\s*,?(?: and)?\s*\}|([a-zA-Z]+))(?:,| and)?\s*"
)
_CURRENCY = re.compile(r"([-+]?)\s*(\\\$|US\$|\$|€|£|¥|₹|USD|Rs\.?)\s*(?=[-+\d.\\(a-zA-Z])(.+)", re.DOTALL)
_PERCENT = re.compile(
    r"(.+?)\s*(?:(\\?%)|\\text\{\s*(?:percent|per cent|pct\.?|%)\s*\}|(?<![a-zA-Z])(?:percent|per cent|pct))",
    re.DOTALL,
)
_DEGREES = re.compile(r"(.+?)\^\\circ\s*(?:\\text\{\s*)?([CFNSEWK]?)\s*\}?", re.DOTALL)
_UNIT_TAIL = re.compile(
    r"(?P<front>.*?[^\s\\/^_*+-])\s*(?:\\cdot)?\s*(?P<unit>/?\\text\{[^{}]*\}(?:\^\{?-?\d\}?)?"
    r"(?:\s*(?:/|\\cdot|\*)?\s*\\text\{[^{}]*\}(?:\^\{?-?\d\}?)?)*)",
    re.DOTALL,
)
_WORD_TAIL = re.compile(
    r"(?P<front>.*?(?:[\d)}!]|\\pi"
    r"|(?<=[\d}])[a-z]))(?P<space>\s*)(?P<unit>(?:[a-zA-Z]+\.?)(?:[ /.'-]+[a-zA-Z]+\.?)*(?:\^?\{?[23]\}?)?)",
    re.DOTALL,
)
CHANGING_WORDS = re.compile(
    r"\b(?:and|or|not|if|when|where|for|more|less|than|to|mod|is|are|with|least|most|any|all|real|which|as|"
    r"integers?|otherwise|else|below|above|greater|smaller|remainder|r)\b",
    re.IGNORECASE,
)
_BEYOND = re.compile(r"\\(?:int|iint|oint|sum|prod|lim|frac\{d|frac\{\\partial)(?![a-zA-Z])")
_RUN = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")
#: short words that are no products of letters
_SHORT_WORDS = frozenset({
    "yes", "no", "on", "off", "odd", "now", "won", "red", "den", "one", "two", "six", "ten", "up", "all",
    "any", "both", "none", "true", "cat", "dog", "sum", "fig", "top", "mon", "tue", "wed", "thu", "fri",
    "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    "dne", "not",
})  # fmt: skip


@lru_cache(maxsize=16_384)
def scalar(text: str) -> Shape:
    for read in (_ordinal, compound, _money, _percent, _degrees, _unit_in_text, _unit_in_words):
        found = read(text)
        if found is not None:
            return found
    if _is_expression(text):
        return Scalar(text)
    return in_words(text)


def in_words(text: str) -> Words:
    bare = re.sub(r"\\text\s*|[{}$]|\\(?=[,; ])", " ", text)
    bare = " ".join(re.sub(r"[.,;:!?\"]", " ", bare).split()).casefold()
    return Words(re.sub(r"^(?:the|an?) (?=\w{2})", "", bare))


def is_word(run: str) -> bool:
    r"""Whether a run of letters is a word, and not a product of variables as in ``mgL``."""
    if run.casefold() in _SHORT_WORDS:
        return True
    shape = run.islower() or run[1:].islower()
    return len(run) >= 4 and shape and re.search("[aeiouy]", run.casefold()) is not None


def is_symbolic(text: str) -> bool:
    r"""Whether an expression is for latex2sympy to read: a sum, an integral, a limit, a derivative.

    >>> is_symbolic(r"\int_0^1xdx"), is_symbolic(r"x\in[0,1]")
    (True, False)
    """
    return _BEYOND.search(text) is not None


def _is_expression(text: str) -> bool:
    if is_symbolic(text):
        return True
    if any(is_word(run) for run in _RUN.findall(text)):
        return False
    try:
        parsed(text)
    except BeyondError:
        return False
    return True


def _ordinal(text: str) -> Shape | None:
    """``12th`` is 12."""
    found = _ORDINAL.fullmatch(text)
    return None if found is None else Scalar(found[1])


def compound(text: str) -> Shape | None:
    """``2 hours 30 minutes`` is 2.5 hours."""
    parts = _COMPOUND.findall(text)
    if len(parts) < 2 or _COMPOUND.sub("", text).strip(" ,"):
        return None
    units = [canonical_unit(unit or word) for _, unit, word in parts]
    times = [factor(unit, units[0]) for unit in units]
    if None in times or len(set(units)) < len(units):
        return None
    terms = [f"{number}*({time})" for (number, _, _), time in zip(parts, times, strict=True)]
    return Scalar("+".join(terms), units[0])


def _money(text: str) -> Shape | None:
    found = _CURRENCY.fullmatch(text)
    if found is None:
        return None
    inner = scalar(f"{found[1]}{found[3]}")
    if not isinstance(inner, Scalar):
        return None
    sign = canonical_unit({"\\$": "$", "US$": "$", "USD": "$", "Rs.": "₹", "Rs": "₹"}.get(found[2], found[2]))
    # $12 per hour; $5 million dollars
    unit = f"{sign}{inner.unit}" if inner.unit.startswith("/") or not inner.unit else inner.unit
    return Scalar(inner.text, unit, inner.percent)


def _percent(text: str) -> Shape | None:
    found = _PERCENT.fullmatch(text)
    if found is None or not _is_expression(found[1]):
        return None
    return Scalar(found[1], "", "%" if found[2] else "percent")


def _degrees(text: str) -> Shape | None:
    found = _DEGREES.fullmatch(text)
    if found is None or not _is_expression(found[1]) or re.search(r"\\circ", found[1]):
        return None
    if re.search(r"\\(?:sin|cos|tan|cot|sec|csc)", found[1]):
        return None
    return Scalar(found[1], f"deg {found[2]}".strip())


def _unit_in_text(text: str) -> Shape | None:
    text = _UNIT_FRACTION.sub(r"\\text{\1/\2}", text)
    found = _UNIT_TAIL.fullmatch(text)
    if found is None:
        return None
    front, unit = found["front"].strip(), found["unit"]
    inner = scalar(front)
    if not isinstance(inner, Scalar) or inner.percent:
        return None
    words = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", unit)
    return _joined(inner, " ".join(words.split()), text)


def _unit_in_words(text: str) -> Shape | None:
    found = _WORD_TAIL.fullmatch(text)
    if found is None:
        return None
    front, unit = found["front"].strip(), found["unit"]
    first = re.split(r"[ /.^{]", unit)[0]
    known = first.casefold() in ("sq", "cu") or (
        is_known(first) and (bool(found["space"]) or (len(first) > 1 and front[-1] != ")"))
    )
    if not (
        known
        or first.casefold() in MULTIPLES
        or (is_word(first) and len(first) > 2)
        or (len(first) > 2 and found["space"])
    ):
        return None
    inner = scalar(front)
    if not isinstance(inner, Scalar) or inner.percent:
        return None
    return _joined(inner, unit, text)


def _joined(inner: Scalar, unit: str, text: str) -> Shape:
    if CHANGING_WORDS.search(unit):
        return in_words(text)
    found = with_unit(inner.text, unit)
    if inner.unit and isinstance(found, Scalar):
        return Scalar(
            found.text, f"{inner.unit} {found.unit}".strip() if found.unit != inner.unit else inner.unit
        )
    return found


def with_unit(number: str, unit: str) -> Shape:
    """``5`` and ``million dollars`` are ``5*1000000`` dollars."""
    first, _, rest = unit.strip().partition(" ")
    times = MULTIPLES.get(first.casefold().removesuffix("s"))
    if times is None:
        letter = unit.strip()
        if len(letter) == 1 and not is_known(letter):
            return Scalar(f"({number}){letter}")
        return Scalar(number, canonical_unit(unit)) if re.search(r"\w|%", unit) else Scalar(number)
    number = f"({number})*{times}"
    return Scalar(number, canonical_unit(rest)) if rest else Scalar(number)
