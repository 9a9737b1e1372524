"""The classifier reward: a token-classification PRM read at a separator token after each step.

The family is Qwen2.5-Math-PRM (``Qwen2ForProcessRewardModel``, arXiv 2501.07301): the chat template
applied to the question, then the tokens of each step followed by the separator ``<extra_0>``; the
reward is the probability of the second class, softmax(score(hidden))[1], at the separator.

Keys and values of a prefix live in its ``Handle``, so extending costs the new steps alone, and
branches share what they have in common. Prompts are kept in a small store of their own: fresh
handles of one question compute it once. Extensions asked for at the same time, or while others are
computed, run together; rewards do not depend on that beyond rounding (see ``search.engines.decoder``
for when they do not depend on it at all).

``threads`` is torch's own number of threads, which is one for the whole process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from search.checkpoint import read_checkpoint
from search.engines.cache import Prefix, PrefixStore, extend
from search.engines.decoder import Decoder, Shape, load_tensors
from search.engines.tokenizer import CheckpointTokenizer
from search.errors import CheckpointError, RewardError
from search.rewards.protocol import Handle, Reward, RewardUsage, Scored

__all__ = ["SEPARATOR", "ClassifierReward"]

#: stands after each step; the reward is read there
SEPARATOR = "<extra_0>"


@dataclass(frozen=True, slots=True)
class _Head:
    """The score head: Linear, ReLU, Linear to two classes. Weights are [in, out]."""

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor

    def rewards(self, states: Tensor) -> list[float]:
        """Probabilities of the second class from final hidden states [S, hidden]."""
        rows = states if len(states) > 1 else states.expand(2, -1)  # as ``decoder`` has it
        inner = torch.addmm(self.first_bias, rows, self.first).relu_()
        logits = torch.addmm(self.second_bias, inner, self.second)
        return [float(value) for value in logits.softmax(-1)[: len(states), 1].tolist()]


@dataclass(slots=True, eq=False)
class _Task:
    """One call of ``extend``, tokenised."""

    handle: Handle
    steps: tuple[str, ...]
    prompt: tuple[int, ...]
    missing: tuple[tuple[int, ...], ...]  # earlier steps that a handle without state must rescore
    new: tuple[tuple[int, ...], ...]
    done: asyncio.Future[Scored]


class ClassifierReward(Reward):
    """Scores steps with a PRM checkpoint, in this process, on the CPU. Build it with ``load``."""

    def __init__(self, path: str | Path, *, threads: int = 1, prompt_bytes: int = 64 << 20) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        checkpoint = read_checkpoint(path)
        if checkpoint.architecture != "Qwen2ForProcessRewardModel":
            raise CheckpointError(
                f"a classifier reward must be a Qwen2ForProcessRewardModel, got {checkpoint.architecture}"
            )
        tensors = load_tensors(checkpoint)
        self.card = checkpoint.card
        self._tokenizer = CheckpointTokenizer(checkpoint)
        self._separator = self._tokenizer.token(SEPARATOR)
        self._decoder = Decoder(Shape.of(checkpoint.config), tensors, head=False)
        self._head = _read_head(tensors, self._decoder.shape.hidden)
        self._prompts = PrefixStore(prompt_bytes)
        self._worker = ThreadPoolExecutor(1, "classifier-reward", torch.set_num_threads, (threads,))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[_Task] = []
        self._busy = False
        self._closed = False

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 1, prompt_bytes: int = 64 << 20) -> ClassifierReward:
        """Load a PRM's folder.

        Parameters
        ----------
        threads:
            Threads torch computes with.
        prompt_bytes:
            Most memory for keys and values of prompts. Those of steps live in the handles alone.

        Raises
        ------
        CheckpointError
            The folder is missing, damaged, of another family, or its tokenizer lacks the separator.
        """
        return cls(path, threads=threads, prompt_bytes=prompt_bytes)

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        return len(self._tokenizer.prompt(question)), sum(len(self._step(step)) for step in steps)

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        if self._closed:
            raise RewardError("a closed reward scores nothing, got steps")
        if not steps:
            raise RewardError("steps must not be empty, got none")
        prompt = self._tokenizer.prompt(handle.question)
        new = tuple(self._step(step) for step in steps)
        missing: tuple[tuple[int, ...], ...] = ()
        if isinstance(handle.state, Prefix):
            before = handle.state.length
        else:
            missing = tuple(self._step(step) for step in handle.steps)
            before = len(prompt) + sum(map(len, missing))
        total = before + sum(map(len, new))
        if total > self.card.context:
            raise RewardError(f"a prefix must fit into a context of {self.card.context} tokens, got {total}")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # an earlier loop is gone, and with it whoever waited there
            self._loop, self._pending, self._busy = loop, [], False
        task = _Task(handle, tuple(steps), prompt, missing, new, loop.create_future())
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

    def _step(self, step: str) -> tuple[int, ...]:
        return (*self._tokenizer.encode(step), self._separator)

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
                    reason = f"the classifier reward failed: {type(error).__name__}: {error}"
                    task.done.set_exception(RewardError(reason))
            self._flush()

        running.add_done_callback(settle)

    @torch.inference_mode()
    def _score(self, tasks: list[_Task]) -> list[Scored]:
        """All calls at once: the prompts nobody has computed, then the steps. On the worker's thread."""
        prompts, payers = self._compute_prompts(tasks)
        starts = [
            task.handle.state if isinstance(task.handle.state, Prefix) else prompts[task.prompt]
            for task in tasks
        ]
        fed = [[token for step in (*task.missing, *task.new) for token in step] for task in tasks]
        longer, states = extend(self._decoder, starts, fed)
        places: list[int] = []  # of the separators, in all hidden states joined
        offset = 0
        for task in tasks:
            offset += sum(map(len, task.missing))
            for step in task.new:
                offset += len(step)
                places.append(offset - 1)
        read = torch.cat(states)[torch.tensor(places)]
        rewards = self._head.rewards(self._decoder.final(read))
        scored: list[Scored] = []
        first = 0
        for i, task in enumerate(tasks):
            last = first + len(task.new)
            handle = Handle(task.handle.question, (*task.handle.steps, *task.steps), longer[i])
            physical = len(fed[i]) + (len(task.prompt) if i in payers else 0)
            usage = RewardUsage(len(task.prompt), sum(map(len, task.new)), physical)
            scored.append(Scored(tuple(rewards[first:last]), handle, usage))
            first = last
        return scored

    def _compute_prompts(self, tasks: list[_Task]) -> tuple[dict[tuple[int, ...], Prefix], set[int]]:
        """Prefixes of the prompts that tasks without state begin with, and which tasks pay for them."""
        found: dict[tuple[int, ...], Prefix] = {}
        payers: dict[tuple[int, ...], int] = {}
        for i, task in enumerate(tasks):
            if isinstance(task.handle.state, Prefix) or task.prompt in found or task.prompt in payers:
                continue
            known = self._prompts.longest(task.prompt)
            if known is not None and known.length == len(task.prompt):
                found[task.prompt] = known
            else:
                payers[task.prompt] = i
        if payers:
            computed, _ = extend(self._decoder, [None] * len(payers), list(payers))
            for prompt, prefix in zip(payers, computed, strict=True):
                found[prompt] = prefix
                self._prompts.put(prompt, prefix)
        return found, set(payers.values())


def _read_head(tensors: dict[str, Tensor], hidden: int) -> _Head:
    sizes = {
        "score.0.weight": (hidden, hidden),
        "score.0.bias": (hidden,),
        "score.2.weight": (2, hidden),
        "score.2.bias": (2,),
    }
    for name, size in sizes.items():
        if name not in tensors:
            raise CheckpointError(f"the weights must hold {name}, got none")
        if tuple(tensors[name].shape) != size:
            raise CheckpointError(f"{name} must have shape {size}, got {tuple(tensors[name].shape)}")
    first, first_bias, second, second_bias = (tensors[name].float() for name in sizes)
    return _Head(first.t().contiguous(), first_bias, second.t().contiguous(), second_bias)
