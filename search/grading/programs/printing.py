"""What a stranger's program prints: run in the jail, its last line is an answer.

>>> outcome = printed("x = 6\\nprint('so', x * 7 / 2)")
>>> outcome.output, outcome.error
('so 21', '')
>>> printed("print(1 / 0)").error
'ZeroDivisionError: division by zero (line 1)'
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution

from search.errors import GradingError
from search.grading.blocks import blocks, parsed, without_thoughts
from search.grading.programs.sandbox import DEFAULT, Ending, SandboxLimits, run

__all__ = ["PACKAGES", "Printed", "code_of", "jail_fault", "printed"]

#: packages that such a program may import, where they are installed
PACKAGES = ("mpmath", "networkx", "numpy", "scipy", "sympy")
#: characters of an error that are told
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Printed:
    """What came of a program: the last line that it printed, or why there is none. ``seconds``: measured."""

    output: str = ""
    error: str = ""
    seconds: float = 0.0


def code_of(text: str) -> str | None:
    """The program in a solution: its last block of code that parses, or the text where all of it is code.

    >>> code_of("So:\\n```python\\nprint(2)\\n```")
    'print(2)'
    >>> code_of("The answer is 2.") is None
    True
    """
    found = blocks(without_thoughts(text))
    for block in reversed(found.fenced):
        if block.strip() and parsed(block) is not None:
            return block
    if any(block.strip() for block in found.fenced):
        return next(block for block in reversed(found.fenced) if block.strip())
    tree = parsed(found.outside)
    is_code = tree is not None and any(
        isinstance(node, ast.Call | ast.Assign | ast.FunctionDef) for node in ast.walk(tree)
    )
    return found.outside if is_code else None


def printed(program: str, limits: SandboxLimits = DEFAULT) -> Printed:
    """Run a program in the jail. Waits for another process.

    Where it prints nothing, what ``solution()`` or ``main()`` returns counts, then ``answer``, ``ans`` or
    ``result``. Floats are told to twelve digits, so that ``0.1 + 0.2`` is 0.3. Raises GradingError where
    there is no jail.
    """
    ran = run(
        _WRAPPER.replace("SOURCE", repr(program)),
        calls=["told"],
        limits=limits,
        packages=_imported(program),
    )
    if ran.ending is Ending.TIME:
        return Printed(error=f"it did not end within {limits.seconds:g} s", seconds=ran.seconds)
    if ran.ending is not Ending.FINISHED:
        why = ran.error or "no word"
        return Printed(error=f"it ended too early: {why}"[:_LONGEST], seconds=ran.seconds)
    try:
        output, error = ast.literal_eval(ran.outputs[0])
    except (ValueError, SyntaxError, TypeError):  # cut off: what it printed is no answer
        return Printed(error="it printed too much", seconds=ran.seconds)
    return Printed(str(output), str(error)[:_LONGEST], ran.seconds)


def jail_fault() -> str | None:
    """Why programs cannot be run here; None where they can. Waits for another process, the first time."""
    fault = _fault()
    if fault is not None:  # nothing is remembered but that there is a jail
        _fault.cache_clear()
    return fault


@lru_cache(maxsize=1)
def _fault() -> str | None:
    try:
        run("")
    except (GradingError, OSError) as error:
        return str(error)
    return None


def _imported(program: str) -> tuple[str, ...]:
    """Of the packages that a program imports, those that it may and that are there."""
    tree = parsed(program)
    if tree is None:
        return ()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module.partition(".")[0])
    return tuple(name for name in PACKAGES if name in names and _is_installed(name))


@lru_cache(maxsize=16)
def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


#: runs in the jail around the program; ``told`` is its last line and its error
_WRAPPER = """
import sys

class _Kept:
    text = ""

    def write(self, text):
        self.text = (self.text + text)[-20000:]
        return len(text)

    def flush(self):
        pass

kept = _Kept()
sys.stdout = kept

def _print(*values, sep=" ", end="\\n", file=None, flush=False):
    if file is None or file is kept:
        kept.write((" " if sep is None else sep).join(map(_text, values)) + ("\\n" if end is None else end))

def _text(value):
    return format(value, ".12g") if type(value) is float else str(value)

told = ("", "")
space = {"__name__": "__main__", "print": _print}
try:
    try:
        exec(compile(SOURCE, "answer", "exec"), space)
    except SystemExit as left:
        if left.code:
            raise
    if not kept.text.strip():
        value = None
        for name in ("solution", "main"):
            if value is None and callable(space.get(name)):
                value = space[name]()
        for name in ("answer", "ans", "result"):
            if value is None:
                value = space.get(name)
        if value is not None and not callable(value):
            _print(value)
    last = [line for line in kept.text.splitlines() if line.strip()][-1:]
    told = (last[0].strip()[:2000], "") if last else ("", "nothing was printed")
except BaseException as error:
    at, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "answer":
            at = trace.tb_lineno
        trace = trace.tb_next
    where = "" if at is None else f" (line {at})"
    told = ("", f"{type(error).__name__}: {getattr(error, 'msg', error)}"[:250] + where)
"""
