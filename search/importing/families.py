"""Families for problem sets that name none: buckets of questions that differ in their numbers only.

Cross-fitting never splits a family, so that a planner is judged on problems unlike those it saw. Sets
such as GSM8K and MATH are written one by one and have no templates; what must not be split there is a
question and its twin with other numbers. So the bucket is a hash of the question without its digits,
case and spacing. Which bucket a question falls into means nothing.
"""

from __future__ import annotations

import re

from search.seeds import seed_of

__all__ = ["BUCKETS", "bucket"]

#: more than the thirty clusters that a bootstrap wants
BUCKETS = 40

_DIGITS = re.compile(r"[0-9]+(?:[.,][0-9]+)*")


def bucket(question: str, buckets: int = BUCKETS) -> str:
    """The bucket of a question, ``bucket-00`` to ``bucket-39``.

    >>> bucket("Tom has 3 apples.") == bucket("tom has  1,200 apples.")
    True
    """
    template = " ".join(_DIGITS.sub("#", question).casefold().split())
    # a question of digits alone would meet every other one in a single bucket
    if not re.search(r"[^\W\d_]", template):
        template = " ".join(question.split())
    return f"bucket-{seed_of('family', template) % buckets:02d}"
