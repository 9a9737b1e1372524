"""Champion and challenger: what a decision log says of two planners between which requests were drawn.

Every request that a planner may decide about was given to the challenger with a chance that the log holds.
What is compared is utility: what feedback says (1 is right), less the price of compute times what was spent.
The test (``planner.traffic.betting``) may be looked at after every word of feedback.

- Words count in the order in which they came, whenever the decision was made: a delayed one counts when it is
  there. The first word on a decision stands, since what was bet on once must not change.
- Decisions without feedback are left out. That is right where the chance of feedback depends on what is said
  or on how dear the answer was in one arm as in the other. Whether both arms get as much feedback is tested
  beside it, on whether a word came within a day, of decisions that are older.
- Requests that fail get no feedback. Whether one arm fails more often is tested too.
- A cost beyond what a right answer is worth counts as that much.

Each of the three tests is always valid at ``alpha``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from planner.server.decisions.store import Store
from planner.server.decisions.tables import ASSIGNMENTS, DECISIONS, FEEDBACK
from planner.traffic.betting import Verdict, bet_on_mean
from planner.traffic.missing import one_sided
from planner.traffic.rows import named_answers, word_of
from planner.traffic.sources import Sources
from search.errors import DecisionLogError

__all__ = ["ALPHA", "Arm", "ChallengeState", "FirstWords", "pairs", "read_challenge", "utility_gains"]

Floats = NDArray[np.float64]

#: the chance that a test is ever wrong
ALPHA = 0.05
#: seconds within which feedback is counted on, where arms are compared by how much they get
_WITHIN = 86_400.0
_BLOCK = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One planner's part: decisions, those that failed and those with feedback, the share of these that were
    right, and the mean FLOPs of all; NaN where there is none."""

    planner: str
    decisions: int
    failed: int
    known: int
    value: float
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeState:
    """What is known of a challenger.

    Parameters
    ----------
    utility, failures, feedback:
        Verdicts on the challenger less the champion: utility; the share that fails; the share that gets
        feedback within a day.
    price:
        Accuracy that a FLOP costs.
    refused:
        Why nothing follows from the utility; empty where something may.
    drawn:
        Decisions for which both were possible.
    """

    champion: Arm
    challenger: Arm
    utility: Verdict
    failures: Verdict
    feedback: Verdict
    price: float
    refused: str
    drawn: int

    @property
    def state(self) -> Literal["better", "worse", "undecided"]:
        """Whether the challenger is surely better or worse. It is not better while something is refused."""
        if self.utility.is_below:
            return "worse"
        return "better" if self.utility.is_above and not self.refused else "undecided"

    @property
    def sentence(self) -> str:
        """The state in words."""
        found = self.utility
        told = (
            f"{100 * found.value:+.1f} points of utility ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
        )
        words = {
            "better": f"the challenger is better: {told}",
            "worse": f"the challenger is worse: {told}",
            "undecided": f"undecided: {told}",
        }[self.state]
        return f"{words}; {self.refused}" if self.refused else words

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN is None."""
        return {
            "state": self.state,
            "sentence": self.sentence,
            "champion": _plain(asdict(self.champion)),
            "challenger": _plain(asdict(self.challenger)),
            "utility": _plain(asdict(self.utility)),
            "failures": _plain(asdict(self.failures)),
            "feedback": _plain(asdict(self.feedback)),
            "price": self.price,
            "refused": self.refused or None,
            "drawn": self.drawn,
        }


def pairs(store: Store) -> list[tuple[str, str]]:
    """Champions and challengers of a log, the pair that was assigned last first."""
    query = (
        sa.select(ASSIGNMENTS.c.champion, ASSIGNMENTS.c.challenger)
        .join(DECISIONS, DECISIONS.c.decision_id == ASSIGNMENTS.c.decision_id)
        .group_by(ASSIGNMENTS.c.champion, ASSIGNMENTS.c.challenger)
        .order_by(sa.func.max(DECISIONS.c.created).desc())
    )
    with store.engine.connect() as connection:
        return [(str(one), str(other)) for one, other in connection.execute(query)]


def read_challenge(
    store: Store,
    champion: str,
    challenger: str,
    *,
    price: float = 0.0,
    sources: Sources | None = None,
    alpha: float = ALPHA,
    now: float | None = None,
) -> ChallengeState:
    """What a log says of a pair of planners, named by their fingerprints.

    Parameters
    ----------
    price:
        Accuracy that a FLOP costs.
    sources:
        Who gives feedback and how often they are mistaken, as stated; None: nobody is.
    now:
        Seconds since the epoch; None: the clock's.

    Raises DecisionLogError for a log that holds no decision of the pair.
    """
    arms = _read_arms(store, champion, challenger)
    if not len(arms.mine):
        raise DecisionLogError(
            f"a challenge is read from decisions of its planners, got none of {champion[:12]} and "
            f"{challenger[:12]}"
        )
    words = _read_words(store, champion, challenger, sources or Sources())
    gains, scales, reach = utility_gains(words, price)
    drawn = (arms.chance > 0.0) & (arms.chance < 1.0)
    utility = bet_on_mean(gains, scales, reach=reach, most=reach, alpha=alpha)
    failures = _bet_on_share(arms.failed[drawn], arms.mine[drawn], arms.chance[drawn], alpha)
    settled = drawn & (arms.created <= (time.time() if now is None else now) - _WITHIN)
    told = _bet_on_share(arms.prompt[settled], arms.mine[settled], arms.chance[settled], alpha)
    return ChallengeState(
        champion=_arm(champion, arms, words, False),
        challenger=_arm(challenger, arms, words, True),
        utility=utility,
        failures=failures,
        feedback=told,
        price=price,
        refused=_refusal(words, failures, told),
        drawn=int(drawn.sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Arms:
    """N decisions, oldest first: whether the challenger's (``mine``), its chance to be that, and what came of
    it; ``prompt``: feedback came within a day."""

    created: Floats
    mine: NDArray[np.bool_]
    chance: Floats
    failed: NDArray[np.bool_]
    prompt: NDArray[np.bool_]
    flops: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FirstWords:
    """M first words in the order in which they came: what they say of an answer (corrected for mistakes of
    their source; no two are further apart than ``spread``), its FLOPs and domain, and its arm."""

    value: Floats
    flops: Floats
    domain: tuple[str, ...]
    mine: NDArray[np.bool_]
    chance: Floats
    spread: float


def utility_gains(words: FirstWords, price: float) -> tuple[Floats, Floats, float]:
    """Gains (M,), scales (M,) and how far apart utilities can be, as ``bet_on_mean`` takes them.

    A gain is the utility less what was expected of it, divided by the chance of its arm, positive for the
    challenger and negative for the champion, times the smaller of both chances. What was expected is the mean
    of the utilities so far in the domain: whatever it is, the mean of the gain is the difference of the arms.
    """
    reach = words.spread + (1.0 if price > 0.0 else 0.0)
    utility = words.value - np.minimum(1.0, price * words.flops)
    centre = np.empty(len(utility))
    names = np.array(words.domain)
    for domain in dict.fromkeys(words.domain):
        rows = np.flatnonzero(names == domain)
        before = np.concatenate([[0.0], np.cumsum(utility[rows])[:-1]])
        centre[rows] = (0.5 + before) / (1.0 + np.arange(len(rows)))
    at = (words.chance > 0.0) & (words.chance < 1.0)
    gains, scales = _signed(utility - centre, words.mine, words.chance)
    return gains[at], scales[at], reach


def _signed(apart: Floats, mine: NDArray[np.bool_], chance: Floats) -> tuple[Floats, Floats]:
    scales = np.minimum(chance, 1.0 - chance)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(mine, scales / chance, -scales / (1.0 - chance))
    return np.where(scales > 0.0, apart * each, 0.0), scales


def _bet_on_share(met: NDArray[np.bool_], mine: NDArray[np.bool_], chance: Floats, alpha: float) -> Verdict:
    """The share of decisions that met something, in the challenger's arm less that in the champion's."""
    values = met.astype(np.float64)
    before = np.concatenate([[0.0], np.cumsum(values)[:-1]]) if len(values) else values
    centre = (0.5 + before) / (1.0 + np.arange(len(values)))
    gains, scales = _signed(values - centre, mine, chance)
    return bet_on_mean(gains, scales, reach=1.0, most=1.0, alpha=alpha)


def _refusal(words: FirstWords, failures: Verdict, feedback: Verdict) -> str:
    side = one_sided(words.value)
    if side is not None:
        return f"all {len(words.value):,} words say {side}, so feedback depends on the outcome"
    if failures.is_above:
        return f"the challenger fails more often ({100 * failures.value:+.1f} points)"
    if feedback.is_above or feedback.is_below:
        return (
            f"feedback reaches the challenger's answers {100 * feedback.value:+.1f} points more often than "
            "the champion's, so those with feedback cannot be compared"
        )
    return ""


def _arm(planner: str, arms: _Arms, words: FirstWords, mine: bool) -> Arm:
    own, said = arms.mine == mine, words.mine == mine
    count, known = int(own.sum()), int(said.sum())
    return Arm(
        planner=planner,
        decisions=count,
        failed=int(arms.failed[own].sum()),
        known=known,
        value=float(words.value[said].mean()) if known else math.nan,
        flops=float(arms.flops[own].mean()) if count else math.nan,
    )


def _of_pair(champion: str, challenger: str) -> sa.ColumnElement[bool]:
    return sa.and_(ASSIGNMENTS.c.champion == champion, ASSIGNMENTS.c.challenger == challenger)


def _read_arms(store: Store, champion: str, challenger: str) -> _Arms:
    prompt = sa.exists().where(
        FEEDBACK.c.decision_id == DECISIONS.c.decision_id,
        FEEDBACK.c.created <= DECISIONS.c.created + _WITHIN,
    )
    query = (
        sa.select(
            DECISIONS.c.created,
            ASSIGNMENTS.c.arm == "challenger",
            ASSIGNMENTS.c.chance,
            DECISIONS.c.outcome == "failed",
            prompt,
            sa.func.coalesce(DECISIONS.c.spent_flops, 0.0),
        )
        .join(ASSIGNMENTS, ASSIGNMENTS.c.decision_id == DECISIONS.c.decision_id)
        .where(_of_pair(champion, challenger))
        .order_by(DECISIONS.c.created, DECISIONS.c.decision_id)
    )
    parts = [np.empty((0, 6))]
    with store.engine.connect() as connection:
        rows = connection.execution_options(yield_per=_BLOCK).execute(query)
        parts += [np.array([tuple(row) for row in part], np.float64) for part in rows.partitions()]
    table = np.concatenate(parts)
    mine = table[:, 1] > 0.0
    return _Arms(
        created=table[:, 0],
        mine=mine,
        # of the challenger, whichever it was
        chance=np.where(mine, table[:, 2], 1.0 - table[:, 2]),
        failed=table[:, 3] > 0.0,
        prompt=table[:, 4] > 0.0,
        flops=table[:, 5],
    )


def _read_words(store: Store, champion: str, challenger: str, sources: Sources) -> FirstWords:
    """The first word on each decision, in the order in which they were kept."""
    ends = [source.corrected(one) for source in sources.known.values() for one in (0.0, 1.0)]
    spread = max([1.0, *ends]) - min([0.0, *ends])
    seen: set[str] = set()
    value, flops, domain, mine, chance = [], [], [], [], []
    for row, word, is_challengers, own in _said(store, champion, challenger):
        if row["decision_id"] in seen:
            continue
        seen.add(row["decision_id"])
        source = sources.of(word.source)
        value.append(source.corrected(word.value))
        flops.append(float(row["spent_flops"] or 0.0))
        domain.append(str(row["domain"]))
        mine.append(is_challengers)
        chance.append(own if is_challengers else 1.0 - own)
    return FirstWords(
        value=np.array(value, np.float64),
        flops=np.array(flops, np.float64),
        domain=tuple(domain),
        mine=np.array(mine, np.bool_),
        chance=np.array(chance, np.float64),
        spread=spread,
    )


def _said(
    store: Store, champion: str, challenger: str
) -> Iterator[tuple[Mapping[str, Any], Any, bool, float]]:
    names = ("decision_id", "domain", "question", "answer", "chosen", "spent_flops")
    said = ("created", "correct", "score", "candidate", "key")
    last = -1
    while True:
        query = (
            sa.select(
                *(DECISIONS.c[name] for name in names),
                *(FEEDBACK.c[name].label(f"said_{name}") for name in said),
                FEEDBACK.c.feedback_id,
                ASSIGNMENTS.c.arm,
                ASSIGNMENTS.c.chance,
            )
            .select_from(FEEDBACK)
            .join(DECISIONS, DECISIONS.c.decision_id == FEEDBACK.c.decision_id)
            .join(ASSIGNMENTS, ASSIGNMENTS.c.decision_id == FEEDBACK.c.decision_id)
            .where(_of_pair(champion, challenger), FEEDBACK.c.feedback_id > last)
            .order_by(FEEDBACK.c.feedback_id)
            .limit(_BLOCK)
        )
        with store.engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
            asks = [row["decision_id"] for row in rows if row["said_candidate"] is not None]
            answers = named_answers(connection, asks) if asks else {}
        for row in rows:
            word = word_of(row, {name: row[f"said_{name}"] for name in said}, answers)
            if word is not None:
                yield row, word, row["arm"] == "challenger", float(row["chance"])
        if len(rows) < _BLOCK:
            return
        last = int(rows[-1]["feedback_id"])


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
    }
