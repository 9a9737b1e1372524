r"""Tells the shape of an answer, by brackets, commas and signs.

>>> shaped("x=2,y=4").items[1].sides[1]
Scalar(text='4', unit='', percent='')
>>> shaped("(1,234)") == shaped("1,234")
False
"""

from __future__ import annotations

import re
from functools import lru_cache

from search.grading.mathematics.answer_brackets import comma_parts, enclosed, inside_brackets, is_short_list
from search.grading.mathematics.answer_scalars import (
    CHANGING_WORDS,
    compound,
    in_words,
    is_word,
    scalar,
    with_unit,
)
from search.grading.mathematics.answer_shape import (
    Clock,
    Items,
    Lettered,
    Matrix,
    Numeral,
    Ratio,
    Relation,
    Residue,
    Scalar,
    Shape,
    Union,
    Words,
)  # fmt: skip
from search.grading.mathematics.latex_text import plain
from search.grading.mathematics.number_words import spoken

__all__ = ["shaped"]

#: how deep lists of lists go
_DEEPEST = 6

_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CONJUNCTION = re.compile(
    r"\s*,?\s*\\text\{\s*,?\s*(?P<text>and|or)\s*,?\s*\}\s*|\s*,?\s*(?<![a-zA-Z\\])(?P<bare>and|or)(?![a-zA-Z])\s*"
    r"|\s*(?P<sign>\\wedge|\\vee)(?![a-zA-Z])\s*"
)
_OPERATOR = re.compile(r"\\(?:le|ge|ne|in|approx|equiv|sim|cong|parallel|perp)(?![a-zA-Z])|<=|>=|!=|[=<>]")
_SPELLED = {"<=": r"\le", ">=": r"\ge", "!=": r"\ne"}
_SETS = re.compile(r"\\(?:cup|setminus)(?![a-zA-Z])")
_MATRIX = re.compile(
    r"(?P<before>.*?)(?P<open>[(\[|]?)\\begin\{(?P<kind>[pbBvV]?(?:small)?matrix|array)\}(?:\{[lcr|]*\})?(?P<inside>.*?)"
    r"\\end\{(?P=kind)\}(?P<close>[)\]|]?)(?P<power>\^\{?(?:T|\\top|\\intercal)\}?)?",
    re.DOTALL,
)
_LETTERED = re.compile(
    r"(?:(?:option|choice|answer)\s*:?\s*)?(?:\(([A-Z])\)\s*(.*)|([A-J])(?:[):]|\.(?= ))\s*(.*))"
    r"|(?:option|choice|answer)\s*:?\s*(?P<alone>[A-J])",
    re.DOTALL | re.IGNORECASE,
)
_NUMERAL = re.compile(
    r"\(?([0-9][0-9A-Fa-f]*|[A-Fa-f][0-9A-Fa-f]*[0-9][0-9A-Fa-f]*)\)?_\{?(?:\\text\{)?\s*(\w+)\s*\}*"
)
_IN_BASE = re.compile(
    r"([0-9][0-9A-Fa-f]*)\s*(?:_\{)?\s*(?:\\text\{)?\s*\(?\s*(?:in )?base[- ]?(?:\}\s*)?(\w+)\s*\)?\s*\}*"
)
_CLOCK = re.compile(
    r"(\d{1,2})(?::(\d{2})(?::00)?)?\s*(?:\\text\{)?\s*(?:(a|p)\.? ?m\.?)?\s*\}?(?:\s*(?:o'clock))?",
    re.IGNORECASE,
)
_RESIDUE = re.compile(
    r"(.+?)\s*\(?(?:\\(?:pmod|bmod|mod)|\\text\{\s*\(?mod\s*\}|(?<![a-zA-Z\\])mod)(?![a-z])\s*\{?([^{}()]+?)\}?\)?"
)
_LABEL = re.compile(
    r"(?:\\text\{)?\s*[a-zA-Z][a-zA-Z ,'-]*?\b(?:is|are|equals|equal to"
    r"|be)\s*:?\s*\}?\s*(?P<rest>[-+\d\\(\[{$|.].*|[a-zA-Z](?![a-zA-Z]).*)",
    re.DOTALL,
)
_TITLE = re.compile(r"[a-zA-Z][a-zA-Z' -]{2,}:\s*(?P<rest>[^:]+)", re.DOTALL)
_APPROXIMATELY = re.compile(
    r"(?:\\approx|\\text\{\s*(?:approximately|about)\s*\}|approximately|about|approx\.?)\s*(?=[-\d\\.$])"
)
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
          "eleven": 11, "twelve": 12, "sixteen": 16}  # fmt: skip
_PHRASES = {
    "all real numbers": r"\mathbb{R}", "all reals": r"\mathbb{R}", "real numbers": r"\mathbb{R}",
    "all integers": r"\mathbb{Z}", "integers": r"\mathbb{Z}", "empty set": r"\emptyset",
    "no solution": r"\emptyset",
    "no solutions": r"\emptyset", "no real solutions": r"\emptyset", "no real solution": r"\emptyset",
    "does not exist": "dne", "undefined": "dne", "infinity": r"\infty",
}  # fmt: skip


@lru_cache(maxsize=65_536)
def shaped(text: str) -> Shape:
    """The shape of an answer. Never raises: what cannot be told apart is ``Words``."""
    return _shaped(plain(text), 0)


def _shaped(text: str, depth: int) -> Shape:
    text = plain(text)
    if depth > _DEEPEST or not text:
        return in_words(text)
    for read in (
        _choice,
        _phrase,
        _split,
        _label,
        _signs,
        _numeral,
        _clock,
        _residue,
        _matrix,
        _relation,
        _sets,
    ):
        found = read(text, depth)
        if found is not None:
            return found
    return _bracketed(text, depth) or _ratio(text, depth) or scalar(text)


def _phrase(text: str, depth: int) -> Shape | None:
    """Answers in words: names, phrases, numbers."""
    bare = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).strip(" .")
    if re.search(r"[\\\d=<>^_+*/$%()\[\]{}|]", bare):
        return None
    low = " ".join(bare.casefold().split())
    number = spoken(low)
    if number is not None:
        return Scalar(str(number))
    if low in _PHRASES:
        meant = _PHRASES[low]
        if meant == r"\emptyset":
            return Items("{}", ())
        return Scalar(meant) if meant.startswith("\\") else Words(meant)
    if " or " in low or " and " in low or "," in low or ";" in low:
        return None
    words = re.findall(r"[A-Za-z]+", bare)
    if words and any(is_word(word) for word in words):
        unit = re.match(r"([a-zA-Z-]+) (.+)", bare)
        count = spoken(unit[1]) if unit is not None else None
        if unit is not None and count is not None and not CHANGING_WORDS.search(unit[2]):
            return with_unit(str(count), unit[2])
        return in_words(bare)
    return None


def _split(text: str, depth: int) -> Shape | None:
    """A list: parts between commas, semicolons, "and" and "or" outside of brackets."""
    if _THOUSANDS.fullmatch(text) or enclosed(text):
        return None
    together = compound(text)
    if together is not None:
        return together
    inside = inside_brackets(text)
    cuts: list[tuple[int, int]] = []
    joined = ""
    spaced = re.search(r"[,;] ", text) is not None
    place = 0
    while place < len(text):
        word = None if inside[place] else _CONJUNCTION.match(text, place)
        if word is not None and (word["text"] or word["bare"] or word["sign"]):
            joined = word["text"] or word["bare"] or {"\\wedge": "and", "\\vee": "or"}[word["sign"]]
            cuts.append(word.span())
            place = word.end()
            continue
        if not inside[place] and text.startswith("\\\\", place):
            cuts.append((place, place + 2))
            place += 2
            continue
        if not inside[place] and text[place] in ",;" and text[place - 1 : place] != "\\":
            is_thousands = text[place] == "," and re.match(r",\d{3}(?!\d)", text[place:]) is not None
            is_thousands = (
                is_thousands
                and re.search(r"(?<![\d.])(?:\d{1,3}|\d{1,3}(?:,\d{3})+)$", text[:place]) is not None
            )
            if not (is_thousands and (spaced or not is_short_list(text))):
                cuts.append((place, place + 1))
        place += 1
    if not cuts:
        return None
    edges = [0, *(edge for cut in cuts for edge in cut), len(text)]
    parts = [text[begin:end].strip() for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    shapes = [_shaped(part, depth + 1) for part in parts if part.strip(" \\")]
    if not shapes:
        return in_words(text)
    return shapes[0] if len(shapes) == 1 else Items("", _flat(shapes), joined)


def _flat(shapes: list[Shape]) -> tuple[Shape, ...]:
    found: list[Shape] = []
    for shape in shapes:
        found.extend(shape.items if isinstance(shape, Items) and not shape.brackets else (shape,))
    return tuple(found)


def _label(text: str, depth: int) -> Shape | None:
    """``The value is 5`` says 5; ``approximately 5`` too."""
    found = _LABEL.fullmatch(text) or _TITLE.fullmatch(text)
    if found is not None:
        return _shaped(found["rest"], depth + 1)
    about = _APPROXIMATELY.match(text)
    return _shaped(text[about.end() :], depth + 1) if about is not None else None


def _signs(text: str, depth: int) -> Shape | None:
    r"""``2\pm\sqrt5`` are two answers."""
    if "\\pm" not in text and "\\mp" not in text:
        return None
    if re.search(r"\\pmod|\\pm(?=[a-z])", text):
        return None
    if enclosed(text) == "{}":
        return None
    plus = re.sub(r"\\mp(?![a-z])", "-", re.sub(r"\\pm(?![a-z])", "+", text))
    minus = re.sub(r"\\mp(?![a-z])", "+", re.sub(r"\\pm(?![a-z])", "-", text))
    return Items("", _flat([_shaped(plus, depth + 1), _shaped(minus, depth + 1)]))


def _choice(text: str, depth: int) -> Shape | None:
    found = _LETTERED.fullmatch(text)
    if found is None:
        return None
    letter, rest = found[1] or found[3] or found["alone"], (found[2] or found[4] or "").strip()
    if not letter.isupper():
        return None
    if not rest:
        return Lettered(letter)
    if (rest[0] in "^_!*/=<>)]+-,;" and not re.match(r"-\d", rest)) or _CONJUNCTION.match(rest) is not None:
        return None
    return Lettered(letter, _shaped(rest, depth + 1))


def _numeral(text: str, depth: int) -> Shape | None:
    found = _NUMERAL.fullmatch(text) or _IN_BASE.fullmatch(text)
    if found is None:
        return None
    base = _BASES.get(found[2]) or (int(found[2]) if found[2].isdigit() else 0)
    if not 2 <= base <= 36:
        return None
    return Numeral(found[1].upper().lstrip("0") or "0", base)


def _clock(text: str, depth: int) -> Shape | None:
    found = _CLOCK.fullmatch(text)
    if found is None or (found[2] is None and found[3] is None):
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    half = f"{found[3].lower()}m" if found[3] else ""
    if hour > 24 or minute > 59:
        return None
    if hour > 12 and not half:
        hour, half = hour - 12, "pm"
    return Clock(hour, minute, half)


def _residue(text: str, depth: int) -> Shape | None:
    found = _RESIDUE.fullmatch(text)
    if found is None:
        return None
    value = found[1].rpartition("\\equiv")[2]
    return Residue(_shaped(value, depth + 1), _shaped(found[2], depth + 1))


def _matrix(text: str, depth: int) -> Shape | None:
    found = _MATRIX.fullmatch(text)
    if found is None or "\\begin" in found["inside"] or any(sign in found["before"] for sign in "=<>+,"):
        return None
    front = found["before"].strip().rstrip("*")
    front = re.sub(r"\\(?:cdot|times)$", "", front)
    rows = []
    for line in found["inside"].split("\\\\"):
        if line.replace("\\hline", "").strip():
            cells = [cell.replace("\\hline", "").strip() for cell in line.split("&")]
            rows.append([f"({front if front != '-' else '-1'})({cell})" if front else cell for cell in cells])
    if found["power"]:
        rows = [list(column) for column in zip(*rows, strict=False)]
    kind = "v" if found["kind"] in ("vmatrix", "Vmatrix") or found["open"] == "|" else ""
    return Matrix(kind, tuple(tuple(_shaped(cell, depth + 1) for cell in row) for row in rows))


def _relation(text: str, depth: int) -> Shape | None:
    inside = inside_brackets(text)
    cuts = [found for found in _OPERATOR.finditer(text) if not inside[found.start()]]
    if not cuts:
        return None
    edges = [0, *(edge for cut in cuts for edge in cut.span()), len(text)]
    sides = [text[begin:end].strip() for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    operators = [_SPELLED.get(cut[0], cut[0]) for cut in cuts]
    if not sides[0] and operators[0] in ("=", "\\approx"):
        sides, operators = sides[1:], operators[1:]
    if not all(sides):
        return in_words(text)
    if not operators:
        return _shaped(sides[0], depth + 1)
    # f(x)=...: the sides of an equation are no intervals, its last side may be
    return Relation(tuple(operators), tuple(_shaped(side, depth + 1) for side in sides))


def _sets(text: str, depth: int) -> Shape | None:
    inside = inside_brackets(text)
    cuts = [found for found in _SETS.finditer(text) if not inside[found.start()]]
    names = {cut[0] for cut in cuts}
    if len(names) != 1:
        return None if not names else in_words(text)
    edges = [0, *(edge for cut in cuts for edge in cut.span()), len(text)]
    parts = [text[begin:end].strip() for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    return Union(names.pop(), tuple(_shaped(part, depth + 1) for part in parts))


def _bracketed(text: str, depth: int) -> Shape | None:
    brackets = enclosed(text)
    if not brackets:
        return Items("{}", ()) if text in ("\\{\\}", "\\emptyset") else None
    inner = re.sub(r"^(?:\\\{|\\langle|[(\[\]])|(?:\\\}|\\rangle|[)\]\[])$", "", text).strip()
    builder = re.fullmatch(r"([a-zA-Z](?:\\in\\mathbb\{R\})?)\s*(?:\||:)\s*(.+)", inner, re.DOTALL)
    if brackets == "{}" and builder is not None:
        return _shaped(builder[2], depth + 1)
    parts = comma_parts(inner)
    if len(parts) > 1:
        if brackets != "{}" and "\\pm" in inner.replace("\\pmod", ""):
            return _signs(text, depth)
        shapes = [_shaped(part, depth + 1) for part in parts]
        return Items(brackets, _flat(shapes) if brackets == "{}" else tuple(shapes))
    if brackets == "{}":
        return Items("{}", _flat([_shaped(inner, depth + 1)]))
    if brackets == "()":
        inside = _shaped(inner, depth + 1)
        return (
            inside
            if not isinstance(inside, Words) and not (isinstance(inside, Scalar) and not inside.unit)
            else None
        )
    return None


def _ratio(text: str, depth: int) -> Shape | None:
    inside = inside_brackets(text)
    if ":" in text and not any(mark == ":" and inside[place] for place, mark in enumerate(text)):
        parts = [part.strip() for part in text.split(":")]
    else:
        found = re.fullmatch(r"(\d+)\s*(?:\\text\{\s*to\s*\}|to)\s*(\d+)", text)
        parts = [found[1], found[2]] if found is not None else []
    if len(parts) < 2 or not all(parts):
        return None
    terms = tuple(_shaped(part, depth + 1) for part in parts)
    return Ratio(terms) if all(isinstance(term, Scalar) for term in terms) else in_words(text)
