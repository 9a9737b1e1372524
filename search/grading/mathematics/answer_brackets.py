r"""What the brackets and commas of an answer enclose and part, before anything is read.

>>> enclosed("(1,2]"), enclosed("(1)(2)"), comma_parts("(1,2),3")
('(]', '', ['(1,2)', '3'])
"""

from __future__ import annotations

import re
from itertools import pairwise

__all__ = ["comma_parts", "enclosed", "inside_brackets", "is_short_list"]


def inside_brackets(text: str) -> list[bool]:
    """For every character, whether it stands inside of brackets or of an environment."""
    depth, marks = 0, []
    place = 0
    while place < len(text):
        step = 1
        if text.startswith("\\begin{", place):
            depth, step = depth + 1, 7
        elif text.startswith("\\end{", place):
            depth, step = depth - 1, 5
            depth += 1  # the brace that \end opens
        elif text.startswith(("\\{", "\\langle", "\\lfloor", "\\lceil"), place):
            depth, step = depth + 1, 2
        elif text.startswith(("\\}", "\\rangle", "\\rfloor", "\\rceil"), place):
            depth, step = depth - 1, 2
        elif text[place] in "([{":
            depth += 1
        elif text[place] in ")]}":
            depth -= 1
        if text.startswith("\\begin{", place):
            depth += 1
        marks.extend([depth > 0] * step)
        place += step
    return marks[: len(text)]


def enclosed(text: str) -> str:
    """The brackets that enclose the whole text, "" where none do."""
    for begin, end, pair in (
        ("\\{", "\\}", "{}"), ("\\langle", "\\rangle", "()"), ("(", ")", "()"), ("[", "]", "[]"),
        ("(", "]", "(]"),
        ("[", ")", "[)"), ("]", "[", "()"), ("]", "]", "(]"), ("[", "[", "[)"),
    ):  # fmt: skip
        if text.startswith(begin) and text.endswith(end) and len(text) > len(begin) + len(end):
            inner = text[len(begin) : -len(end)]
            depth = 0
            for mark in re.sub(
                r"\\[{}]|\\[a-zA-Z]+", lambda found: {"\\{": "(", "\\}": ")"}.get(found[0], " "), inner
            ):
                depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(mark, 0)
                if depth < 0:
                    break
            if depth == 0:
                return pair
    return ""


def comma_parts(text: str) -> list[str]:
    inside = inside_brackets(text)
    places = [
        place
        for place, mark in enumerate(text)
        if mark in ",;" and not inside[place] and text[place - 1 : place] != "\\"
    ]
    edges = [-1, *places, len(text)]
    return [text[begin + 1 : end].strip() for begin, end in pairwise(edges)]


def is_short_list(text: str) -> bool:
    """Whether one item has other than three digits,
    so that commas part items: ``2,100,300``? No: ``1,25,300``."""
    parts = text.split(",")
    return any(re.fullmatch(r"-?\d{1,2}|-?\d{4,}", part) for part in parts[1:])
