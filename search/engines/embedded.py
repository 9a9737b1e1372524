"""The embedded engine: a checkpoint folder decoded in this process by torch, on the CPU.

All children of all requests in flight advance together. One prefill serves the n children of a prompt,
who also share its keys and values (``shared_prefix_cache``) and have only their own tokens to themselves
(``sequence_cache``). Tree searches, whose prompts are earlier ones grown by a step, prefill next to nothing.

Seeds: child i's uniform numbers are a hash of (request seed, i, token index), whatever shares the
batch. Bits: on MKL with AVX-512 and one thread a row's logits do not depend on its neighbours
either (a test holds that), so the same request gives the same bits under any traffic. One thing is
left: a grown prompt whose keys the store has dropped meanwhile is computed anew, equal to what was
dropped up to rounding only. Elsewhere float results may depend on what shares a batch: then the same
group of requests, submitted within one turn of the event loop to an idle engine, gives the same bits
on each run, since such a group is admitted together, in the order of submission.

``threads`` is torch's own number of threads, which is one for the whole process.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from search.checkpoint import Checkpoint, read_checkpoint
from search.engines.batch import Batch, Job
from search.engines.cache import PrefixStore
from search.engines.decoder import Decoder
from search.engines.protocol import (
    Engine,
    Event,
    PromptLogprobs,
    Request,
    RequestFinished,
    Usage,
    check_span,
)
from search.engines.stream import Arrivals, EventStream, deliver
from search.engines.tokenizer import CheckpointTokenizer
from search.errors import CheckpointError, ContextError, EngineError

__all__ = ["EmbeddedEngine"]


class EmbeddedEngine(Engine):
    """Decodes a Qwen2 or Llama checkpoint. Build it with ``load``."""

    equal_bits = True
    tells_prompts = True

    def __init__(
        self, checkpoint: Checkpoint, decoder: Decoder, tokenizer: CheckpointTokenizer, worker: _Worker
    ) -> None:
        self.card = checkpoint.card
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._worker = worker
        self._pending: list[_Submit] = []
        self._pending_loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        # an engine that is merely forgotten ends its thread too, also when the process ends: a thread
        # that is inside torch while the interpreter goes down would abort the process
        self._finalizer = weakref.finalize(self, worker.stop)

    @classmethod
    def load(
        cls, path: str | Path, *, threads: int = 1, max_rows: int = 1024, prefix_bytes: int = 256 << 20
    ) -> EmbeddedEngine:
        """Load a policy's folder and start the worker thread.

        Parameters
        ----------
        threads:
            Threads torch computes with.
        max_rows:
            Most children decoded at a time; more wait.
        prefix_bytes:
            Most memory for keys and values of prompts and steps that may be needed again.

        Raises
        ------
        CheckpointError
            The folder is missing, damaged, or holds no policy this engine can decode.
        """
        for name, value in (("threads", threads), ("max_rows", max_rows)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        checkpoint = read_checkpoint(path)
        if not checkpoint.architecture.endswith("ForCausalLM"):
            raise CheckpointError(f"a policy must be a causal language model, got {checkpoint.architecture}")
        tokenizer = CheckpointTokenizer(checkpoint)
        decoder = Decoder.load(checkpoint)
        worker = _Worker(lambda: Batch(decoder, tokenizer, PrefixStore(prefix_bytes), max_rows), threads)
        return cls(checkpoint, decoder, tokenizer, worker)

    @property
    def decoder(self) -> Decoder:
        """The weights, to be read: a head on this policy's states computes with them."""
        return self._decoder

    def prompt(self, question: str) -> tuple[int, ...]:
        ids = self._tokenizer.prompt(question)
        self._check_length(ids)
        return ids

    def written(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode(text)

    async def prompt_logprobs(self, tokens: tuple[int, ...], start: int) -> PromptLogprobs:
        """Exact; keys and values of what was read or written before are used again."""
        if self._closed:
            raise EngineError("a closed engine takes no requests, got one")
        check_span(tokens, start, self.card.context)
        self._check_ids(tokens)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[tuple[float, ...], int]] = loop.create_future()
        self._worker.inbox.put(_Read(tokens, start, loop, done))
        values, cached = await done
        return PromptLogprobs(values, Usage(len(tokens), cached, 0))

    def submit(self, request: Request) -> AsyncIterator[Event]:
        if self._closed:
            raise EngineError("a closed engine takes no requests, got one")
        self._check_length(request.prompt)
        self._check_ids(request.prompt)
        if "" in request.stop:
            raise EngineError("a stop string cannot be empty, got ''")
        loop = asyncio.get_running_loop()
        inbox, request_id = self._worker.inbox, request.request_id
        stream = EventStream(lambda: inbox.put(_Cancel(request_id, None)))
        if self._pending_loop is not loop:
            self._flush()  # of a loop that may be gone
            self._pending_loop = loop
        if not self._pending:
            # requests of the same turn of the loop are handed over, and so admitted, together
            loop.call_soon(self._flush)
        self._pending.append(_Submit(Job(request), loop, weakref.ref(stream), stream.arrived))
        return stream

    def continuation(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode(text)

    def spelled(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(tokens)

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        self._flush()
        self._worker.inbox.put(_Cancel(request_id, child))

    async def close(self) -> None:
        self._closed = True
        self._flush()
        await asyncio.to_thread(self._finalizer)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        if pending:
            self._worker.inbox.put(pending)

    def _check_ids(self, tokens: tuple[int, ...]) -> None:
        vocabulary = self._decoder.shape.vocabulary
        if min(tokens) < 0 or max(tokens) >= vocabulary:
            raise EngineError(f"prompt token ids must be in [0, {vocabulary}), got {tokens}")

    def _check_length(self, prompt: tuple[int, ...]) -> None:
        if len(prompt) >= self.card.context:
            raise ContextError(
                f"a prompt must leave room for one token in a context of {self.card.context},"
                f" got {len(prompt)} tokens"
            )


@dataclass(frozen=True, slots=True)
class _Submit:
    job: Job
    loop: asyncio.AbstractEventLoop
    stream: weakref.ref[EventStream]
    arrived: Arrivals


@dataclass(frozen=True, slots=True)
class _Cancel:
    request_id: str
    child: int | None


@dataclass(frozen=True, slots=True)
class _Read:
    """A sequence whose logprobs are asked for."""

    tokens: tuple[int, ...]
    start: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[tuple[tuple[float, ...], int]]

    def end(self, found: tuple[tuple[float, ...], int] | EngineError) -> None:
        """Tell whoever waits, if anybody still does. From any thread."""

        def settle() -> None:
            if self.done.done():
                return
            if isinstance(found, EngineError):
                self.done.set_exception(found)
            else:
                self.done.set_result(found)

        if not self.loop.is_closed():
            try:
                self.loop.call_soon_threadsafe(settle)
            except RuntimeError:  # the loop closed in between: nobody listens
                return


@dataclass(frozen=True, slots=True)
class _Close:
    pass


_Command = list[_Submit] | _Cancel | _Read | _Close


class _Worker:
    """The thread that computes. Commands come in by ``inbox``; events go out through the loops."""

    def __init__(self, batch: Callable[[], Batch], threads: int) -> None:
        self.inbox: queue.SimpleQueue[_Command] = queue.SimpleQueue()
        self._make = batch
        self._threads = threads
        self._flights: dict[str, _Submit] = {}
        self._reads: list[_Read] = []
        self._thread = threading.Thread(target=self._run, name="embedded-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the step it is in, and wait for that."""
        self.inbox.put(_Close())
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        batch = self._make()
        with torch.inference_mode():
            while True:
                try:
                    if not self._turn(batch):
                        return
                except Exception as error:  # nobody may wait for ever: everyone hears of it
                    self._fail(EngineError(f"the embedded engine failed: {type(error).__name__}: {error}"))
                    batch = self._make()

    def _turn(self, batch: Batch) -> bool:
        """Take the commands that wait, or wait for one when idle; then one step."""
        while not batch.busy or not self.inbox.empty():
            if self._reads and self.inbox.empty():
                self._read(batch)
            command = self.inbox.get()
            if isinstance(command, _Close):
                for job in batch.jobs:
                    self._post(batch.cancel(job, None))
                self._fail_reads(EngineError("a closed engine takes no requests, got one"))
                return False
            if isinstance(command, _Cancel):
                flight = self._flights.get(command.request_id)
                if flight is not None:
                    self._post(batch.cancel(flight.job, command.child))
            elif isinstance(command, _Read):
                self._reads.append(command)
            else:
                self._take(batch, command)
        self._read(batch)
        self._post(batch.advance())
        return True

    def _read(self, batch: Batch) -> None:
        """Read all sequences that wait, together."""
        reads = [one for one in self._reads if not one.done.done()]
        if reads:
            found = batch.read([(one.tokens, one.start) for one in reads])
            for one, told in zip(reads, found, strict=True):
                one.end(told)
        self._reads = []

    def _take(self, batch: Batch, submits: list[_Submit]) -> None:
        for submit in submits:
            request_id = submit.job.request.request_id
            if request_id in self._flights:
                error = EngineError(f"a request id is used once at a time, got {request_id!r} twice")
                deliver(submit.loop, [(submit.arrived, error)])
            elif submit.stream() is not None:
                self._flights[request_id] = submit
                batch.add(submit.job)

    def _post(self, events: list[tuple[Job, Event]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Arrivals, Event]]] = {}
        for job, event in events:
            flight = self._flights[job.request.request_id]
            by_loop.setdefault(flight.loop, []).append((flight.arrived, event))
            if isinstance(event, RequestFinished):
                del self._flights[job.request.request_id]
        for loop, arrived in by_loop.items():
            deliver(loop, arrived)

    def _fail_reads(self, error: EngineError) -> None:
        reads, self._reads = self._reads, []
        for one in reads:
            one.end(error)

    def _fail(self, error: EngineError) -> None:
        self._fail_reads(error)
        flights, self._flights = self._flights, {}
        for flight in flights.values():
            deliver(flight.loop, [(flight.arrived, error)])
