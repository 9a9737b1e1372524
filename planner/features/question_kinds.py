"""Which domain a question belongs to, where nobody has learned it: by what the question asks for.

A question that lists options, asks to balance an equation, shows the beginning of a function, or asks for a
number belongs to the domain that reads such answers. For every other one the answer is open: nothing would
tell which answers are equal, so voting would mean nothing. Whoever knows better names the domain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from planner.features.familiarity import DomainGuess
from search.grading.registry import domain

__all__ = ["QuestionKinds"]

#: those that say themselves which questions are theirs, in the order in which they are asked
_CLAIMING = ("choice", "game24", "formula", "python", "math")
#: those of them whose questions show what is asked for, whatever the words around it
_SHOWN = ("choice", "python")

#: characters in which an expression is looked for
_LONGEST = 300

#: what asks for a text
_OPEN = re.compile(
    r"\s*(?:please\s+|(?:can|could|would) you (?:please\s+)?)?"
    r"(?:write|tell|explain|describe|compose|draft|summari[sz]e|translate|discuss|suggest|recommend|list|imagine)\b",
    re.IGNORECASE,
)
#: what asks for a number; the question must hold one too
_AMOUNT = re.compile(
    r"\bhow (?:many|much|old|long|far|tall|heavy|fast|wide|high|deep|big|large)\b"
    r"|\b(?:sum|product|difference|quotient|remainder) of\b"
    r"|\bwhat (?:is|are|was|were|will be|would be|percentage|fraction) (?:\S+ ){0,6}"
    r"(?:total|number|amount|value|average|mean|median|area|perimeter|volume|probability|percentage|percent"
    r"|price|cost|profit|ratio|distance|speed|length|width|height|age|weight)\b"
    r"|\d\s*(?:plus|minus|times|divided by|multiplied by)\s*\d"
    r"|\b(?:calculate|compute|evaluate|simplify|factori[sz]e|differentiate|integrate|solve for)\b",
    re.IGNORECASE,
)
#: an expression and nothing else
_EXPRESSION = re.compile(
    r"(?:what(?: is|'s)|how much is|find|work out|solve)?[\d\s.,()]*\d[\s)]*"
    r"[-+*/\u00d7\u00f7^%][-+*/\u00d7\u00f7^%\d\s.,()]*(?:=\s*\??|\?)?\.?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class QuestionKinds:
    """Says the domain of a question by its words alone.

    >>> kinds = QuestionKinds()
    >>> [kinds.predict(asked).domain for asked in ("Ann has 12 eggs and 3. How many is that?", "3 4 6 8")]
    ['math', 'game24']
    >>> kinds.predict("Tell me a story about 3 bears").reason
    'nothing in the question tells how its answers would be compared (name a domain)'
    """

    @property
    def domains(self) -> tuple[str, ...]:
        """Those that it can say."""
        return _CLAIMING

    def predict(self, question: str) -> DomainGuess:
        """The domain, or the reason why the question is left open."""
        is_open = _OPEN.match(question) is not None
        for name in _CLAIMING:
            if (name in _SHOWN or not is_open) and domain(name).claims(question):
                return DomainGuess(name, 0.0)
        if not is_open and _asks_for_number(question):
            return DomainGuess("math", 0.0)
        return DomainGuess(
            None, 1.0, "nothing in the question tells how its answers would be compared (name a domain)"
        )


def _asks_for_number(question: str) -> bool:
    if not any(one.isdigit() for one in question):
        return False
    if _AMOUNT.search(question) is not None:
        return True
    short = question.strip()
    return len(short) <= _LONGEST and _EXPRESSION.fullmatch(short) is not None
