from __future__ import annotations

import pytest

from search.grading.programs.printing import code_of, jail_fault, printed
from search.grading.programs.sandbox import SandboxLimits


@pytest.mark.parametrize(
    ("program", "output"),
    [
        ("print(6 * 7)", "42"),
        ("print('x')\nprint(1, 2, sep='-')\nprint()", "1-2"),
        ("for i in range(3):\n    print(i, end=' ')", "0 1 2"),
        ("print(0.1 + 0.2)", "0.3"),
        ("print(10 / 4, 1e30)", "2.5 1e+30"),
        ("def solution():\n    return 2 ** 10", "1024"),
        ("def main():\n    print('in it')\nif __name__ == '__main__':\n    main()", "in it"),
        ("answer = [1, 2]", "[1, 2]"),
        ("import sys\nsys.stdout.write('5')", "5"),
        ("import sys\nprint(3)\nsys.exit(0)", "3"),
        ("from fractions import Fraction\nprint(Fraction(3, 4))", "3/4"),
        ("print('\U0001f600 \\u00e9 \"\\'')", "\U0001f600 \u00e9 \"'"),
    ],
)
def test_what_a_program_says(program: str, output: str) -> None:
    came = printed(program)
    assert (came.output, came.error) == (output, "")
    assert came.seconds > 0.0


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("x = 1\nprint(1 / 0)", "ZeroDivisionError: division by zero (line 2)"),
        ("print(1\n", "SyntaxError: '(' was never closed (line 1)"),
        ("pass", "nothing was printed"),
        ("print(3)\nraise ValueError('late')", "ValueError: late (line 2)"),
        ("input()", "EOFError: EOF when reading a line (line 1)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (line 2)"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("open('/etc/passwd')", "FileNotFoundError"),
        ("import os\nos._exit(1)", "it ended too early"),
        ("x = 'a' * 10 ** 10", "MemoryError"),
    ],
)
def test_why_it_says_nothing(program: str, error: str) -> None:
    came = printed(program)
    assert came.output == ""
    assert came.error.startswith(error)


def test_one_that_does_not_end_is_killed() -> None:
    came = printed("while True: pass", SandboxLimits(seconds=0.5, cpu=1))
    assert came.error == "it did not end within 0.5 s"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("First\n```python\nx = 1\n```\nthen\n```\nprint(2)\n```", "print(2)"),
        ("print(2 + 3)", "print(2 + 3)"),
        ("```python\nprint(2", "print(2"),
        ("The answer is 5.", None),
        ("Five", None),
        ("", None),
        ("<think>print(1)</think>So: 5", None),
    ],
)
def test_the_program_in_a_reply(text: str, code: str | None) -> None:
    assert code_of(text) == code


def test_there_is_a_jail_here() -> None:
    assert jail_fault() is None
