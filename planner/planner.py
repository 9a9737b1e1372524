"""The planner: says how much a question is worth, before any token is spent and again after each probe.

    >>> import planner
    >>> lab = planner.load("lab")
    >>> print(lab.recommend("What is (13+64)+80?", accuracy=0.8).choice)
    lab-policy-l x - x cot()

It decides by itself and knows no engine; ``planner.solving.solver`` answers with the models it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from planner import artefact
from planner.decider import Decider
from planner.deciding import budgeting
from planner.deciding.advice import advise, one_greedy_answer, unaffordable
from planner.deciding.allocation import Allocation, allocate
from planner.deciding.decision import decide
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.fitted import Fitted
from planner.deciding.money import with_money
from planner.deciding.recommendation import Explored, Recommendation
from planner.deciding.stages import Stage
from planner.evidence.probe import Probe, probe_features, question_features
from planner.features.probe import ProbeSamples
from search.budget import Budget, BudgetWords, Prices
from search.cards import ModelCard
from search.choice import Choice
from search.errors import ArtefactError, BudgetError
from search.problem import checked_question
from search.result import Candidate, Spend

if TYPE_CHECKING:
    from planner.solving.models_given import ModelsGiven
    from planner.solving.solver import Solver
    from planner.solving.stream import Stream
    from search.log.manifest import Manifest

__all__ = ["Planner"]

Floats = NDArray[np.float64]

#: share of features outside their training range from which a warning is due
_DRIFT = 0.15


class Planner(Fitted, Decider):
    """A fitted planner: recommends, and solves with the models it was given.

    Made by ``planner.load`` or ``planner.fit``; ``Fitted`` says what it consists of, and ``card`` what it was
    learned from and how good it is.

    >>> import planner
    >>> lab = planner.load("lab")
    >>> lab.domains
    ('arithmetic', 'chemistry', 'code', 'puzzle')
    >>> lab.card["problems"] > 0
    True
    """

    __slots__ = ("_solver",)

    _solver: Solver

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

    def logged(self, manifest: Manifest) -> tuple[dict[str, ModelCard], dict[str, ModelCard]]:
        """The policies and PRMs of a log that this planner decides for; others in the log are left out.

        Raises ArtefactError where there is no such policy, or where one has another fingerprint.
        """
        policies = {name: card for name, card in manifest.policies.items() if name in self.policies}
        prms = {name: card for name, card in manifest.prms.items() if name in self.prms}
        if not policies:
            known, got = (", ".join(sorted(cards)) for cards in (self.policies, manifest.policies))
            raise ArtefactError(
                f"a log must hold a policy that the planner was learned from ({known}), "
                f"got one of {got or 'none'}"
            )
        self.check([*policies.values(), *prms.values()])
        return policies, prms

    def _words(self, policy: str) -> str:
        """How a policy must be asked, for a message."""
        prompting = self.promptings.get(policy)
        return "" if prompting is None else f"; it was learned from {policy!r} asked under {prompting}"

    # ---- deciding

    def decide(
        self,
        question: str,
        probe: Probe | None = None,
        candidates: Sequence[Candidate] = (),
        *,
        budget: Budget,
        prices: Mapping[str, Prices] | Prices | None = None,
        spent: Spend | None = None,
        spent_usd: float = 0.0,
        groups: Sequence[int] | None = None,
        domain: str | None = None,
        abstain_below: float = 0.0,
        decision_filter: DecisionFilter | None = None,
    ) -> Recommendation:
        """The decision before a probe (None) or after it, whosever question it is.

        Parameters
        ----------
        candidates:
            What the probe showed.
        spent:
            What has been paid, out of the budget too.
        spent_usd:
            The same in money.
        groups:
            Which answers are equal (``search.voting.votes.group``); None: equal texts are.
        domain:
            By which what is promised is corrected; checked against what the planner was learned from.
        decision_filter:
            Bends the decision (``planner.deciding.decision_filter``).

        Raises as ``recommend`` does, and ValueError for a probe that the planner was not fitted for.
        """
        stage = self.stages[0] if probe is None else self.stage(probe)
        samples = None
        if probe is not None:
            if len(candidates) != probe.samples:
                raise ValueError(
                    f"a probe of {probe} shows {probe.samples} candidates, got {len(candidates)}"
                )
            samples = ProbeSamples.of(candidates, groups=groups, scored=probe.prm is not None)
        features = self.features(stage, question, samples)
        menu = stage.menu(features, _size(question))
        if decision_filter is not None:
            menu = decision_filter.menu(stage, menu)
        rule = budgeting.rule(self, budget, question, spent=spent, spent_usd=spent_usd, prices=prices)
        if budget.usd is not None and prices is not None:
            size, prompts = len(question), self.prompts(question)
            menu = with_money(menu, stage, prices, characters=size, prompts=prompts)
        option = int(decide(menu, rule)[0])
        if option < 0:
            raise unaffordable(stage, menu, rule)
        taken, propensity = option, 1.0
        if decision_filter is not None:
            taken, propensity = decision_filter.pick(stage, menu, rule, option)
        target = budgeting.target(self, budget)
        warnings = self._warn(stage, features, domain)
        if target is not None and not target.reached:
            warnings = (*warnings, target.warning)

        def told(one: int) -> Recommendation:
            return advise(
                stage,
                menu,
                rule,
                one,
                features,
                domain=domain,
                warnings=warnings,
                abstain_below=abstain_below,
            )

        advice = told(taken)
        if target is not None or propensity != 1.0:
            explored = None if taken == option else _price(advice, told(option))
            advice = replace(advice, propensity=propensity, target=target, explored=explored)
        return advice if decision_filter is None else decision_filter.advice(advice)

    def resolve(
        self,
        budget: Budget,
        question: str,
        *,
        least_price: float = 0.0,
        waited: float = 0.0,
        shares: int = 1,
    ) -> Budget:
        return budgeting.resolve(
            self, budget, question, least_price=least_price, waited=waited, shares=shares
        )

    def plain_advice(self, question: str, reason: str = "") -> Recommendation:
        """The advice for a question that nothing is planned for, by ``reason``: one greedy answer."""
        stage = self.stages[0]
        return one_greedy_answer(
            stage, stage.menu(self.features(stage, question, None), _size(question)), reason
        )

    def allocate(
        self, questions: Sequence[str], *, budget: Budget | None = None, **words: Unpack[BudgetWords]
    ) -> Allocation:
        """Spread one budget, in FLOPs or in tokens, over a batch by marginal gain.

        See ``planner.deciding.allocation``. Raises BudgetError for any other budget, and for one that is too
        small.

        >>> import planner
        >>> shared = planner.load("lab").allocate(["What is 3 + 4?", "With 12,9,20,5 reach 18"], flops=2e9)
        >>> len(shared.choices), float(shared.flops.sum()) <= 2e9
        (2, True)
        """
        asked, questions = Budget.of(budget, words), [checked_question(one) for one in questions]
        if len(asked.given) != 1 or (asked.flops is None and asked.tokens is None):
            raise BudgetError(f"a batch shares one budget in flops or in tokens, got {asked}")
        if asked.flops is not None:
            return allocate(self, questions, asked.flops, "flops")
        return allocate(self, questions, float(asked.tokens or 0), "tokens")

    def stream(
        self, *, budget: Budget | None = None, horizon: int = 64, **words: Unpack[BudgetWords]
    ) -> Stream:
        """A stream of requests whose mean cost stays at a budget: ``mean_flops`` or ``mean_tokens``.

        What a request took beyond the mean is made up over the next ``horizon`` requests. See
        ``planner.solving.stream``.

        >>> import planner
        >>> stream = planner.load("lab").stream(mean_flops=4e8)
        >>> stream.solve("What is (13+64)+80?").answer, stream.requests
        ('157', 1)
        """
        from planner.solving.stream import Stream

        return Stream(self, Budget.of(budget, words), horizon=horizon)

    # ---- answering

    def with_models(
        self,
        models: ModelsGiven = None,
        *,
        domain: str | None = None,
        prices: Mapping[str, Prices] | Prices | None = None,
        threads: int = 1,
        allow_foreign: bool = False,
    ) -> Planner:
        """The same planner, which solves with these models; see ``planner.load``."""
        from planner.solving.solver import Solver

        bound = Planner(*(getattr(self, field.name) for field in fields(Fitted)))
        solver = Solver(
            bound, models, domain=domain, prices=prices, threads=threads, allow_foreign=allow_foreign
        )
        bound.bind(solver)
        return bound

    # ---- what it knows

    @property
    def fitted(self) -> Planner:
        return self

    @property
    def first(self) -> str:
        return self.stages[0].probe.policy

    @property
    def opening(self) -> tuple[Choice, ...]:
        return self.stages[0].choices

    @property
    def choices(self) -> tuple[Choice, ...]:
        return tuple(dict.fromkeys(choice for stage in self.stages for choice in stage.choices))

    @property
    def pairs(self) -> frozenset[tuple[str, str | None]]:
        chosen = {(choice.policy, choice.prm) for choice in self.choices}
        return frozenset(chosen | {(stage.probe.policy, stage.probe.prm) for stage in self.stages})

    @property
    def most_decisions(self) -> int:
        return len(self.stages)

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
        return np.concatenate([known, self._seen(stage, samples)], axis=1)

    # ---- inside

    def _seen(self, stage: Stage, samples: ProbeSamples) -> Floats:
        return probe_features(samples, stage.probe.prm is not None, stage.thoughts)

    def prompts(self, question: str) -> dict[str, float]:
        """Tokens of the question's prompt by policy, as they were learned."""
        first = self.stages[0]
        return {
            choice.policy: cost.policy_prompt + cost.policy_prompt_slope * len(question)
            for choice, cost in zip(first.choices, first.actions.choice_costs, strict=True)
        }

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


def _price(taken: Recommendation, best: Recommendation) -> Explored:
    """What a decision is expected to cost against the best one."""
    return Explored(
        accuracy=best.accuracy - taken.accuracy,
        tokens=taken.tokens - best.tokens,
        flops=taken.flops - best.flops,
    )


def _size(question: str) -> Floats:
    return np.array([float(len(question))])
