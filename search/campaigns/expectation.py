"""What units of work will take, by what those before them took: for the time left, and for a limit.

Tokens per solution are measured on what this run has drawn, or on what the log holds of the policy. Until one
solution is known, half of what a solution may have is expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from search.campaigns.spending import Meter
from search.campaigns.unit import Unit
from search.log.store import SearchLog
from search.plan import Plan

__all__ = ["Expectation"]

#: what a unit is expected to take at most, over the mean
_SLACK = 1.1
#: solutions whose mean length is trusted
_ENOUGH = 16
#: of the most tokens that a solution may have, where no length is known
_UNKNOWN = 0.5


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Tokens per prompt and per solution."""

    prompt: float
    solution: float


#: table ("": nothing is sent), policy, PRM and plan of a unit
_Kind = tuple[str, str, str, Plan]


class Expectation:
    """Of one run.

    Parameters
    ----------
    meter:
        What was spent so far.
    log:
        Asked once per policy for the lengths it holds.
    max_tokens:
        Most tokens of a solution.
    units:
        All that is to be done.
    """

    def __init__(self, meter: Meter, log: SearchLog, max_tokens: int, units: Sequence[Unit]) -> None:
        self._meter = meter
        self._log = log
        self._max_tokens = max_tokens
        self._left: Counter[_Kind] = Counter()
        for unit in units:
            self._left[_kind(unit)] += len(unit.problems)
        self._logged: dict[str, _Sizes | None] = {}

    def done(self, unit: Unit) -> None:
        """A unit was logged."""
        self._left[_kind(unit)] -= len(unit.problems)

    def seconds_left(self, seconds: float) -> float | None:
        """Seconds that the rest takes at the speed so far; None before anything is known."""
        left = {kind: problems for kind, problems in self._left.items() if problems > 0}
        if not left:
            return 0.0
        spent = self._meter.tokens
        if not spent or seconds <= 0.0:
            return None
        tokens = 0.0
        for (table, policy, prm, plan), problems in left.items():
            sizes = self._sizes(policy)
            if sizes is None:
                return None
            tokens += problems * sum(_take(table, plan, sizes, prm))
        for policy in {policy for _, policy, _, _ in left}:
            sizes = self._sizes(policy)
            if sizes is not None:  # those in flight are halfway on average
                tokens -= self._meter.usage(policy).open * sizes.solution / 2
        return max(0.0, tokens) * seconds / spent

    def fits(self, unit: Unit, running: Sequence[Unit]) -> bool:
        """Whether a unit, beside those that run, is expected to stay within the limit."""
        if not self._meter.is_limited:
            return True
        return self._meter.fits(*(work for one in (unit, *running) for work in self._works(one)))

    def cost(self, unit: Unit) -> float:
        """What a unit is expected to take of the limit, at most."""
        return self._meter.cost(*self._works(unit))

    def _works(self, unit: Unit) -> list[tuple[str, float, float]]:
        sizes = self._sizes(unit.policy) or _Sizes(_guess(unit), _UNKNOWN * self._max_tokens)
        prompt, generated, scored = (
            len(unit.problems) * tokens
            for tokens in _take(_table(unit), unit.plan, sizes, unit.prm, sent=self._meter.is_in_money)
        )
        return [(unit.policy, prompt, _SLACK * generated), (unit.prm, _SLACK * scored, 0.0)]

    def _sizes(self, policy: str) -> _Sizes | None:
        usage = self._meter.usage(policy)
        if usage.ended >= _ENOUGH:
            return _Sizes(usage.first_prompt / usage.runs, usage.generated / usage.ended)
        if policy not in self._logged:
            self._logged[policy] = self._read(policy)
        if self._logged[policy] is None and usage.ended:
            return _Sizes(usage.first_prompt / usage.runs, usage.generated / usage.ended)
        return self._logged[policy]

    def _read(self, policy: str) -> _Sizes | None:
        means = self._log.scan("samples").filter(pl.col("policy") == policy)
        prompt, solution = (
            means.select(pl.col("prompt_tokens").mean(), pl.col("tokens").mean()).collect().row(0)
        )
        return None if prompt is None else _Sizes(prompt, solution)


def _guess(unit: Unit) -> float:
    """Tokens of a prompt that was never sent: one per four characters, and as many as a template adds."""
    return 50.0 + sum(len(problem.question) for problem in unit.problems) / (4.0 * len(unit.problems))


def _table(unit: Unit) -> str:
    """What a unit's work is: its table, or nothing."""
    return unit.table if unit.source is None else ""


def _kind(unit: Unit) -> _Kind:
    return _table(unit), unit.policy, unit.prm, unit.plan


def _take(
    table: str, plan: Plan, sizes: _Sizes, prm: str, *, sent: bool = False
) -> tuple[float, float, float]:
    """(prompt, generated, scored) tokens of one problem of a unit. ``sent``: prompts as often as they are
    sent, else each once."""
    if not table:
        return 0.0, 0.0, 0.0
    solutions = plan.n * sizes.solution
    if table == "samples":
        return sizes.prompt, solutions, 0.0
    if table == "scores":
        return 0.0, 0.0, sizes.prompt + solutions
    prompt, generated = plan.described.takes(sizes.prompt, sizes.solution)
    if sent:
        prompt = plan.described.sends(sizes.prompt, sizes.solution)
    return prompt, generated, sizes.prompt + solutions if prm else 0.0
