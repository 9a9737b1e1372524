"""The OpenAI engine: a policy behind any OpenAI-compatible server, ``vllm serve`` first.

    engine = OpenAIEngine.connect("http://127.0.0.1:8000", tokenizer="Llama-3.2-1B-Instruct")

Logprobs are those of the untempered model if the server's are: vLLM's are under its default,
``--logprobs-mode raw_logprobs``. Seeds: vLLM gives child i the seed + i, and the same request gives the same
tokens as long as floating-point results do not depend on what shares a batch; other servers promise less.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import AsyncIterator
from pathlib import Path

from search.cards import ModelCard
from search.checkpoint import read_checkpoint
from search.engines.openai.chat import ChatCompletions
from search.engines.openai.completions import TextCompletions, TokenCompletions
from search.engines.openai.dialect import Dialect
from search.engines.openai.flight import Flight, Line
from search.engines.openai.probe import DIALECTS, Served, find_dialect, find_model
from search.engines.openai.tokenizer import FolderTokenizer, ServerTokenizer, Tokenizer
from search.engines.protocol import Engine, Event, Request, RequestFinished
from search.errors import ContextError, EngineError, RefusedError
from search.remote.circuit import Circuit
from search.remote.client import Client
from search.remote.retry import Retry

__all__ = ["OpenAIEngine"]

#: a size in a model's name: the 1B of Llama-3.2-1B-Instruct
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([BbMm])(?![A-Za-z0-9])")


class OpenAIEngine(Engine):
    """Asks a server. Build it with ``connect``."""

    def __init__(
        self, card: ModelCard, client: Client, dialect: Dialect, tokenizer: Tokenizer, deadline: float
    ) -> None:
        self.card = card
        self._client = client
        self._dialect = dialect
        self._tokenizer = tokenizer
        counts = None if isinstance(dialect, TokenCompletions) else tokenizer
        self._line = Line(client, dialect, counts, deadline)
        self._flights: dict[str, Flight] = {}
        self._closed = False

    @classmethod
    def connect(
        cls,
        base_url: str,
        model: str | None = None,
        *,
        name: str | None = None,
        tokenizer: str | Path | None = None,
        api_key: str | None = None,
        dialect: str | None = None,
        parameters: int | None = None,
        context: int | None = None,
        patience: float = 30.0,
        silence: float = 600.0,
        deadline: float = 7200.0,
        connections: int = 512,
    ) -> OpenAIEngine:
        """Ask a server what it serves. Waits for the answers on this thread.

        Parameters
        ----------
        base_url:
            ``http://host:8000``, with or without ``/v1``.
        model:
            The id that the server knows it by, or the last part of it; may be left out where it is the
            only one.
        name:
            What the card calls it; the last part of the id by default, as a folder of it would be called.
        tokenizer:
            A folder with ``tokenizer.json`` and a chat template; the server's own (``/tokenize``) by default.
            Where it is the model's whole folder, the card comes from it: that the server serves these very
            weights is the caller's word.
        api_key:
            Sent as a bearer token; never shown.
        dialect:
            ``tokens``, ``text`` or ``chat`` (``search.engines.openai.dialect``); found out by default.
        parameters, context:
            Number of weights, and longest sequence in tokens, where neither server nor folder tell. The
            weights are read from the name too (``1B``), since FLOPs need no more than that.
        patience:
            Seconds to wait for a server that cannot be reached or takes no more work.
        silence, deadline:
            Most seconds without a byte, and for one whole request.
        connections:
            Most requests at a time.

        Raises
        ------
        UnreachableError, BrokenError, RefusedError, GarbledError
            By what the server did.
        CheckpointError, MissingExtraError
            The tokenizer folder is none, or its library is missing.
        """
        if not deadline > 0.0:
            raise ValueError(f"deadline must be positive, got {deadline}")
        if dialect is not None and dialect not in DIALECTS:
            raise EngineError(f"a dialect must be one of {', '.join(DIALECTS)}, got {dialect!r}")
        client = Client(
            base_url,
            api_key=api_key,
            retry=Retry(patience=patience),
            circuit=Circuit(),
            silence=silence,
            connections=connections,
        )
        served = find_model(client, model)
        spoken = dialect or find_dialect(client, served)
        words: Tokenizer = (
            ServerTokenizer(client, served.model) if tokenizer is None else FolderTokenizer(tokenizer)
        )
        card = _card(served, name, tokenizer, words, parameters, context)
        return cls(card, client, _dialect(spoken, served.model, words), words, deadline)

    def prompt(self, question: str) -> tuple[int, ...]:
        ids = self._tokenizer.prompt(question)
        if isinstance(self._dialect, ChatCompletions):
            self._dialect.remember(ids, question)
        self._check_length(ids)
        return ids

    def rendered(self) -> str:
        """A question under the policy's chat template, special tokens written out; "" where nobody tells."""
        try:
            return self._tokenizer.decode(self._tokenizer.prompt("?"))
        except RefusedError:
            return ""

    def submit(self, request: Request) -> AsyncIterator[Event]:
        if self._closed:
            raise EngineError("a closed engine takes no requests, got one")
        self._check_length(request.prompt)
        if request.request_id in self._flights:
            raise EngineError(f"a request id is used once at a time, got {request.request_id!r} twice")
        if "" in request.stop:
            raise EngineError("a stop string cannot be empty, got ''")
        most = min(request.max_tokens, self.card.context - len(request.prompt))
        flight = Flight(request, most, self._line, lambda: self._flights.pop(request.request_id, None))
        self._flights[request.request_id] = flight
        return _Stream(flight)

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        flight = self._flights.get(request_id)
        if flight is not None:
            flight.cancel(child)

    async def close(self) -> None:
        self._closed = True
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*(flight.landed() for flight in flights))
        await self._client.close()

    def _check_length(self, prompt: tuple[int, ...]) -> None:
        if len(prompt) >= self.card.context:
            raise ContextError(
                f"a prompt must leave room for one token in a context of {self.card.context},"
                f" got {len(prompt)} tokens"
            )


class _Stream(AsyncIterator[Event]):
    """Events of one flight. Forgetting it cancels the request."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._loop = asyncio.get_running_loop()
        self._done = False

    async def __anext__(self) -> Event:
        if self._done:
            raise StopAsyncIteration
        event = await self._flight.arrived.get()
        if isinstance(event, EngineError):
            self._done = True
            raise event
        self._done = isinstance(event, RequestFinished)
        return event

    def __del__(self) -> None:
        if not self._done and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._flight.cancel)


def _dialect(name: str, model: str, tokenizer: Tokenizer) -> Dialect:
    if name == "tokens":
        return TokenCompletions(model)
    return TextCompletions(model, tokenizer) if name == "text" else ChatCompletions(model)


def _card(
    served: Served,
    name: str | None,
    folder: str | Path | None,
    tokenizer: Tokenizer,
    parameters: int | None,
    context: int | None,
) -> ModelCard:
    """What is known of a model that runs elsewhere."""
    called = name or served.model.rstrip("/").rpartition("/")[2]
    limits = [limit for limit in (served.context, context) if limit is not None]
    if folder is not None and list(Path(folder).glob("*.safetensors")):
        card = read_checkpoint(folder, None).card
        return ModelCard(
            called, parameters or card.parameters, card.fingerprint, min([*limits, card.context])
        )
    if not limits:
        raise RefusedError(
            f"a server must tell max_model_len, or context be given, got neither for {called!r}"
        )
    size = parameters or _size(called)
    if size is None:
        raise EngineError(
            f"the number of weights must be known for FLOPs (parameters=...), got none for {called!r}"
        )
    known = repr(("openai", served.model, min(limits), size, tokenizer.fingerprint))
    return ModelCard(called, size, hashlib.sha256(known.encode()).hexdigest(), min(limits))


def _size(name: str) -> int | None:
    found = _SIZE.search(name)
    if found is None:
        return None
    size = float(found.group(1)) * (1e9 if found.group(2) in "Bb" else 1e6)
    return int(size) if math.isfinite(size) and size >= 1 else None
