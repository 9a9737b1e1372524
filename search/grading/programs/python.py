"""Programs in Python, graded by tests that run beside them in the sandbox (HumanEval's style).

``Problem.answer`` is the source of the tests: ``check(candidate)`` as HumanEval has it, or plain assertions.
``Problem.meta`` may hold ``entry_point`` (the function that is asked for), ``prompt`` (the beginning of the
program, which a solution may simply go on with) and ``public`` (expressions such as ``double(21)`` on which
votes are compared: two programs are one answer when all of them give the same). Without public expressions
two programs are one answer when they are the same program, comments and layout aside.

``meta["packages"]`` may name packages that programs import (``numpy``), out of those that the domain allows.

What counts as the program is decided in ``search.grading.programs.program``. Nothing of it runs outside
``search.grading.programs.sandbox``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from search.errors import GradingError
from search.grading.blocks import parsed
from search.grading.programs.program import defines, program
from search.grading.programs.sandbox import DEFAULT, Ending, SandboxLimits, run
from search.grading.programs.shown import report_of, shown
from search.grading.protocol import Domain
from search.grading.verdict import Tried, Verdict
from search.problem import Problem

__all__ = ["PACKAGES", "PythonDomain", "examples"]

#: packages that a problem may ask for, where they are installed
PACKAGES = ("mpmath", "networkx", "numpy", "pandas", "scipy", "sympy")

_CLAIM = re.compile(r"^\s*def [A-Za-z_][A-Za-z_0-9]*\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Runs:
    """How the programs of a problem are run."""

    limits: SandboxLimits
    packages: tuple[str, ...]


class PythonDomain(Domain):
    """Reads, compares and grades programs in Python. Stateless; remembers what programs gave.

    Parameters
    ----------
    limits:
        Of every run of a program.
    packages:
        Names that ``meta["packages"]`` of a problem may hold.

    >>> domain = PythonDomain()
    >>> problem = Problem("p", "f", "python", "Double it.", "assert double(2) == 4")
    >>> domain.read(problem, "Here:\\n```python\\ndef double(x):  # easy\\n    return x+x\\n```")
    'def double(x):\\n    return x + x'
    """

    name = "python"
    caption = "Python programs, run against tests in a jail"
    waits = True
    prints = False

    def __init__(self, limits: SandboxLimits = DEFAULT, *, packages: Sequence[str] = PACKAGES) -> None:
        self._limits = limits
        self._packages = tuple(packages)

    def read(self, problem: Problem, text: str) -> str | None:
        """The program that a solution gives, as ``search.grading.programs.program`` tells it; None where no
        code that parses defines the entry point."""
        name, prompt = problem.meta.get("entry_point"), problem.meta.get("prompt")
        return program(text, name if isinstance(name, str) else None, str(prompt or ""))

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Whether both programs give the same for every public expression."""
        calls = _public(problem)
        if first == second or not calls:
            return first == second
        runs = self._runs(problem)
        return _outputs(first, calls, runs) == _outputs(second, calls, runs)

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Whether a program passes the tests. Raises GradingError without tests."""
        return self.judge(problem, answer) is Verdict.RIGHT

    def judge(self, problem: Problem, answer: str | None) -> Verdict:
        """As ``grade``; ``HUNG`` where the program was killed at its time limit, ``DIED`` where it ended
        without a word."""
        tests = _tests(problem)
        return Verdict.UNREADABLE if answer is None else _passes(answer, tests, self._runs(problem))

    def shows_tests(self, problem: Problem) -> bool:
        """Whether question or ``meta["prompt"]`` show examples with results, or assertions."""
        return bool(_shown(problem))

    def try_tests(self, problem: Problem, answer: str | None) -> Tried:
        """Run the program on them, in the sandbox."""
        tests = _shown(problem)
        if not tests:
            return super().try_tests(problem, answer)
        if answer is None:
            return Tried("No program can be read from it.")
        runs = self._runs(problem)
        calls = [one for pair in tests for one in pair]
        ran = run(answer, calls=calls, limits=runs.limits, packages=runs.packages)
        return Tried(report_of(ran, tests), ran.seconds)

    def _runs(self, problem: Problem) -> _Runs:
        named = problem.meta.get("packages") or ()
        if isinstance(named, str) or not set(named) <= set(self._packages):
            raise GradingError(
                f"packages must be a list of names out of {', '.join(self._packages)}, "
                f"got {named!r} in {problem.problem_id!r}"
            )
        return _Runs(self._limits, tuple(sorted(named)))

    def claims(self, question: str) -> bool:
        """Whether a question shows the beginning of a function."""
        return _CLAIM.search(question) is not None


def examples(prompt: str) -> tuple[str, ...]:
    """The expressions that a prompt's docstring shows as ``>>>`` examples: what may be public.

    >>> examples("def f(x):\\n    '''Twice.\\n    >>> f(2)\\n    4\\n    >>> y = f(3)\\n    '''")
    ('f(2)',)
    """
    found = []
    for line in re.findall(r"^\s*>>>\s*(.+?)\s*$", prompt, re.MULTILINE):
        try:
            ast.parse(line, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found.append(line)
    return tuple(found)


def _tests(problem: Problem) -> str:
    """The source of the tests, the call of ``check`` included."""
    tests = problem.answer
    tree = None if tests is None else parsed(tests)
    if tests is None or tree is None or not tree.body:
        raise GradingError(
            f"a reference answer must be tests in Python, got {str(tests)[:80]!r} in {problem.problem_id!r}"
        )
    if not defines(tree, "check"):
        return tests
    name = problem.meta.get("entry_point")
    if not isinstance(name, str) or not name.isidentifier():
        raise GradingError(
            f"tests that check a candidate need its entry_point, got {name!r} in {problem.problem_id!r}"
        )
    return f"{tests}\n\ncheck({name})\n"


def _shown(problem: Problem) -> tuple[tuple[str, str], ...]:
    return shown(f"{problem.meta.get('prompt') or ''}\n{problem.question}")


def _public(problem: Problem) -> tuple[str, ...]:
    calls = problem.meta.get("public") or ()
    if isinstance(calls, str) or not all(isinstance(call, str) for call in calls):
        raise GradingError(f"public must be a list of expressions, got {calls!r} in {problem.problem_id!r}")
    return tuple(calls)


@lru_cache(maxsize=4096)
def _passes(program: str, tests: str, runs: _Runs) -> Verdict:
    ended = run(program, tests=tests, limits=runs.limits, packages=runs.packages).ending
    verdicts = {Ending.FINISHED: Verdict.RIGHT, Ending.TIME: Verdict.HUNG, Ending.DIED: Verdict.DIED}
    return verdicts.get(ended, Verdict.WRONG)


@lru_cache(maxsize=4096)
def _outputs(program: str, calls: tuple[str, ...], runs: _Runs) -> tuple[str, ...]:
    """What the calls give; how it ended where it gave nothing (a failure is an output too)."""
    ran = run(program, calls=calls, limits=runs.limits, packages=runs.packages)
    return ran.outputs if ran.ending is Ending.FINISHED else (f"!{ran.ending}",)
