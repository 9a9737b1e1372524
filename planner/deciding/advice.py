"""Turns a decision into advice: what it is expected to give, the runner-up, and why on demand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu, Rule
from planner.deciding.recommendation import Reason, Recommendation, RunnerUp
from planner.deciding.stages import Stage
from planner.evidence.probe import feature_names
from planner.predicting.calibration import Correction
from search.choice import Choice
from search.errors import BudgetError
from search.plan import Plan

__all__ = ["advise", "one_greedy_answer", "unaffordable"]

Floats = NDArray[np.float64]


def advise(
    stage: Stage,
    menu: Menu,
    rule: Rule,
    option: int,
    features: Floats,
    *,
    domain: str | None = None,
    warnings: tuple[str, ...] = (),
    abstain_below: float = 0.0,
) -> Recommendation:
    """The advice that an option of ``planner.deciding.decision.decide`` stands for.

    Parameters
    ----------
    menu:
        One row.
    option:
        A choice of the stage, or their number to probe further.
    features:
        (1, F) what the stage saw.
    domain:
        The question's, by which what is promised is corrected; None: by that of all domains.
    abstain_below:
        Advise to abstain where no option that fits is expected to be right this often.
    """
    count = len(stage.choices)
    probes = option == count
    allowed = stage.actions.allows if probes else np.ones(count, bool)
    means = menu.rule_means(rule)
    order = _ranked(menu if means is None else menu.by_rule(means), rule, allowed)
    best = order[0] if probes else option
    others = [c for c in order if c != best]
    uncapped = rule.is_uncapped
    promises = stage.promises if uncapped else None  # decisions under caps were not measured
    price = rule.price_per_flop
    commits = Correction() if promises is None else promises.of(price, probes=False, domain=domain)
    accuracies, costs = commits.accuracy(stage.accuracy(menu)[0]), menu.costs
    accuracy = float(accuracies[best])
    tokens = commits.tokens * float(costs.tokens[0, best])
    flops = commits.flops * float(costs.flops[0, best])
    tokens_p90, flops_p90 = float(costs.tokens_p90[0, best]), float(costs.flops_p90[0, best])
    if probes and uncapped:
        further = Correction() if promises is None else promises.of(price, probes=True, domain=domain)
        gained, cost = _by_probing(stage, menu, rule)
        accuracy = float(further.accuracy(gained)[0])
        tokens, flops = further.tokens * cost * rule.tokens_per_flop, further.flops * cost
    runner = None
    if others:
        second = others[0]
        runner = RunnerUp(
            choice=stage.choices[second],
            accuracy=float(accuracies[second]),
            tokens=commits.tokens * float(costs.tokens[0, second]),
            flops=commits.flops * float(costs.flops[0, second]),
        )
    other = others[0] if others else stage.actions.reference
    hopeful = max(accuracy, float(np.where(_fits(menu, rule), accuracies, -np.inf).max()))
    return Recommendation(
        choice=stage.choices[best],
        probe=stage.actions.next_probe if probes else None,
        accuracy=accuracy,
        interval=stage.reliability.interval(accuracy),
        tokens=tokens,
        flops=flops,
        tokens_p90=max(tokens_p90, tokens),
        flops_p90=max(flops_p90, flops),
        runner_up=runner,
        warnings=warnings,
        abstain=hopeful < abstain_below,
        explain=lambda: _why(stage, features[0], best, other),
        features=features[0],
        by_rule=means is not None,
        neighbours=stage.neighbours.count if stage.neighbours and means is menu.near is not None else 0,
    )


def _by_probing(stage: Stage, menu: Menu, rule: Rule) -> tuple[Floats, float]:
    """The accuracy (1,) and the FLOPs that probing further leads to, on average, without a cap."""
    cost = menu.advance_cost[0]
    gained = menu.level[0] + menu.advance_net[0] + stage.actions.prices * cost
    at = int(np.abs(np.log(stage.actions.prices / max(rule.price_per_flop, 1e-300))).argmin())
    return stage.calibration.apply(gained[at : at + 1]), float(cost[at])


def unaffordable(stage: Stage, menu: Menu, rule: Rule) -> BudgetError:
    """The error that names the cheapest choice where a cap allows none."""
    costs = menu.costs
    caps = [
        (costs.tokens_p90[0], rule.tokens_left, "{:.0f} tokens"),
        (costs.flops_p90[0], rule.flops_left, "{:.3g} FLOPs"),
    ]
    if costs.usd_p90 is not None:
        caps.append((costs.usd_p90[0], rule.usd_left, "{:.3g} US dollars"))
    capped = [cap for cap in caps if np.isfinite(cap[1])] or caps[:1]
    # the choice that comes nearest to what is left
    shares = np.max([cost / max(left, 1e-12) for cost, left, _ in capped], axis=0)
    cheapest = int(np.where(np.isfinite(shares), shares, np.inf).argmin())
    needs = " and ".join(words.format(cost[cheapest]) for cost, _, words in capped)
    got = " and ".join(words.format(left) for _, left, words in capped)
    return BudgetError(
        f"a cap must allow the cheapest choice, {stage.choices[cheapest]} "
        f"with {needs} at the 90% quantile, got {got}"
    )


def one_greedy_answer(stage: Stage, menu: Menu, reason: str = "") -> Recommendation:
    """The advice where answers cannot be compared. ``reason``: why nothing is planned."""
    greedy = [i for i, c in enumerate(stage.choices) if c.plan.is_greedy]
    best = greedy[0] if greedy else int(menu.costs.flops[0].argmin())
    return Recommendation(
        choice=Choice(stage.choices[best].policy, None, Plan.of("cot")),
        probe=None,
        accuracy=float("nan"),
        interval=(0.0, 1.0),
        tokens=float(menu.costs.tokens[0, best]),
        flops=float(menu.costs.flops[0, best]),
        tokens_p90=float(menu.costs.tokens_p90[0, best]),
        flops_p90=float(menu.costs.flops_p90[0, best]),
        runner_up=None,
        warnings=(
            f"{reason or 'voting means nothing here (no answer to compare)'}: "
            "one greedy answer, accuracy unknown",
        ),
    )


def _why(stage: Stage, features: Floats, best: int, other: int) -> tuple[Reason, ...]:
    credited = stage.contributions(features)
    effect = credited[best] - credited[other]
    ngrams = len(features) - len(feature_names(stage.probe, 0, stage.thoughts))
    names = feature_names(stage.probe, ngrams, stage.thoughts)
    loudest = np.argsort(-np.abs(effect), kind="stable")[:5]
    return tuple(Reason(names[f], float(features[f]), float(effect[f])) for f in loudest if effect[f])


def _fits(menu: Menu, rule: Rule) -> NDArray[np.bool_]:
    """(C,) choices whose 90% quantile of cost stays within the caps."""
    return np.asarray(rule.fits(menu.costs)[0])


def _ranked(menu: Menu, rule: Rule, allowed: NDArray[np.bool_]) -> list[int]:
    """Choices from best to worst under the rule, those that fit first."""
    misfit = ~(_fits(menu, rule) & allowed)
    paid = menu.costs.flops[0] if rule.unit == "flops" else menu.costs.tokens[0]
    order = np.lexsort((paid, -(menu.advantage[0] - rule.price * paid), misfit))
    ranked: list[int] = order.tolist()
    return ranked
