"""What decides about requests: the contract of the executor and the server, and what all deciders share.

``planner.planner.Planner`` decides by what it learned from a log; ``planner.rules_planner.RulesPlanner``
by rules, before there is one. Neither the executor nor the server asks which of them it has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.evidence.probe import Probe
from planner.features.familiarity import DomainGuess
from search.budget import UNLIMITED, Budget, BudgetWords, Prices
from search.cards import ModelCard
from search.choice import Choice
from search.drawing import Drawing
from search.errors import GradingError
from search.grading.registry import DOMAINS
from search.grading.registry import domain as grader
from search.plan import Plan
from search.problem import Problem, checked_question
from search.prompts import Prompting
from search.result import Candidate, Spend
from search.sync import on_this_loop, run_aside, run_sync

if TYPE_CHECKING:
    from planner.planner import Planner
    from planner.solving.events import Listener
    from planner.solving.solution import Solution
    from planner.solving.solver import Solver

__all__ = ["PLAIN", "Assigned", "Decider", "Guesser"]

#: the domain of questions that are answered once, whose answers nothing compares
PLAIN = "text"


@dataclass(frozen=True, slots=True)
class Assigned:
    """What is decided about a question before anything else.

    Parameters
    ----------
    domain:
        What reads and compares answers; ``text`` where nothing is planned.
    planned:
        Whether the planner decides; otherwise the question gets one plain answer.
    reason:
        Why nothing is planned, a sentence without its stop; "" where something is.
    """

    domain: str
    planned: bool
    reason: str = ""


class Guesser(Protocol):
    """Says which domain a question belongs to."""

    def predict(self, question: str) -> DomainGuess:
        """The domain, or why there is none."""


class Decider(ABC):
    """Recommends, and solves with the models it was given."""

    __slots__ = ()

    # ---- what it knows

    @property
    @abstractmethod
    def policies(self) -> Mapping[str, ModelCard]:
        """Cards of the policies that it decides between, as it has them asked."""

    @property
    @abstractmethod
    def prms(self) -> Mapping[str, ModelCard]:
        """Cards of the PRMs."""

    @property
    @abstractmethod
    def domains(self) -> tuple[str, ...]:
        """Domains that it plans for where nobody names one."""

    @property
    @abstractmethod
    def domain_model(self) -> Guesser | None:
        """Tells domains from each other, and foreign questions; None: ``assign`` asks the graders."""

    @property
    @abstractmethod
    def promptings(self) -> Mapping[str, Prompting]:
        """Policy -> how it is asked, of those that are not asked plainly."""

    @property
    @abstractmethod
    def drawings(self) -> Mapping[str, Drawing]:
        """Policy -> how its solutions are drawn, where that is known."""

    @property
    @abstractmethod
    def words(self) -> Mapping[str, str]:
        """Templates in which strategies ask about earlier answers, in place of their own, by name."""

    @property
    @abstractmethod
    def card(self) -> Mapping[str, Any]:
        """What it was learned from and how good it was; empty where it was learned from nothing."""

    @property
    @abstractmethod
    def fitted(self) -> Planner | None:
        """What was learned, for whoever looks into it; None where nothing was."""

    @property
    @abstractmethod
    def first(self) -> str:
        """The policy that it begins with, and that answers where nothing is planned."""

    @property
    @abstractmethod
    def opening(self) -> tuple[Choice, ...]:
        """What it may choose before anything is seen, as far as models are concerned."""

    @property
    @abstractmethod
    def choices(self) -> tuple[Choice, ...]:
        """Everything that it may ever choose."""

    @property
    @abstractmethod
    def pairs(self) -> frozenset[tuple[str, str | None]]:
        """Every policy x PRM pair that it may choose or probe with."""

    @property
    @abstractmethod
    def most_decisions(self) -> int:
        """Most decisions that one request takes."""

    @abstractmethod
    def prompting(self, policy: str) -> Prompting:
        """How a policy is asked where this decides."""

    @abstractmethod
    def asked(self, models: Iterable[ModelCard]) -> tuple[ModelCard, ...]:
        """The cards of models that are there, policies as they are under the promptings of this decider."""

    @abstractmethod
    def check(self, models: Iterable[ModelCard], *, allow_foreign: bool = False) -> None:
        """Refuse models that it does not decide about (ArtefactError), unless told to allow them."""

    # ---- deciding

    def assign(self, question: str, domain: str | None = None) -> Assigned:
        """The domain of a question, or why nothing is planned for it.

        A ``domain`` that is named counts. Otherwise the planner's own model says it
        (``planner.features.familiarity``). Planners from before there was one take every question if they
        know one domain, and else ask the graders of their domains. Raises GradingError for a domain that
        nobody knows.
        """
        if domain is not None:
            if domain not in DOMAINS:
                raise GradingError(f"domain must be one of {', '.join(DOMAINS)}, got {domain!r}")
            return Assigned(domain, True)
        if self.domain_model is not None:
            guess = self.domain_model.predict(question)
            return _foreign(guess.reason) if guess.domain is None else Assigned(guess.domain, True)
        if len(self.domains) == 1:
            return Assigned(self.domains[0], True)
        for name in self.domains:
            if grader(name).claims(question):
                return Assigned(name, True)
        return _foreign(f"no domain of this planner claims the question ({', '.join(self.domains)})")

    @abstractmethod
    def resolve(
        self,
        budget: Budget,
        question: str,
        *,
        least_price: float = 0.0,
        waited: float = 0.0,
        shares: int = 1,
    ) -> Budget:
        """A budget whose caps a ledger can keep; resolving it again changes nothing.

        Parameters
        ----------
        least_price:
            Accuracy that a FLOP must add where the budget names no aim, or a lower price.
        waited:
            Seconds that have passed of the deadline.
        shares:
            Answers that share the budget: each gets an equal part of every cap but time.

        ``samples`` may stay in it for ``decide``; the other caps bind at least as tightly. Raises BudgetError
        for an aim that it cannot keep.
        """

    @abstractmethod
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
        groups:
            Which answers are equal (``search.voting.votes.group``); None: equal texts are.
        domain:
            By which what is promised is corrected; checked against what was learned.
        decision_filter:
            Bends the decision (``planner.deciding.decision_filter``).

        Raises as ``recommend`` does, and ValueError for a probe that it never asks for.
        """

    @abstractmethod
    def plain_advice(self, question: str, reason: str = "") -> Recommendation:
        """The advice for a question that nothing is planned for, by ``reason``: one greedy answer."""

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
            What the question belongs to. None: the planner says it (``assign``), and for a question that is
            foreign to it the advice is one greedy answer, with the reason as a warning, and with another one
            where that answer is expected to pass a cap.
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
        assigned = self.assign(question, domain or self.default_domain)
        if not assigned.planned:
            return self.plain_advice(question, assigned.reason).checked_against(asked)
        if asked.usd is not None and prices is None:
            prices = self.default_prices
        return self.decide(
            question, budget=asked, prices=prices, domain=assigned.domain, abstain_below=abstain_below
        )

    # ---- answering

    @property
    def solver(self) -> Solver:
        """What ``solve`` runs on: the models, which are opened when first needed."""
        from planner.solving.solver import Solver

        found: Solver | None = getattr(self, "_solver", None)
        if found is None:
            found = Solver(self, None)
            self.bind(found)
        return found

    def bind(self, solver: Solver) -> None:
        """Solve on these models from now on."""
        object.__setattr__(self, "_solver", solver)  # a decider's numbers are frozen

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
        plan: Plan | str | None = None,
        open_plan: Plan | str | None = None,
        **words: Unpack[BudgetWords],
    ) -> Solution:
        """Plan a question, probe, decide again, run the chosen plan and answer.

        Works inside a running loop too (a notebook), and waits there.

        Parameters
        ----------
        budget, words:
            As ``recommend`` takes them.
        on_event:
            Hears of everything as it happens (``planner.solving.events``), in another thread.
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
        plan:
            Run this plan instead of deciding, with the policy that the planner begins with and the best PRM
            that is there where it needs one: nothing is expected of it. It says itself what it takes, so
            a budget may be left out.
        open_plan:
            What answers a question that is foreign to the planner instead of one greedy answer:
            ``aggregate(n=4)``, say.

        A deadline (``seconds``) begins when the models are open, which the first call waits for. Raises
        BudgetError, and EngineError where the policy fails before any answer can be read.

        >>> import planner
        >>> print(planner.load("lab").solve("What is (13+64)+80?", tokens=800).answer)
        157
        """
        return run_sync(
            self.solver.solve(
                question,
                _budget(budget, words, plan),
                domain=domain,
                seed=seed,
                prices=prices,
                abstain_below=abstain_below,
                without=without,
                draw_all=draw_all,
                plan=plan,
                open_plan=open_plan,
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
        plan: Plan | str | None = None,
        open_plan: Plan | str | None = None,
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
                _budget(budget, words, plan),
                domain=domain,
                seed=seed,
                prices=prices,
                abstain_below=abstain_below,
                without=without,
                draw_all=draw_all,
                plan=plan,
                open_plan=open_plan,
                listener=heard,
            )
        )

    def close(self) -> None:
        """Free the models; ``solve`` opens them again."""
        run_sync(self.solver.close())


def _foreign(reason: str) -> Assigned:
    return Assigned(PLAIN, False, f"not planned: {reason}")


def _budget(budget: Budget | None, words: BudgetWords, plan: Plan | str | None) -> Budget:
    """As asked for; a plan that is given says itself what it takes."""
    if plan is not None and budget is None and not any(value is not None for value in words.values()):
        return UNLIMITED
    return Budget.of(budget, words)
