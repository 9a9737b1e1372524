"""The implicit reward: how much likelier a step is under a trained policy than under its reference.

    reward = ImplicitReward(policy, reference, ImplicitSpec("small", "base", beta=0.05))

Both read the text as they would have written it: their prompt with the question, then each step and what ends
it, in tokens of their own, so tokenizers may differ. What is needed of an engine is the logprobs of a prompt
(``Engine.prompt_logprobs``): the embedded engine computes them exactly, vLLM and completions servers that
repeat a prompt with its logprobs (``echo``) tell them; a chat tells none.

What is charged: every token of prompt and steps, once, at the FLOPs of both models together; where their
tokenizers differ the larger number of tokens. What an engine keeps of earlier steps lowers
``physical_tokens``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.engines.protocol import Engine, PromptLogprobs
from search.errors import CheckpointError, ContextError, EngineError, RewardError
from search.rewards.implicit_spec import ImplicitSpec
from search.rewards.protocol import Handle, Reward, RewardUsage, Scored
from search.scoring import together

__all__ = ["ImplicitReward"]


@dataclass(frozen=True, slots=True)
class _State:
    """What a handle carries: the ratio of all its steps, before beta."""

    ratio: float


@dataclass(frozen=True, slots=True)
class _Read:
    """One model's view: its tokens of everything, and where each step begins (one more: the end)."""

    tokens: tuple[int, ...]
    bounds: tuple[int, ...]


class ImplicitReward(Reward):
    """Compares two policies.

    Parameters
    ----------
    policy, reference:
        Who reads. Their cards' names are those of ``spec``.
    spec:
        By default of the two, per step, with beta 0.05.
    owns:
        Which of the two closing this closes, by name; by default both.

    Raises CheckpointError for another model's spec, and for an engine that tells no logprobs of prompts.
    """

    def __init__(
        self,
        policy: Engine,
        reference: Engine,
        spec: ImplicitSpec | None = None,
        *,
        owns: Sequence[str] | None = None,
    ) -> None:
        self.spec = ImplicitSpec(policy.card.name, reference.card.name) if spec is None else spec
        for engine, name in ((policy, self.spec.policy), (reference, self.spec.reference)):
            if engine.card.name != name:
                raise CheckpointError(
                    f"an implicit reward's models are its engines', got {name!r} for {engine.card.name!r}"
                )
            if not engine.tells_prompts:
                raise CheckpointError(
                    "an implicit reward needs logprobs of prompts, which the embedded engine, vLLM and "
                    "servers of completions with echo tell, "
                    f"got {engine.backend} for {name!r}, which tells none"
                )
        self.card = self.spec.card(policy.card, reference.card)
        self.equal_bits = policy.equal_bits and reference.equal_bits
        self._engines = policy, reference
        self._owns = (self.spec.policy, self.spec.reference) if owns is None else tuple(owns)
        self._closed = False

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        try:
            prompt = max(len(engine.prompt(question)) for engine in self._engines)
        except ContextError:
            prompt = self.card.context
        except EngineError as error:
            raise RewardError(f"an implicit reward must tell lengths: {error}") from error
        return prompt, sum(max(map(len, self._spelled(step))) for step in steps)

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        if self._closed:
            raise RewardError("a closed reward scores nothing, got steps")
        if not steps:
            raise RewardError("steps must not be empty, got none")
        every = (*handle.steps, *steps)
        prompt, logical = self.count(handle.question, steps)
        total = prompt + self.count(handle.question, every)[1]
        if total > self.card.context:
            raise RewardError(f"a prefix must fit into a context of {self.card.context} tokens, got {total}")
        known = handle.state if isinstance(handle.state, _State) else None
        first = len(handle.steps)
        # the ratio so far is in the state; without one it is read anew where it is asked for
        begin = first if known is not None or self.spec.scope == "steps" else 0
        views = [self._read(engine, handle.question, every) for engine in self._engines]
        told = await together(
            [self._asked(engine, view, begin) for engine, view in zip(self._engines, views, strict=True)]
        )
        sums = [_sums(view, one.values, begin) for view, one in zip(views, told, strict=True)]
        ratios = [mine - others for mine, others in zip(*sums, strict=True)]
        so_far = 0.0 if known is None else known.ratio
        rewards = []
        for place, ratio in enumerate(ratios, start=begin):
            so_far += ratio
            if place >= first:
                chosen = ratio if self.spec.scope == "steps" else so_far
                rewards.append(_logistic(self.spec.beta * chosen))
        processed = max(
            one.usage.prompt_tokens - one.usage.cached_prompt_tokens + one.usage.generated_tokens
            for one in told
        )
        state = _State(so_far) if known is not None or begin == 0 else None
        usage = RewardUsage(prompt, logical, max(processed, logical))
        return Scored(tuple(rewards), Handle(handle.question, every, state), usage)

    async def close(self) -> None:
        self._closed = True
        for engine in self._engines:
            if engine.card.name in self._owns:
                await engine.close()

    def _spelled(self, step: str) -> list[tuple[int, ...]]:
        try:
            return [engine.written(step + self.spec.delimiter) for engine in self._engines]
        except EngineError as error:
            raise RewardError(f"an implicit reward must spell a step: {error}") from error

    def _read(self, engine: Engine, question: str, steps: Sequence[str]) -> _Read:
        try:
            tokens = list(engine.prompt(question))
            bounds = [len(tokens)]
            for step in steps:
                tokens += engine.written(step + self.spec.delimiter)
                bounds.append(len(tokens))
        except EngineError as error:
            raise RewardError(f"an implicit reward must spell a solution: {error}") from error
        return _Read(tuple(tokens), tuple(bounds))

    async def _asked(self, engine: Engine, view: _Read, begin: int) -> PromptLogprobs:
        try:
            return await engine.prompt_logprobs(view.tokens, view.bounds[begin])
        except RewardError:  # a server's failure is one as it stands
            raise
        except EngineError as error:
            raise RewardError(f"{engine.card.name} failed to read a solution: {error}") from error


def _sums(view: _Read, values: Sequence[float], begin: int) -> list[float]:
    """The log-likelihood of each step from ``begin`` on."""
    offset = view.bounds[begin]
    spans = zip(view.bounds[begin:-1], view.bounds[begin + 1 :], strict=True)
    return [math.fsum(values[low - offset : high - offset]) for low, high in spans]


def _logistic(value: float) -> float:
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    return math.exp(max(value, -700.0)) / (1.0 + math.exp(max(value, -700.0)))
