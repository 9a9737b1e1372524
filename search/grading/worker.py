"""The program that a math worker runs: math-verify (the extra ``grading``) behind lines of JSON.

In: ``{"first": LaTeX, "second": LaTeX}``. Out: ``{"equal": true}``. It runs in a process of its own under
``search.grading.killable``, since sympy may hang or eat memory on what a model writes; so the limits of
math-verify itself, which need the main thread's SIGALRM, are off.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

__all__ = ["equality", "main"]

#: bytes of address space: what a runaway power may take
_MEMORY = 4 << 30


def equality() -> Callable[[str, str], bool]:
    """A function that tells whether two LaTeX expressions are the same mathematics.

    Symmetric. What cannot be parsed equals nothing. Raises ModuleNotFoundError without math-verify.
    """
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)  # it warns that its own limits are off
    targets = [LatexExtractionConfig(), ExprExtractionConfig()]

    @lru_cache(maxsize=4096)
    def read(text: str) -> tuple[Any, ...]:
        return tuple(parse(f"${text}$", targets, fallback_mode="no_fallback", parsing_timeout=None))

    def equal(first: str, second: str) -> bool:
        one, two = list(read(first)), list(read(second))
        if not one or not two:
            return False
        # the comparison is not symmetric: an assignment counts as its right side on one side only
        return bool(verify(one, two, timeout_seconds=None) or verify(two, one, timeout_seconds=None))

    return equal


def main(answers: Any) -> None:
    """Answer until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        equal = equality()
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}), file=answers)
        return
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer: dict[str, Any] = {"equal": equal(request["first"], request["second"])}
        except Exception as error:  # sympy raises whatever it likes on what a model writes
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main(globals()["answers"])
