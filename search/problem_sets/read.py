"""Read a problem set by others through a mapping, and account for what was left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from search.errors import GradingError, ProblemError
from search.grading.registry import domain
from search.importing.report import Report
from search.problem import Problem
from search.problem_sets.families import families_of
from search.problem_sets.mapping import ProblemMapping
from search.problem_sets.source import records

__all__ = ["read_mapped"]


def read_mapped(source: str | Path, mapping: ProblemMapping, report: Report | None = None) -> list[Problem]:
    """The problems of a source, in its order.

    Parameters
    ----------
    source:
        A file, or ``hf:NAME`` (see ``search.problem_sets.source``).
    report:
        Takes account of the records that are no problem: no question, no reference answer that the domain's
        grader can use, or the same as an earlier one. Without it the first of them is an error.

    Raises
    ------
    ProblemError, GradingError
        A record is no problem and there is no report; or nothing is left, and then the message says
        why the first record was left out.
    RecordError
        The source cannot be read.
    MissingExtraError
        It takes an extra that is not installed.
    """
    problems: dict[str, Problem] = {}
    first: Exception | None = None
    for where, record in records(source):
        try:
            problem = mapping.problem(record, where)
            domain(problem.domain).grade(problem, None)
            known = problems.get(problem.problem_id)
            if known is not None and (known.question, known.answer) != (problem.question, problem.answer):
                raise ProblemError(
                    f"{where}: a problem has one question and one reference answer, got "
                    f"{problem.problem_id!r} with {_short(problem.answer)} after {_short(known.answer)}"
                )
            if known is not None:
                raise ProblemError(f"{where}: a problem is given once, got {problem.problem_id!r} again")
        except (ProblemError, GradingError) as error:
            if report is None:
                raise
            first = first or error
            rule, _, got = str(error).removeprefix(f"{where}: ").partition(", got ")
            report.leave_out(rule, f"{where}: {got}" if got else where)
            continue
        problems[problem.problem_id] = problem
    if not problems:
        why = "" if first is None else f": {first}"
        raise ProblemError(f"a problem set holds at least one problem, got none in {str(source)!r}{why}")
    if report is not None:
        report.take("problems", len(problems))
    unnamed = [problem for problem in problems.values() if not problem.family]
    families = families_of([problem.question for problem in unnamed])
    for problem, family in zip(unnamed, families, strict=True):
        problems[problem.problem_id] = replace(problem, family=family)
    return list(problems.values())


def _short(text: str | None) -> str:
    told = repr(text)
    return told if len(told) <= 40 else f"{told[:40]}..."
