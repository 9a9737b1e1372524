"""The interpreter agrees with Python on its subset and refuses everything else quickly."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.lab.graders.interpreter import MAX_LINES, Outcome, is_return, parses, run, trace

NUMBERS = st.lists(st.integers(-20, 20), max_size=8)
K = st.integers(1, 9)

LINES = st.one_of(
    st.builds("x=[v{}{} for v in x]".format, st.sampled_from("+-*%"), K),
    st.builds("x=[v//{} for v in x]".format, K),
    st.builds("x=[v for v in x if v{}{}]".format, st.sampled_from([">", "<", "%2==", ">=", "<=", "!="]), K),
    st.builds("x=x[{}:]".format, K),
    st.builds("x=x[:-{}]".format, K),
    st.builds("x=x[{}:{}]".format, K, K),
    st.builds("x=[{}]+x".format, K),
    st.builds("x=x*{}".format, st.integers(0, 2)),
    st.sampled_from(
        [
            "x=sorted(x)",
            "x=x[::-1]",
            "x=[sum(x)]",
            "x=[max(x)]",
            "x=[min(x)]",
            "x=[len(x)]",
            "x=x+x",
            "x=[-v for v in x]",
            "x=[v*v for v in x]",
            "x=[abs(v) for v in x if not v>3]",
            "x=[v for v in x if v>1 and v<9 or v==0]",
            "x=[v for v in x if 1<v<9]",
            "x=list(range(len(x)))",
            "x=[x[0]]",
            "x=[max(v,3) for v in x]",
            "x=x",
        ]
    ),
)


@given(st.lists(LINES, max_size=4), NUMBERS)
def test_agrees_with_python(lines: list[str], values: list[int]) -> None:
    expected: list[int] | None = list(values)
    try:
        for line in lines:
            # Lines of our own making, as an oracle.
            expected = eval(line.removeprefix("x="), {"x": expected})
    except (ValueError, IndexError):
        expected = None
    found = run("\n".join([*lines, "return x"]), values)
    assert found.value == (None if expected is None else tuple(expected))
    assert (found.error is None) == (expected is not None)


ATTACKS = [
    "import os",
    "x=__import__('os').system('true')",
    "x=__import__",
    "x=x.__class__",
    "x=x.copy()",
    "x=().__class__.__bases__[0].__subclasses__()",
    "x=open(0)",
    "x=eval(x)",
    "x=exec(x)",
    "x=[v for v in x for w in x]",
    "x=[v async for v in x]",
    "x=[w:=1]",
    "x=lambda: x",
    "x=(lambda: x)()",
    "x={v for v in x}",
    "x=(v for v in x)",
    "x=[*x]",
    "x=[x]",
    "x=[v>1 for v in x]",
    "x=[True]",
    "x=None",
    "x=3",
    "x=[1.5]",
    "x=[1e99]",
    "x=['a']",
    "x=[1/2]",
    "x=[1//0]",
    "x=[1%0]",
    "x=9**9**9",
    "x=[9**9**9]",
    "x=[1<<99]",
    "x=[999999999999*999999999999]",
    "x=[9" + "9" * 110 + "]",
    "x=x*999999999",
    "x=999999999*x",
    "x=range(999999999999)",
    "x=list(range(0,999999999999))",
    "x=range(0,9,0)",
    "x=x[::0]",
    "x=x[9]",
    "x=x[x]",
    "x=max(x)",
    "x=[max()]",
    "x=[sum(3)]",
    "x=sorted(x,reverse=True)",
    "x=sum(x,x)",
    "x=[y]",
    "y=x",
    "x=y=x",
    "x+=x",
    "x[0]=1",
    "x,y=x",
    "x:list=x",
    "del x",
    "x=x;x=x",
    "x=x #",
    "x",
    "while 1: x=x",
    "for v in x: x=x",
    "if x: x=x",
    "def x(): x",
    "pass",
    "x=",
    "x=(",
    "x=\\",
    "x=" + "(" * 58 + "x" + ")" * 58,
    "x=" + "-" * 110 + "1",
    "x=" + "[" * 5000 + "]" * 5000,
    "x=" + "(" * 100_000,
    "x=" + "9" * 1_000_000,
    "x=x\0",
    "\0",
    "x=[v for x in x]",
    "x=[sum for sum in x]",
    "x=[1if v else 2 for v in x]",
    "x=[0777]",
    "x=[0x1f]",
    "x=[1_000]",
    "x=\u00b2",
    "\uff58=x",
    "x=[v for v in x if v]",
    "x=[v for v in x if x]",
    "x=[v+x for v in x]",
    "yield x",
    "await x",
    "return",
    "return 3",
]


@pytest.mark.parametrize("line", ATTACKS, ids=range(len(ATTACKS)))
def test_attacks_end_in_an_error(line: str) -> None:
    began = time.perf_counter()
    found = run(f"{line}\nreturn x", [3, 1, 2])
    parsed = line.startswith("x=" + "(" * 58)  # as deep as may be
    assert parsed or (found.value is None and found.error)
    assert isinstance(parses(line), bool)
    assert time.perf_counter() - began < 2


def test_growth_is_bounded() -> None:
    doubling = "\n".join(["x=x+x"] * (MAX_LINES - 1))
    assert run(doubling + "\nreturn x", [1, 2]).error == "a list may hold 1000 numbers"
    squaring = "\n".join(["x=[v*v for v in x]"] * (MAX_LINES - 1))
    assert "may not exceed" in (run(squaring + "\nreturn x", [9]).error or "")
    nested = "x=[sum([sum([w*u for u in x]) for w in x]) for v in x]\nreturn x"
    assert run(nested, list(range(100))).error == "a program may take 20000 steps"
    assert run("x=x\n" * 100_000 + "return x", [1]).error == f"a program may hold {MAX_LINES} lines"
    assert run("x=x\n" * 2_500_000, [1]).error == "a program ends with return"


def test_return_ends_a_program() -> None:
    assert run("x=x+[1]", [2]).error == "a program ends with return"
    assert run("", [2]).error == "a program ends with return"
    assert run("return x\nx=x\nreturn x", [2]).error == "nothing may follow return"
    assert run("return x[::-1]", [1, 2]).value == (2, 1)
    assert is_return("return x")
    assert not is_return("x=x")
    assert not is_return("return" + " x" * 500)
    assert not is_return("return")


def test_trace_shows_every_line_and_repeats_the_first_failure() -> None:
    found = trace(["x=x+[1]", "x=[x[5]]", "x=x"], [7])
    assert found[0] == Outcome(value=(7, 1))
    assert found[1].error is not None
    assert found[2] == found[1]
    assert trace([], [7]) == ()


@given(st.text(max_size=60), NUMBERS)
def test_any_text_gives_an_outcome(text: str, values: list[int]) -> None:
    found = run(text, values)
    assert (found.value is None) != (found.error is None)


@given(st.text(alphabet="xv[]()=+-*/%<>! :,0123456789forinifsumlenreturnlambda_", max_size=60), NUMBERS)
def test_any_near_miss_gives_an_outcome(text: str, values: list[int]) -> None:
    found = run(f"x={text}\nreturn x", values)
    assert (found.value is None) != (found.error is None)
