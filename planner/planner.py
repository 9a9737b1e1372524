"""The planner: decides before any token is spent, and again after each look.

    Planner.load("models/lab-planner").recommend("What is 3 + 4 * 2?", objective=HardCap(tokens=500))

It writes no tokens itself (``planner.executor`` does) and knows no engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.decision import Menu, Rule, decide
from planner.features.probe import Probe
from planner.features.question import NgramEncoder
from planner.labels import Look
from planner.matrix import feature_names, probe_features, question_features
from planner.objective import HardCap, MeanBudget, Objective, Price, TargetAccuracy
from planner.recommendation import Reason, Recommendation, RunnerUp
from planner.stages import Stage
from search.cards import ModelCard
from search.choice import Choice
from search.errors import ArtefactError, BudgetError
from search.plan import Plan
from search.result import Candidate, Spend

__all__ = ["Frontier", "Planner"]

Floats = NDArray[np.float64]

#: share of features outside their training range from which a warning is due
_DRIFT = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """What decisions at each price (J,) met on left-out families: means over problems."""

    prices: Floats
    accuracy: Floats
    tokens: Floats
    flops: Floats

    def __post_init__(self) -> None:
        parts = (self.prices, self.accuracy, self.tokens, self.flops)
        if not len(self.prices) or len({part.shape for part in parts}) != 1 or self.prices.ndim != 1:
            raise ArtefactError(
                f"a frontier needs equally many numbers per price, got {[p.shape for p in parts]}"
            )
        if not all(np.isfinite(part).all() for part in parts) or (np.diff(self.prices) <= 0).any():
            raise ArtefactError("a frontier needs finite numbers at ascending prices, got others")

    def price_of(self, budget: MeanBudget, share: float) -> float:
        """The price at which the mean cost meets the budget.

        Between two prices of the grid, requests are split at random (``share`` in [0, 1) is the request's
        draw), so that the mean is met exactly.
        """
        cost = np.minimum.accumulate(self.flops if budget.unit == "flops" else self.tokens)
        if budget.amount >= cost[0]:
            return float(self.prices[0])
        if budget.amount <= cost[-1]:
            return float(self.prices[-1])
        right = int(np.argmax(cost < budget.amount))
        weight = (cost[right - 1] - budget.amount) / (cost[right - 1] - cost[right])
        return float(self.prices[right] if share < weight else self.prices[right - 1])


@dataclass(frozen=True, slots=True, eq=False)
class Planner:
    """A fitted planner.

    Parameters
    ----------
    stages:
        Question first, then each look in turn.
    encoder:
        Of the question's n-grams.
    frontier:
        Calibrates mean budgets.
    policies, prms:
        Cards of the models it was learned from.
    domains:
        Domains it was learned from.
    sample_flops:
        One sample-equivalent.
    card:
        What it was learned from and how good it was on left-out families.
    """

    stages: tuple[Stage, ...]
    encoder: NgramEncoder
    frontier: Frontier
    policies: Mapping[str, ModelCard]
    prms: Mapping[str, ModelCard]
    domains: tuple[str, ...]
    sample_flops: float
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.stages or self.stages[0].look.samples:
            raise ArtefactError("a planner's first stage sees the question only, got another")
        if not (np.isfinite(self.sample_flops) and self.sample_flops > 0):
            raise ArtefactError(f"a sample-equivalent must be above 0 FLOPs, got {self.sample_flops}")
        for stage, following in zip(self.stages, (*self.stages[1:], None), strict=True):
            if stage.terms.next_look != (following.look if following else None):
                raise ArtefactError(
                    f"stages must follow one another, got {stage.terms.next_look} after {stage.look}"
                )
            names = feature_names(stage.look, self.encoder.dimensions)
            if stage.forest.features != len(names):
                raise ArtefactError(
                    f"the stage at {stage.look} takes {len(names)} features, got {stage.forest.features}"
                )
            for choice in stage.choices:
                known = choice.policy in self.policies and (choice.prm is None or choice.prm in self.prms)
                if not known:
                    raise ArtefactError(f"a choice names models that have a card, got {choice}")
            if not set(stage.terms.policies) <= set(self.policies):
                raise ArtefactError(f"policies must have a card, got {stage.terms.policies}")

    # ---- keeping

    @classmethod
    def load(
        cls, path: str | Path, *, models: Iterable[ModelCard] = (), allow_foreign: bool = False
    ) -> Planner:
        """Read an artefact; see ``planner.artefact``. ``models`` are checked as ``check`` does."""
        from planner.artefact import load

        planner = load(Path(path))
        planner.check(models, allow_foreign=allow_foreign)
        return planner

    def save(self, path: str | Path) -> None:
        """Write an artefact; see ``planner.artefact``."""
        from planner.artefact import save

        save(self, Path(path))

    def check(self, models: Iterable[ModelCard], *, allow_foreign: bool = False) -> None:
        """Refuse models that this planner was not learned from (ArtefactError), unless told to allow them."""
        known = {card.name: card.fingerprint for card in (*self.policies.values(), *self.prms.values())}
        for card in models:
            if not allow_foreign and known.get(card.name) != card.fingerprint:
                raise ArtefactError(
                    f"a planner decides for models it was learned from ({', '.join(sorted(known))}), "
                    f"got {card.name!r} with fingerprint {card.fingerprint!r}"
                )

    # ---- deciding

    def recommend(
        self,
        question: str,
        *,
        objective: Objective,
        cap: HardCap | None = None,
        domain: str | None = None,
        voteable: bool = True,
    ) -> Recommendation:
        """Advice before any token is spent.

        Parameters
        ----------
        cap:
            A hard cap beside a mean budget, a target or a price.
        domain:
            Only checked against what the planner was learned from.
        voteable:
            False where answers cannot be compared (open-ended chat): then the advice is ``cot()``.

        Raises BudgetError when not even the cheapest choice fits a cap.
        """
        if not voteable:
            return self._plain(question)
        return self._decide(self.stages[0], question, None, objective, cap, Spend(), domain)

    def decide(
        self,
        question: str,
        look: Look,
        candidates: Sequence[Candidate],
        *,
        objective: Objective,
        cap: HardCap | None = None,
        spent: Spend | None = None,
        groups: Sequence[int] | None = None,
        domain: str | None = None,
    ) -> Recommendation:
        """Advice after a look.

        Parameters
        ----------
        candidates:
            What the look showed.
        spent:
            What has been paid, out of the cap too.
        groups:
            Which answers are equal (``search.votes.group``); None: equal texts are.
        """
        stage = self.stage(look)
        if len(candidates) != look.samples:
            raise ValueError(f"a look at {look} shows {look.samples} candidates, got {len(candidates)}")
        probe = Probe.of(candidates, groups=groups, scored=look.prm is not None)
        return self._decide(stage, question, probe, objective, cap, spent or Spend(), domain)

    def stage(self, look: Look) -> Stage:
        """The stage that decides after ``look``. Raises ValueError for a look it was not fitted for."""
        for stage in self.stages:
            if stage.look == look:
                return stage
        raise ValueError(f"a look must be one of {', '.join(str(s.look) for s in self.stages)}, got {look}")

    def features(self, stage: Stage, question: str, probe: Probe | None) -> Floats:
        """(1, F) what a stage sees."""
        known = question_features(question, self.encoder)[None]
        if probe is None:
            return known
        return np.concatenate([known, probe_features(probe, stage.look.prm is not None)], axis=1)

    def rule(self, objective: Objective, cap: HardCap | None, spent: Spend, question: str) -> Rule:
        """An objective in the terms of the decision rule."""
        limits = [
            limit
            for limit in (objective if isinstance(objective, HardCap) else None, cap)
            if limit is not None
        ]
        tokens = min(
            (limit.tokens - spent.tokens for limit in limits if limit.tokens is not None), default=np.inf
        )
        flops = min(
            (limit.flops - spent.flops for limit in limits if limit.flops is not None), default=np.inf
        )
        per_flop = float(self.frontier.tokens.sum() / max(self.frontier.flops.sum(), 1e-300))
        # a hair of a price, so that nothing is spent on gains too small to be measured
        price, unit, target = float(self.frontier.prices[0]), "flops", None
        if isinstance(objective, Price):
            price, unit = objective.price, objective.unit
        elif isinstance(objective, MeanBudget):
            price = self.frontier.price_of(objective, _draw(question))
        elif isinstance(objective, TargetAccuracy):
            target = objective.accuracy
        # prices per token apply to looks through the tokens that a FLOP stands for
        return Rule(price, unit, per_flop, float(tokens), float(flops), target)

    # ---- inside

    def _decide(
        self,
        stage: Stage,
        question: str,
        probe: Probe | None,
        objective: Objective,
        cap: HardCap | None,
        spent: Spend,
        domain: str | None,
    ) -> Recommendation:
        features = self.features(stage, question, probe)
        menu = stage.menu(features, np.array([float(len(question))]))
        rule = self.rule(objective, cap, spent, question)
        if rule.target is not None:
            menu = _calibrated(stage, menu)
        option = int(decide(menu, rule)[0])
        if option < 0:
            return self._unaffordable(stage, menu, question, rule)
        return self._advise(stage, menu, rule, option, features, self._warn(stage, features, domain))

    def _unaffordable(self, stage: Stage, menu: Menu, question: str, rule: Rule) -> Recommendation:
        cheapest = int(menu.costs.tokens_p90[0].argmin())
        raise BudgetError(
            f"a cap must allow the cheapest choice, {stage.choices[cheapest]} "
            f"with {menu.costs.tokens_p90[0, cheapest]:.0f} tokens "
            f"and {menu.costs.flops_p90[0, cheapest]:.3g} FLOPs at the 90% quantile, "
            f"got {rule.tokens_left:.0f} tokens and {rule.flops_left:.3g} FLOPs"
        )

    def _advise(
        self, stage: Stage, menu: Menu, rule: Rule, option: int, features: Floats, warnings: tuple[str, ...]
    ) -> Recommendation:
        count = len(stage.choices)
        looks = option == count
        allowed = stage.terms._allows if looks else np.ones(count, bool)
        order = _ranked(menu, rule, allowed)
        best = order[0] if looks else option
        others = [c for c in order if c != best]
        accuracies = stage.accuracy(menu)[0] if rule.target is None else menu.level[0] + menu.advantage[0]
        accuracy, costs = float(accuracies[best]), menu.costs
        tokens, flops = float(costs.tokens[0, best]), float(costs.flops[0, best])
        tokens_p90, flops_p90 = float(costs.tokens_p90[0, best]), float(costs.flops_p90[0, best])
        if looks and np.isinf(rule.tokens_left) and np.isinf(rule.flops_left) and rule.target is None:
            price = rule.price_per_flop
            at = int(np.abs(np.log(stage.terms.prices / max(price, 1e-300))).argmin())
            gained = (
                menu.level[0] + menu.advance_net[0, at] + stage.terms.prices[at] * menu.advance_cost[0, at]
            )
            accuracy = float(stage.calibration.apply(np.array([gained]))[0])
            flops = float(menu.advance_cost[0, at])
            tokens = flops * rule.tokens_per_flop
        runner = None
        if others:
            second = others[0]
            runner = RunnerUp(
                stage.choices[second],
                float(accuracies[second]),
                float(costs.tokens[0, second]),
                float(costs.flops[0, second]),
            )
        return Recommendation(
            stage.choices[best],
            stage.terms.next_look if looks else None,
            accuracy,
            stage.reliability.interval(accuracy),
            tokens,
            flops,
            max(tokens_p90, tokens),
            max(flops_p90, flops),
            runner,
            warnings,
            lambda: self._why(stage, features[0], best, others[0] if others else stage.terms.reference),
        )

    def _why(self, stage: Stage, features: Floats, best: int, other: int) -> tuple[Reason, ...]:
        credited = stage.contributions(features)
        effect = credited[best] - credited[other]
        names = feature_names(stage.look, self.encoder.dimensions)
        loudest = np.argsort(-np.abs(effect), kind="stable")[:5]
        return tuple(Reason(names[f], float(features[f]), float(effect[f])) for f in loudest if effect[f])

    def _warn(self, stage: Stage, features: Floats, domain: str | None) -> tuple[str, ...]:
        warnings = []
        strange = stage.strange(features[0])
        if strange > _DRIFT:
            warnings.append(
                f"{strange:.0%} of the features lie outside what the planner has seen: it may be wrong here"
            )
        if domain is not None and domain not in self.domains:
            warnings.append(f"the planner was learned from {', '.join(self.domains)}, not from {domain!r}")
        return tuple(warnings)

    def _plain(self, question: str) -> Recommendation:
        stage = self.stages[0]
        menu = stage.menu(self.features(stage, question, None), np.array([float(len(question))]))
        greedy = [i for i, c in enumerate(stage.choices) if c.plan.strategy == "cot"]
        best = greedy[0] if greedy else int(menu.costs.flops[0].argmin())
        policy = stage.choices[best].policy
        return Recommendation(
            Choice(policy, None, Plan.of("cot")),
            None,
            float("nan"),
            (0.0, 1.0),
            float(menu.costs.tokens[0, best]),
            float(menu.costs.flops[0, best]),
            float(menu.costs.tokens_p90[0, best]),
            float(menu.costs.flops_p90[0, best]),
            None,
            ("voting means nothing here (no answer to compare): one greedy answer, accuracy unknown",),
        )


def _calibrated(stage: Stage, menu: Menu) -> Menu:
    """The menu with calibrated accuracies, for targets: level 0 and the accuracies as advantages."""
    level = menu.level[:, None]
    gained = stage.calibration.apply(level + menu.advance_net + menu.prices * menu.advance_cost)
    return replace(
        menu,
        level=np.zeros_like(menu.level),
        advantage=stage.accuracy(menu),
        advance_net=gained - menu.prices * menu.advance_cost,
    )


def _ranked(menu: Menu, rule: Rule, allowed: NDArray[np.bool_]) -> list[int]:
    """Choices from best to worst under the rule, those that fit first."""
    fits = (
        (menu.costs.tokens_p90[0] <= rule.tokens_left)
        & (menu.costs.flops_p90[0] <= rule.flops_left)
        & allowed
    )
    if rule.target is not None:
        accuracy = menu.level[0] + menu.advantage[0]
        short = np.maximum(rule.target - accuracy, 0.0)
        key = list(zip(~fits, short, menu.costs.flops[0], strict=True))
    else:
        paid = menu.costs.flops[0] if rule.unit == "flops" else menu.costs.tokens[0]
        key = list(zip(~fits, -(menu.advantage[0] - rule.price * paid), paid, strict=True))
    return sorted(range(len(key)), key=lambda c: key[c])


def _draw(question: str) -> float:
    """A number in [0, 1) that a question always gets."""
    return (
        int.from_bytes(hashlib.blake2b(question.encode("utf-8", "replace"), digest_size=6).digest(), "big")
        / 2**48
    )
