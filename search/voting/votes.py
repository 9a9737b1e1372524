"""Votes: which candidate gives the answer. Deterministic, whatever the order of events was.

    >>> pick("majority", [0, 1, 1, -1], [0.9, 0.2, 0.3, 1.0])
    2
    >>> pick("max", [0, 1, 1, -1], [0.9, 0.2, 0.3, 1.0])
    0
    >>> pick("weighted", [0, 1, 1, -1], [0.4, 0.2, 0.3, 1.0])
    2

Candidates come in draw order. ``group`` turns their answers into group numbers by the domain's
equality once; ``pick`` works on those numbers alone, so that a campaign can resample a pool
thousands of times without comparing answers again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["VOTES", "Equal", "group", "pick"]

#: how an answer is picked among candidates
VOTES = ("max", "majority", "weighted")

#: whether two answers to a problem count as one vote
Equal = Callable[[Problem, str, str], bool]


def group(
    problem: Problem,
    domain: Domain,
    answers: Sequence[str | None],
    known: Sequence[str] = (),
    *,
    equal: Equal | None = None,
) -> list[int]:
    """Group numbers, one per answer, in the order of first appearance; -1 for an unreadable one.

    Equal texts share a group without asking. Another answer joins the first group whose earliest
    answer the domain finds equal to it: an equality with a tolerance is not transitive, so the
    earliest answer stands for its group. ``known``: the earliest answers of groups 0, 1, ... that there
    are already. ``equal``: in place of the domain's equality.
    """
    same = domain.equal if equal is None else equal
    numbered = {answer: number for number, answer in enumerate(known)}
    representatives = list(known)
    numbers: list[int] = []
    for answer in answers:
        if answer is None:
            numbers.append(-1)
            continue
        number = numbered.get(answer)
        if number is None:
            others = () if domain.exact else representatives
            number = next(
                (i for i, other in enumerate(others) if same(problem, other, answer)),
                len(representatives),
            )
            if number == len(representatives):
                representatives.append(answer)
            numbered[answer] = number
        numbers.append(number)
    return numbers


def pick(vote: str, groups: Sequence[int], scores: Sequence[float]) -> int | None:
    """The index of the candidate that gives the answer; None when all answers are unreadable.

    Parameters
    ----------
    vote:
        ``majority``: the largest group. ``weighted``: the group with the largest sum of scores.
        ``max``: the candidate with the highest score.
    groups:
        As ``group`` returns them; candidates of group -1 have no vote.
    scores:
        One finite number per candidate; all 0.0 where no PRM was asked.

    Ties go to the group with the higher single score, then to the earlier draw. Within the winning
    group the candidate with the highest score speaks, the earliest of equals. Sums are exact
    (``math.fsum``), so the order of candidates cannot tip a tie. Raises ValueError for another
    vote, for lengths that differ, and for a score that is not finite: a PRM that returns NaN is
    broken, and no rule about it would be right.
    """
    if vote not in VOTES:
        raise ValueError(f"vote must be one of {', '.join(VOTES)}, got {vote!r}")
    if len(groups) != len(scores):
        raise ValueError(f"every candidate needs a score, got {len(groups)} candidates, {len(scores)} scores")
    members: dict[int, list[int]] = {}
    for index, (number, value) in enumerate(zip(groups, scores, strict=True)):
        if not math.isfinite(value):
            raise ValueError(f"a score must be a finite number, got {value} for candidate {index}")
        if number >= 0:
            members.setdefault(number, []).append(index)
    if not members:
        return None
    best: tuple[float, float, int] | None = None
    for indices in members.values():
        speaker = max(indices, key=lambda index: (scores[index], -index))
        if vote == "majority":
            weight = float(len(indices))
        elif vote == "weighted":
            weight = math.fsum(scores[index] for index in indices)
        else:
            weight = scores[speaker]
        # best-of-n compares candidates; votes compare groups, which were drawn when their first member was
        earliest = speaker if vote == "max" else indices[0]
        entry = (weight, scores[speaker], -earliest)
        if best is None or entry > best:
            best, chosen = entry, speaker
    return chosen
