r"""The text of an answer in one spelling: Unicode becomes LaTeX, dressing and meaningless spacing go.

Nothing that means something is dropped: units, signs, words and variables stay. What an answer is made of
is told by ``search.grading.mathematics.answer_shape``.

>>> [plain(text) for text in (r"\textbf{(C) } 12", "2√3", r"\frac {1} {2}", r"$\dfrac12$", "5 m/s²")]
['(C) 12', '2\\sqrt{3}', '\\frac{1}{2}', '\\frac12', '5 m/s^{2}']
"""

from __future__ import annotations

import re
from functools import lru_cache

from search.grading.mathematics.latex_unicode import from_unicode

__all__ = ["braced_end", "plain"]

#: what one rule uncovers another one may simplify; more layers than this nobody writes
_PASSES = 20

#: commands that mean nothing; their arguments stay
_EMPTY = re.compile(
    r"\\(?:left|right|middle|displaystyle|textstyle|scriptstyle|limits|nolimits|bf|rm|it|sf|tt|boldmath|"
    r"large|Large|LARGE|huge|Huge|small|normalsize|centering|noindent|strut|mathstrut|null|"
    r"[bB]ig[glr]?|[bB]igg[lr]?|unicode|relax|mathstrut|quad|qquad|enspace|thinspace)(?![a-zA-Z])"
)
_INVISIBLE = re.compile(r"\\(?:label|tag|phantom|hphantom|vphantom|hspace|vspace|kern)\*?\s*\{[^{}]*\}")
#: commands whose argument is what they mean
_WRAPPERS = (
    "boxed", "fbox", "framebox", "underline", "uline", "mathbf", "boldsymbol", "bm", "pmb", "mathit",
    "mathsf",
    "mathtt", "mathnormal", "mathop", "mathrel", "mathbin", "mathord", "ensuremath", "displaylines", "cancel",
    "underbrace", "overbrace", "emph", "hl", "mathstrut", "bold", "Bold", "strong",
)  # fmt: skip
_WRAPPER = re.compile(rf"\\(?:{'|'.join(_WRAPPERS)})\s*(?=\{{)")
_COLOURED = re.compile(r"\\(?:textcolor|colorbox|color|fcolorbox)\s*(?:\[[^\]]*\])?\s*\{[^{}]*\}")
_PROSE = re.compile(
    r"\\(?:textbf|textit|textrm|textsf|texttt|textnormal|textup|textsc|mbox|hbox|mathrm|mathbfit|operatorname\*?|"
    r"text|rm|unit|si)\s*\{"
)
_FUNCTIONS = frozenset({
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "sinh", "cosh",
    "tanh", "coth", "ln", "log", "lg", "exp", "det", "gcd", "lcm", "max", "min", "deg", "dim", "ker",
    "arg", "lim", "sup", "inf", "mod", "sgn", "floor", "ceil", "sqrt", "arcsec", "arccsc",
})  # fmt: skip
_LIMITED = re.compile(
    r"(?<![\\a-zA-Z])(arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|exp)(?=[\s(^_{\\0-9]|$)"
)
_ROOT_WORD = re.compile(r"(?<![\\a-zA-Z])sqrt(?=\s*[({\[0-9])")
_ASCII = re.compile(r"(?<![\\a-zA-Z])(infinity|infty|inf|pi|theta|alpha|beta|gamma|lambda)(?![a-zA-Z])")
_FRACTION = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
_SYNONYMS = {
    r"\leq": r"\le", r"\leqslant": r"\le", r"\leqq": r"\le", r"\geq": r"\ge", r"\geqslant": r"\ge",
    r"\geqq": r"\ge",
    r"\neq": r"\ne", r"\not=": r"\ne", r"\lt": "<", r"\gt": ">", r"\varnothing": r"\emptyset", r"\colon": ":",
    r"\dots": r"\ldots", r"\cdots": r"\ldots", r"\dotsc": r"\ldots", r"\dotsb": r"\ldots", r"\ast": "*",
    r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\degree": r"^\circ",
    r"\bar": r"\overline",
    r"\varepsilon": r"\epsilon", r"\varphi": r"\phi", r"\vartheta": r"\theta", r"\land": r"\wedge",
    r"\lor": r"\vee",
    r"\backslash": r"\setminus", r"\smallsetminus": r"\setminus", r"\imath": "i", r"\jmath": "j",
    r"\lvert": "|", r"\lVert": "|", r"\rVert": "|", r"\Vert": "|",
    r"\rvert": "|", r"\vert": "|", r"\mid": ""
    r"|", r"\tbinom": r"\binom", r"\dbinom": r"\binom", r"\choose": r"\choose",
    r"\isin": r"\in", r"\rightarrow": r"\to", r"\bmod": r"\bmod", r"\triangle": r"\triangle",
    r"\textdegree": r"^\circ",
    r"\tg": r"\tan", r"\ctg": r"\cot", r"\arctg": r"\arctan", r"\lg": r"\log_{10}",
    r"\texteuro": "€", r"\euro": "€",
    r"\pounds": "£", r"\yen": "¥", r"\Reals": r"\mathbb{R}", r"\infin": r"\infty", r"\N": r"\mathbb{N}",
    r"\R": r"\mathbb{R}", r"\Z": r"\mathbb{Z}", r"\Q": r"\mathbb{Q}", r"\C": r"\mathbb{C}",
    r"\textdollar": r"\$",
}  # fmt: skip
_COMMAND = re.compile(r"\\not=|\\[a-zA-Z]+")
_DEGREES = re.compile(r"\^\s*\{\s*\\circ\s*\}|\^\s*\\circ(?![a-zA-Z])|\\circ(?![a-zA-Z])(?=\s*$)")
#: the commas and spaces that part thousands: 12{,}345, 12,\!345, 12\,345
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:(?:\{,\}|,\\!|\\,|\\;|\\ |~|,\\,)\s*\d{3})+(?!\d)")
_THOUSAND_MARK = re.compile(r"\{,\}|,\\!|\\,|\\;|\\ |~|,|\s")
_SPACED_THOUSANDS = re.compile(r"(?<![\d.,/])\d{1,3}(?: \d{3})+(?![\d/]| \d)")
#: the letter as a sign: 1.2 x 10^6
_TIMES = re.compile(r"(?<=[\d}])\s*[xX]\s*(?=10\s*\^)|(?<=\d) [xX] (?=\d)")
_ROW_GAP = re.compile(r"\\\\\s*\[-?[\d.]+\s*[a-z]{2}\]")
#: a base that a space or a bracket ends is whole; of digits alone, LaTeX takes the first
_LOG_BASE = re.compile(r"\\log_(\d+)(?=[\s(\\a-zA-Z{])")
_LOG_DIGITS = re.compile(r"\\log_(\d)(\d+)(?!\d)")
_NICE_FRACTION = re.compile(r"\\(?:nicefrac|sfrac|flatfrac|textfrac)(?![a-zA-Z])")
_RAISED_FRACTION = re.compile(r"\{?\}?\^\{?(\d+)\}?\s*\\?/\s*_\{?(\d+)\}?")
_LETTER_DEGREES = re.compile(r"(?<=[\d}])(?:\^\{\s*(?:o|\\text\{o\})\s*\}|\^o(?![a-zA-Z]))")
_NARROW = re.compile(r"\\!|\\/|(?<!\\)\\(?=\s*$)")
_SPACES = re.compile(r"(?<!\\)(?:\\[,;:> ]|~)")
_AROUND = re.compile(r"\s+")
#: a space beside an operator or inside a bracket, or before a command or a comma
_IDLE_SPACE = re.compile(r"(?<=[-+*/=<>^_|&(\[{:]) | (?=[-+*/=<>^_|&)\]{},;:!\\])|(?<=[^a-zA-Z0-9.,;)%'}]) ")
_AFTER_COMMAND = re.compile(r"(\\[a-zA-Z]+) (?![a-zA-Z])")


@lru_cache(maxsize=65_536)
def plain(text: str) -> str:
    """An answer in one spelling; "" for one of spaces and dressing alone. ``plain(plain(t)) == plain(t)``."""
    for _ in range(_PASSES):
        once = _simpler(text)
        if once == text:
            break
        text = once
    return text


def braced_end(text: str, start: int) -> int:
    r"""The index of the brace that closes the one at ``start``; -1 where none does. ``\{`` is no brace."""
    depth, place = 0, start
    while place < len(text):
        mark = text[place]
        if mark == "\\":
            place += 2
            continue
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if not depth:
            return place
        place += 1
    return -1


def _simpler(text: str) -> str:
    out = from_unicode(text)
    out = _stripped(out)
    out = _THOUSANDS.sub(lambda found: _THOUSAND_MARK.sub("", found[0]), out)
    out = _NARROW.sub("", out)
    out = _INVISIBLE.sub("", _SPACES.sub(" ", out))
    out = _EMPTY.sub(" ", out)
    out = _unwrapped(out)
    out = _FRACTION.sub(r"\\frac", out)
    out = _NICE_FRACTION.sub(r"\\frac", out)
    out = _RAISED_FRACTION.sub(r"\\frac{\1}{\2}", out)
    out = _LOG_BASE.sub(r"\\log_{\1}", out)
    out = _LOG_DIGITS.sub(r"\\log_{\1}{\2}", out)
    out = _COMMAND.sub(_known, out).replace("\\|", "|")
    out = _LETTER_DEGREES.sub(r"^\\circ ", out)
    out = _DEGREES.sub(r"^\\circ ", out).replace("\\%", "%")
    out = _TIMES.sub(r"\\times ", out)
    out = _ROW_GAP.sub(r"\\\\\\\\", out)
    out = _ROOT_WORD.sub(r"\\sqrt", out)
    out = _LIMITED.sub(r"\\\1", out)
    out = _ASCII.sub(_greek, out)
    out = _texts(out)
    return _spaced(out)


def _stripped(text: str) -> str:
    """Without what stands around an answer: dollars, stars, quotes, the full stop of a sentence."""
    out = text.strip()
    if not out.strip("$*` "):
        return ""
    for begin, end in (
        ("$$", "$$"),
        ("\\[", "\\]"),
        ("\\(", "\\)"),
        ("$", "$"),
        ("**", "**"),
        ("`", "`"),
        ('"', '"'),
    ):
        inner = out[len(begin) : -len(end)]
        if (
            len(out) > len(begin) + len(end)
            and out.startswith(begin)
            and out.endswith(end)
            and begin not in inner
        ):
            if end == "$" and inner.endswith("\\"):
                continue
            out = inner.strip()
    while out and out[-1] in ".,;:!?" and not _ends_with_meaning(out):
        out = out[:-1].rstrip()
    if out.startswith("{") and braced_end(out, 0) == len(out) - 1:
        out = out[1:-1].strip()
    # dollars inside: of mathematics in a sentence, never of money (that is \$ or stands before a digit)
    if "$" in out and (out.count("$") - out.count("\\$")) % 2 == 0:
        out = re.sub(r"(?<!\\)\$", " ", out)
    return out


def _ends_with_meaning(text: str) -> bool:
    """Whether the last mark belongs to the answer: dots, a factorial, ``p.m.``, a LaTeX space."""
    if text.endswith("..") or (
        text[-1] == "!" and len(text) > 1 and (text[-2].isalnum() or text[-2] in ")}!")
    ):
        return True
    if len(text) > 1 and text[-2] == "\\":
        return True
    return text[-1] == "." and re.search(r"\b[apAP]\.\s*[mM]\.$", text) is not None


def _unwrapped(text: str) -> str:
    out = _COLOURED.sub("", text)
    while (found := _WRAPPER.search(out)) is not None:
        start = found.end()
        end = braced_end(out, start)
        if end < 0:
            return out
        out = f"{out[: found.start()]} {{{out[start + 1 : end]}}}{out[end + 1 :]}"
    return out


def _known(found: re.Match[str]) -> str:
    name = _SYNONYMS.get(found[0])
    if name is None:
        return found[0]
    return name + " " if name[-1].isalpha() else name


def _greek(found: re.Match[str]) -> str:
    return r"\infty " if found[1].startswith("inf") else rf"\{found[1]} "


def _texts(text: str) -> str:
    r"""Every prose command becomes ``\text{...}``; where it opens the answer or holds no words, it goes."""
    pieces, place = [], 0
    while (found := _PROSE.search(text, place)) is not None:
        start = found.end() - 1
        end = braced_end(text, start)
        if end < 0:
            break
        pieces.append(text[place : found.start()])
        upright = found[0].startswith((r"\mathrm", r"\operatorname", r"\rm"))
        opens = not text[: found.start()].strip(" ({")
        pieces.append(_prose(" ".join(text[start + 1 : end].split()), upright, opens))
        place = end + 1
    return "".join([*pieces, text[place:]])


def _prose(inner: str, upright: bool, opens: bool) -> str:
    if upright and inner in _FUNCTIONS:
        return rf"\{inner} "
    if upright and len(inner) == 1 and inner in "iedTPE":
        return f" {inner} "
    if opens or not re.search("[a-zA-Z]", inner) or re.search(r"[\\$=]", inner):
        return f" {inner} "
    return rf"\text{{{inner}}}"


def _spaced(text: str) -> str:
    """Spaces only where they part something: words, digits, a command from a letter, items of a list."""
    out = _AROUND.sub(" ", text).strip()
    out = _IDLE_SPACE.sub("", out)
    out = _AFTER_COMMAND.sub(r"\1", out)
    if ", " not in out and "; " not in out:
        return out
    pieces, depth = [], 0
    for place, mark in enumerate(out):
        if mark in "([)]" or (mark in "{}" and out[place - 1 : place] == "\\"):  # plain braces are dressing
            depth += 1 if mark in "([{" else -1
        if not (mark == " " and depth > 0 and out[place - 1] in ",;"):
            pieces.append(mark)
    return "".join(pieces)
