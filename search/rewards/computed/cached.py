"""The cached reward: steps scored by a decoder whose keys and values of scored prefixes are kept.

What all embedded families share. Keys and values of a prefix live in its ``Handle``, so extending costs
the new steps alone, and branches share what they have in common. Prompts are kept in a small store of
their own: fresh handles of one question compute it once. Extensions asked for at the same time, or while
others are computed, run together, whatever problem they belong to; steps that equal ones of the same
batch, or of any handle that still lives, are computed once. Heavy compute runs on a thread of its own.

Rewards do not depend on what shares a batch beyond rounding (see ``search.engines.decoder`` for when
they do not depend on it at all). ``threads`` is torch's own number, which is one for the whole process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from search.bounded import Remembered
from search.cards import ModelCard
from search.engines.cache import Prefix, PrefixStore
from search.errors import RewardError
from search.rewards.computed.backbone import Backbone
from search.rewards.computed.convention import Convention, Piece
from search.rewards.computed.heads import Head
from search.rewards.protocol import Handle, Reward, RewardUsage, Scored

__all__ = ["CachedReward"]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class _State:
    """What a handle carries: the keys and values of a prefix and the rewards of all its steps."""

    prefix: Prefix
    rewards: tuple[float, ...]


@dataclass(slots=True, eq=False)
class _Task:
    """One call of ``extend``, tokenised. ``pieces``: of the steps that its handle has no state of."""

    question: str
    known: _State | None
    steps: tuple[str, ...]  # earlier ones too
    first: int  # the place of the first new step in ``steps``
    prompt: tuple[int, ...]
    pieces: tuple[Piece, ...]
    logical: int
    done: asyncio.Future[Scored]


@dataclass(slots=True, eq=False)
class _Node:
    """A prefix of this batch. A node without a piece is where a tree of new steps begins."""

    piece: Piece | None = None
    payer: int = 0
    state: _State | None = None
    is_end: bool = False
    children: dict[str, _Node] = field(default_factory=dict)


class CachedReward(Reward):
    """A convention, a backbone and a head.

    Parameters
    ----------
    name:
        The family, for messages.
    card, convention, backbone, head:
        Of one checkpoint.
    threads:
        Threads torch computes with.
    prompt_bytes:
        Most memory for keys and values of prompts. Those of steps live in the handles alone.
    """

    equal_bits = True

    def __init__(
        self,
        name: str,
        card: ModelCard,
        convention: Convention,
        backbone: Backbone,
        head: Head,
        *,
        threads: int = 1,
        prompt_bytes: int = 64 << 20,
    ) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self.card = card
        self._name = name
        self.convention = convention
        self.backbone = backbone
        self.head = head
        self._prompts = PrefixStore(prompt_bytes)
        self._live: WeakValueDictionary[tuple[str, tuple[str, ...]], _State] = WeakValueDictionary()
        # the same questions and steps are asked for again and again, by budgets first of all
        self._prompt = Remembered(convention.prompt)
        self._step = Remembered(convention.step, entries=16384)
        self._worker = ThreadPoolExecutor(1, f"{name}-reward", torch.set_num_threads, (threads,))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[_Task] = []
        self._busy = False
        self._closed = False

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        prompt = len(self._prompt(question)) - len(self.convention.opening)
        tail = len(self.convention.tail)
        return prompt, sum(len(self._step(step).tokens) + tail for step in steps)

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        if self._closed:
            raise RewardError("a closed reward scores nothing, got steps")
        if not steps:
            raise RewardError("steps must not be empty, got none")
        task = self._task(handle, tuple(steps))
        loop = task.done.get_loop()
        if loop is not self._loop:  # an earlier loop is gone, and with it whoever waited there
            self._loop, self._pending, self._busy = loop, [], False
        if not self._pending and not self._busy:
            loop.call_soon(self._flush)  # calls made in the same turn of the loop run together
        self._pending.append(task)
        return await task.done

    async def close(self) -> None:
        self._closed = True
        for task in self._pending:
            if not task.done.done():
                task.done.set_exception(RewardError("a closed reward scores nothing, got steps"))
        self._pending = []
        await asyncio.to_thread(self._worker.shutdown)

    def _task(self, handle: Handle, new: tuple[str, ...]) -> _Task:
        prompt = self._prompt(handle.question)
        if not prompt:
            raise RewardError(f"a question must give at least one token, got {handle.question!r}")
        steps = handle.steps + new
        known = handle.state if isinstance(handle.state, _State) else None
        missing = steps if known is None else new
        pieces = tuple(
            self.convention.first(step) if place == 0 and len(missing) == len(steps) else self._step(step)
            for place, step in enumerate(missing)
        )
        before = len(prompt) if known is None else known.prefix.length
        total = before + sum(len(piece.tokens) for piece in pieces) + len(self.convention.tail)
        if total > self.card.context:
            raise RewardError(f"a prefix must fit into a context of {self.card.context} tokens, got {total}")
        logical = self.count(handle.question, new)[1]
        done: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()
        return _Task(handle.question, known, steps, len(handle.steps), prompt, pieces, logical, done)

    def _flush(self) -> None:
        """Send everything that waits to the worker. On the loop's thread, as is ``settle``."""
        tasks = [task for task in self._pending if not task.done.done()]
        self._pending = []
        if not tasks or self._closed or self._loop is None:
            return
        self._busy = True
        running = self._loop.run_in_executor(self._worker, self._score, tasks)

        def settle(finished: asyncio.Future[list[Scored]]) -> None:
            self._busy = False
            error = finished.exception()
            for i, task in enumerate(tasks):
                if task.done.done():
                    continue
                if error is None:
                    task.done.set_result(finished.result()[i])
                else:
                    reason = f"the {self._name} reward failed: {type(error).__name__}: {error}"
                    task.done.set_exception(RewardError(reason))
            self._flush()

        running.add_done_callback(settle)

    # -- on the worker's thread -----------------------------------------------------------------

    @torch.inference_mode()
    def _score(self, tasks: list[_Task]) -> list[Scored]:
        """All calls at once: the prompts nobody has computed, then the steps, equal ones once."""
        paid = [0] * len(tasks)
        roots, ends = self._plant(tasks, paid)
        ready = [run for root in roots for run in _runs(root)]
        while ready:
            self._compute(ready, paid)
            ready = [following for _, run in ready for following in _runs(run[-1])]
        scored: list[Scored] = []
        for i, (task, end) in enumerate(zip(tasks, ends, strict=True)):
            assert end.state is not None  # every node is behind some root and has been computed
            self._live[task.question, task.steps] = end.state
            handle = Handle(task.question, task.steps, end.state)
            prompt = len(task.prompt) - len(self.convention.opening)
            usage = RewardUsage(prompt, task.logical, paid[i])
            scored.append(Scored(end.state.rewards[task.first :], handle, usage))
        return scored

    def _plant(self, tasks: list[_Task], paid: list[int]) -> tuple[list[_Node], list[_Node]]:
        """Trees of the steps to compute, and the node at which each task ends."""
        begins = [self._begin(task) for task in tasks]
        prompts = self._compute_prompts(tasks, begins, paid)
        roots: dict[int, _Node] = {}
        ends: list[_Node] = []
        for i, (task, begin) in enumerate(zip(tasks, begins, strict=True)):
            state = prompts[task.prompt] if begin is None else begin
            node = roots.setdefault(id(state), _Node(state=state))
            left = len(task.steps) - len(state.rewards)
            for step, piece in zip(task.steps[-left:], task.pieces[-left:], strict=True) if left else ():
                node = node.children.setdefault(step, _Node(piece, i))
            node.is_end = True
            ends.append(node)
        return list(roots.values()), ends

    def _begin(self, task: _Task) -> _State | None:
        """The longest prefix of a task that some living handle holds; None for the prompt alone."""
        least = 0 if task.known is None else len(task.known.rewards)
        for length in range(len(task.steps), least, -1):
            found = self._live.get((task.question, task.steps[:length]))
            if found is not None:
                return found
        return task.known

    def _compute_prompts(
        self, tasks: list[_Task], begins: list[_State | None], paid: list[int]
    ) -> dict[tuple[int, ...], _State]:
        """The prompts that tasks without a state begin with, each paid for by one of them."""
        found: dict[tuple[int, ...], _State] = {}
        payers: dict[tuple[int, ...], int] = {}
        for i, (task, begin) in enumerate(zip(tasks, begins, strict=True)):
            if begin is not None or task.prompt in found or task.prompt in payers:
                continue
            known = self._prompts.longest(task.prompt)
            if known is not None and known.length == len(task.prompt):
                found[task.prompt] = _State(known, ())
            else:
                payers[task.prompt] = i
        if payers:
            computed, _ = self.backbone.extend([None] * len(payers), list(payers))
            for (prompt, payer), prefix in zip(payers.items(), computed, strict=True):
                found[prompt] = _State(prefix, ())
                self._prompts.put(prompt, prefix)
                paid[payer] += len(prompt)
        return found

    def _compute(self, ready: list[tuple[_State, list[_Node]]], paid: list[int]) -> None:
        """Run stretches of steps after their states; leaves a state at the last node of each."""
        fed: list[list[int]] = []
        reads: list[list[int]] = []  # the places of the rewards in what is fed
        cuts: list[list[int]] = []  # where the steps end in it
        for _, run in ready:
            tokens: list[int] = []
            places: list[int] = []
            bounds: list[int] = []
            for node in run:
                assert node.piece is not None
                places.append(len(tokens) + node.piece.read)
                tokens += node.piece.tokens
                bounds.append(len(tokens))
            fed.append(tokens)
            reads.append(places)
            cuts.append(bounds)
            paid[run[0].payer] += len(tokens) + len(run) * len(self.convention.tail)
        longer = [state.prefix for state, _ in ready]
        states: list[Tensor | None] = [None] * len(ready)
        grown = [i for i, tokens in enumerate(fed) if tokens]
        if grown:
            found, hidden = self.backbone.extend([longer[i] for i in grown], [fed[i] for i in grown])
            for i, prefix, rows in zip(grown, found, hidden, strict=True):
                longer[i], states[i] = prefix, rows
        if self.convention.tail:
            rewards = self._read_tails(ready, longer, cuts)
        else:
            read = [rows[torch.tensor(reads[i])] for i, rows in enumerate(states) if rows is not None]
            rewards = self.head.rewards(self.backbone.final(torch.cat(read)))
        first = 0
        for (state, run), prefix in zip(ready, longer, strict=True):
            run[-1].state = _State(prefix, (*state.rewards, *rewards[first : first + len(run)]))
            first += len(run)

    def _read_tails(
        self, ready: list[tuple[_State, list[_Node]]], longer: list[Prefix], cuts: list[list[int]]
    ) -> list[float]:
        """Rewards read after the tail, fed anew behind each step and then forgotten."""
        prefixes: list[Prefix] = []
        for (state, _), prefix, bounds in zip(ready, longer, cuts, strict=True):
            for bound in bounds:
                length = state.prefix.length + bound
                prefixes.append(Prefix(prefix.keys[:, :, :length], prefix.values[:, :, :length]))
        _, states = self.backbone.extend(prefixes, [self.convention.tail] * len(prefixes))
        return self.head.rewards(self.backbone.final(torch.stack([rows[-1] for rows in states])))


def _runs(node: _Node) -> list[tuple[_State, list[_Node]]]:
    """The stretches behind a computed node: each goes on until it branches or a task ends."""
    assert node.state is not None
    found = []
    for child in node.children.values():
        run = [child]
        while not run[-1].is_end and len(run[-1].children) == 1:
            run += run[-1].children.values()
        found.append((node.state, run))
    return found
