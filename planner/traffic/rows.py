"""Reads a decision log in blocks, as estimates need it: no candidate's text is ever read.

A block is a range of (created, decision_id), so that a log of a million rows needs the memory of one block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from planner.server.decisions.store import Store
from planner.server.decisions.tables import CANDIDATES, DECISIONS, FEEDBACK, STEPS
from planner.traffic.sources import ANYONE, Word
from search.errors import DecisionLogError, GradingError
from search.grading.registry import domain
from search.problem import Problem

__all__ = ["Row", "RowStep", "blocks", "check_feedback", "features_of", "named_answers", "word_of"]

_BLOCK = 20_000

_DECISION = (
    *("decision_id", "created", "question", "domain", "planner", "budget", "reason"),
    *("policy", "prm", "plan", "answer", "outcome", "chosen"),
)
_STEP = (
    *("decision_id", "look", "next_look", "policy", "prm", "plan", "accuracy", "propensity", "features"),
    *("policy_tokens", "prm_tokens", "spent_flops"),
)
_SAID = ("decision_id", "created", "correct", "score", "candidate", "key")

#: outcomes of which no answer came that anybody could judge
_NO_ANSWER = ("failed", "cancelled", "abstained", "refused")


@dataclass(frozen=True, slots=True)
class RowStep:
    """One stage as logged; ``tokens`` and ``flops`` are what it took."""

    look: str
    next_look: str | None
    policy: str
    prm: str | None
    plan: str
    accuracy: float | None
    propensity: float
    features: bytes
    tokens: float
    flops: float


@dataclass(frozen=True, slots=True)
class Row:
    """One decision that an estimate can use, with every word of feedback on it."""

    decision_id: str
    created: float
    question: str
    domain: str
    planner: str
    budget: str
    answer: str | None
    steps: tuple[RowStep, ...]
    words: tuple[Word, ...] = field(default=())


def check_feedback(store: Store) -> None:
    """Raises DecisionLogError where feedback names a decision that the log does not hold."""
    query = (
        sa.select(FEEDBACK.c.decision_id)
        .where(~sa.exists().where(DECISIONS.c.decision_id == FEEDBACK.c.decision_id))
        .limit(1)
    )
    with store.engine.connect() as connection:
        found = connection.execute(query).scalar()
    if found is not None:
        raise DecisionLogError(f"feedback names a decision of the log, got {str(found)!r}, which it lacks")


def blocks(
    store: Store,
    left_out: Counter[str],
    *,
    extra: Mapping[str, Sequence[Word]] | None = None,
    since: float | None = None,
    size: int = _BLOCK,
) -> Iterator[list[Row]]:
    """The decisions of a log that a planner made, oldest first, a block in memory at a time.

    Parameters
    ----------
    left_out:
        Counts what cannot be used, by reason.
    extra:
        Feedback that the log does not hold, by decision.
    since:
        Seconds since the epoch: older decisions are left aside.
    size:
        Decisions of a block.
    """
    table = DECISIONS.c
    begin: tuple[float, str] | None = None if since is None else (since, "")
    while True:
        query = sa.select(*(table[name] for name in _DECISION))
        if begin is not None:
            query = query.where(table.created >= begin[0], _after(begin))
        ordered = query.order_by(table.created, table.decision_id).limit(size)
        with store.engine.connect() as connection:
            rows = [row._asdict() for row in connection.execute(ordered)]
            if not rows:
                return
            end = (float(rows[-1]["created"]), str(rows[-1]["decision_id"]))
            within = sa.and_(*_range(begin, end))
            steps = _belonging(connection, STEPS, _STEP, STEPS.c.place, within)
            said = _belonging(connection, FEEDBACK, _SAID, FEEDBACK.c.feedback_id, within)
            answers = _candidates(connection, within) if _names_candidates(said) else {}
        out = []
        for row in rows:
            name = row["decision_id"]
            found = _row(row, steps.get(name, []), said.get(name, []), answers)
            if isinstance(found, str):
                left_out[found] += 1
                continue
            more = () if extra is None else tuple(extra.get(name, ()))
            out.append(found if not more else _with(found, more))
        yield out
        if len(rows) < size:
            return
        begin = end


def _after(begin: tuple[float, str]) -> sa.ColumnElement[bool]:
    table = DECISIONS.c
    return sa.or_(table.created > begin[0], sa.and_(table.created == begin[0], table.decision_id > begin[1]))


def _range(begin: tuple[float, str] | None, end: tuple[float, str]) -> list[sa.ColumnElement[bool]]:
    table = DECISIONS.c
    parts: list[sa.ColumnElement[bool]] = [
        table.created <= end[0],
        sa.or_(table.created < end[0], sa.and_(table.created == end[0], table.decision_id <= end[1])),
    ]
    if begin is not None:
        parts += [table.created >= begin[0], _after(begin)]
    return parts


def _belonging(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    order: sa.Column[Any],
    within: sa.ColumnElement[bool],
) -> dict[str, list[Any]]:
    """Decision -> its rows of a table, in order."""
    query = (
        sa.select(*(table.c[name] for name in columns))
        .join(DECISIONS, DECISIONS.c.decision_id == table.c.decision_id)
        .where(within)
        .order_by(table.c.decision_id, order)
    )
    rows = connection.execute(query)
    return {str(name): list(part) for name, part in groupby(rows, key=lambda row: row.decision_id)}


def _names_candidates(said: Mapping[str, Sequence[Any]]) -> bool:
    return any(one.candidate is not None for some in said.values() for one in some)


def named_answers(connection: sa.Connection, ids: Sequence[str]) -> dict[tuple[str, int], str]:
    """Answers of the candidates that feedback on these decisions names."""
    found: dict[tuple[str, int], str] = {}
    for begin in range(0, len(ids), 500):
        found |= _candidates(connection, DECISIONS.c.decision_id.in_(ids[begin : begin + 500]))
    return found


def _candidates(connection: sa.Connection, within: sa.ColumnElement[bool]) -> dict[tuple[str, int], str]:
    """Answers of the candidates that feedback names."""
    query = (
        sa.select(CANDIDATES.c.decision_id, CANDIDATES.c.place, CANDIDATES.c.answer)
        .join(DECISIONS, DECISIONS.c.decision_id == CANDIDATES.c.decision_id)
        .join(
            FEEDBACK,
            sa.and_(
                FEEDBACK.c.decision_id == CANDIDATES.c.decision_id, FEEDBACK.c.candidate == CANDIDATES.c.place
            ),
        )
        .where(within, CANDIDATES.c.answer.is_not(None))
    )
    return {(str(name), int(place)): str(answer) for name, place, answer in connection.execute(query)}


def _row(
    row: Mapping[str, Any],
    steps: Sequence[Any],
    said: Sequence[Any],
    answers: Mapping[tuple[str, int], str],
) -> Row | str:
    """A row, or why there is none."""
    if row["reason"] is not None or row["planner"] is None:
        return "a planner decided (no forced plan, no open question)"
    if row["outcome"] in _NO_ANSWER:
        return "an answer came of it (none that failed, was cancelled or abstained)"
    if not steps:
        return "its stages were logged"
    made = []
    for place, step in enumerate(steps):
        propensity = step.propensity
        if propensity is None or not 0.0 < propensity <= 1.0:
            return "every stage has a propensity"
        if step.next_look is None and place + 1 < len(steps):
            return "no model failed on the way"
        made.append(
            RowStep(
                look=step.look,
                next_look=step.next_look,
                policy=step.policy,
                prm=step.prm,
                plan=step.plan,
                accuracy=step.accuracy,
                propensity=float(propensity),
                features=bytes(step.features),
                tokens=float(step.policy_tokens + step.prm_tokens),
                flops=float(step.spent_flops or 0.0),
            )
        )
    if made[0].look != "question":
        return "its first stage saw the question only"
    name = str(row["decision_id"])
    words = tuple(word for one in said if (word := word_of(row, one._mapping, answers)) is not None)
    return Row(
        decision_id=name,
        created=float(row["created"]),
        question=str(row["question"]),
        domain=str(row["domain"]),
        planner=str(row["planner"]),
        budget=str(row["budget"]),
        answer=row["answer"],
        steps=tuple(made),
        words=words,
    )


def word_of(
    row: Mapping[str, Any], said: Mapping[str, Any], answers: Mapping[tuple[str, int], str]
) -> Word | None:
    """What feedback says of the answer that was given; None where it says nothing of it.

    ``row`` and ``said`` are rows of decisions and of feedback, ``answers`` those of the candidates that
    feedback names.
    """
    value: float | None = None
    if said["correct"] is not None:
        value = 1.0 if said["correct"] else 0.0
    elif said["score"] is not None:
        value = float(said["score"])
    elif said["candidate"] is not None:
        if said["candidate"] == row["chosen"]:
            value = 1.0
        else:
            right = answers.get((str(row["decision_id"]), int(said["candidate"])))
            value = None if right is None else float(_equal(row, right))
    if value is None:
        return None
    return Word(said["key"] or ANYONE, value, float(said["created"]))


def _equal(row: Mapping[str, Any], right: str) -> bool:
    """Whether the answer that was given is the right one, as the domain compares answers."""
    given = row["answer"]
    if given is None or given == right:
        return given is not None
    problem = Problem("request", "", row["domain"], row["question"], right)
    try:
        return bool(domain(row["domain"]).grade(problem, given))
    except GradingError:
        return False


def _with(row: Row, more: tuple[Word, ...]) -> Row:
    return replace(row, words=(*row.words, *more))


def features_of(step: RowStep) -> NDArray[np.float64]:
    """What a stage saw, as it was logged."""
    return np.frombuffer(step.features, "<f8")
