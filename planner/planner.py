"""The planner: decides before any token is spent, and again after each probe.

    Planner.load("models/lab-planner").recommend("What is 3 + 4 * 2?", objective=HardCap(tokens=500))

It writes no tokens itself (``planner.executor`` does) and knows no engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner import artefact
from planner.advice import advise, calibrated, one_greedy_answer, unaffordable
from planner.allocation import Allocation, allocate
from planner.decision import Rule, decide
from planner.decision_filter import DecisionFilter
from planner.domains import assign
from planner.features.probe import ProbeSamples
from planner.fitted import Fitted
from planner.labels import Probe
from planner.matrix import probe_features, question_features
from planner.objective import HardCap, MeanBudget, Objective, Price, TargetAccuracy, Unit
from planner.recommendation import Recommendation
from planner.stages import Stage
from search.cards import ModelCard
from search.errors import ArtefactError
from search.result import Candidate, Spend

__all__ = ["Planner"]

Floats = NDArray[np.float64]

#: share of features outside their training range from which a warning is due
_DRIFT = 0.15


class Planner(Fitted):
    """A fitted planner that decides. ``Fitted`` says what it consists of."""

    __slots__ = ()

    # ---- keeping

    @classmethod
    def load(
        cls, path: str | Path, *, models: Iterable[ModelCard] = (), allow_foreign: bool = False
    ) -> Planner:
        """Read an artefact; see ``planner.artefact``. ``models`` are checked as ``check`` does."""
        fitted = artefact.load(Path(path))
        planner = cls(*(getattr(fitted, field.name) for field in fields(Fitted)))
        planner.check(models, allow_foreign=allow_foreign)
        return planner

    def save(self, path: str | Path) -> None:
        """Write an artefact; see ``planner.artefact``."""
        artefact.save(self, Path(path))

    def check(self, models: Iterable[ModelCard], *, allow_foreign: bool = False) -> None:
        """Refuse models that this planner was not learned from (ArtefactError), unless told to allow them."""
        known = {card.name: card.fingerprint for card in (*self.policies.values(), *self.prms.values())}
        for card in models:
            if not allow_foreign and known.get(card.name) != card.fingerprint:
                raise ArtefactError(
                    f"a planner decides for models it was learned from ({', '.join(sorted(known))}), "
                    f"got {card.name!r} with fingerprint {card.fingerprint!r}{self._words(card.name)}"
                )

    def _words(self, policy: str) -> str:
        """How a policy must be asked, for a message."""
        prompting = self.promptings.get(policy)
        return "" if prompting is None else f"; it was learned from {policy!r} asked under {prompting}"

    # ---- deciding

    def recommend(
        self,
        question: str,
        *,
        objective: Objective,
        cap: HardCap | None = None,
        domain: str | None = None,
        voteable: bool = True,
        abstain_below: float = 0.0,
        decision_filter: DecisionFilter | None = None,
    ) -> Recommendation:
        """Advice before any token is spent.

        Parameters
        ----------
        cap:
            A hard cap beside a mean budget, a target or a price.
        domain:
            What the question belongs to. None: the domain model says it, where there is one, and for a
            foreign question the advice is ``cot()`` with the reason as a warning. A domain that the planner
            was not learned from is planned for, with a warning.
        voteable:
            False where answers cannot be compared (open-ended chat): then the advice is ``cot()``.
        abstain_below:
            Advise to abstain where no affordable plan is expected to be right this often.
        decision_filter:
            Bends the decision (``planner.decision_filter``).

        Raises BudgetError when not even the cheapest choice fits a cap.
        """
        first, paid = self.stages[0], Spend()
        asks = voteable and domain is None and self.domain_model is not None
        reason = assign(self, question).reason if asks else ""
        if reason or not voteable:
            menu = first.menu(self.features(first, question, None), _size(question))
            return one_greedy_answer(first, menu, reason)
        return self._decide(
            first, question, None, objective, cap, paid, domain, abstain_below, decision_filter
        )

    def decide(
        self,
        question: str,
        probe: Probe,
        candidates: Sequence[Candidate],
        *,
        objective: Objective,
        cap: HardCap | None = None,
        spent: Spend | None = None,
        groups: Sequence[int] | None = None,
        domain: str | None = None,
        abstain_below: float = 0.0,
        decision_filter: DecisionFilter | None = None,
    ) -> Recommendation:
        """Advice after a probe.

        Parameters
        ----------
        candidates:
            What the probe showed.
        spent:
            What has been paid, out of the cap too.
        groups:
            Which answers are equal (``search.votes.group``); None: equal texts are.
        decision_filter:
            As ``recommend`` takes it.
        """
        stage = self.stage(probe)
        if len(candidates) != probe.samples:
            raise ValueError(f"a probe of {probe} shows {probe.samples} candidates, got {len(candidates)}")
        samples = ProbeSamples.of(candidates, groups=groups, scored=probe.prm is not None)
        paid = spent or Spend()
        return self._decide(
            stage, question, samples, objective, cap, paid, domain, abstain_below, decision_filter
        )

    def allocate(self, questions: Sequence[str], budget: float, unit: Unit = "flops") -> Allocation:
        """Spread one budget over a batch by marginal gain; see ``planner.allocation``."""
        return allocate(self, questions, budget, unit)

    def stage(self, probe: Probe) -> Stage:
        """The stage that decides after ``probe``. Raises ValueError for a probe it was not fitted for."""
        for stage in self.stages:
            if stage.probe == probe:
                return stage
        raise ValueError(
            f"a probe must be one of {', '.join(str(s.probe) for s in self.stages)}, got {probe}"
        )

    def features(self, stage: Stage, question: str, samples: ProbeSamples | None) -> Floats:
        """(1, F) what a stage sees."""
        known = question_features(question, self.encoder)[None]
        if samples is None:
            return known
        return np.concatenate([known, probe_features(samples, stage.probe.prm is not None)], axis=1)

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
        samples: ProbeSamples | None,
        objective: Objective,
        cap: HardCap | None,
        spent: Spend,
        domain: str | None,
        abstain_below: float,
        decision_filter: DecisionFilter | None,
    ) -> Recommendation:
        features = self.features(stage, question, samples)
        menu = stage.menu(features, _size(question))
        if decision_filter is not None:
            menu = decision_filter.menu(stage, menu)
        rule = self.rule(objective, cap, spent, question)
        if rule.target is not None:
            menu = calibrated(stage, menu)
        option = int(decide(menu, rule)[0])
        if option < 0:
            raise unaffordable(stage, menu, rule)
        propensity = 1.0
        if decision_filter is not None:
            option, propensity = decision_filter.pick(stage, menu, rule, option)
        warnings = self._warn(stage, features, domain)
        advice = advise(stage, menu, rule, option, features, warnings=warnings, abstain_below=abstain_below)
        return advice if propensity == 1.0 else replace(advice, propensity=propensity)

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


def _size(question: str) -> Floats:
    return np.array([float(len(question))])


def _draw(question: str) -> float:
    """A number in [0, 1) that a question always gets."""
    return (
        int.from_bytes(hashlib.blake2b(question.encode("utf-8", "replace"), digest_size=6).digest(), "big")
        / 2**48
    )
