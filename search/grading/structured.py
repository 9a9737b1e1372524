"""Structured answers: JSON values, and calls of tools. They are equal where their canonical texts are."""

from __future__ import annotations

from search.errors import GradingError
from search.grading.canonical_json import canonical, canonical_value, parse
from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["NO_CALL", "JsonDomain", "ToolCallDomain"]

#: the answer of a message that calls no tool
NO_CALL = "no call"


class JsonDomain(Domain):
    """The answer is the whole text, which is JSON.

    >>> domain, problem = JsonDomain(), Problem("p", "f", "json", "Sum and parity of 2 and 3?", '{"sum": 5}')
    >>> domain.read(problem, '{"odd": true, "sum": 5.0}')
    '{"odd":true,"sum":5}'
    >>> domain.grade(problem, '{"sum":5}')
    True
    """

    name = "json"
    caption = "JSON, equal whatever the order of its keys and the spelling of its numbers"
    exact = True
    prints = False

    def read(self, problem: Problem, text: str) -> str | None:
        """The canonical text; None for what is no JSON."""
        return canonical(text)

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """The same canonical text."""
        return first == second

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """The same value as the reference. Raises GradingError without a reference."""
        reference = None if problem.answer is None else self.read(problem, problem.answer)
        if reference is None:
            raise GradingError(f"a reference is JSON, got another or none in {problem.problem_id!r}")
        return answer is not None and answer == reference

    def claims(self, question: str) -> bool:
        """Never: a question does not say that its answer is JSON, the request does."""
        return False


class ToolCallDomain(JsonDomain):
    """The answer is the first call of a tool in an assistant's message, which the text holds as JSON: its
    name and its arguments. A message that calls none answers by its content, where that is JSON; else all of
    those have one answer, that there is no call.

    >>> domain, problem = ToolCallDomain(), Problem("p", "f", "tool_call", "Weather in Rome?", None)
    >>> import json
    >>> call = {"function": {"name": "look", "arguments": '{"at": 1.0}'}}
    >>> domain.read(problem, json.dumps({"tool_calls": [call]}))
    '{"arguments":{"at":1},"name":"look"}'
    >>> domain.read(problem, '{"content": "Which one?"}')
    'no call'
    """

    name = "tool_call"
    caption = "the first call of a tool: its name, and its arguments as JSON"

    def read(self, problem: Problem, text: str) -> str | None:
        """The canonical text of the call; None for one whose arguments are no JSON, and for no message."""
        try:
            message = parse(text)
            calls = message.get("tool_calls")
            if not calls:
                return canonical(message.get("content") or "") or NO_CALL
            function = calls[0]["function"]
            arguments = parse(function.get("arguments") or "{}")
            return canonical_value({"name": function["name"], "arguments": arguments})
        except (ValueError, ArithmeticError, RecursionError, AttributeError, LookupError, TypeError):
            return None
