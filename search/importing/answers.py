"""Answers and sizes as records by others write them: a bare answer, a worked solution, a size in a name.

>>> size_in("Qwen2.5-1.5B-Instruct"), size_in("mixtral-8x7b"), size_in("gpt-4")
(1500000000, 56000000000, None)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from search.grading.registry import domain
from search.problem import Problem

__all__ = ["read_answer", "reference_in", "size_in"]

#: how a bare answer is written so that its domain reads it
_STATED: Mapping[str, str] = {
    "math": r"\boxed{%s}",
    "game24": "Answer: %s",
    "arithmetic": "#%s",
    "chemistry": "#%s",
}
_SIZE = re.compile(r"(?<![0-9.])(?:([0-9]+)x)?([0-9]+(?:\.[0-9]+)?)([bBmM])(?![A-Za-z0-9])")
_HASHES = re.compile(r"####\s*(.+?)\s*$")


def read_answer(problem: Problem, said: str) -> str | None:
    """The canonical answer that a bare answer is in the problem's domain; None if unreadable."""
    return domain(problem.domain).read(problem, _STATED.get(problem.domain, "%s").replace("%s", said))


def reference_in(problem: Problem, worked: str) -> str:
    """The reference answer of a worked solution: after ``####``, else as the domain reads it; "" if none.

    >>> reference_in(Problem("p", "f", "text", "q"), "3 + 4 = 7\\n#### 1,007")
    '1007'
    """
    marked = _HASHES.search(worked.rstrip())
    if marked is not None:
        return marked[1].replace(",", "") if re.fullmatch(r"[-0-9,.]+", marked[1]) else marked[1]
    return domain(problem.domain).read(problem, worked) or ""


def size_in(name: str) -> int | None:
    """Parameters that a model's name tells, None where it tells none."""
    found = _SIZE.search(name)
    if found is None:
        return None
    experts, number, unit = found.groups()
    return round(int(experts or 1) * float(number) * (1e9 if unit in "bB" else 1e6)) or None
