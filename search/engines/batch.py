"""The batch: all rows in flight, advanced together by one token a step (continuous batching).

Finished rows leave, waiting ones join; rows are kept dense by moving the last one into the gap.
Runs on one thread and knows nothing of threads, event loops and who listens: ``advance`` returns
the events it made. Per-row Python is spent on rows that begin, end or stream, not on steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.engines.attention import join
from search.engines.cache import Prefix, PrefixStore, extend, grown
from search.engines.confidence import UNKNOWN, reduce
from search.engines.decoder import Decoder
from search.engines.protocol import (
    ChildFinished,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Tokens,
    Usage,
)
from search.engines.sampler import draw, uniforms
from search.engines.sequence_cache import SequenceCache
from search.engines.shared_prefix_cache import SharedPrefixCache
from search.engines.thinking import Shown, opens, settled
from search.engines.tokenizer import CHECK, END, GO_ON, STOP, CheckpointTokenizer
from search.seeds import seed_of

__all__ = ["Batch", "Job"]

#: distinct sets of stop strings remembered
_STOP_SETS = 64
#: tokens of a prompt's end in which the opening of a thought would stand
_TAIL = 16


@dataclass(slots=True, eq=False)
class Job:
    """A request in flight."""

    request: Request
    waiting: deque[int] = field(init=False)
    open: set[int] = field(init=False)
    prefix: Prefix | None = None
    prefix_number: int | None = None
    cached: int = 0
    generated: int = 0
    opens: bool = False  # whether the prompt ends inside a thought

    def __post_init__(self) -> None:
        self.waiting = deque(range(self.request.n))
        self.open = set(range(self.request.n))


@dataclass(slots=True, eq=False)
class _Row:
    job: Job
    child: int
    shown: Shown  # what has been streamed


class Batch:
    """Rows in flight and the queue before them.

    Parameters
    ----------
    max_rows:
        Most rows at a time; further children wait, in the order of submission.
    store:
        Prefixes computed before. Prompts and children that ended with a stop string enter it, so
        that a tree search which grows them by a step prefills nothing.
    """

    def __init__(
        self, decoder: Decoder, tokenizer: CheckpointTokenizer, store: PrefixStore, max_rows: int
    ) -> None:
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._store = store
        self._max_rows = max_rows
        self._jobs: list[Job] = []
        self._rows: list[_Row] = []
        self._prefix_cache = SharedPrefixCache(decoder.shape)
        self._sequence_cache = SequenceCache(decoder.shape, max_rows)
        self._stop_sets: dict[tuple[str, ...], int] = {}
        self._meanings = np.zeros((0, decoder.shape.vocabulary), dtype=np.uint8)
        size = max_rows
        self._prefix_numbers = np.zeros(size, dtype=np.int64)
        self._token = np.zeros(size, dtype=np.int64)  # to be fed next
        self._position = np.zeros(size, dtype=np.int64)  # of the token to be fed next
        self._written = np.zeros(size, dtype=np.int64)  # tokens generated
        self._limit = np.zeros(size, dtype=np.int64)
        self._key = np.zeros(size, dtype=np.uint64)
        self._temperature = np.zeros(size, dtype=np.float32)
        self._top_p = np.zeros(size, dtype=np.float64)
        self._top_k = np.zeros(size, dtype=np.int64)
        self._stop_set = np.zeros(size, dtype=np.int64)
        self._tokens = np.zeros((size, 64), dtype=np.int64)
        self._logprobs = np.zeros((size, 64), dtype=np.float32)
        # entropy and confidence of each token; no rows until somebody asks for them
        self._sureness = np.zeros((size, 0, 2), dtype=np.float32)

    @property
    def busy(self) -> bool:
        """Whether any child runs or waits."""
        return bool(self._jobs)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Everything in flight, in the order of submission."""
        return tuple(self._jobs)

    def add(self, job: Job) -> None:
        """Queue the children of a request."""
        job.opens = opens(self._tokenizer.decode(job.request.prompt[-_TAIL:]))
        self._jobs.append(job)

    def cancel(self, job: Job, child: int | None) -> list[tuple[Job, Event]]:
        """Stop one child or all of a job's; those that have ended already are no error."""
        events: list[tuple[Job, Event]] = []
        for i in sorted(job.open if child is None else job.open & {child}):
            if i in job.waiting:
                job.waiting.remove(i)
                self._end(job, ChildFinished(i, "", (), (), FinishReason.CANCELLED), events)
        stopped = [
            slot
            for slot, row in enumerate(self._rows)
            if row.job is job and (child is None or row.child == child)
        ]
        for slot in stopped:
            self._finish(slot, FinishReason.CANCELLED, events)
        self._remove(stopped)
        return events

    def read(self, asked: Sequence[tuple[tuple[int, ...], int]]) -> list[tuple[tuple[float, ...], int]]:
        """How likely sequences are that nobody wrote: for each (tokens, start) the logprobs from there on,
        and the tokens before that were known. What is computed is kept for prompts that go on from it."""
        known = [self._store.longest(tokens[: start - 1]) for tokens, start in asked]
        lengths = [0 if prefix is None else prefix.length for prefix in known]
        rest = [tokens[length:-1] for (tokens, _), length in zip(asked, lengths, strict=True)]
        longer, states = extend(self._decoder, known, rest)
        found = []
        for (tokens, start), length, prefix, rows in zip(asked, lengths, longer, states, strict=True):
            self._store.put(tokens[:-1], prefix)
            logprobs = self._decoder.logits(rows[start - 1 - length :]).log_softmax(-1)
            chosen = logprobs.gather(1, torch.tensor(tokens[start:])[:, None])[:, 0]
            found.append((tuple(chosen.tolist()), length))
        return found

    def advance(self) -> list[tuple[Job, Event]]:
        """Admit what fits, then write one token in every row."""
        self._admit()
        count = len(self._rows)
        if not count:
            return []
        logits = self._forward(count)
        tokens = draw(
            logits,
            self._temperature[:count],
            self._top_p[:count],
            self._top_k[:count],
            uniforms(self._key[:count], self._written[:count]),
        )
        written = self._written[:count]
        if int(written.max()) >= self._tokens.shape[1]:
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)], 1)
            self._logprobs = np.concatenate([self._logprobs, np.zeros_like(self._logprobs)], 1)
        every = np.arange(count)
        if any(job.request.logprobs for job in self._jobs):
            chosen = logits.log_softmax(-1).gather(1, tokens[:, None])
            self._logprobs[every, written] = chosen[:, 0].numpy()
        self._weigh(logits, every, written)
        ids = tokens.numpy()
        self._tokens[every, written] = ids
        self._token[:count] = ids
        self._position[:count] += 1
        written += 1
        return self._settle(count)

    def _weigh(self, logits: Tensor, every: NDArray[np.int64], written: NDArray[np.int64]) -> None:
        """Entropy and confidence of this step's tokens, where a request asks for candidates."""
        most = max(job.request.top_logprobs for job in self._jobs)
        if not most:
            return
        missing = self._tokens.shape[1] - self._sureness.shape[1]
        if missing:
            self._sureness = np.pad(self._sureness, ((0, 0), (0, missing), (0, 0)))
        top = logits.log_softmax(-1).topk(min(most, logits.shape[1]), dim=-1).values.double().numpy()
        kept = np.minimum([row.job.request.top_logprobs for row in self._rows], top.shape[1])
        wanted = np.arange(top.shape[1])[None] < kept[:, None]
        entropy = -(np.exp(top) * top * wanted).sum(1)
        confidence = -(top * wanted).sum(1) / np.maximum(kept, 1)
        self._sureness[every, written] = np.stack([np.maximum(entropy, 0.0), confidence], 1)

    def _settle(self, count: int) -> list[tuple[Job, Event]]:
        """Stream, find the rows that have ended, say so and drop them."""
        meanings = self._meanings[self._stop_set[:count], self._token[:count]]
        full = self._written[:count] >= self._limit[:count]
        events: list[tuple[Job, Event]] = []
        if any(job.request.stream for job in self._jobs):
            for slot, row in enumerate(self._rows):
                if row.job.request.stream:
                    last = bool(full[slot]) or int(meanings[slot]) != GO_ON
                    events.append((row.job, self._stream(slot, row, last)))
        ended: list[int] = []
        for slot in np.flatnonzero((meanings != GO_ON) | full).tolist():
            reason = self._reason(slot, int(meanings[slot]))
            if reason is None and full[slot]:
                reason = FinishReason.LENGTH
            if reason is not None:
                self._finish(slot, reason, events)
                ended.append(slot)
        self._remove(ended)
        return events

    def _reason(self, slot: int, meaning: int) -> str | None:
        if meaning == END:
            return FinishReason.END
        if meaning == STOP:
            return FinishReason.STOP
        if meaning == CHECK:
            text = self._tokenizer.decode(self._tokens[slot, : self._written[slot]].tolist())
            if any(stop in text for stop in self._rows[slot].job.request.stop):
                return FinishReason.STOP
        return None

    def _stream(self, slot: int, row: _Row, maybe_last: bool) -> Tokens:
        text = self._tokenizer.decode(self._tokens[slot, : self._written[slot]].tolist())
        # half a character: wait for the rest
        is_half = not maybe_last and text.endswith("\N{REPLACEMENT CHARACTER}")
        new = "" if is_half else row.shown.new(text, maybe_last)
        return Tokens(row.child, new, (int(self._token[slot]),))

    def _finish(self, slot: int, reason: str, events: list[tuple[Job, Event]]) -> None:
        row = self._rows[slot]
        written = int(self._written[slot])
        ids = tuple(self._tokens[slot, :written].tolist())
        logprobs: tuple[float, ...] = ()
        if row.job.request.logprobs:
            logprobs = tuple(self._logprobs[slot, :written].tolist())
        sure = UNKNOWN
        if row.job.request.top_logprobs and written:
            sure = reduce([(float(e), float(c)) for e, c in self._sureness[slot, :written]])
        if reason == FinishReason.STOP:
            # the last token was never fed, so its keys and values are not there
            known = row.job.request.prompt + ids[:-1]
            self._store.put(known, grown(row.job.prefix, *self._sequence_cache.take(slot, written)))
        row.job.generated += written
        text = self._tokenizer.decode(ids)
        ended = ChildFinished(
            row.child,
            text,
            ids,
            logprobs,
            reason,
            mean_entropy=sure.mean_entropy,
            mean_confidence=sure.mean_confidence,
            lowest_confidence=sure.lowest_confidence,
        )
        self._end(row.job, settled(ended, row.job.opens, self._tokenizer.decode), events)

    def _end(self, job: Job, event: ChildFinished, events: list[tuple[Job, Event]]) -> None:
        events.append((job, event))
        job.open.discard(event.child)
        if not job.open:
            self._jobs.remove(job)
            if job.prefix_number is not None:
                self._prefix_cache.drop(job.prefix_number)
            events.append((job, RequestFinished(Usage(len(job.request.prompt), job.cached, job.generated))))

    def _forward(self, count: int) -> Tensor:
        shared = self._prefix_cache.attend(self._prefix_numbers[:count])
        own = self._sequence_cache.attend(self._written[:count])

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return join(shared(layer, q), own(layer, q, k, v)).view(count, -1)

        fed, at = torch.from_numpy(self._token[:count]), torch.from_numpy(self._position[:count])
        return self._decoder.logits(self._decoder.forward(fed, at, attend))

    def _admit(self) -> None:
        free = self._max_rows - len(self._rows)
        chosen: list[tuple[Job, int]] = []
        for job in self._jobs:
            while job.waiting and len(chosen) < free:
                chosen.append((job, job.waiting.popleft()))
            if len(chosen) == free:
                break
        self._prefill(job for job, _ in chosen if job.prefix_number is None)
        self._sequence_cache.append(len(chosen))
        for job, child in chosen:
            self._start(job, child)

    def _prefill(self, jobs: Iterable[Job]) -> None:
        """Everything of each prompt but its last token, which the children feed themselves."""
        missing: dict[tuple[int, ...], Prefix | None] = {}
        fresh = {id(job): job for job in jobs}.values()
        for job in fresh:
            known = job.request.prompt[:-1]
            if known in missing:
                job.cached = len(known)
            elif known:
                job.prefix = self._store.longest(known)
                job.cached = job.prefix.length if job.prefix is not None else 0
                if job.cached < len(known):
                    missing[known] = job.prefix
        if missing:
            rest = [known[prefix.length if prefix else 0 :] for known, prefix in missing.items()]
            computed, _ = extend(self._decoder, list(missing.values()), rest)
            found = dict(zip(missing, computed, strict=True))
            for known, prefix in found.items():
                self._store.put(known, prefix)
            for job in fresh:
                job.prefix = found.get(job.request.prompt[:-1], job.prefix)
        for job in fresh:
            job.prefix_number = self._prefix_cache.add(job.prefix, job.request.n)

    def _start(self, job: Job, child: int) -> None:
        slot, request = len(self._rows), job.request
        self._rows.append(_Row(job, child, Shown(job.opens)))
        assert job.prefix_number is not None  # it has been prefilled
        self._prefix_numbers[slot] = job.prefix_number
        self._token[slot] = request.prompt[-1]
        self._position[slot] = len(request.prompt) - 1
        self._written[slot] = 0
        self._limit[slot] = min(request.max_tokens, self._decoder.shape.context - len(request.prompt))
        self._key[slot] = seed_of(request.seed, child)
        self._temperature[slot] = request.sampling.temperature
        self._top_p[slot] = request.sampling.top_p
        self._top_k[slot] = request.sampling.top_k
        self._stop_set[slot] = self._stops(request.stop)

    def _stops(self, stop: tuple[str, ...]) -> int:
        known = self._stop_sets.get(stop)
        if known is not None:
            return known
        if len(self._stop_sets) >= _STOP_SETS and len(self._rows) == 1:  # only the row being started
            self._stop_sets.clear()
            self._meanings = self._meanings[:0]
        self._stop_sets[stop] = len(self._meanings)
        self._meanings = np.concatenate([self._meanings, self._tokenizer.meaning(stop)[None]])
        return self._stop_sets[stop]

    def _remove(self, slots: list[int]) -> None:
        """Drop rows; the others close the gaps."""
        if not slots:
            return
        order = self._sequence_cache.drop(slots)
        self._rows = [self._rows[slot] for slot in order]
        count = len(order)
        for column in (
            self._prefix_numbers,
            self._token,
            self._position,
            self._written,
            self._limit,
            self._key,
            self._temperature,
            self._top_p,
            self._top_k,
            self._stop_set,
            self._tokens,
            self._logprobs,
            self._sureness,
        ):
            column[:count] = column[order]
