"""Arithmetic: the answer is the whole number on the last line that begins with ``#``."""

from __future__ import annotations

import re

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem
from training.lab.graders.chemistry import ChemistryDomain

__all__ = ["ArithmeticDomain"]

_ANSWER = re.compile(r"#\s*(-?[0-9]{1,12})\s*")

_NUMBER = r"[0-9]+(?:[.,][0-9]+)*"
_TERM = rf"[(\s]*-?(?:{_NUMBER}|[a-z]\b)[)\s]*"
_OPERATION = r"(?:[-+*/\u00d7\u00f7^]|\b(?:plus|minus|times|(?:multiplied|divided) by)\b)"
_EXPRESSION = rf"{_TERM}(?:{_OPERATION}{_TERM})*"
_NUMBERS = re.compile(_NUMBER)
_OPERATIONS = re.compile(_OPERATION, re.IGNORECASE)
_LETTERS = re.compile(r"\b[a-z]\b", re.IGNORECASE)
_LETTER_SET = re.compile(r"\b[a-z]\s?=", re.IGNORECASE)

#: an expression, or a letter, that is asked for and ends its sentence: "work out the sum of 3 + 41 + 7"
_CALCULATION = re.compile(
    r"\b(?:what is|what's|how much is|compute|calculate|evaluate|find|solve|work out|give)\s"
    r"(?:the (?:value|result|sum|difference|product|quotient) of\s)?"
    rf"({_EXPRESSION})(?:=|now\b|[?.!,;]|\Z)",
    re.IGNORECASE,
)
_ALONE = re.compile(rf"({_EXPRESSION})(?:=\s*)?\??\s*", re.IGNORECASE)

#: the question of a story, where it begins a sentence or a clause: "Leo spends 3. How many has he left?"
_AMOUNT = re.compile(
    r"(?:\A|[.?!,;:]\s+|\n[ \t]*)(?:and |then |so )?(?:"
    r"how (?:many|much)\b|(?:what|which) number\b|"
    r"what is (?:the|his|her|their|its) (?:final |total )?"
    r"(?:result|sum|total|difference|product|average|remainder|number|amount|value)\b"
    r")[^?]{0,300}\?",
    re.IGNORECASE,
)


class ArithmeticDomain(Domain):
    """Whole numbers, compared as numbers: ``#042`` and ``#42`` are one answer, ``42``."""

    name = "arithmetic"
    caption = "whole numbers of the lab's arithmetic"
    exact = True

    def read(self, problem: Problem, text: str) -> str | None:
        """The number after ``#`` on the last line that is not blank; None if there is none."""
        lines = text.strip().splitlines()
        match = _ANSWER.fullmatch(lines[-1].strip()) if lines else None
        return str(int(match.group(1))) if match else None

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        return first == second

    def grade(self, problem: Problem, answer: str | None) -> bool:
        if problem.answer is None or _ANSWER.fullmatch(f"#{problem.answer}") is None:
            raise GradingError(
                f"an arithmetic reference answer is a whole number, got {problem.answer!r} "
                f"in {problem.problem_id!r}"
            )
        return answer is not None and int(answer) == int(problem.answer)

    def claims(self, question: str) -> bool:
        """Whether a question asks for an expression's value, or for an amount after two numbers.

        A number alone claims nothing: "Write a poem about the year 1984" is nobody's. What speaks of moles
        and molar masses is chemistry.

        >>> asked = ("What is (13+64)+80?", "1 + 2 =", "Let a=7, b=a*3. Find b", "What is 24/7 support?")
        >>> [ArithmeticDomain().claims(question) for question in asked]
        [True, True, True, False]
        """
        if ChemistryDomain().claims(question):
            return False
        numbers = _NUMBERS.findall(question)
        if len(numbers) >= 2 and _AMOUNT.search(question) is not None:
            return True
        asked = _ALONE.fullmatch(question.strip()) or _CALCULATION.search(question)
        if asked is None or not numbers:
            return False
        if _LETTERS.search(asked[1]) is not None:  # a letter is a number only where one says which
            return _LETTER_SET.search(question) is not None
        return _OPERATIONS.search(asked[1]) is not None
