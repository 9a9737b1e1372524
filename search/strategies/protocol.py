"""Strategies spend compute: they take a problem, engines, rewards and a ledger, and return a result.

A strategy is one frozen dataclass in one file. Its fields are the grammar of its plans, and it says itself
how it votes, whether it needs a reward, what a log must hold to replay it, and whether a probe's samples join
it: nothing else in the project asks for a strategy by name. It imports no engine library, never grades and
never touches a log.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from types import MappingProxyType
from typing import Any, ClassVar

from search.choice import Choice
from search.engines.protocol import Engine, Sampling
from search.errors import LogError, PlanError
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Result
from search.rewards.protocol import Reward
from search.scores import score
from search.strategies.fields import grammar_of
from search.strategies.kinds import Replay
from search.strategies.observer import Observer
from search.strategies.replay import Record, Replayed
from search.strategies.words import fill

__all__ = ["Limits", "Setting", "Strategy"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Per solution: most generated tokens and most steps. Reaching one is an ordinary ending."""

    max_tokens: int = 224
    max_steps: int = 32

    def __post_init__(self) -> None:
        for name, value in (("max_tokens", self.max_tokens), ("max_steps", self.max_steps)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a strategy works with, the same for every plan of a policy-PRM pair.

    ``reward`` is None where no plan asks a PRM. ``delimiter`` ends a step. ``observer`` is one request's.
    ``pairs`` holds the settings of all policies and PRMs that plans of several policies may ask, by name.
    ``cancel_within``: seconds that the engine has to end what was cancelled; what has not ended by then
    is left alone and charged in full. ``top_logprobs``: candidates per token that the engine reduces to
    entropy and confidence, 0 for none (``Request.top_logprobs``). ``words`` replace templates of strategies
    (``search.strategies.words``), by name: ``aggregate.select``. ``price``: accuracy (1.0 is 100 points) that
    a FLOP must add, for plans that stop by it (``stop=price``).
    """

    engine: Engine
    reward: Reward | None = None
    sampling: Sampling = field(default_factory=Sampling)
    limits: Limits = field(default_factory=Limits)
    delimiter: str = "\n"
    observer: Observer | None = None
    cancel_within: float = 2.0
    pairs: Mapping[tuple[str, str | None], Setting] = field(default_factory=dict, repr=False)
    top_logprobs: int = 0
    words: Mapping[str, str] = field(default_factory=dict, repr=False)
    price: float = 0.0

    def __post_init__(self) -> None:
        if not self.price >= 0.0:
            raise ValueError(f"a price cannot be negative, got {self.price}")
        if not self.cancel_within >= 0.0:
            raise ValueError(f"cancel_within cannot be negative, got {self.cancel_within}")

    def of(self, choice: Choice) -> Setting:
        """The setting in which a part of a plan runs. Raises PlanError for models that are not there.

        A part without a PRM runs in any setting of its policy.
        """
        own = self.engine.card.name, None if self.reward is None else self.reward.card.name
        known = {own: self, **self.pairs}
        found = known.get((choice.policy, choice.prm))
        if found is None and choice.prm is None:
            found = next((one for (policy, _), one in known.items() if policy == choice.policy), None)
        if found is None:
            there = ", ".join(f"{policy} x {prm or '-'}" for policy, prm in known)
            raise PlanError(f"a plan runs on models that are there ({there}), got {choice}")
        return found


class Strategy(ABC):
    """One way to spend compute, with its numbers. A frozen dataclass; one class per file.

    Subclasses set ``name`` and ``caption`` and override what is not as said here:

    >>> from dataclasses import dataclass
    >>> from search.strategies.sampling import SamplingStrategy
    >>> @dataclass(frozen=True)
    ... class Trio(SamplingStrategy):
    ...     name = "trio"
    ...     caption = "three samples, the most frequent answer"
    ...     n: int = 3
    >>> Trio().samples, Trio().vote, Trio().replays.value
    (3, 'majority', 'vote')
    """

    #: the name that plans use
    name: ClassVar[str]
    #: what it does, for people, in a few words
    caption: ClassVar[str] = ""
    #: parameters that pick the answer among the candidates and change nothing before: plans that differ in
    #: nothing else share their runs
    picking: ClassVar[frozenset[str]] = frozenset()
    #: the words in which it asks about earlier answers, by name; ``Setting.words`` replaces them
    templates: ClassVar[Mapping[str, str]] = MappingProxyType({})

    # ---- what it says of itself

    @property
    def samples(self) -> int:
        """Whole solutions that it draws at most, or beams that it keeps: the field ``n``, else 1."""
        return int(getattr(self, "n", 1))

    @property
    def vote(self) -> str:
        """How it picks its answer, one of ``search.voting.votes.VOTES``."""
        return "majority"

    @property
    def needs_reward(self) -> bool:
        """Whether a PRM must score anything."""
        return False

    @property
    def replays(self) -> Replay:
        """What a log must hold so that ``replay``, or the log's own tables, tell its outcome."""
        return Replay.NEVER

    @property
    def joins_probe(self) -> bool:
        """Whether solutions that were drawn before it (``prior``) compete for the answer."""
        return True

    @property
    def most_prior(self) -> int | None:
        """How many prior solutions it can begin with: n for a vote over n. None: any number."""
        return self.samples

    def fresh(self, prior: int) -> int:
        """Whole solutions that it draws at most after so many prior ones."""
        return max(0, self.samples - prior)

    def takes(self, prompt: float, solution: float) -> tuple[float, float]:
        """About how many tokens a run sends in prompts, each counted once, and has written, where a prompt
        and a solution have so many. For what is not measured yet."""
        return prompt, self.samples * solution

    def sends(self, prompt: float, solution: float) -> float:
        """About how many prompt tokens its requests send, each as often as it is sent: what money counts. By
        default each prompt once, all samples of a question being drawn by one request."""
        return self.takes(prompt, solution)[0]

    @property
    def picks(self) -> bool:
        """Whether the answer follows from its candidates by ``vote``. Otherwise a model picks it, or their
        order does."""
        return True

    @property
    def reads(self) -> bool:
        """Whether a candidate's answer is what the domain reads in its text, and None only where that is
        nothing."""
        return True

    @property
    def heaviest(self) -> float:
        """The most that one draw can add to an answer's votes."""
        return 1.0

    @property
    def signals(self) -> frozenset[str]:
        """Which of ``search.strategies.adaptive.weights.LOGGED`` a replay asks of the log's draws."""
        return frozenset().union(*(part.plan.described.signals for part in self.plan.parts))

    def weigh(self, candidate: Candidate) -> float:
        """How much a candidate counts where ``vote`` is ``weighted`` or ``max``: its score under the plan's
        PRM; 0.0 without one."""
        if not candidate.step_rewards:
            return 0.0
        name = self.plan.score
        return 0.0 if name is None else score(candidate.step_rewards, name)

    def say(self, setting: Setting, template: str, **values: str) -> str:
        """A template of it with its places filled, in the setting's own words where it has some."""
        words = setting.words.get(f"{self.name}.{template}", self.templates[template])
        return fill(words, **values)

    def replay(self, record: Record) -> Replayed:
        """What runs of it make of recorded draws. Raises LogError unless ``replays`` is ``Replay.ORDER``."""
        raise LogError(f"{self.name} is replayed by the log's own tables or must be run, got {self.plan}")

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The parameters of its plans in a grid: by default the product of the axes that bear its fields'
        names.

        ``axes``: ``n``, ``width``, ``prune``, ``score``, ``vote``, each with its values, and
        ``strategies``, the names that the grid asks for.
        """
        fields = grammar_of(cls)
        missing = [name for name, one in fields.items() if one.is_required]
        if missing:
            raise PlanError(f"{cls.name} needs {', '.join(missing)}: write its plans out (plan = [...])")
        named = [name for name in fields if name in axes]
        for values in product(*(axes[name] for name in named)):
            yield dict(zip(named, values, strict=True))

    @cached_property
    def plan(self) -> Plan:
        """The plan that spells it."""
        return Plan(self.name, tuple((name, getattr(self, name)) for name in grammar_of(type(self))))

    @property
    def runs_anywhere(self) -> bool:
        """Whether ``refuses`` is as it stands here, and so never has anything against a run."""
        return type(self).refuses is Strategy.refuses

    # ---- what it does

    def refuses(self, problem: Problem, setting: Setting) -> str | None:
        """Why it cannot run here, one line that says the rule and the value; None where it can. Asked before
        anything is spent, on a thread: it may wait for other processes."""
        return None

    async def start(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        """``run``, where nothing speaks against it. Raises PlanError otherwise, before anything is spent."""
        if not self.runs_anywhere:
            fault = await asyncio.to_thread(self.refuses, problem, setting)
            if fault is not None:
                raise PlanError(fault)
        return await self.run(problem, setting, ledger, seed=seed, prior=prior)

    @abstractmethod
    async def run(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        """Work on ``problem`` and return what came of it.

        Parameters
        ----------
        setting:
            Its policy and PRM; ``setting.of`` finds those of other parts of the plan.
        ledger:
            Charged for everything; holds the request's hard budget. It may already carry the
            spend of a probe: ``Result.spend`` is what this run added.
        seed:
            Determines every draw where the engine promises so.
        prior:
            Candidates drawn before (the probe). They are paid for and compete for the answer. For
            sampling strategies they count towards n, so ``n - len(prior)`` are drawn; for tree
            searches they join the final vote under the plan's rule. Prior candidates without
            step rewards are scored first if the plan needs a PRM, and that is charged.

        Raises
        ------
        PlanError
            The plan needs a PRM or a policy that the setting lacks.
        EngineError, RewardError
            The policy failed, or the PRM did (that is no EngineError). Running out of budget, steps or
            tokens is a result, not an error.
        """
