r"""Multiple choice: one of several options, named by its letter or by its text.

``Problem.meta["options"]`` is a list of texts (their letters are A, B, C, ...) or a mapping of letters to
texts; without it, options are read from the question, where each stands on a line of its own or behind
``(A)``. The reference is a letter or an option's text. The canonical answer is the option's text, so that
letters mean nothing beyond one presentation: ``shuffled`` poses the same problem with its options in
another order, and what is read from its samples can be compared and graded with the problem as it was.

>>> domain = ChoiceDomain()
>>> problem = Problem("p", "f", "choice", "Which is prime?", "B", {"options": ["4", "7", "9"]})
>>> domain.read(problem, "4 and 9 are squares, so the answer is (B)."), domain.read(problem, r"\boxed{7}")
('7', '7')
>>> other = shuffled(problem, seed=3)
>>> print(other.question)
Which is prime?
A) 4
B) 9
C) 7
>>> domain.grade(problem, domain.read(other, "The answer is C."))
True
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from string import ascii_uppercase

from search.errors import GradingError
from search.grading.amount import amount
from search.grading.blocks import without_thoughts
from search.grading.protocol import Domain
from search.grading.stated import stated
from search.problem import Problem

__all__ = ["ChoiceDomain", "listed", "shuffled"]

#: an option on a line of its own: ``A) 4``, ``(B) 7``, ``**C.** 9``
_LINE = re.compile(
    r"^[ \t]*(?:[-*][ \t]+)?\**\(?([A-Z])(?:\)\**|[.:]\**|\**[.:)])[ \t]+(\S.*?)[ \t]*$", re.MULTILINE
)
#: options in a row: ``(A) 4 (B) 7``, ``$\textbf{(A)}\ 4 \qquad \textbf{(B)}\ 7$``
_IN_A_ROW = re.compile(r"(?:\\(?:textbf|text|mathrm|mathbf)\s*\{\s*)?\(([A-Z])\)\s*\}?\s*")
_GAP = re.compile(r"\\q?quad(?![a-zA-Z])|\\ |~")
_PLAIN = re.compile(r"\\[()\[\],;:! ]|\$|\*\*|\\(?:left|right|displaystyle)(?![a-zA-Z])")
_SPACES = re.compile(r"\\[,;:! ]|\\q?quad(?![a-zA-Z])|~|\s+")
_DRESSING = re.compile(
    r"\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[()\[\]]|\$|\*\*|`|\\(?:textbf|text|mathrm|mathbf|rm|bf|boxed)(?=\s*\{)|[{}]"
)
#: an option that speaks of others, so that their order must stay
_REFERS = re.compile(
    r"\b(?:above|below|all of th|none of th|both|neither|\(?[A-E]\)? (?:and|or) \(?[A-E]\)?)\b", re.IGNORECASE
)
_NOT = re.compile(r"\b(?:not|isn't|neither|cannot|wrong|incorrect|unclear|unknown)\b", re.IGNORECASE)
#: behind a capital A or I that begins a phrase
_ARTICLE = re.compile(r"\s+(?!because\b|since\b|for\b|as\b|is\b|and\b|or\b|but\b)[a-z]")
#: how a sentence names its choice; KEY is a letter, dressed or not
_KEY = r"[*_$\\({\[]*(?:\\?(?:boxed|textbf|text|mathrm|mathbf)\s*\{\s*)*[*($\[]*(KEYS)(?![A-Za-z0-9'])"
_SAID = (
    r"<answer>\s*KEY",
    r"\b(?:answer|choice|option|alternative)\b(?:\s+(?:choice|option|letter))?\**\s*"
    r"(?:(?:is|would be|must be|should be|will be)\b|[:=])+"
    r"\**:?\s*(?:therefore\s+|thus\s+|clearly\s+)?(?:(?:the\s+)?(?:option|choice|letter|answer)\s+)?KEY",
    r"\b(?:choose|pick|select|chose|go with|answer with)\s+"
    r"(?:(?:the\s+)?(?:option|choice|answer|letter)\s+)?KEY",
    r"\bKEY[*)\]}$]*\s+is\s+(?:the\s+)?(?:correct|right|best|true|only)\b(?!\s+(?:that|if))",
    r"\b(?:correct|right|best)\s+(?:one|answer|option|choice)?\s*(?:is\s+)?KEY",
)


class ChoiceDomain(Domain):
    """Reads, compares and grades choices. Stateless."""

    name = "choice"
    caption = "multiple choice: a letter or the text of an option"

    def read(self, problem: Problem, text: str) -> str | None:
        """The text of the option that a solution chooses (its letter where no options are known); None where
        it chooses none, or more than one."""
        options = _options(problem)
        rest = without_thoughts(text)
        said = stated(rest)
        by_text = None if said is None else _by_text(said, options)
        if by_text is not None:
            return by_text
        if said is not None and "boxed" in rest:
            return _chosen(said, options)
        for candidate in (_named(rest, options), said, _last_line(rest)):
            found = None if candidate is None else _chosen(candidate, options)
            if found is not None:
                return found
        return None

    def asked(self, problem: Problem, seed: int) -> Problem:
        """With its options in another order, where the problem's meta says ``"shuffle": true``."""
        return shuffled(problem, seed) if problem.meta.get("shuffle") is True else problem

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """The same option, whatever the case of its letters."""
        return _folded(first) == _folded(second)

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Whether the option is that of the reference. Raises GradingError where that names none."""
        reference = _reference(problem)
        return answer is not None and self.equal(problem, answer, reference)

    def claims(self, question: str) -> bool:
        """Whether a question lists at least three options, lettered from A on."""
        return len(listed(question)) >= 3


def listed(question: str) -> dict[str, str]:
    r"""The options that a question lists, by letter; empty where they are not lettered from A on.

    >>> listed("Which is prime?\nA) 4\nB) 7\nC) 9"), listed("Let (A) be a ring and (B) a field.")
    ({'A': '4', 'B': '7', 'C': '9'}, {})
    """
    lines = {key: " ".join(text.split()) for key, text in _LINE.findall(question)}
    if _in_order(lines):
        return lines
    marks = list(_IN_A_ROW.finditer(question))
    begin = next((place for place in range(len(marks) - 1, -1, -1) if marks[place][1] == "A"), None)
    if begin is None:
        return {}
    marks = marks[begin:]
    ends = [*(mark.start() for mark in marks[1:]), len(question)]
    row = {
        mark[1]: " ".join(_GAP.sub(" ", question[mark.end() : end]).strip(" ,;$").split())
        for mark, end in zip(marks, ends, strict=True)
    }
    return row if len(row) > 2 and _in_order(row) and all(row.values()) else {}


def shuffled(problem: Problem, seed: int) -> Problem:
    """The same problem with its options in an order that the seed decides, and the question that shows them.

    The id stays, and the reference becomes a text. Options that speak of others ("none of the above") keep
    all options in their places. Raises GradingError where no options are known.
    """
    options = _options(problem)
    if not options:
        raise GradingError(f"a problem to shuffle must have options, got none in {problem.problem_id!r}")
    texts = list(options.values())
    if not any(map(_REFERS.search, texts)):
        random.Random(f"{problem.problem_id}\n{seed}").shuffle(texts)
    order = dict(zip(options, texts, strict=True))
    stem = "\n".join(line for line in problem.question.split("\n") if not _lists(line, options))
    if listed(stem):
        stem = stem[: next(mark.start() for mark in _IN_A_ROW.finditer(stem) if mark[1] == "A")].rstrip(
            " $\n"
        )
    shown = "\n".join(f"{key}) {text}" for key, text in order.items())
    return replace(
        problem,
        question=f"{stem.rstrip()}\n{shown}",
        answer=None if problem.answer is None else _reference(problem),
        meta={**problem.meta, "options": order},
    )


def _lists(line: str, options: Mapping[str, str]) -> bool:
    found = _LINE.match(line)
    return found is not None and options.get(found[1]) == " ".join(found[2].split())


def _in_order(options: Mapping[str, str]) -> bool:
    return len(options) > 1 and "".join(options) == ascii_uppercase[: len(options)]


def _options(problem: Problem) -> dict[str, str]:
    """Letters and texts in their order; empty where none are known."""
    given = problem.meta.get("options")
    if given is None:
        return listed(problem.question)
    pairs = dict(given) if isinstance(given, Mapping) else None
    if pairs is None and isinstance(given, list | tuple):
        pairs = (
            dict(zip(ascii_uppercase, given, strict=False)) if len(given) <= len(ascii_uppercase) else None
        )
    texts = [] if pairs is None else [" ".join(str(text).split()) for text in pairs.values()]
    if pairs is None or len(pairs) < 2 or not all(texts) or len(set(map(_folded, texts))) < len(texts):
        raise GradingError(
            "options must be a list of two to 26 different texts, or a mapping of letters to them, "
            f"got {str(given)[:80]!r} in {problem.problem_id!r}"
        )
    return dict(zip(map(str, pairs), texts, strict=True))


def _reference(problem: Problem) -> str:
    options = _options(problem)
    answer = _bare(problem.answer or "")
    by_letter = (
        _letter(answer, options)
        if options
        else _letter(answer, dict(zip(ascii_uppercase, ascii_uppercase, strict=True)))
    )
    by_text = _by_text(problem.answer or "", options)
    if by_letter is not None and by_text is not None and by_letter != by_text:
        raise GradingError(
            f"a reference must be a letter or an option, got {problem.answer!r}, which is both, "
            f"in {problem.problem_id!r}"
        )
    found = by_letter or by_text or (_chosen(problem.answer or "", options) if options else None)
    if found is None:
        raise GradingError(
            f"a reference must be a letter or an option's text, got {problem.answer!r} "
            f"in {problem.problem_id!r}"
        )
    return found


def _chosen(said: str, options: Mapping[str, str]) -> str | None:
    """The option that a statement names; None where it names none or contradicts itself."""
    plain = _bare(said)
    known = options or dict(zip(ascii_uppercase, ascii_uppercase, strict=True))
    by_letter = _letter(plain, known)
    if by_letter is not None:
        return by_letter
    by_text = _by_text(said, options)
    if by_text is not None:
        return by_text
    keys = "|".join(map(re.escape, known))
    found = re.match(
        rf"(?:option|choice|answer)?\s*(?:\(({keys})\)|({keys})\s*[).:,=]|({keys})\s+(?=because|since|as\b|is\b|\())\s*[:.,=-]*\s*(.*)$",
        plain,
        re.IGNORECASE | re.DOTALL,
    )
    if found is None:
        return None
    key = _key(found[1] or found[2] or found[3], known)
    if key is None or re.match(r"(?:and|or|,|&|/)?\s*\(?(?:" + keys + r")\)?\s*$", found[4]):
        return None
    other = _by_text(found[4], options)
    if (other is not None and other != known[key]) or _NOT.match(found[4]):
        return None
    return known[key]


def _letter(plain: str, options: Mapping[str, str]) -> str | None:
    found = re.fullmatch(
        r"(?:option|choice|answer)?\s*[(\[]?\s*(\w{1,2})\s*[)\]]?\s*[.:]?", plain, re.IGNORECASE
    )
    key = None if found is None else _key(found[1], options)
    return None if key is None else options[key]


def _key(said: str, options: Mapping[str, str]) -> str | None:
    if said in options:
        return said
    return next((key for key in options if key.casefold() == said.casefold()), None)


def _by_text(said: str, options: Mapping[str, str]) -> str | None:
    """The option of this text, or the only one of this value."""
    for text in options.values():
        if _folded(text) == _folded(said):
            return text
    value = amount(_PLAIN.sub(" ", said))
    if value is None:
        return None
    equal = []
    for text in options.values():
        other = amount(_PLAIN.sub(" ", text))
        if other is None or _folded(other[1]) != _folded(value[1]):
            continue
        if abs(other[0] - value[0]) <= 1e-9 * abs(value[0]):
            equal.append(text)
    return equal[0] if len(equal) == 1 else None


def _folded(text: str) -> str:
    return _bare(text).rstrip(" .,;").casefold()


def _named(text: str, options: Mapping[str, str]) -> str | None:
    """The letter of the last sentence that names one as its choice."""
    keys = "|".join(map(re.escape, options or ascii_uppercase))
    last: tuple[int, str] | None = None
    for pattern in _SAID:
        whole = pattern.replace("KEY", _KEY).replace("KEYS", keys)
        for found in re.finditer(whole, text):
            if found[1] in "AI" and _ARTICLE.match(text, found.end()):
                continue
            if last is None or found.start() > last[0]:
                last = (found.start(), found[1])
    # also small letters, where brackets show that they are letters
    for found in re.finditer(rf"\banswer\s+is:?\s+\(({keys})\)", text, re.IGNORECASE):
        if last is None or found.start() > last[0]:
            last = (found.start(), found[1])
    return None if last is None else last[1]


def _last_line(text: str) -> str | None:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else None


def _bare(text: str) -> str:
    """One line without dressing."""
    return " ".join(_SPACES.sub(" ", _DRESSING.sub(" ", text)).split()).strip()
