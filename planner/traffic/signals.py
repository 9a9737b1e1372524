"""Signals that live questions have left what a planner learned, from a decision log.

=========== ====================================================================================
questions   features of questions (``planner.traffic.change.moved``)
agreement   features of the samples that were looked at: how far they agree, lengths, logprobs
rewards     features of the PRM's rewards of those samples
promises    right answers less what was promised of them: the mean is below what is allowed
PRM <name>  of pairs of a right and a wrong answer, how often the right one has the higher reward
=========== ====================================================================================

The first three compare with the first decisions of this planner (``REFERENCE``), as many of which the log
keeps as are needed. A stretch of decisions is tested by itself: a day (UTC), or as many decisions as
``STRETCH`` where a day has more; and a week of feedback for the last two. The chance that any signal is
raised on a day on which nothing changed is at most ``ALPHA``, parted among the signals and the stretches of
the day before.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from planner.deciding.fitted import Fitted
from planner.evidence.probe import feature_groups, feature_names
from planner.server.decisions.store import Store
from planner.server.decisions.tables import CANDIDATES, DECISIONS, FEEDBACK, STEPS
from planner.traffic.betting import Verdict, bet_on_mean
from planner.traffic.change import Change, below, moved
from planner.traffic.rows import named_answers, word_of
from planner.traffic.sources import Sources
from search.cards import ModelCard

__all__ = ["ALPHA", "REFERENCE", "STRETCH", "Drift", "Signal", "new_problems", "read_drift"]

Floats = NDArray[np.float64]

#: the chance of any false alarm on a day
ALPHA = 0.05
#: decisions that later ones are compared with, and those that are tested together
REFERENCE, STRETCH = 300, 1500
#: by how much answers may be right less often than was promised
_SLACK = 0.05
#: pairs of a right and a wrong answer that a PRM's reference takes
_PAIRS = 40
_DAY, _WEEK = 86_400.0, 604_800.0
#: problems that a fit takes at least, and more than nobody needs for one new kind
_FEWEST, _MOST = 60, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal.

    Parameters
    ----------
    name:
        ``questions``, ``agreement``, ``rewards``, ``promises`` or ``PRM <name>``.
    seen:
        Observations of the present stretch.
    since, raised:
        Seconds since the epoch: when the change most likely began, and when it was found; None where there is
        none.
    detail:
        What moved most, in words.
    """

    name: str
    seen: int
    since: float | None = None
    raised: float | None = None
    detail: str = ""

    @property
    def prm(self) -> str | None:
        """The PRM that has gone bad, where it is one."""
        return self.name.removeprefix("PRM ") if self.name.startswith("PRM ") and self.raised else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """All signals of one planner.

    ``miss``: right answers less what was promised of them, since the first signal was raised; None while none
    is. ``problems``: new problems that a refit needs, 0 while no signal is raised; ``words``: decisions with
    feedback that it needs.
    """

    planner: str
    signals: tuple[Signal, ...]
    miss: Verdict | None
    problems: int
    words: int

    @property
    def raised(self) -> tuple[Signal, ...]:
        """The signals that are raised."""
        return tuple(signal for signal in self.signals if signal.raised is not None)

    @property
    def bad_prms(self) -> frozenset[str]:
        """PRMs that no longer tell right from wrong."""
        return frozenset(signal.prm for signal in self.raised if signal.prm is not None)

    @property
    def widening(self) -> tuple[float, float]:
        """What is added to the ends of promised intervals: how far answers may have missed promises."""
        if not self.raised:
            return 0.0, 0.0
        if self.miss is None:
            return -1.0, 1.0
        return min(0.0, self.miss.low), max(0.0, self.miss.high)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        low, high = self.widening
        return {
            "planner": self.planner,
            "raised": [signal.name for signal in self.raised],
            "signals": [asdict(signal) for signal in self.signals],
            "widening": [low, high],
            "problems": self.problems,
            "words": self.words,
        }


def read_drift(
    store: Store,
    planner: Fitted,
    fingerprint: str,
    *,
    now: float,
    sources: Sources | None = None,
    alpha: float = ALPHA,
) -> Drift:
    """What the log shows of a planner's drift at a time, in seconds since the epoch.

    A signal that was raised this week or the week before stays raised. Blocks: reads the log, and keeps
    references and signals in it.
    """
    told = sources or Sources()
    each = alpha / (4 + len(planner.prms))
    signals = [
        *_sampled(store, planner, fingerprint, now, each),
        *_judged(store, fingerprint, planner.prms, now, told, each),
    ]
    kept = tuple(_remembered(store, fingerprint, one, now) for one in signals)
    raised = [signal.raised for signal in kept if signal.raised is not None]
    miss = None
    if raised:
        words = _words(store, fingerprint, told, min(raised), None)
        gains = np.clip(np.array([said - promised for said, promised, *_ in words], np.float64), -1.0, 1.0)
        miss = bet_on_mean(gains, np.ones(len(gains)), reach=1.0)
    return Drift(
        planner=fingerprint,
        signals=kept,
        miss=miss,
        problems=new_problems(planner) if raised else 0,
        words=math.ceil((0.98 / _SLACK) ** 2) if raised else 0,
    )


def new_problems(planner: Fitted) -> int:
    """New problems that a refit needs: with so many the share right among them is known as closely as the
    intervals are wide that the planner promises, 1.96 * 0.5 / sqrt(n) = half of their mean width.

    At least 60, which a fit takes, and at most 1,000.
    """
    found = planner.stages[0].reliability
    half = float((np.array(found.high) - np.array(found.low)).mean()) / 2.0
    needed = math.inf if half <= 0.0 else (0.98 / half) ** 2
    return int(min(_MOST, max(_FEWEST, math.ceil(min(needed, float(_MOST))))))


# ---- what is seen of questions and samples


def _sampled(store: Store, planner: Fitted, fingerprint: str, now: float, alpha: float) -> list[Signal]:
    """Signals of features: by group, over the looks that show them."""
    groups = {
        "questions": ("surface", "ngrams"),
        "agreement": ("agreement", "logprobs"),
        "rewards": ("rewards",),
    }
    out = []
    for name, kinds in groups.items():
        looks = []
        for stage in planner.stages:
            told = feature_groups(stage.probe, planner.encoder.dimensions, stage.thoughts)
            columns = [i for i, kind in enumerate(told) if kind in kinds]
            first = not stage.probe.samples
            if columns and first == (name == "questions"):
                names = feature_names(stage.probe, planner.encoder.dimensions, stage.thoughts)
                looks.append((str(stage.probe), columns, names))
        found = [_look(store, fingerprint, one, now, alpha / max(1, len(looks))) for one in looks]
        if found:
            raised = [one for one in found if one.raised is not None]
            best = (
                min(raised, key=lambda one: one.raised or 0.0)
                if raised
                else max(found, key=lambda one: one.seen)
            )
            out.append(
                Signal(name=name, seen=best.seen, since=best.since, raised=best.raised, detail=best.detail)
            )
    return out


def _look(
    store: Store, fingerprint: str, look: tuple[str, list[int], Sequence[str]], now: float, alpha: float
) -> Signal:
    probe, columns, names = look
    kept = _reference(store, fingerprint, probe, len(names))
    if kept is None:
        return Signal(name=probe, seen=0)
    until, reference = kept
    day = _DAY * math.floor(now / _DAY)
    before = _count(store, fingerprint, probe, day - _DAY, day)
    stretches = max(1, math.ceil(before / STRETCH))
    begin = max(day, math.nextafter(until, math.inf))
    there = _count(store, fingerprint, probe, begin, now)
    if not there:
        return Signal(name=probe, seen=0)
    times, values = _rows(
        store,
        fingerprint,
        probe,
        len(names),
        begin,
        now,
        skip=STRETCH * ((there - 1) // STRETCH),
        limit=STRETCH,
    )
    found = moved(reference[:, columns], values[:, columns], alpha=alpha / stretches, seed=int(day))
    return _signal(probe, times, found, names[columns[found.column]] if len(times) else "")


def _signal(name: str, times: Sequence[float], found: Change, detail: str) -> Signal:
    if found.found is None:
        return Signal(name=name, seen=len(times))
    return Signal(
        name=name,
        seen=len(times),
        since=times[min(found.since, len(times) - 1)],
        raised=times[found.found - 1],
        detail=detail.replace("_", " "),
    )


def _reference(store: Store, fingerprint: str, probe: str, width: int) -> tuple[float, Floats] | None:
    """Until when the reference goes, and its rows; None while there are too few."""
    name = f"drift/{fingerprint}/{probe}/rows"
    text = store.value(name)
    if text is None:
        times, values = _rows(store, fingerprint, probe, width, -math.inf, math.inf, skip=0, limit=REFERENCE)
        if len(times) < REFERENCE:
            return None
        packed = base64.b64encode(values.astype("<f4").tobytes()).decode()
        text = store.setting(name, json.dumps({"until": times[-1], "rows": packed}))
    read = json.loads(text)
    rows = np.frombuffer(base64.b64decode(read["rows"]), "<f4").reshape(-1, width)
    return float(read["until"]), rows.astype(np.float64)


def _of(fingerprint: str, probe: str, begin: float, end: float) -> list[sa.ColumnElement[bool]]:
    found = [DECISIONS.c.planner == fingerprint, STEPS.c.look == probe]
    if math.isfinite(begin):
        found.append(DECISIONS.c.created >= begin)
    if math.isfinite(end):
        found.append(DECISIONS.c.created < end)
    return found


def _count(store: Store, fingerprint: str, probe: str, begin: float, end: float) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(DECISIONS)
        .join(STEPS, STEPS.c.decision_id == DECISIONS.c.decision_id)
        .where(*_of(fingerprint, probe, begin, end))
    )
    with store.engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def _rows(
    store: Store, fingerprint: str, probe: str, width: int, begin: float, end: float, *, skip: int, limit: int
) -> tuple[list[float], Floats]:  # fmt: skip
    """Times, and features (N, width) in 32 bits; rows that are not finite are passed over."""
    query = (
        sa.select(DECISIONS.c.created, STEPS.c.features)
        .join(STEPS, STEPS.c.decision_id == DECISIONS.c.decision_id)
        .where(*_of(fingerprint, probe, begin, end))
        .order_by(DECISIONS.c.created, DECISIONS.c.decision_id)
        .offset(skip)
        .limit(limit)
    )
    times, values = [], []
    with store.engine.connect() as connection:
        for created, vector in connection.execute(query):
            row = np.frombuffer(bytes(vector), "<f8").astype("<f4")
            if len(row) == width and np.isfinite(row).all():
                times.append(float(created))
                values.append(row)
    return times, np.array(values, np.float64).reshape(-1, width)


# ---- what came of it


def _judged(
    store: Store, fingerprint: str, prms: Mapping[str, ModelCard], now: float, sources: Sources, alpha: float
) -> list[Signal]:
    """Signals of feedback: promises of this week, and pairs of each PRM."""
    week = _WEEK * math.floor(now / _WEEK)
    words = _words(store, fingerprint, sources, week, now)
    times = [at for *_, at in words]
    gains = np.clip(
        np.array([said - promised + _SLACK for said, promised, *_ in words], np.float64), -1.05, 1.05
    )
    found = below(gains, reach=1.05, alpha=alpha)
    detail = ""
    if found.found is not None:
        after = words[found.since :]
        detail = (
            f"{np.mean([said for said, *_ in after]):.0%} right where "
            f"{np.mean([promised for _, promised, *_ in after]):.0%} were promised"
        )
    out = [_signal("promises", times, found, detail)]
    for prm in prms:
        out.append(_prm(store, fingerprint, prm, week, now, sources, alpha))
    return out


def _prm(
    store: Store, fingerprint: str, prm: str, week: float, now: float, sources: Sources, alpha: float
) -> Signal:
    name = f"drift/{fingerprint}/{prm}/pairs"
    text = store.value(name)
    words = [
        (said, reward, at)
        for said, _, chosen, reward, at in _words(store, fingerprint, sources, None, now, rewards=True)
        if chosen == prm and reward is not None
    ]
    if text is None:
        first = _pairs(words)[:_PAIRS]
        if len(first) < _PAIRS:
            return Signal(name=f"PRM {prm}", seen=0)
        share = float(np.mean([won for won, _ in first]))
        # what it surely did, once in a hundred too much
        least = share - 2.33 * math.sqrt(0.25 / _PAIRS)
        text = store.setting(name, json.dumps({"until": first[-1][1], "share": share, "least": least}))
    kept = json.loads(text)
    # of one that told little before nothing can be seen to be lost
    if kept["least"] < 0.4:
        return Signal(name=f"PRM {prm}", seen=0)
    begin = max(week, math.nextafter(kept["until"], math.inf))
    pairs = _pairs([word for word in words if word[2] >= begin])
    found = below(np.array([won - kept["least"] for won, _ in pairs], np.float64), reach=1.0, alpha=alpha)
    detail = ""
    if found.found is not None:
        share = float(np.mean([won for won, _ in pairs[found.since :]]))
        detail = (
            f"the right answer has the higher reward in {share:.0%} of pairs, {kept['share']:.0%} at first"
        )
    return _signal(f"PRM {prm}", [at for _, at in pairs], found, detail)


def _pairs(words: Sequence[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """(1 where the right one of a pair has the higher reward, 0.5 where both are equal; time): each right
    answer with the next wrong one that has no pair yet, or the other way round."""
    waiting: dict[bool, list[float]] = {True: [], False: []}
    out = []
    for said, reward, at in words:
        right = said >= 0.5
        if waiting[not right]:
            other = waiting[not right].pop(0)
            high, low = (reward, other) if right else (other, reward)
            out.append((1.0 if high > low else 0.5 if high == low else 0.0, at))
        else:
            waiting[right].append(reward)
    return out


def _words(
    store: Store,
    fingerprint: str,
    sources: Sources,
    begin: float | None,
    end: float | None,
    *,
    rewards: bool = False,
    most: int = 20_000,
) -> list[tuple[Any, ...]]:
    """(said, promised, PRM, last reward of the answer, time) of the first word on each of a planner's
    decisions that began since then, in the order in which words came; without the two in the middle unless
    asked for."""
    names = ("decision_id", "created", "domain", "question", "answer", "chosen", "accuracy", "prm")
    said = ("created", "correct", "score", "candidate", "key")
    query = (
        sa.select(
            *(DECISIONS.c[name] for name in names), *(FEEDBACK.c[name].label(f"said_{name}") for name in said)
        )
        .join(FEEDBACK, FEEDBACK.c.decision_id == DECISIONS.c.decision_id)
        .where(DECISIONS.c.planner == fingerprint, DECISIONS.c.accuracy.is_not(None))
        .order_by(FEEDBACK.c.feedback_id)
        .limit(most)
    )
    if rewards:
        query = query.add_columns(CANDIDATES.c.step_rewards).join(
            CANDIDATES,
            sa.and_(
                CANDIDATES.c.decision_id == DECISIONS.c.decision_id, CANDIDATES.c.place == DECISIONS.c.chosen
            ),
        )
    if begin is not None:
        query = query.where(DECISIONS.c.created >= begin)
    if end is not None:
        query = query.where(DECISIONS.c.created < end)
    with store.engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
        asks = [row["decision_id"] for row in rows if row["said_candidate"] is not None]
        answers = named_answers(connection, asks) if asks else {}
    seen: set[str] = set()
    out: list[tuple[Any, ...]] = []
    for row in rows:
        if row["decision_id"] in seen:
            continue
        word = word_of(row, {name: row[f"said_{name}"] for name in said}, answers)
        if word is None:
            continue
        seen.add(row["decision_id"])
        value = sources.of(word.source).corrected(word.value)
        if not rewards:
            out.append((value, float(row["accuracy"]), float(row["created"])))
            continue
        steps = np.frombuffer(bytes(row["step_rewards"]), "<f8")
        last = float(steps[-1]) if len(steps) else None
        out.append((value, float(row["accuracy"]), row["prm"], last, float(row["created"])))
    return out


# ---- what is kept


def _remembered(store: Store, fingerprint: str, signal: Signal, now: float) -> Signal:
    """A signal that is raised is kept with the week, and stays raised through the next one."""
    week = math.floor(now / _WEEK)

    def name(number: int) -> str:
        return f"drift/{fingerprint}/{signal.name}/raised/{number}"

    if signal.raised is not None:
        kept = {"since": signal.since, "raised": signal.raised, "detail": signal.detail}
        store.setting(name(week), json.dumps(kept))
    for number in (week - 1, week):
        text = store.value(name(number))
        if text is not None:
            return Signal(name=signal.name, seen=signal.seen, **json.loads(text))
    return signal
