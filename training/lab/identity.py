"""Problem ids and splits: both follow from the question alone.

The same question has the same id wherever it is drawn, and lies in one split for good, so no
policy can have been trained on a problem that is held out.
"""

from __future__ import annotations

import hashlib

__all__ = ["SPLITS", "identify", "split_of"]

#: share of all questions, in hundredths: ``test`` is locked, ``search`` feeds campaigns and planners
SPLITS = {"test": 8, "search": 16, "check": 4, "train": 72}


def identify(family: str, question: str) -> str:
    """The id of a question of a family."""
    return f"{family}-{hashlib.sha256(question.encode()).hexdigest()[:12]}"


def split_of(question: str) -> str:
    """The split a question lies in, by its hash: a name of ``SPLITS``."""
    place = int.from_bytes(hashlib.sha256(b"split:" + question.encode()).digest()[:4], "little") % 100
    for name, share in SPLITS.items():
        if place < share:
            return name
        place -= share
    raise AssertionError("shares must sum to 100")
