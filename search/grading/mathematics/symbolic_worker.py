"""The program that a symbolic worker runs: as ``search.grading.mathematics.worker``, with sympy there from
the start.

Sums, integrals, limits and derivatives go to such workers, so that other answers never wait for them.
"""

from __future__ import annotations

import json
from typing import Any

from search.grading.mathematics import worker

__all__ = ["main"]


def main(answers: Any) -> None:
    """Answer until standard input ends."""
    try:
        import latex2sympy2_extended  # noqa: F401 (slow to import: no answer should wait for it)
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}), file=answers)
        return
    worker.main(answers)


if __name__ == "__main__":
    main(globals()["answers"])
