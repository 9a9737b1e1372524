"""A planner before there is a log: decides by rules, and promises nothing.

The cheapest policy votes until the vote is sure; with several policies, a vote that stays unsure goes to a
dearer one (``planner.deciding.analytic_rules``). Accuracy and cost are unknown until a log is there, and
every advice says so. Hard caps are kept by the ledger, whatever solutions turn out to take.

    >>> from search.cards import ModelCard
    >>> rules = RulesPlanner({"mine": ModelCard("mine", 10**9, "f", 4096)})
    >>> print(rules.recommend("What is 17 * 23?", samples=8))
    mine x - x adaptive_vote(n=8, stop=0.95, ahead=4): accuracy unknown, unknown tokens; \
no log yet: the rule adaptive_vote decides, accuracy and cost are unknown
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from planner.decider import Decider
from planner.deciding.analytic_rules import (
    Cap,
    by_price,
    cascaded,
    chain,
    most_samples,
    relative_costs,
    steps,
    worth_it,
)
from planner.deciding.budgeting import check_money
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.evidence.probe import Probe
from planner.features.question_kinds import QuestionKinds
from search.budget import Budget, Prices
from search.cards import ModelCard
from search.choice import Choice
from search.drawing import Drawing
from search.engines.protocol import Sampling
from search.errors import ArtefactError, BudgetError
from search.loader import Loader
from search.plan import Plan
from search.prompts import PROMPTINGS, Prompting, choose
from search.result import Candidate, Spend
from search.strategies.protocol import Limits

__all__ = ["RuledModels", "RulesPlanner", "check_aim"]

#: how solutions are drawn where neither the user nor the model says
_DRAWN = Drawing(Sampling(0.7), Limits(max_tokens=1024))
#: of a solution's most tokens, the share that it is taken to write when samples are counted out
_USUAL = 0.25
#: bytes of a question that are taken for a token, and tokens that a chat template may add
_BYTES, _AROUND = 3, 256
#: tokens of a cap below which no policy can read a question and answer
_FEWEST = 2


@dataclass(frozen=True, slots=True, eq=False)
class RuledModels:
    """What rules decide between.

    Parameters
    ----------
    policies, prms:
        Cards of the models, policies as they are under ``promptings``. The rules ask no PRM: plans that are
        forced may.
    promptings, drawings:
        Policy -> how it is asked, and how its solutions are drawn.
    prices:
        Name -> prices, where they are known: policies are ordered by them.
    words:
        Templates of strategies, in place of their own (``search.strategies.words``).

    Raises ArtefactError without a policy.
    """

    policies: Mapping[str, ModelCard]
    prms: Mapping[str, ModelCard] = field(default_factory=dict)
    promptings: Mapping[str, Prompting] = field(default_factory=dict)
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    prices: Mapping[str, Prices] | None = None
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.policies:
            raise ArtefactError("rules need a policy to ask, got none")


class RulesPlanner(RuledModels, Decider):
    """Decides by rules. Made by ``planner.load(models=...)``; ``RuledModels`` says what it consists of."""

    __slots__ = ("_solver",)

    @classmethod
    def of(
        cls,
        loader: Loader,
        policies: Iterable[str],
        prms: Iterable[str] = (),
        *,
        served: Collection[str] = (),
        prices: Mapping[str, Prices] | None = None,
        words: Mapping[str, str] = MappingProxyType({}),
    ) -> RulesPlanner:
        """Rules over the models of a loader. Loads no weights; servers are asked what they serve.

        Parameters
        ----------
        served:
            Policies behind a server: where their chat template is not known, they are asked for steps and a
            marked answer all the same.

        Raises CheckpointError for a folder without a model, EngineError for a server that does not answer.
        """
        names = tuple(policies)
        cards = {name: loader.policy_card(name) for name in names}
        promptings = {name: _prompting(loader.chat_template(name), name in served) for name in names}
        return cls(
            {name: promptings[name].card(card) for name, card in cards.items()},
            {name: loader.prm_card(name) for name in prms},
            {name: one for name, one in promptings.items() if not one.is_plain},
            {
                name: Drawing.of(loader.chosen_sampling(name), loader.generation_defaults(name), drawn=_DRAWN)
                for name in names
            },
            prices,
            words,
        )

    def limited(self, max_tokens: int) -> RulesPlanner:
        """The same with solutions of at most so many tokens."""
        drawings = {
            name: replace(one, limits=replace(one.limits, max_tokens=max_tokens))
            for name, one in ((name, self.drawings.get(name, _DRAWN)) for name in self.policies)
        }
        return RulesPlanner(self.policies, self.prms, self.promptings, drawings, self.prices, self.words)

    # ---- what it knows

    @property
    def ordered(self) -> tuple[str, ...]:
        """The policies, the cheapest first."""
        return by_price(self.policies, self.prices)

    @property
    def domains(self) -> tuple[str, ...]:
        return self.domain_model.domains

    @property
    def domain_model(self) -> QuestionKinds:
        return QuestionKinds()

    @property
    def card(self) -> Mapping[str, Any]:
        return {}

    @property
    def fitted(self) -> None:
        return None

    @property
    def first(self) -> str:
        return self.ordered[0]

    @property
    def opening(self) -> tuple[Choice, ...]:
        return tuple(Choice(policy, None, Plan.of("cot")) for policy in self.ordered)

    @property
    def choices(self) -> tuple[Choice, ...]:
        names = chain(self.ordered)
        free = (0.0,) * len(names)
        relative = relative_costs(names, self.policies, self.prices)
        return tuple(dict.fromkeys(cascaded(names, step, free) for step in steps(relative)))

    @property
    def pairs(self) -> frozenset[tuple[str, str | None]]:
        return frozenset((policy, None) for policy in self.policies)

    @property
    def most_decisions(self) -> int:
        return 1

    @property
    def fingerprint(self) -> str:
        """Of the models, how they are asked, and their prices: 64 hexadecimal digits."""
        said = {
            "rules": 1,
            "policies": {name: [card.fingerprint, card.parameters] for name, card in self.policies.items()},
            "prms": {name: card.fingerprint for name, card in self.prms.items()},
            "order": self.ordered,
            "drawings": {name: drawing.to_json() for name, drawing in self.drawings.items()},
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def prompting(self, policy: str) -> Prompting:
        return self.promptings.get(policy, Prompting())

    def asked(self, models: Iterable[ModelCard]) -> tuple[ModelCard, ...]:
        return tuple(self.prompting(card.name).card(card) for card in models)

    def check(self, models: Iterable[ModelCard], *, allow_foreign: bool = False) -> None:
        """Refuse models by names that are not among these: rules hold for any weights."""
        known = (*self.policies, *self.prms)
        # a models file may call a PRM otherwise than its checkpoint does
        own = {card.name for card in self.prms.values()}
        for card in models:
            if not allow_foreign and card.name not in known and card.name not in own:
                raise ArtefactError(
                    f"rules decide for the models that they were made for ({', '.join(known)}), "
                    f"got {card.name!r}"
                )

    # ---- deciding

    def resolve(
        self,
        budget: Budget,
        question: str,
        *,
        least_price: float = 0.0,
        waited: float = 0.0,
        shares: int = 1,
    ) -> Budget:
        """A mean is kept by every request, so it becomes a cap. Samples stay, beside the FLOPs that so many
        samples of the first policy take at most. Raises BudgetError for an accuracy: nobody knows it yet."""
        check_aim(budget)
        samples, usd, price = budget.samples, budget.usd, budget.price
        tokens, flops = budget.tokens, _least(budget.flops, budget.mean_flops)
        if budget.mean_tokens is not None:
            tokens = min(int(budget.mean_tokens), tokens if tokens is not None else int(budget.mean_tokens))
        if shares > 1:
            tokens = None if tokens is None else max(1, tokens // shares)
            flops = None if flops is None else flops / shares
            usd = None if usd is None else usd / shares
            samples = None if samples is None else max(1, samples // shares)
        if samples is not None:
            longest = self._prompt(self.first, question, each=1) + _AROUND + self._limit(self.first)
            flops = _least(flops, samples * self.policies[self.first].flops(longest))
        if least_price > 0.0 and budget.price_unit == "flops" and (price is not None or not budget.has_aim):
            price = max(least_price, price or 0.0)
        return replace(
            budget,
            tokens=tokens,
            flops=flops,
            usd=usd,
            samples=samples,
            seconds=None if budget.seconds is None else max(0.0, budget.seconds - waited),
            price=price,
            mean_flops=None,
            mean_tokens=None,
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
        spent_usd: float = 0.0,
        groups: Sequence[int] | None = None,
        domain: str | None = None,
        abstain_below: float = 0.0,
        decision_filter: DecisionFilter | None = None,
    ) -> Recommendation:
        if probe is not None:
            raise ValueError(f"rules look at the question only, got {probe}")
        kept = [
            one.policy for one in self.opening if decision_filter is None or not decision_filter.excludes(one)
        ]
        if not kept:
            raise ArtefactError(f"rules need a policy that is there, got none of {', '.join(self.policies)}")
        names = chain(kept)
        budget = self.resolve(budget, question)
        check_money(budget, prices, names)
        caps = self._caps(names, question, budget, spent or Spend(), spent_usd, prices)
        relative = relative_costs(names, self.policies, self.prices)
        costs = tuple(self._accuracy_cost(name, budget) for name in names)
        choice = cascaded(names, worth_it(most_samples(relative, caps), costs), costs)
        warnings = [_told(choice.plan.strategy)]
        if abstain_below > 0.0:
            warnings.append("nothing is abstained from while accuracy is unknown")
        return _unknown(choice, warnings)

    def plain_advice(self, question: str, reason: str = "") -> Recommendation:
        why = reason or "voting means nothing here (no answer to compare)"
        return _unknown(Choice(self.first, None, Plan.of("cot")), [f"{why}: one greedy answer", _told("cot")])

    # ---- inside

    def _limit(self, policy: str) -> int:
        """Most tokens of a solution."""
        return min(self.drawings.get(policy, _DRAWN).limits.max_tokens, self.policies[policy].context)

    def _prompt(self, policy: str, question: str, each: int = _BYTES) -> int:
        """About what a policy reads, in tokens of so many bytes each."""
        return -(-len(self.prompting(policy).ask(question).encode("utf-8", "replace")) // each)

    def _usual(self, policy: str) -> float:
        """Tokens that a solution is taken to write."""
        return max(1.0, _USUAL * self._limit(policy))

    def _accuracy_cost(self, policy: str, budget: Budget) -> float:
        """Accuracy that a sample costs by the price of the budget; 0 without one."""
        if budget.price is None:
            return 0.0
        tokens = self._usual(policy)
        return budget.price * (
            tokens if budget.price_unit == "tokens" else self.policies[policy].flops(tokens)
        )

    def _caps(
        self,
        names: Sequence[str],
        question: str,
        budget: Budget,
        spent: Spend,
        spent_usd: float,
        prices: Mapping[str, Prices] | Prices | None,
    ) -> list[Cap]:
        """What the budget caps, for so many samples of each of these policies. Raises BudgetError for a cap
        that holds no answer at all."""
        prompt = [float(self._prompt(name, question)) for name in names]
        usual = [self._usual(name) for name in names]
        flops = [self.policies[name].flops(1.0) for name in names]
        caps: list[Cap] = []

        def cap(limit: float, word: str, reads: Sequence[float], writes: Sequence[float]) -> None:
            if limit < _FEWEST * min(*reads[:1], *writes[:1]):
                raise BudgetError(
                    f"a cap must hold a question and its answer, got {limit:.3g} {word} for {names[0]}"
                )
            caps.append(
                Cap(
                    limit,
                    tuple(one * count for one, count in zip(reads, prompt, strict=True)),
                    tuple(one * count for one, count in zip(writes, usual, strict=True)),
                )
            )

        if budget.tokens is not None:
            cap(budget.tokens - spent.tokens, "tokens", [1.0] * len(names), [1.0] * len(names))
        if budget.flops is not None:
            cap(budget.flops - spent.flops, "FLOPs", flops, flops)
        if budget.usd is not None and prices is not None:
            each = [prices[name] if isinstance(prices, Mapping) else prices for name in names]
            reads, writes = [one.prompt / 1e6 for one in each], [one.generated / 1e6 for one in each]
            cap(budget.usd - spent_usd, "US dollars", reads, writes)
            # each sample of an adaptive vote is a request, which is billed for its prompt
            paid = caps.pop()
            sampled = tuple(read + write for read, write in zip(paid.prompt, paid.sample, strict=True))
            caps.append(Cap(paid.limit, (0.0,) * len(names), sampled))
        if budget.samples is not None:
            counted = tuple(max(1.0, one / flops[0]) for one in flops)
            caps.append(Cap(float(budget.samples), (0.0,) * len(names), counted))
        return caps


def check_aim(budget: Budget) -> None:
    """Raises BudgetError for an accuracy: nobody knows yet how often anything is right."""
    if budget.accuracy is not None:
        raise BudgetError(
            "an accuracy can be asked of a planner that was fitted from a log, "
            f"got accuracy={budget.accuracy:g} before there is one"
        )


def _unknown(choice: Choice, warnings: Sequence[str]) -> Recommendation:
    """A choice that nothing is promised of."""
    unknown = math.nan
    return Recommendation(
        choice=choice,
        probe=None,
        accuracy=unknown,
        interval=(0.0, 1.0),
        tokens=unknown,
        flops=unknown,
        tokens_p90=unknown,
        flops_p90=unknown,
        runner_up=None,
        warnings=tuple(warnings),
    )


def _told(rule: str) -> str:
    return f"no log yet: the rule {rule} decides, accuracy and cost are unknown"


def _prompting(chat: str, served: bool) -> Prompting:
    """How a policy is asked: by its chat template; a chat of another family is asked for steps too."""
    found = choose(chat=chat)
    return PROMPTINGS["generic"] if found.is_plain and (chat or served) else found


def _least(first: float | None, second: float | None) -> float | None:
    """The lower of two caps, either of which may be missing."""
    return min((one for one in (first, second) if one is not None), default=None)
