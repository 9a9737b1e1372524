"""What a planner would have decided at every stage that was logged, and what it expects there.

Whole blocks of decisions at once, by ``planner.deciding.decision.decide``, the rule that decides live. What
cannot be repeated from a log is left aside: deadlines and models that were down bend no decision of the new
planner. Features of samples are taken from the log; those of questions are made anew where the new planner's
n-grams are not those of the planner that served.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding import budgeting
from planner.deciding.cost import Costs
from planner.deciding.decision import Menu, Rule, decide
from planner.deciding.fitted import Fitted
from planner.deciding.stages import Stage
from planner.evidence.probe import feature_names, question_features
from planner.features.question import SURFACE
from planner.predicting.calibration import Promises
from planner.server.decisions.log import HASHED
from planner.traffic.rows import Row, RowStep, features_of
from search.budget import Budget
from search.errors import BudgetError, DecisionLogError

__all__ = ["Followed", "Follower", "decided", "menu_rows"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: older names of a budget's fields, as a decision has them
_ALIASES = {"target_accuracy": "accuracy"}
#: budgets that are kept
_KEPT = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Of S logged stages, in order: whether the planner takes the logged step, and the accuracy, tokens and
    FLOPs that it expects from there on, 0 where it never looks like that. ``logged`` is the accuracy that it
    expects of the choice that was logged, NaN where it does not know that one. ``features`` (N, F) are those
    of the N questions."""

    takes: NDArray[np.bool_]
    accuracy: Floats
    tokens: Floats
    flops: Floats
    logged: Floats
    features: Floats


class Follower:
    """Follows one planner.

    Parameters
    ----------
    planner, fingerprint:
        The planner, and what decisions would name it by.
    least_price:
        The server's setting ``price``: accuracy that a FLOP must add where a budget names no aim.
    """

    def __init__(self, planner: Fitted, fingerprint: str, *, least_price: float = 0.0) -> None:
        self.planner = planner
        self.fingerprint = fingerprint
        self._least_price = least_price
        self._budgets: dict[str, Budget | str] = {}
        self._rules: dict[tuple[str, str], Rule] = {}

    def unfit(self, row: Row) -> str | None:
        """Why the planner cannot be asked about a decision."""
        budget = self._budget(row.budget)
        if isinstance(budget, str):
            return budget
        if row.question.startswith(HASHED) and row.planner != self.fingerprint:
            return "questions were kept, not their hashes (for another planner than the one that served)"
        return None

    def follow(self, rows: Sequence[Row]) -> Followed:
        """What the planner does at every stage of these decisions, which are fit."""
        steps = [step for row in rows for step in row.steps]
        of_row = np.repeat(np.arange(len(rows)), [len(row.steps) for row in rows])
        questions = self._questions(rows)
        characters = np.array([float(len(row.question)) for row in rows])
        if any(row.question.startswith(HASHED) for row in rows):
            # the first surface feature is log1p(characters)
            characters = np.round(np.expm1(questions[:, 0]))
        caps = self._caps(rows, questions, characters)
        spent = _spent(rows)
        count = len(steps)
        takes, logged = np.zeros(count, bool), np.full(count, np.nan)
        expected = np.zeros((3, count))
        for stage in self.planner.stages:
            look = str(stage.probe)
            at = np.flatnonzero([step.look == look for step in steps])
            if not len(at):
                continue
            features = self._features(stage, [steps[i] for i in at], questions[of_row[at]])
            menu = stage.menu(features, characters[of_row[at]])
            left = (caps.tokens[of_row[at]] - spent[0, at], caps.flops[of_row[at]] - spent[1, at])
            prices = [caps.rules[i] for i in of_row[at]]
            domains = [rows[i].domain for i in of_row[at]]
            options, said = decided(stage, menu, prices, left, domains)
            takes[at] = [
                _same(stage, int(option), steps[i]) for option, i in zip(options, at.tolist(), strict=True)
            ]
            expected[:, at] = np.where(options >= 0, said, 0.0)
            logged[at] = _of_logged(stage, menu, [steps[i] for i in at])
        accuracy, tokens, flops = expected
        return Followed(takes, accuracy, tokens, flops, logged, questions)

    # ---- features

    def _questions(self, rows: Sequence[Row]) -> Floats:
        """(N, F) of the questions, as this planner sees them."""
        names = len(SURFACE) + self.planner.encoder.dimensions
        out = np.empty((len(rows), names))
        for place, row in enumerate(rows):
            logged = features_of(row.steps[0])
            if row.planner == self.fingerprint and len(logged) == names:
                out[place] = logged
            elif row.question.startswith(HASHED):
                raise DecisionLogError(
                    f"features of a question that is hashed are logged, {names} of them, got {len(logged)} "
                    f"of decision {row.decision_id!r}"
                )
            else:
                out[place] = question_features(row.question, self.planner.encoder)
        return out

    def _features(self, stage: Stage, steps: Sequence[RowStep], questions: Floats) -> Floats:
        tail = len(feature_names(stage.probe, 0)) - len(SURFACE)
        if not tail:
            return questions
        seen = [features_of(step) for step in steps]
        short = next((one for one in seen if len(one) < len(SURFACE) + tail), None)
        if short is not None:
            raise DecisionLogError(
                f"a stage at {stage.probe} logs at least {len(SURFACE) + tail} features, got {len(short)}"
            )
        return np.concatenate([questions, np.stack([one[len(one) - tail :] for one in seen])], axis=1)

    # ---- budgets

    def _budget(self, text: str) -> Budget | str:
        """A decision's budget, without its samples' meaning; or why it cannot be repeated."""
        known = self._budgets.get(text)
        if known is None:
            if len(self._budgets) > _KEPT:
                self._budgets.clear()
            known = self._budgets[text] = _read(text)
        return known

    def _rule(self, row: Row, budget: Budget) -> Rule:
        asks = budget.mean_flops is not None or budget.mean_tokens is not None or budget.accuracy is not None
        key = (row.budget, row.question if asks else "")
        known = self._rules.get(key)
        if known is None:
            if len(self._rules) > _KEPT:
                self._rules.clear()
            seconds = math.inf if budget.seconds is None else budget.seconds
            plain = replace(budget, samples=None, seconds=seconds)
            resolved = budgeting.resolve(self.planner, plain, row.question, least_price=self._least_price)
            known = self._rules[key] = budgeting.rule(self.planner, resolved, row.question)
        return known

    def _caps(self, rows: Sequence[Row], questions: Floats, characters: Floats) -> _Caps:
        first = self.planner.stages[0]
        sample = budgeting.sample_flops(first, first.menu(questions, characters))
        rules, tokens, flops = [], np.empty(len(rows)), np.empty(len(rows))
        for place, row in enumerate(rows):
            budget = self._budget(row.budget)
            assert isinstance(budget, Budget)
            rule = self._rule(row, budget)
            counted = math.inf if budget.samples is None else budget.samples * float(sample[place])
            tokens[place], flops[place] = rule.tokens_left, min(rule.flops_left, counted)
            rules.append(rule)
        return _Caps(rules, tokens, flops)


@dataclass(frozen=True, slots=True, eq=False)
class _Caps:
    """Rules of N decisions before anything is spent, and their caps (N,)."""

    rules: list[Rule]
    tokens: Floats
    flops: Floats


def _read(text: str) -> Budget | str:
    try:
        given = {_ALIASES.get(name, name): value for name, value in json.loads(text).items()}
        for name in ("samples", "tokens"):
            if isinstance(given.get(name), float):
                given[name] = int(given[name])
        budget = Budget(**given) if given else Budget.unlimited()
    except (BudgetError, TypeError, ValueError, AttributeError):
        return "its budget is known to this version"
    return "its budget is not in money (prices are not logged)" if budget.usd is not None else budget


def _spent(rows: Sequence[Row]) -> Floats:
    """(2, S) tokens and FLOPs that each decision had spent before each of its stages."""
    out = []
    for row in rows:
        tokens = flops = 0.0
        for step in row.steps:
            out.append((tokens, flops))
            tokens, flops = tokens + step.tokens, flops + step.flops
    return np.array(out, np.float64).reshape(-1, 2).T


def _same(stage: Stage, option: int, step: RowStep) -> bool:
    """Whether an option is the step that was logged."""
    if option < 0:
        return False
    if option == len(stage.choices):
        return step.next_look is not None and step.next_look == str(stage.actions.next_probe)
    choice = stage.choices[option]
    return step.next_look is None and (choice.policy, choice.prm, str(choice.plan)) == (
        step.policy,
        step.prm,
        step.plan,
    )


def _of_logged(stage: Stage, menu: Menu, steps: Sequence[RowStep]) -> Floats:
    """(S,) calibrated accuracy of the choices that were logged; NaN for those that the stage lacks."""
    places = {(c.policy, c.prm, str(c.plan)): i for i, c in enumerate(stage.choices)}
    at = np.array(
        [-1 if s.next_look is not None else places.get((s.policy, s.prm, s.plan), -1) for s in steps]
    )
    said = stage.accuracy(menu)[np.arange(len(at)), np.maximum(at, 0)]
    return np.where(at >= 0, said, np.nan)


def decided(
    stage: Stage, menu: Menu, rules: Sequence[Rule], left: tuple[Floats, Floats], domains: Sequence[str]
) -> tuple[Ints, Floats]:
    """(S,) options, and (3, S) accuracy, tokens and FLOPs that are expected of them.

    ``rules`` and ``domains`` of S rows of a menu; ``left`` are what is left of caps in tokens and in FLOPs
    (S,), in place of those of the rules.
    """
    options, said = np.full(len(rules), -1), np.zeros((3, len(rules)))
    tokens, flops = left
    groups: dict[tuple[float, str, float, bool], list[int]] = {}
    for place, rule in enumerate(rules):
        capped = bool(np.isfinite(tokens[place]) or np.isfinite(flops[place]))
        groups.setdefault((rule.price, rule.unit, rule.tokens_per_flop, capped), []).append(place)
    for (price, unit, per_flop, capped), places in groups.items():
        at = np.array(places)
        part = menu_rows(menu, at)
        rule = Rule(price, unit, per_flop)
        if capped:
            # caps differ by row: costs are told as shares of them
            part, rule = _scaled(part, tokens[at], flops[at]), replace(rule, tokens_left=1.0, flops_left=1.0)
        chosen = decide(part, rule)
        options[at] = chosen
        said[:, at] = _expected(
            stage, menu_rows(menu, at), chosen, rule, [domains[i] for i in places], capped
        )
    return options, said


def menu_rows(menu: Menu, at: Ints) -> Menu:
    """The menu of some rows."""

    def costs(all_rows: Costs) -> Costs:
        return Costs(
            tokens=all_rows.tokens[at],
            flops=all_rows.flops[at],
            tokens_p90=all_rows.tokens_p90[at],
            flops_p90=all_rows.flops_p90[at],
        )

    return replace(
        menu,
        advantage=menu.advantage[at],
        level=menu.level[at],
        costs=costs(menu.costs),
        advance_net=menu.advance_net[at],
        advance_cost=menu.advance_cost[at],
        probe=None if menu.probe is None else costs(menu.probe),
        near=None if menu.near is None else menu.near[at],
    )


def _scaled(menu: Menu, tokens: Floats, flops: Floats) -> Menu:
    """The menu with 90% quantiles of cost as shares of what is left (rows,)."""

    def shares(quantile: Floats, left: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            share = quantile / left[:, None]
        return np.where(left[:, None] > 0.0, share, np.inf)

    def scaled(costs: Costs) -> Costs:
        return replace(
            costs, tokens_p90=shares(costs.tokens_p90, tokens), flops_p90=shares(costs.flops_p90, flops)
        )

    return replace(menu, costs=scaled(menu.costs), probe=None if menu.probe is None else scaled(menu.probe))


def _expected(
    stage: Stage, menu: Menu, chosen: Ints, rule: Rule, domains: Sequence[str], capped: bool
) -> Floats:
    """(3, rows) accuracy, tokens and FLOPs that are expected of options, as ``planner.deciding.advice`` tells
    them."""
    rows, count = np.arange(len(chosen)), len(stage.choices)
    probes = chosen == count
    # under a cap a further probe is worth the best choice that stays open
    best = np.where(probes, _best_open(stage, menu, rule), np.maximum(np.minimum(chosen, count - 1), 0))
    out = np.stack(
        [stage.accuracy(menu)[rows, best], menu.costs.tokens[rows, best], menu.costs.flops[rows, best]]
    )
    if capped:
        return out
    price = rule.price_per_flop
    if probes.any() and len(stage.actions.prices):
        at = int(np.abs(np.log(stage.actions.prices / max(price, 1e-300))).argmin())
        gained = menu.level[:, None] + menu.advance_net + stage.actions.prices * menu.advance_cost
        cost = menu.advance_cost[:, at]
        further = np.stack([stage.calibration.apply(gained[:, at]), cost * rule.tokens_per_flop, cost])
        out = np.where(probes, further, out)
    return out if stage.promises is None else _corrected(stage.promises, out, probes, price, domains)


def _best_open(stage: Stage, menu: Menu, rule: Rule) -> Ints:
    """(rows,) the best choice by accuracy less price that can follow the next probe."""
    paid = menu.costs.flops if rule.unit == "flops" else menu.costs.tokens
    net = np.where(stage.actions.allows, menu.advantage - rule.price * paid, -np.inf)
    return np.asarray(net.argmax(axis=1))


def _corrected(
    promises: Promises, said: Floats, probes: NDArray[np.bool_], price: float, domains: Sequence[str]
) -> Floats:
    out, names = said.copy(), np.asarray(domains)
    for domain in dict.fromkeys(domains):
        for kind in (False, True):
            mine = (names == domain) & (probes == kind)
            if mine.any():
                by = promises.of(price, probes=kind, domain=domain)
                out[0, mine] = by.accuracy(said[0, mine])
                out[1, mine] *= by.tokens
                out[2, mine] *= by.flops
    return out
