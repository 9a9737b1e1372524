r"""What a solution states as its answer, as it was written.

Thoughts (``<think>...</think>``) do not count, whether they are finished or not. Then the last box counts;
boxes that are joined by commas, "and" or "or" are a list. Without a box it is an ``<answer>`` tag, else the
last place that says so: ``#### x``, ``Answer: x``, ``the answer is x``, a heading ``Final Answer`` with the
answer below it. A sentence that merely ends with a number states nothing.

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

__all__ = ["stated", "without_thoughts"]

_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_UNFINISHED = re.compile(r"<(?:think|thinking|thought|reasoning)>.*", re.DOTALL | re.IGNORECASE)
_OPENED_BEFORE = re.compile(r".*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![a-zA-Z])\s*")
#: what may stand between two boxes of one list, beside names to which the boxes are given
_BETWEEN = re.compile(
    r"(?:\s|\$|\\[()\[\],;:! ]|[,;]|\*|~|\\q?quad|&)*(?:(?:\\text\{\s*)?(?P<word>and|or)(?:\s*\})?)?"
    r"(?:\s|\$|\\[()\[\],;:! ]|[,;]|\*|~|\\q?quad|&)*(?:[a-zA-Z](?:_\{?\w+\}?)?\s*=\s*)?(?:\s|\$|\\[(\[])*"
)
#: marks beside a box that belong to what is in it
_PERCENT_BEHIND = re.compile(r"\s*\\?%")
_MINUS_BEFORE = re.compile(r"(?:=|\$|\\\[|\\\(|\bis)\s*-\s*\Z")
#: characters between two boxes of one list
_FAR = 80
_TAG = re.compile(r"<(answer|final_answer)>(.*?)(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_HASHES = re.compile(r"^[ \t]*####(?!#)[ \t]*(?P<said>\S.*)$", re.MULTILINE)
#: headings of Markdown that begin with four hashes too
_HEADING = re.compile(
    r"\*{0,2}(?:\d+[.)]\s+\D|(?:step|part|case|method|approach|solution|explanation|conclusion|final|answer|ans|the|"
    r"verification|check|note)\b)|[^\d$\\]*:\*{0,2}$",
    re.IGNORECASE,
)
#: a line that says so: Answer: 4, **Final Answer**, ✅ Final Answer: **73**, Ans = 4, A: 18
_NAMED = re.compile(
    r"^[^\w\n\\$]*(?:(?:so|thus|therefore|hence)\b,?[ \t]*)?(?:(?:the|my|your)[ \t]+)?"
    r"(?:(?:final|correct|right|short)[ \t]+)?(?:(?P<word>answer|ans)|A(?=[*_]*:))[*_`]*[ \t]*\.?[ \t]*"
    r"(?P<mark>[:=]|\uff1a|->|→|⇒|(?=\n|\Z))",
    re.IGNORECASE | re.MULTILINE,
)
#: a sentence that says so
_SENTENCE = re.compile(
    r"\banswer(?:[ \t]+(?:to|of|for)\b[^.\n:=?]{0,80}?)?[ \t]+"
    r"(?:is|are|equals|must be|should be|will be|would be|comes out to be|turns out to be)\b",
    re.IGNORECASE,
)
#: words between the statement and the answer
_FILLERS = re.compile(
    r"(?:[\s:=,*_`\"\uff1a>]|(?:then|therefore|thus|hence|so|simply|just|indeed|clearly|exactly|approximately|about|roughly|"
    r"equal to|given by|now|actually|definitely|option|choice)\b|✅|👉|➡️|🎯|→|⇒|-(?= ))*",
    re.IGNORECASE,
)
#: statements that tell no answer
_NOTHING = re.compile(
    r"(?:obtained|found|computed|calculated|derived|determined|shown|as follows|below|above|clear|correct"
    r"|right|wrong|"
    r"incorrect|unknown|in the form|in simplest form|expressed|written|supposed|going|expected|required"
    r"|what|that|"
    r"either way|independent|unique)\b",
    re.IGNORECASE,
)
#: how a sentence goes on behind the answer
_GOES_ON = re.compile(
    r"(?:\s*[,;(\u2014\u2013]\s*|\s+)(?:(?:because|since|which|where|not|so|thus|therefore|hence|rather|instead|but|after|meaning|"
    r"obtained|i\.e\.|based on|as (?:required|desired|claimed|was|we|shown|the|it|stated|given|expected)|"
    r"for (?:this|the)|in this|when (?:rounded|we|you|the)|from the|by the|"
    r"and (?:we|not|so|that|this|it))\b)",
    re.IGNORECASE,
)
#: a number in brackets told again in words
_ASIDE = re.compile(r"(?<=\d) \([a-zA-Z -]{3,}\)(?=\s*\Z)")
_SENTENCE_END = re.compile(r"(?<=[\w)}\]$%*'\"°!])[.?](?=\s|\Z)|\n")
_ABBREVIATION = re.compile(r"\b(?:[ap]\.\s?m|vs|approx|no|sq|cu)\Z", re.IGNORECASE)
_MATH = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<bracket>.+?)\\\]|\$(?P<dollar>(?:\\\$|[^$\n])+?)(?<!\\)\$|\\\((?P<paren>.+?)\\\)"
    r"|\*\*(?P<bold>[^*\n]+?)\*\*|`(?P<code>[^`\n]+)`",
    re.DOTALL,
)
#: an answer and nothing else: 73, $73$, **73**
_ALONE = re.compile(r"[-+]?\$?\d[\d.,/]*%?\.?|\$[^$=]+\$\.?|\*\*[^*=]*\d[^*=]*\*\*\.?")
_CONCLUDES = re.compile(
    r"[^\w\n]*(?:therefore|thus|hence|so|finally|in conclusion|in total|consequently|altogether)\b",
    re.IGNORECASE,
)
_ENDS_WITH = re.compile(
    r"(?:\b(?:is|are|equals|was|were)|(?:\A|\s)[a-zA-Z]\w*\s*=)\s*(?P<said>\$?-?\d[\d,./]*(?:%"
    r"|(?: [a-zA-Z]+){0,3}))[.!]?\Z"
)


def stated(text: str) -> str | None:
    """The answer as written; None where none is stated. Never raises."""
    text = without_thoughts(text)
    boxed = _boxed(text)
    if boxed is not None:
        return boxed
    tags = [tag[2].strip() for tag in _TAG.finditer(text)]
    tags = [tag for tag in tags if tag]
    if tags:
        return _said(tags[-1]) or _bare(tags[-1])
    return _said(text) or _concluded(text)


def without_thoughts(text: str) -> str:
    """A solution without what was thought before it; "" where the thought did not end."""
    if "<" not in text:
        return text
    return _OPENED_BEFORE.sub("", _UNFINISHED.sub("", _THOUGHT.sub(" ", text)))


def _said(text: str) -> str | None:
    """The last statement in words."""
    found = [
        (match.start(), _bare(match["said"])) for match in _HASHES.finditer(text) if _is_answer(match, text)
    ]
    for pattern in (_NAMED, _SENTENCE):
        found.extend((match.start(), _following(text, match.end())) for match in pattern.finditer(text))
    told = [entry for entry in found if entry[1]]
    return max(told, key=lambda entry: entry[0])[1] if told else None


def _is_answer(match: re.Match[str], text: str) -> bool:
    """Whether a line behind four hashes is an answer, and not a heading of Markdown."""
    said = match["said"]
    if _HEADING.match(said) is not None:
        return False
    return re.search(r"[\d$\\]", said) is not None or not text[match.end() :].strip()


def _following(text: str, place: int) -> str:
    """What a statement says: on its line, or on the next one that is not blank. "" where it tells nothing."""
    rest = text[place:]
    skipped = _FILLERS.match(rest)
    begin = 0 if skipped is None else skipped.end()
    rest = rest[begin:]
    line = rest.partition("\n")[0]
    if line.count("**") % 2:  # bold that began before the answer ends behind it
        rest = line.partition("**")[0]
    if not rest.strip() or _NOTHING.match(rest):
        return ""
    return _bare(rest)


def _bare(said: str) -> str:
    """The answer alone: up to the end of the sentence, or to where it goes on with reasons."""
    said = said.strip()
    math = _MATH.match(said)
    if math is not None:
        inner = next(part for part in math.groups() if part is not None).strip()
        rest = said[math.end() :]
        rest = _sentence(rest) if rest[:1] not in (".", "?") else ""
        if not rest.strip(" .,;:*!") or math["display"] or math["bracket"]:
            return inner
        return f"{math[0]}{rest}".strip()
    return _sentence(said).strip()


def _sentence(text: str) -> str:
    end = len(text)
    for match in _SENTENCE_END.finditer(text):
        if match[0] == "\n" or not _ABBREVIATION.search(text[: match.start()]):
            end = match.start()
            break
    out = text[:end]
    goes_on = _GOES_ON.search(out)
    out = out if goes_on is None else out[: goes_on.start()]
    out = _ASIDE.sub("", out)
    return out if out.count("**") % 2 == 0 else out.replace("**", "")


def _concluded(text: str) -> str | None:
    """What the last sentence concludes: ``Therefore, x is **73**.`` or ``Thus there are 73 ways.``"""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    if _ALONE.fullmatch(lines[-1]) is not None and (len(lines) == 1 or lines[-1].startswith("**")):
        return _bare(lines[-1])
    last = re.split(r"(?<=[.!?])\s+(?=[A-Z])", lines[-1])[-1]
    if _CONCLUDES.match(last) is None:
        return None
    spans = list(_MATH.finditer(last))
    if len(spans) == 1 and not last[spans[0].end() :].strip(" .!"):
        inner = next(part for part in spans[0].groups() if part is not None).strip()
        # an equation between numbers is a step, not a conclusion
        return inner if re.search(r"\d.*=", inner) is None else None
    ends = _ENDS_WITH.search(last)
    return None if ends is None or spans else ends["said"]


def _boxed(text: str) -> str | None:
    """What stands in the last box,
    or in the list of boxes that it ends; None without a box that is closed."""
    boxes = _boxes(text)
    if not boxes:
        return None
    chosen = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        between = text[box[2] : chosen[0][0]]
        joint = _BETWEEN.fullmatch(between) if len(between) <= _FAR else None
        if joint is None or not (joint["word"] or re.search(r"[,;]", between)):
            break
        chosen.insert(0, box)
    return ", ".join(dict.fromkeys(inner for _, inner, _ in chosen))


def _boxes(text: str) -> list[tuple[int, str, int]]:
    """Begin, content and end of every box that holds something, the inner ones of nested boxes left out."""
    found: list[tuple[int, str, int]] = []
    end = 0
    for match in _BOX.finditer(text):
        if match.start() < end:
            continue
        inner, closed = _content(text, match.end())
        if closed >= 0 and inner.strip():
            behind = _PERCENT_BEHIND.match(text, closed)
            sign = "-" if _MINUS_BEFORE.search(text[max(0, match.start() - 20) : match.start()]) else ""
            found.append((match.start(), f"{sign}{inner.strip()}{'%' if behind else ''}", closed))
            end = closed
    return found


def _content(text: str, place: int) -> tuple[str, int]:
    """What a box that begins at a place holds, and where it ends; -1 where it is not closed."""
    if text[place : place + 1] == "{":
        for counts_escaped in (False, True):
            close = _closing(text, place, counts_escaped)
            if close >= 0:
                inner = text[place + 1 : close]
                return _boxed(inner) or inner, close + 1
        return "", -1
    token = re.match(
        r"\\(?:d|t)?frac(?:\{[^{}]*\}|\d){2}|\\[a-zA-Z]+(?:\{[^{}]*\})*|-?[\d.,]*\d|[a-zA-Z]", text[place:]
    )
    return ("", -1) if token is None else (token[0], place + token.end())


def _closing(text: str, place: int, counts_escaped: bool) -> int:
    depth = 0
    while place < len(text):
        mark = text[place]
        if mark == "\\" and not counts_escaped:
            place += 2
            continue
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if not depth:
            return place
        place += 1
    return -1
