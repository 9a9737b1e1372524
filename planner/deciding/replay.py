"""Replays staged decisions on matrices: what they meet, probes and all, as a log lets one know it.

The rule is ``planner.deciding.decision.decide``, the one that decides live. It knows nothing of how menus
came about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu, Rule, decide
from planner.deciding.stages import Stage
from planner.evidence.matrix import Matrices, Matrix
from planner.predicting.calibration import Promises

__all__ = ["Replay", "ReplayOutcome", "aligned", "follow", "follow_prices", "replay"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """Accuracy, tokens and FLOPs, (rows, J) each, that deciding at each of J rules met; costs are those
    beyond what had been paid."""

    accuracy: Floats
    tokens: Floats
    flops: Floats

    def utility(self, prices: Floats) -> Floats:
        """(rows, J) accuracy less the price (J,) of its FLOPs."""
        return self.accuracy - prices * self.flops

    def where(self, mine: NDArray[np.bool_], other: ReplayOutcome) -> ReplayOutcome:
        """These outcomes under the rules that ``mine`` (J,) marks, and ``other``'s under the rest."""
        return ReplayOutcome(
            np.where(mine, self.accuracy, other.accuracy),
            np.where(mine, self.tokens, other.tokens),
            np.where(mine, self.flops, other.flops),
        )


def aligned(met: ReplayOutcome, matrix: Matrix, following: Matrix) -> ReplayOutcome:
    """What follows the next probe, per row of this one, with the cost of that probe added."""
    if matrix.probes == following.probes:
        tokens = following.paid_tokens - matrix.paid_tokens
        flops = following.paid_flops - matrix.paid_flops
        return ReplayOutcome(met.accuracy, met.tokens + tokens[:, None], met.flops + flops[:, None])
    return ReplayOutcome(
        following.per_problem(met.accuracy),
        following.per_problem(met.tokens + following.paid_tokens[:, None]),
        following.per_problem(met.flops + following.paid_flops[:, None]),
    )


def follow_prices(matrix: Matrix, menu: Menu, after: ReplayOutcome | None, prices: Floats) -> ReplayOutcome:
    """What deciding at each price meets; ``after`` is what probing further meets, None at the last probe."""
    return follow(matrix, [decide(menu, Rule(price=float(price))) for price in prices], after)


def follow(matrix: Matrix, chosen: Sequence[Ints], after: ReplayOutcome | None) -> ReplayOutcome:
    """What options (as ``decide`` returns them, one array per rule) meet."""
    rows, count = np.arange(len(matrix.problem)), len(matrix.choices)
    out = np.empty((3, len(rows), len(chosen)))
    later = None if after is None else (after.accuracy, after.tokens, after.flops)
    for j, options in enumerate(chosen):
        at = np.minimum(options, count - 1)
        for part, values in enumerate((matrix.values, matrix.tokens, matrix.flops)):
            now = values[rows, at]
            out[part, :, j] = now if later is None else np.where(options == count, later[part][:, j], now)
    return ReplayOutcome(*out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a planner's decisions met, (P, J), and what the decisions were.

    ``made`` has, per stage, options (rows, J) and ``expected`` their calibrated accuracies;
    ``reached`` (rows, J) says whether the row got there. ``expected`` (P, J) FLOPs were expected.
    """

    met: ReplayOutcome
    matrices: tuple[Matrix, ...]
    made: tuple[Ints, ...]
    expected: tuple[Floats, ...]
    actual: tuple[Floats, ...]
    reached: tuple[NDArray[np.bool_], ...]


def replay(
    stages: Sequence[Stage], matrices: Matrices, rules: Sequence[Rule] | Callable[[int], Rule]
) -> Replay:
    """Follow the stages of a planner on a log's data, under each of J rules (without caps).

    ``rules`` may also be a function of the problem's index, for one rule per problem.
    """
    tables = [matrices.at(stage.probe, stage.choices, thoughts=stage.thoughts) for stage in stages]
    menus = [
        stage.menu(table.features, table.characters) for stage, table in zip(stages, tables, strict=True)
    ]
    if callable(rules):
        per_problem = [rules(i) for i in range(len(matrices.data))]
        made = [_row_by_row(menu, table, per_problem) for menu, table in zip(menus, tables, strict=True)]
    else:
        made = [np.stack([decide(menu, rule) for rule in rules], axis=1) for menu in menus]
    after: ReplayOutcome | None = None
    for place in range(len(tables) - 1, -1, -1):
        following = None if after is None else aligned(after, tables[place], tables[place + 1])
        after = follow(tables[place], list(made[place].T), following)
    assert after is not None
    reached = [np.ones(made[0].shape, bool)]
    for place in range(1, len(tables)):
        went = reached[-1] & (made[place - 1] == len(tables[place - 1].choices))
        again = tables[place].probes // tables[place - 1].probes
        reached.append(np.repeat(went, again, axis=0))
    expected, actual = [], []
    for stage, table, menu, options in zip(stages, tables, menus, made, strict=True):
        at = np.minimum(options, len(table.choices) - 1)
        said = np.take_along_axis(stage.accuracy(menu), at, axis=1)
        if stage.promises is not None:
            said = _corrected(stage.promises, said, table, matrices.data.domains, rules)
        expected.append(said)
        actual.append(np.take_along_axis(table.values, at, axis=1))
    return Replay(
        met=after,
        matrices=tuple(tables),
        made=tuple(made),
        expected=tuple(expected),
        actual=tuple(actual),
        reached=tuple(reached),
    )


def _corrected(
    promises: Promises,
    said: Floats,
    table: Matrix,
    domains: Sequence[str],
    rules: Sequence[Rule] | Callable[[int], Rule],
) -> Floats:
    """(rows, J) accuracies as they are promised of plans that are committed to."""
    homes = [domains[problem] for problem in table.problem]
    if callable(rules):
        prices = [rules(problem).price_per_flop for problem in range(len(domains))]
        own = np.array([prices[problem] for problem in table.problem])
        out = said.copy()
        for price in set(prices):
            mine = own == price
            out[mine, 0] = promises.accuracy(
                said[mine, 0], price, [home for home, is_mine in zip(homes, mine, strict=True) if is_mine]
            )
        return out
    return np.stack(
        [promises.accuracy(said[:, j], rule.price_per_flop, homes) for j, rule in enumerate(rules)], axis=1
    )


def _row_by_row(menu: Menu, table: Matrix, rules: Sequence[Rule]) -> Ints:
    """(rows, 1) options when every problem has a rule of its own."""
    out = np.empty((len(table.problem), 1), np.int64)
    every = dict.fromkeys(rules)
    for rule in every:
        chosen = decide(menu, rule)
        rows = np.array([rules[p] == rule for p in table.problem])
        out[rows, 0] = chosen[rows]
    return out
