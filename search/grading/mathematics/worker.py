"""The program that a math worker runs: works out the values of expressions behind lines of JSON.

In: ``{"expressions": [LaTeX, ...]}``. Out: ``{"values": [{"points": ..., "rough": ...}, ...]}``, as
``search.grading.mathematics.sampling`` has them; null for what it cannot work out. It runs in a process of
its own under ``search.grading.mathematics.killable``, since sympy (the extra ``grading``) may hang or eat
memory.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from typing import Any

__all__ = ["main", "value"]

#: bytes of address space: what a runaway power may take
_MEMORY = 4 << 30


def value(text: str) -> dict[str, Any] | None:
    """The value of one expression; None where it cannot be read or worked out."""
    from search.grading.mathematics.sampling import sampled

    try:
        return sampled(text)
    except Exception:  # sympy raises whatever it likes on what a model writes
        logging.getLogger("search.grading").debug("no value for %r", text[:200], exc_info=True)
        return None


def main(answers: Any) -> None:
    """Answer until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    sys.set_int_max_str_digits(0)
    try:
        import mpmath  # noqa: F401 (to be missed now, not at the first answer)
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}), file=answers)
        return
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"values": [value(text) for text in request["expressions"]]}), file=answers)


if __name__ == "__main__":
    main(globals()["answers"])
