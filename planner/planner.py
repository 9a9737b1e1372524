"""The planner: says how much a question is worth, before any token is spent and again after each probe.

    >>> import planner
    >>> lab = planner.load("lab")
    >>> print(lab.recommend("What is (13+64)+80?", tokens=800).choice)
    lab-policy-l x - x cot()

It decides by itself and knows no engine; ``planner.solving`` answers with the models it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from planner import artefact, budgeting
from planner.advice import advise, calibrated, one_greedy_answer, unaffordable
from planner.allocation import Allocation, allocate
from planner.decision import decide
from planner.decision_filter import DecisionFilter
from planner.domains import assign
from planner.features.probe import ProbeSamples
from planner.fitted import Fitted
from planner.labels import Probe
from planner.matrix import probe_features, question_features
from planner.recommendation import Recommendation
from planner.stages import Stage
from search.budget import Budget, BudgetWords, Prices
from search.cards import ModelCard
from search.errors import ArtefactError, BudgetError
from search.problem import Problem, checked_question
from search.result import Candidate, Spend
from search.sync import on_this_loop, run_aside, run_sync

if TYPE_CHECKING:
    from planner.events import Listener
    from planner.executor import Solution
    from planner.solving import ModelsGiven, Solver
    from planner.stream import Stream

__all__ = ["Planner"]

Floats = NDArray[np.float64]

#: share of features outside their training range from which a warning is due
_DRIFT = 0.15


class Planner(Fitted):
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

    def _words(self, policy: str) -> str:
        """How a policy must be asked, for a message."""
        prompting = self.promptings.get(policy)
        return "" if prompting is None else f"; it was learned from {policy!r} asked under {prompting}"

    # ---- deciding

    def recommend(
        self,
        question: str,
        *,
        budget: Budget | None = None,
        domain: str | None = None,
        prices: Mapping[str, Prices] | Prices | None = None,
        abstain_below: float = 0.0,
        **words: Unpack[BudgetWords],
    ) -> Recommendation:
        """Advice before any token is spent.

        Parameters
        ----------
        budget, words:
            ``budget=Budget(tokens=800)``, or its fields as keywords: ``tokens=800``.
        domain:
            What the question belongs to. None: the planner says it (``planner.domains``), and for a question
            that is foreign to it the advice is one greedy answer, with the reason as a warning.
        prices:
            Needed for a budget in money; default: those that the planner was loaded with.
        abstain_below:
            Advise to abstain where no affordable plan is expected to be right this often.

        Raises BudgetError for a budget that contradicts itself, and when not even the cheapest choice fits.

        >>> import planner
        >>> advice = planner.load("lab").recommend("With 12,9,20,5 reach 18", tokens=800)
        >>> advice.tokens_p90 <= 800
        True
        """
        asked, question = Budget.of(budget, words), checked_question(question)
        assigned = assign(self, question, domain or self.default_domain)
        if not assigned.planned:
            return self.plain_advice(question, assigned.reason)
        if asked.usd is not None and prices is None:
            prices = self.default_prices
        return self.decide(
            question, budget=asked, prices=prices, domain=assigned.domain, abstain_below=abstain_below
        )

    def decide(
        self,
        question: str,
        probe: Probe | None = None,
        candidates: Sequence[Candidate] = (),
        *,
        budget: Budget,
        prices: Mapping[str, Prices] | Prices | None = None,
        spent: Spend | None = None,
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
        groups:
            Which answers are equal (``search.votes.group``); None: equal texts are.
        domain:
            Only checked against what the planner was learned from.
        decision_filter:
            Bends the decision (``planner.decision_filter``).

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
        rule = budgeting.rule(self, budget, question, spent=spent, prices=prices)
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

        See ``planner.allocation``. Raises BudgetError for any other budget, and for one that is too small.

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
        ``planner.stream``.

        >>> import planner
        >>> stream = planner.load("lab").stream(mean_flops=4e8)
        >>> stream.solve("What is (13+64)+80?").answer, stream.requests
        ('157', 1)
        """
        from planner.stream import Stream

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
        from planner.solving import Solver

        bound = Planner(*(getattr(self, field.name) for field in fields(Fitted)))
        solver = Solver(
            bound, models, domain=domain, prices=prices, threads=threads, allow_foreign=allow_foreign
        )
        object.__setattr__(bound, "_solver", solver)  # a planner's numbers are frozen
        return bound

    @property
    def solver(self) -> Solver:
        """What ``solve`` runs on: the models, which are opened when first needed."""
        from planner.solving import Solver

        found: Solver | None = getattr(self, "_solver", None)
        if found is None:
            found = Solver(self, None)
            object.__setattr__(self, "_solver", found)
        return found

    @property
    def default_domain(self) -> str | None:
        """The domain of questions that name none; None: the planner says it."""
        found: Solver | None = getattr(self, "_solver", None)
        return None if found is None else found.domain

    @property
    def default_prices(self) -> Mapping[str, Prices] | Prices | None:
        """The prices that the planner was loaded with, or those of its models file; None without."""
        found: Solver | None = getattr(self, "_solver", None)
        return None if found is None else found.prices

    def solve(
        self,
        question: str | Problem,
        *,
        budget: Budget | None = None,
        on_event: Listener | None = None,
        domain: str | None = None,
        seed: int = 0,
        prices: Mapping[str, Prices] | Prices | None = None,
        abstain_below: float = 0.0,
        without: Collection[str] = (),
        draw_all: bool = False,
        **words: Unpack[BudgetWords],
    ) -> Solution:
        """Plan a question, probe, decide again, run the chosen plan and answer.

        Works inside a running loop too (a notebook), and waits there.

        Parameters
        ----------
        budget, words:
            As ``recommend`` takes them.
        on_event:
            Hears of everything as it happens (``planner.events``), in another thread.
        domain:
            What the question belongs to; None: the planner says it. A question that is foreign to the
            planner gets one plain answer, and ``Solution.reason`` says why.
        seed:
            Determines every draw where the engine promises so.
        prices:
            Needed for a budget in money; default: those that the planner was loaded with.
        abstain_below:
            Stop where no affordable plan is expected to be right this often.
        without:
            Policies and PRMs that are left out.
        draw_all:
            Draw on where what is missing cannot change the vote any more.

        A deadline (``seconds``) begins when the models are open, which the first call waits for. Raises
        BudgetError, and EngineError where the policy fails before any answer can be read.

        >>> import planner
        >>> print(planner.load("lab").solve("What is (13+64)+80?", tokens=800).answer)
        157
        """
        return run_sync(
            self.solver.solve(
                question,
                Budget.of(budget, words),
                domain=domain,
                seed=seed,
                prices=prices,
                abstain_below=abstain_below,
                without=without,
                draw_all=draw_all,
                listener=on_event,
            )
        )

    async def asolve(
        self,
        question: str | Problem,
        *,
        budget: Budget | None = None,
        on_event: Listener | None = None,
        domain: str | None = None,
        seed: int = 0,
        prices: Mapping[str, Prices] | Prices | None = None,
        abstain_below: float = 0.0,
        without: Collection[str] = (),
        draw_all: bool = False,
        **words: Unpack[BudgetWords],
    ) -> Solution:
        """As ``solve``, for callers that have a loop: it is free meanwhile, and ``on_event`` is called on it.

        >>> import asyncio, planner
        >>> lab = planner.load("lab")
        >>> asyncio.run(lab.asolve("What is (13+64)+80?", seconds=60)).domain
        'arithmetic'
        """
        heard = None if on_event is None else on_this_loop(on_event)
        return await run_aside(
            self.solver.solve(
                question,
                Budget.of(budget, words),
                domain=domain,
                seed=seed,
                prices=prices,
                abstain_below=abstain_below,
                without=without,
                draw_all=draw_all,
                listener=heard,
            )
        )

    def close(self) -> None:
        """Free the models; ``solve`` opens them again."""
        run_sync(self.solver.close())

    # ---- what it knows

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

    # ---- inside

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
