"""``effort=``, ``think=`` and ``wait=`` of any plan: a strategy whose policy is told how much to think.

    majority(n=4, effort=high)          the server's own knob
    majority(n=4, think=512)            at most 512 tokens of thought, then the answer
    majority(n=4, think=512, wait=64)   and at least 64

Wraps a strategy and changes nothing but the engine that it asks. Solutions that a log holds were thought out
otherwise, so that such a plan is run, never replayed; and those that a probe has drawn do not count towards
its n: they join the vote, where the strategy's own probe does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from search.errors import PlanError
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Result
from search.strategies.kinds import Replay
from search.strategies.protocol import Setting, Strategy
from search.thinking_budget import ThinkingBudget

__all__ = ["Thoughtful"]


@dataclass(frozen=True)
class Thoughtful(Strategy):
    """A strategy at a budget of thought. Made by ``Plan.described``. Raises PlanError."""

    strategy: Strategy
    thinking: ThinkingBudget

    name = "thoughtful"
    caption = "a plan whose policy is told how much to think"

    def __post_init__(self) -> None:
        plan = self.strategy.plan
        if plan.parts:
            raise PlanError(
                f"a plan of several policies says in its parts how much to think, got {self.thinking} in "
                f"{plan.strategy}"
            )

    # ---- what it says of itself: what the strategy says

    @property
    def picking(self) -> frozenset[str]:  # type: ignore[override]
        return self.strategy.picking

    @property
    def templates(self) -> Mapping[str, str]:  # type: ignore[override]
        return self.strategy.templates

    @property
    def samples(self) -> int:
        return self.strategy.samples

    @property
    def vote(self) -> str:
        return self.strategy.vote

    @property
    def needs_reward(self) -> bool:
        return self.strategy.needs_reward

    @property
    def picks(self) -> bool:
        return self.strategy.picks

    @property
    def reads(self) -> bool:
        return self.strategy.reads

    @property
    def heaviest(self) -> float:
        return self.strategy.heaviest

    @property
    def signals(self) -> frozenset[str]:
        return self.strategy.signals

    def weigh(self, candidate: Candidate) -> float:
        return self.strategy.weigh(candidate)

    @property
    def plan(self) -> Plan:
        thinking = self.thinking
        words: dict[str, object] = {"effort": thinking.effort} if thinking.effort else {}
        words |= {} if thinking.think is None else {"think": thinking.think}
        words |= {"wait": thinking.wait} if thinking.wait else {}
        return self.strategy.plan.with_(**words)

    # ---- what it says of itself: what thinking changes

    @property
    def replays(self) -> Replay:
        return Replay.NEVER

    @property
    def joins_probe(self) -> bool:
        return self.strategy.joins_probe

    @property
    def most_prior(self) -> int | None:
        return None if self._counts_prior else self.strategy.most_prior

    def fresh(self, prior: int) -> int:
        return self.strategy.fresh(0) if self._counts_prior else self.strategy.fresh(prior)

    def takes(self, prompt: float, solution: float) -> tuple[float, float]:
        sent, written = self.strategy.takes(prompt, solution)
        think = self.thinking.think
        return sent, written if think is None else written + self.samples * float(think)

    def sends(self, prompt: float, solution: float) -> float:
        return self.strategy.sends(prompt, solution)

    @property
    def _counts_prior(self) -> bool:
        """Whether earlier samples stand for some of its n, which were thought out otherwise."""
        own = self.strategy
        return hasattr(own, "n") and own.joins_probe and own.fresh(1) < own.fresh(0)

    # ---- what it does

    def refuses(self, problem: Problem, setting: Setting) -> str | None:
        """Where the policy cannot be told so, or the strategy refuses."""
        fault = setting.engine.refuses_thinking(self.thinking)
        return self.strategy.refuses(problem, setting) if fault is None else fault

    async def run(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        told = replace(setting, engine=setting.engine.thinking(self.thinking))
        own = self.strategy
        if prior and self._counts_prior:
            own = own.plan.with_(n=own.samples + len(prior)).described
        result = await own.run(problem, told, ledger, seed=seed, prior=prior)
        return replace(result, plan=self.plan)
