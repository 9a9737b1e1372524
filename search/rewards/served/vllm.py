"""The vLLM reward: a PRM's folder served in process by vLLM.

| family (``search.rewards.families``) | how vLLM is asked |
|---|---|
| ``classifier`` | ``token_classify`` at all tokens, once per call of ``extend`` |
| ``rlhflow``, ``math_shepherd`` | ``generate`` of one token per step, with the logprobs of the two answers |

Incremental as far as vLLM caches prefixes: in whole blocks, so beside a new step the rest of the last
block is processed again; ``physical_tokens`` says how much. A step that equals one which is being scored,
or one of a handle that still lives, is not asked for again. vLLM batches whatever calls are in flight.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from search.bounded import Remembered
from search.checkpoint import Checkpoint
from search.engines.vllm_host import VllmHost, require_vllm
from search.errors import CheckpointError, RewardError
from search.rewards.computed.convention import Convention
from search.rewards.computed.head_spec import stateless
from search.rewards.families import family_of, read_prm
from search.rewards.protocol import Handle, Reward, RewardUsage, Scored
from search.rewards.served.vllm_prm_clients import ChoicePrmClient, PrmClient, TokenPrmClient

__all__ = ["VllmReward", "spelling_of"]

_Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class _State:
    """What a handle carries: the rewards of all its steps."""

    rewards: tuple[float, ...]


class VllmReward(Reward):
    """Scores steps by vLLM. Build it with ``load``."""

    def __init__(
        self, checkpoint: Checkpoint, convention: Convention, prm_client: PrmClient, host: VllmHost
    ) -> None:
        self.card = checkpoint.card
        self._context = min(checkpoint.context, host.context)
        self._convention = convention
        self._prm_client = prm_client
        self._host = host
        self._prompt = Remembered(convention.prompt)
        self._step = Remembered(convention.step, entries=16384)
        self._live: WeakValueDictionary[_Key, _State] = WeakValueDictionary()
        self._asked: dict[_Key, asyncio.Future[float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._finalizer = weakref.finalize(self, host.stop)

    @classmethod
    def load(cls, path: str | Path, *, family: str | None = None, **options: Any) -> VllmReward:
        """Load a PRM's folder; takes as long as vLLM does (tens of seconds).

        Parameters
        ----------
        family:
            One of ``search.rewards.families.FAMILIES``; by default what the checkpoint says.
        options:
            Engine arguments of vLLM, as ``VllmEngine.load`` takes them.

        Raises
        ------
        CheckpointError
            The folder is missing, damaged, or of a family that vLLM does not score here.
        MissingExtraError
            vLLM is not installed.
        EngineError
            An option is unknown, or vLLM does not start.
        """
        checkpoint = read_prm(path)
        convention, prm_client = spelling_of(checkpoint, family)
        require_vllm()
        host = VllmHost.start(checkpoint, options, **prm_client.chosen())
        return cls(checkpoint, convention, prm_client, host)

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        prompt = len(self._prompt(question)) - len(self._convention.opening)
        return prompt, sum(len(self._step(step).tokens) for step in steps)

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        if self._closed:
            raise RewardError("a closed reward scores nothing, got steps")
        if not steps:
            raise RewardError("steps must not be empty, got none")
        question, every = handle.question, handle.steps + tuple(steps)
        tokens, reads = self._spell(question, every)
        # the state may be that of a longer solution, which holds its prefixes too
        known = list(handle.state.rewards[: len(handle.steps)]) if isinstance(handle.state, _State) else []
        waiting, paid = self._ask(question, every, tokens, reads, len(known))
        rewards = tuple(known + [await asyncio.shield(future) for future in waiting])
        state = self._live.setdefault((question, every), _State(rewards))
        for length in range(1, len(every)):
            self._live[question, every[:length]] = state
        prompt, logical = self.count(question, steps)
        usage = RewardUsage(prompt, logical, paid.tokens)
        return Scored(rewards[len(handle.steps) :], Handle(question, every, state), usage)

    async def close(self) -> None:
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._finalizer)

    def _spell(self, question: str, steps: tuple[str, ...]) -> tuple[list[int], list[int]]:
        """All tokens, and where in them the rewards are read."""
        prompt = self._prompt(question)
        if not prompt:
            raise RewardError(f"a question must give at least one token, got {question!r}")
        tokens, reads = list(prompt), []
        for place, step in enumerate(steps):
            piece = self._step(step) if place else self._convention.first(step)
            reads.append(len(tokens) + piece.read)
            tokens += piece.tokens
        if len(tokens) > self._context:
            raise RewardError(
                f"a prefix must fit into a context of {self._context} tokens, got {len(tokens)}"
            )
        return tokens, reads

    def _ask(
        self, question: str, steps: tuple[str, ...], tokens: list[int], reads: list[int], first: int
    ) -> tuple[list[asyncio.Future[float]], _Paid]:
        """A future per step from ``first`` on; those that nobody has asked for are asked for now."""
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[float]] = []
        new: list[int] = []
        for place in range(first, len(steps)):
            key = question, steps[: place + 1]
            future = self._asked.get(key)
            if future is None or future.get_loop() is not loop:
                future = loop.create_future()
                state = self._live.get(key)
                if state is not None:
                    future.set_result(state.rewards[place])
                else:
                    self._asked[key] = future
                    new.append(place)
            waiting.append(future)
        paid = _Paid()
        if new:
            mine = {place: waiting[place - first] for place in new}
            task = loop.create_task(self._judged(question, steps, tokens, reads, mine, paid))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return waiting, paid

    async def _judged(
        self,
        question: str,
        steps: tuple[str, ...],
        tokens: list[int],
        reads: list[int],
        mine: dict[int, asyncio.Future[float]],
        paid: _Paid,
    ) -> None:
        """Score the steps at the places of ``mine``; apart from callers, who may give up."""
        try:
            work = self._prm_client.rewards(self._host.llm, tokens, [reads[place] for place in mine])
            rewards, paid.tokens = await asyncio.wrap_future(self._host.run(work))
            for future, reward in zip(mine.values(), rewards, strict=True):
                future.set_result(reward)
        except asyncio.CancelledError:
            for future in mine.values():
                _fail(future, "a closed reward scores nothing, got steps")
        except Exception as error:
            for future in mine.values():
                _fail(future, f"vLLM failed: {type(error).__name__}: {error}")
        finally:
            for place, future in mine.items():
                key = question, steps[: place + 1]
                if self._asked.get(key) is future:
                    del self._asked[key]


@dataclass(slots=True)
class _Paid:
    """PRM tokens that one call had processed."""

    tokens: int = 0


def _fail(future: asyncio.Future[float], reason: str) -> None:
    if not future.done():
        future.set_exception(RewardError(reason))
        future.exception()  # heard, even if its caller has given up


def spelling_of(checkpoint: Checkpoint, family: str | None = None) -> tuple[Convention, PrmClient]:
    """How a family spells, and how vLLM is asked for it. Raises CheckpointError."""
    from search.rewards.computed.causal import Chat, Tagged
    from search.rewards.computed.classifier import Separated
    from search.rewards.computed.pieces import Pieces

    chosen = family_of(checkpoint) if family is None else family
    if chosen == "head":
        raise stateless(checkpoint.path, "vLLM")
    if chosen == "classifier":
        return Separated(Pieces(checkpoint)), TokenPrmClient()
    if chosen in ("rlhflow", "math_shepherd"):
        convention = (Chat if chosen == "rlhflow" else Tagged)(Pieces(checkpoint))
        return convention, ChoicePrmClient(convention.good, convention.bad)
    raise CheckpointError(f"vLLM scores the families classifier, rlhflow and math_shepherd, got {chosen!r}")
