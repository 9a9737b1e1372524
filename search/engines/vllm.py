"""The vLLM engine: a checkpoint folder served in process by vLLM's asynchronous engine.

No barrier between requests: each is a task of its own, vLLM batches whatever is there. Prompts go in as
token ids, the children of a request as one vLLM request, and blocks of earlier prompts and children are
cached, so that a tree search which grows a prefix prefills at most its last block.

Seeds: child i is drawn with vLLM's seed hash(request seed) + i. vLLM promises equal tokens for equal
seeds only as far as its floats do not depend on what shares a batch. Usage: ``cached_prompt_tokens`` is
that of the child which prefilled first; blocks that its siblings then share are not counted again.

Text is decoded here, as the embedded engine does it, so equal tokens are equal text.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from search.checkpoint import Checkpoint, read_checkpoint
from search.engines.confidence import of_token, reduce
from search.engines.protocol import (
    ChildFinished,
    Engine,
    Event,
    FinishReason,
    PromptLogprobs,
    Request,
    RequestFinished,
    Tokens,
    Usage,
    check_span,
)
from search.engines.stream import Arrivals, EventStream, deliver
from search.engines.thinking import Shown, opens, settled
from search.engines.tokenizer import CheckpointTokenizer
from search.engines.vllm_host import VllmHost
from search.engines.vllm_sampling import parameters, stops_of
from search.errors import CheckpointError, ContextError, EngineError

__all__ = ["VllmEngine"]

#: tokens of a prompt's end in which the opening of a thought would stand
_TAIL = 16
_reads = count()


class VllmEngine(Engine):
    """Decodes a causal language model by vLLM. Build it with ``load``."""

    tells_prompts = True
    #: engine arguments of vLLM that this engine depends on
    CHOSEN: ClassVar[Mapping[str, Any]] = {"runner": "generate", "enable_prefix_caching": True}

    def __init__(self, checkpoint: Checkpoint, tokenizer: CheckpointTokenizer, host: VllmHost) -> None:
        self.card = replace(checkpoint.card, context=min(checkpoint.context, host.context))
        self.concurrency = host.concurrency
        self._vocabulary = int(checkpoint.config["vocab_size"])
        self._tokenizer = tokenizer
        self._host = host
        self._stops = lru_cache(maxsize=64)(lambda stop: stops_of(tokenizer, stop))
        self._flights: dict[str, _Flight] = {}
        self._closed = False
        # an engine that is merely forgotten ends vLLM's processes too, also when this process ends
        self._finalizer = weakref.finalize(self, host.stop)

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> VllmEngine:
        """Load a policy's folder; takes as long as vLLM does (tens of seconds).

        Parameters
        ----------
        options:
            Engine arguments of vLLM by their names in Python: ``tensor_parallel_size=2``,
            ``gpu_memory_utilization=0.8``, ``max_num_seqs=512``. Where nothing is said, floats are those
            of the checkpoint and, on a CPU, blocks hold 32 tokens and models run eagerly.

        Raises
        ------
        CheckpointError
            The folder is missing, damaged, or holds no policy.
        MissingExtraError
            vLLM is not installed.
        EngineError
            An option is unknown, or vLLM does not start.
        """
        checkpoint = read_checkpoint(path)
        if not checkpoint.architecture.endswith("ForCausalLM"):
            raise CheckpointError(f"a policy must be a causal language model, got {checkpoint.architecture}")
        tokenizer = CheckpointTokenizer(checkpoint)
        host = VllmHost.start(checkpoint, options, **cls.CHOSEN)
        return cls(checkpoint, tokenizer, host)

    @property
    def backend(self) -> str:
        return f"VllmEngine, vLLM {self._host.version}"

    def prompt(self, question: str) -> tuple[int, ...]:
        ids = self._tokenizer.prompt(question)
        self._check_length(ids)
        return ids

    def written(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode(text)

    async def prompt_logprobs(self, tokens: tuple[int, ...], start: int) -> PromptLogprobs:
        """vLLM reads the whole anew, its cache of prefixes left aside, and writes a token along the way."""
        if self._closed:
            raise EngineError("a closed engine takes no requests, got one")
        check_span(tokens, start, self.card.context - 1)
        if min(tokens) < 0 or max(tokens) >= self._vocabulary:
            raise EngineError(f"prompt token ids must be in [0, {self._vocabulary}), got {tokens}")
        return await asyncio.wrap_future(self._host.run(self._read(tokens, start)))

    def submit(self, request: Request) -> AsyncIterator[Event]:
        if self._closed:
            raise EngineError("a closed engine takes no requests, got one")
        self._check_length(request.prompt)
        if min(request.prompt) < 0 or max(request.prompt) >= self._vocabulary:
            raise EngineError(f"prompt token ids must be in [0, {self._vocabulary}), got {request.prompt}")
        if "" in request.stop:
            raise EngineError("a stop string cannot be empty, got ''")
        if request.request_id in self._flights:
            raise EngineError(f"a request id is used once at a time, got {request.request_id!r} twice")
        room = self.card.context - len(request.prompt)
        wanted = parameters(request, self._stops(request.stop), room)
        stream = EventStream(lambda: self._host.post(self._stop, request.request_id, None))
        flight = _Flight(request, self._tokenizer, asyncio.get_running_loop(), stream.arrived)
        self._flights[request.request_id] = flight
        self._host.run(self._fly(flight, wanted))
        return stream

    def continuation(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode(text)

    def spelled(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(tokens)

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        self._host.post(self._stop, request_id, child)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.wrap_future(self._host.run(self._stop_all()))
        await asyncio.to_thread(self._finalizer)

    def _check_length(self, prompt: tuple[int, ...]) -> None:
        if len(prompt) >= self.card.context:
            raise ContextError(
                f"a prompt must leave room for one token in a context of {self.card.context},"
                f" got {len(prompt)} tokens"
            )

    # -- on the host's loop ---------------------------------------------------------------------

    async def _fly(self, flight: _Flight, wanted: Any) -> None:
        """One request, from vLLM's first word to its last."""
        from vllm.inputs.engine import tokens_input

        request = flight.request
        flight.task = asyncio.current_task()
        try:
            prompt = tokens_input(list(request.prompt))
            flight.queue = await self._host.llm.add_request(request.request_id, prompt, wanted)
            for child in flight.unwanted:
                await self._abort(flight, child)
            while flight.open:
                events = flight.take(flight.queue.get_nowait() or await flight.queue.get())
                if not flight.open:  # whoever hears of the end may use the id again
                    del self._flights[request.request_id]
                flight.tell(events)
        except asyncio.CancelledError:  # the host was stopped
            flight.tell(flight.give_up())
        except Exception as error:
            flight.tell([EngineError(f"vLLM failed: {type(error).__name__}: {error}")])
        finally:
            if self._flights.get(request.request_id) is flight:
                del self._flights[request.request_id]

    async def _read(self, tokens: tuple[int, ...], start: int) -> PromptLogprobs:
        from vllm.inputs.engine import tokens_input
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        wanted = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            prompt_logprobs=0,  # of each token itself, and of no others
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_clone=True,
        )
        try:
            prompt = tokens_input(list(tokens))
            async for output in self._host.llm.generate(prompt, wanted, f"prompt-{next(_reads)}"):
                rows, cached = output.prompt_logprobs, int(output.num_cached_tokens or 0)
            told = zip(tokens[start:], rows[start:], strict=True)
            values = tuple(float(row[token].logprob) for token, row in told)
        except Exception as error:
            raise EngineError(f"vLLM failed: {type(error).__name__}: {error}") from error
        return PromptLogprobs(values, Usage(len(tokens), cached, 1))

    def _stop(self, request_id: str, child: int | None) -> None:
        flight = self._flights.get(request_id)
        if flight is None:
            return
        if flight.queue is None:
            flight.unwanted.append(child)
        else:
            flight.aborting = asyncio.ensure_future(self._abort(flight, child))

    async def _abort(self, flight: _Flight, child: int | None) -> None:
        await self._host.llm.abort(flight.names(child), internal=True)

    async def _stop_all(self) -> None:
        tasks = [flight.task for flight in self._flights.values() if flight.task is not None]
        for request_id in list(self._flights):
            self._stop(request_id, None)
        if tasks:
            await asyncio.wait(tasks)


@dataclass(slots=True)
class _Child:
    """What vLLM has told of a child so far."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    sureness: list[tuple[float, float] | None] = field(default_factory=list)  # entropy, confidence
    shown: Shown = field(default_factory=Shown)  # what has been streamed


@dataclass(slots=True, eq=False)
class _Flight:
    """A request in flight. ``unwanted``: children cancelled before vLLM had the request."""

    request: Request
    tokenizer: CheckpointTokenizer
    loop: asyncio.AbstractEventLoop
    arrived: Arrivals
    queue: Any = None  # vLLM's RequestOutputCollector
    unwanted: list[int | None] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    aborting: asyncio.Future[None] | None = None  # kept, or the loop might forget it
    cached: int | None = None
    generated: int = 0
    open: dict[int, _Child] = field(init=False)
    opens: bool = field(init=False)  # whether the prompt ends inside a thought

    def __post_init__(self) -> None:
        self.opens = opens(self.tokenizer.decode(self.request.prompt[-_TAIL:]))
        self.open = {i: _Child(shown=Shown(self.opens)) for i in range(self.request.n)}

    def names(self, child: int | None) -> list[str]:
        """vLLM's own names of the children that are still open: those of one child, or of all."""
        asked = [i for i in self.open if child is None or i == child]
        if self.request.n == 1:
            return [self.queue.request_id for _ in asked]
        return [f"{i}_{self.queue.request_id}" for i in asked]

    def tell(self, events: list[Event | EngineError]) -> None:
        if events:
            deliver(self.loop, [(self.arrived, event) for event in events])

    def take(self, output: Any) -> list[Event | EngineError]:
        """The events in one ``RequestOutput``."""
        found = int(output.num_cached_tokens or 0)
        self.cached = found if self.cached is None else min(self.cached, found)
        events: list[Event | EngineError] = []
        for part in output.outputs:
            child = self.open.get(part.index)
            if child is None:
                continue
            new = list(part.token_ids)
            child.tokens += new
            if self.request.logprobs:
                child.logprobs += [
                    position[token].logprob for token, position in zip(new, part.logprobs or (), strict=True)
                ]
            if self.request.top_logprobs:
                child.sureness += [
                    of_token([one.logprob for one in position.values()], self.request.top_logprobs)
                    for position in part.logprobs or ()
                ]
            if self.request.stream and new:
                events.append(self._stream(part.index, child, tuple(new), part.finish_reason is not None))
            if part.finish_reason is not None:
                events += self._finish(part.index, self._reason(child, part.finish_reason))
        return events

    def give_up(self) -> list[Event | EngineError]:
        """The end of children that vLLM will tell nothing more of."""
        return [event for i in list(self.open) for event in self._finish(i, FinishReason.CANCELLED)]

    def _finish(self, index: int, reason: str) -> list[Event | EngineError]:
        child = self.open.pop(index)
        self.generated += len(child.tokens)
        text = self.tokenizer.decode(child.tokens)
        sure = reduce(child.sureness)
        ended = ChildFinished(
            index,
            text,
            tuple(child.tokens),
            tuple(child.logprobs),
            reason,
            mean_entropy=sure.mean_entropy,
            mean_confidence=sure.mean_confidence,
            lowest_confidence=sure.lowest_confidence,
        )
        ended = settled(ended, self.opens, self.tokenizer.decode)
        if self.open:
            return [ended]
        usage = Usage(len(self.request.prompt), self.cached or 0, self.generated)
        return [ended, RequestFinished(usage)]

    def _reason(self, child: _Child, said: str) -> str:
        if said == "abort":
            return FinishReason.CANCELLED
        if child.tokens and child.tokens[-1] in self.tokenizer.ends:
            return FinishReason.END
        return FinishReason.STOP if said == "stop" else FinishReason.LENGTH

    def _stream(self, index: int, child: _Child, new: tuple[int, ...], last: bool) -> Tokens:
        text = self.tokenizer.decode(child.tokens)
        if not last and text.endswith("\N{REPLACEMENT CHARACTER}"):
            return Tokens(index, "", new)  # half a character: wait for the rest
        return Tokens(index, child.shown.new(text, last), new)
