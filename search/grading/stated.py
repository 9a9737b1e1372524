r"""What a solution states as its answer, as it was written: the last box, else the last line that says so.

>>> stated(r"First \boxed{1}. So it is \boxed{\frac{1}{2}}.")
'\\frac{1}{2}'
>>> stated("Nine each.\n#### 18")
'18'
>>> stated("The final answer is: 50.7 atm. I hope it is correct.")
'50.7 atm'
>>> stated("It is 18") is None
True
"""

from __future__ import annotations

import re

__all__ = ["stated"]

_SAID = re.compile(
    r"^\s*(?:####|\*{0,2}(?:A|Answer|Final answer)\*{0,2}\s*:\*{0,2})\s*(.+?)\s*$|"
    r"\bthe (?:final )?answer is:?\s*(.+?)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
#: an answer that a sentence states may be dressed in mathematics; the sentence may go on behind it
_DRESSED = re.compile(r"\$((?:\\\$|[^$])+)\$(?=[.,;]?\s*(?:$|[A-Z]))|\\\((.+?)\\\)|\*\*(.+?)\*\*")
_NEXT_SENTENCE = re.compile(r"\.\s+(?=[A-Z])")


def stated(text: str) -> str | None:
    """The answer as written; None where none is stated. Never raises."""
    boxed = _boxed(text)
    if boxed is not None:
        return boxed
    said = _SAID.findall(text)
    return _bare(max(said[-1])) if said else None


def _bare(said: str) -> str:
    """What a sentence says: inside its first dollars, or up to the next sentence."""
    dressed = _DRESSED.match(said)
    if dressed is not None:
        return next(part for part in dressed.groups() if part is not None)
    return _NEXT_SENTENCE.split(said, maxsplit=1)[0]


def _boxed(text: str) -> str | None:
    """What stands in the last box, braces counted; None without a box that is closed."""
    begin = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if begin < 0:
        return None
    depth, start = 0, text.index("{", begin)
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return text[start + 1 : place]
    return None
