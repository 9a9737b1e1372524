"""Replay: what a plan would have answered and taken, from samples that a log holds, without drawing any.

Whole solutions of one policy are exchangeable, so a random order of a pool's draws stands for a run. A
strategy that uses nothing but whole solutions says here what a run of it makes of such an order; the
campaigns' tables and the planner's training values both ask it. Arrays have one row per run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from search.errors import LogError
from search.strategies.kinds import Replay
from search.voting.votes import winners

if TYPE_CHECKING:
    from search.choice import Choice
    from search.plan import Plan

__all__ = ["Draws", "Needs", "Record", "Replayed", "charged", "needs_of", "replay_plan", "right_of"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Draws:
    """Whole solutions of one policy, in the order in which a run sends for them.

    Parameters
    ----------
    group:
        (R, D) equal answers of a row share a number, whichever policy gave them; -1 for an unreadable one.
    right:
        (R, D) how right the answer is, 0 to 1; an unreadable one may keep the verdict of its record.
    tokens:
        (R, D) generated tokens.
    scores:
        (R, D) under the plan's PRM and score; None where it asks none.
    greedy_group, greedy_right, greedy_tokens:
        (R,) the same of the greedy solution; None where the log has none.
    prior:
        So many of the first draws are there already and paid for (a probe's).
    signals:
        Name -> (R, D), those of ``search.strategies.adaptive.weights.SIGNALS`` that the log has; NaN: not
        known.
    """

    group: Ints
    right: Bools | Floats
    tokens: Floats
    scores: Floats | None = None
    greedy_group: Ints | None = None
    greedy_right: Bools | Floats | None = None
    greedy_tokens: Floats | None = None
    prior: int = 0
    signals: Mapping[str, Floats] = field(default_factory=dict)

    def without(self, first: int) -> Draws:
        """The same without the first draws, and with none of them prior."""
        return replace(
            self,
            group=self.group[:, first:],
            right=self.right[:, first:],
            tokens=self.tokens[:, first:],
            scores=None if self.scores is None else self.scores[:, first:],
            prior=0,
            signals={name: values[:, first:] for name, values in self.signals.items()},
        )


@dataclass(frozen=True, slots=True)
class Record:
    """The draws of every policy that a plan may ask, by policy and PRM (None: unscored).

    ``lead``: the policy and PRM that the plan runs with.
    """

    lead: tuple[str, str | None]
    draws: Mapping[tuple[str, str | None], Draws]

    @property
    def own(self) -> Draws:
        """The draws of the leading policy. Raises LogError where the log has none."""
        if self.lead not in self.draws:
            known = ", ".join(f"{name} x {judge or '-'}" for name, judge in self.draws)
            policy, prm = self.lead
            raise LogError(
                f"a replay needs the draws of {policy} x {prm or '-'}, got those of {known or 'none'}"
            )
        return self.draws[self.lead]

    def part(self, choice: Choice, *, after: Choice | None = None) -> Record:
        """The record for one part of a plan.

        ``after``: a part that has run before; a part of the same policy gets other draws than that one.
        """
        lead = (choice.policy, choice.prm)
        if after is None or after.policy != choice.policy:
            return replace(self, lead=lead)
        return replace(
            self, lead=lead, draws={**self.draws, lead: replace(self, lead=lead).own.without(after.plan.n)}
        )


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of R runs.

    Parameters
    ----------
    group, right:
        (R,) the answer's number (negative: none) and how right it is, 0 to 1.
    agreement:
        (R,) votes of the answer over the samples that were to vote, in [0, 1].
    tokens:
        Policy -> (R,) generated tokens that a run is charged, those of cancelled draws included, those of
        prior draws and all prompts left out.
    asked:
        Policy -> (R,) whether its prompt was sent.
    scored:
        (Policy, PRM) -> (R,) how many solutions the PRM scored, prior ones left out.
    """

    group: Ints
    right: Floats
    agreement: Floats
    tokens: Mapping[str, Floats]
    asked: Mapping[str, Bools]
    scored: Mapping[tuple[str, str], Floats]


def right_of(mine: Bools, right: Bools | Floats) -> Floats:
    """(R,) how right the answer of each row is: that of the first draw that gave it, or where none is
    readable the first draw's own verdict. ``mine`` (R, D): the draws that gave it."""
    first = mine.argmax(axis=1)
    return np.asarray(right[np.arange(len(right)), first], np.float64)


def replay_plan(plan: Plan, record: Record) -> Replayed:
    """What runs of a plan make of recorded draws, led by ``record.lead``.

    Raises LogError for draws that the log lacks, and for a plan that must be run.
    """
    how = plan.described.replays
    if how is Replay.ORDER:
        return plan.described.replay(record)
    policy, _ = record.lead
    draws = record.own
    rows = len(draws.group)
    nothing = np.zeros(rows)
    if how is Replay.GREEDY:
        if draws.greedy_group is None or draws.greedy_right is None or draws.greedy_tokens is None:
            raise LogError(f"a replay of {plan} needs the greedy draw of {policy!r}, got a log without")
        every = np.ones(rows, np.bool_)
        return Replayed(
            draws.greedy_group,
            draws.greedy_right.astype(np.float64),
            np.where(draws.greedy_group >= 0, 1.0, 0.0),
            {policy: draws.greedy_tokens},
            {policy: every},
            {},
        )
    if how is not Replay.VOTE:
        raise LogError(f"a log of single samples replays no {plan.strategy}, got {plan}")
    n = max(plan.n, draws.prior)
    if n > draws.group.shape[1]:
        raise LogError(f"a replay of {plan} needs {n} draws of {policy!r}, got {draws.group.shape[1]}")
    group = draws.group[:, :n]
    won = winners(group, None if draws.scores is None else draws.scores[:, :n], plan.vote)
    mine = (group == won[:, None]) & (won >= 0)[:, None]
    fresh = draws.tokens[:, draws.prior : n]
    scored = {} if record.lead[1] is None else {(policy, record.lead[1]): nothing + fresh.shape[1]}
    return Replayed(
        won,
        right_of(mine, draws.right[:, :n]),
        mine.mean(axis=1),
        {policy: fresh.sum(axis=1)},
        {policy: np.full(rows, fresh.shape[1] > 0)},
        scored,
    )


def charged(
    met: Replayed,
    policies: Callable[[str], tuple[Floats | float, float]],
    prms: Callable[[str, str], tuple[Floats | float, Floats | float, float]],
) -> tuple[Floats, Floats]:
    """(R,) tokens and (R,) FLOPs that the runs are charged, prompts included.

    ``policies``: name -> tokens of its prompt, FLOPs of a token. ``prms``: (policy, PRM) -> tokens of scoring
    a solution, tokens of the PRM's prompt, FLOPs of a token. Tokens may be one number or (R,).
    """
    tokens, flops = np.zeros(len(met.group)), np.zeros(len(met.group))
    for policy, generated in met.tokens.items():
        prompt, rate = policies(policy)
        spent = generated + prompt * met.asked[policy]
        tokens += spent
        flops += spent * rate
    for (policy, prm), count in met.scored.items():
        each, once, rate = prms(policy, prm)
        spent = count * each + (count > 0) * once
        tokens += spent
        flops += spent * rate
    return tokens, flops


@dataclass(frozen=True, slots=True)
class Needs:
    """What a log must hold to replay a choice: draws per policy, greedy draws, and PRMs over a policy's
    draws.

    ``runs`` are the choices inside that must be run (the choice itself, where it must).
    """

    draws: Mapping[str, int]
    greedy: frozenset[str]
    scored: frozenset[tuple[str, str]]
    runs: frozenset[Choice]


def needs_of(choice: Choice) -> Needs:
    """What replaying a choice takes; parts of one policy take draws of their own.

    >>> from search.choice import Choice
    >>> found = needs_of(Choice.parse("m: cascade(first=m: majority(n=4), then=l: cot())"))
    >>> dict(found.draws), sorted(found.greedy)
    ({'m': 4}, ['l'])
    """
    plan = choice.plan
    if plan.must_run:
        return Needs({}, frozenset(), frozenset(), frozenset({choice}))
    if plan.is_greedy:
        return Needs({}, frozenset({choice.policy}), frozenset(), frozenset())
    if not plan.parts:
        scored = frozenset() if choice.prm is None else frozenset({(choice.policy, choice.prm)})
        return Needs({choice.policy: plan.n}, frozenset(), scored, frozenset())
    parts = [needs_of(part) for part in plan.parts]
    draws: dict[str, int] = {}
    for part in parts:
        for policy, count in part.draws.items():
            draws[policy] = draws.get(policy, 0) + count
    return Needs(
        draws,
        frozenset().union(*(part.greedy for part in parts)),
        frozenset().union(*(part.scored for part in parts)),
        frozenset().union(*(part.runs for part in parts)),
    )
