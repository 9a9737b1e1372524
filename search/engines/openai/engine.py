"""The OpenAI engine: a policy behind any OpenAI-compatible server, ``vllm serve`` first.

    engine = OpenAIEngine.connect("http://127.0.0.1:8000", tokenizer="Llama-3.2-1B-Instruct")

Logprobs are those of the untempered model if the server's are: vLLM's are under its default,
``--logprobs-mode raw_logprobs``. Seeds: vLLM gives child i the seed + i, and the same request gives the same
tokens as long as floating-point results do not depend on what shares a batch; other servers promise less.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from search.cards import ModelCard
from search.engines.budgeted import BudgetedEngine
from search.engines.openai.card import card_of, digest
from search.engines.openai.chat import ChatCompletions
from search.engines.openai.completions import TextCompletions, TokenCompletions
from search.engines.openai.concessions import Concessions
from search.engines.openai.dialect import Dialect
from search.engines.openai.echo import echoed
from search.engines.openai.estimate import EstimatedTokenizer
from search.engines.openai.flight import Flight, Line
from search.engines.openai.knob import Dial, dial_of, in_chat, in_template
from search.engines.openai.llama import LlamaCompletions
from search.engines.openai.probe import DIALECTS, find_dialect, find_model, has_tokenizer
from search.engines.openai.served import Served, with_limits
from search.engines.openai.tokenizer import (
    FolderTokenizer,
    LlamaTokenizer,
    Messages,
    ServerTokenizer,
    Tokenizer,
)
from search.engines.protocol import (
    Engine,
    Event,
    PromptLogprobs,
    Request,
    RequestFinished,
    check_span,
)
from search.engines.thinking import opens
from search.errors import ContextError, EngineError, GarbledError, RefusedError
from search.remote.circuit import Circuit
from search.remote.client import Client
from search.remote.retry import Retry
from search.thinking_budget import ThinkingBudget

__all__ = ["OpenAIEngine"]

#: tokens whose text is remembered
_SHORT = 64
#: engines for budgets of thought that are kept
_WORDED = 64
#: knobs under which a model surely thinks
_THINKS = ("on", "minimal", "low", "medium", "high", "xhigh", "max")


class OpenAIEngine(Engine):
    """Asks a server. Build it with ``connect``."""

    def __init__(
        self,
        card: ModelCard,
        client: Client,
        dialect: Dialect,
        tokenizer: Tokenizer,
        deadline: float,
        concessions: Concessions,
        opening: tuple[int, ...] = (),
        rendered: str = "",
    ) -> None:
        self.card = card
        self.goes_on = dialect.goes_on
        #: what the server calls the policy; "" where ``connect`` did not make this
        self.model = ""
        #: what it calls itself, and with its URL what it can be told of thinking
        self.owner = ""
        #: sequences that the server decodes at a time; None where it does not tell
        self.slots: int | None = None
        self._rendered = rendered
        self._client = client
        self._dialect = dialect
        self._tokenizer = tokenizer
        # a chat's tokens are counted by the server's usage; to ask its tokenizer would cost a trip for each
        spells = isinstance(tokenizer, FolderTokenizer) or isinstance(dialect, TextCompletions)
        counts = tokenizer if spells and not dialect.tells_ids else None
        speller = tokenizer if dialect.skips_ids else None
        self._line = Line(client, dialect, counts, deadline, concessions, speller, opening)
        self._flights: dict[str, Flight] = {}
        self._efforts: dict[str, OpenAIEngine] = {}
        self._thinking: dict[ThinkingBudget, OpenAIEngine] = {}
        self._is_strict: bool | None = None
        # a server that decodes is asked once for what ends many prompts
        self._spelled = lru_cache(maxsize=4096)(tokenizer.decode)
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
        assumed_parameters: int | None = None,
        context: int | None = None,
        thinking: str | None = None,
        rate: float | None = None,
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
            A folder with ``tokenizer.json`` and a chat template; the server's own (``/tokenize``) by default;
            where it has none, chats do without, and lengths are estimated until the server tells them.
            Where it is the model's whole folder, the card comes from it: that the server serves these very
            weights is the caller's word.
        api_key:
            Sent as a bearer token; never shown.
        dialect:
            ``tokens``, ``text`` or ``chat`` (``search.engines.openai.dialect``); found out by default.
        parameters, context:
            Number of weights, and longest sequence in tokens, where neither server nor folder tell. The
            weights are read from the name too (``1B``), since FLOPs need no more than that. A context that
            nobody tells is taken to be 8,192 tokens.
        assumed_parameters:
            Weights to go by where nobody tells any; an error by default.
        thinking:
            One of ``search.engines.openai.knob.KNOBS``; as the server has it by default.
        rate:
            Most requests a minute; as many as there are by default.
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
        template = in_template(thinking)
        client = Client(
            base_url,
            api_key=api_key,
            retry=Retry(patience=patience),
            circuit=Circuit(),
            silence=silence,
            connections=connections,
            rate=rate,
        )
        served = with_limits(client, find_model(client, model))
        if served.owner == "llamacpp":
            client.use_once()
        words = _tokenizer(client, served, tokenizer, template)
        conceded = Concessions(served.model)
        spoken = dialect or find_dialect(client, served, spells=not isinstance(words, EstimatedTokenizer))
        if isinstance(words, EstimatedTokenizer):
            if spoken != "chat":
                raise RefusedError(
                    f"the dialect {spoken} needs a tokenizer, the server's or a folder's (tokenizer=...), got"
                    f" neither for {served.model!r}"
                )
            conceded.note("tokenizer", "tokenizer: none, so lengths of prompts are estimates by characters")
        card = card_of(served, name, tokenizer, words, parameters, assumed_parameters, context, conceded)
        if template:
            card = replace(card, fingerprint=digest(card.fingerprint, thinking))
        rendered = _rendered(words)
        opening = _opening(words, rendered)
        thinks = bool(opening) or (words.thinks if thinking is None else thinking in _THINKS)
        spelled = _dialect(spoken, served, words, thinking, thinks=thinks)
        made = cls(card, client, spelled, words, deadline, conceded, opening, rendered)
        made.model, made.owner, made.slots = served.model, served.owner, served.slots
        # a slot that falls free has its next sequence waiting
        made.concurrency = min(connections, 2 * served.slots if served.slots else cls.concurrency)
        return made

    @property
    def last_failure(self) -> str:
        return self._client.last_failure

    @property
    def client(self) -> Client:
        """What it asks through: the connections and the rate are the server's, whoever asks it."""
        return self._client

    @property
    def given_up(self) -> tuple[str, ...]:
        """What the server has refused or not told so far and what that means, a line each."""
        return self._line.concessions.notes

    def lacks(self, field: str) -> bool:
        """Whether a field of requests has been refused or passed over by the server so far."""
        return self._line.concessions.lacks(field)

    def most(self, field: str) -> int | None:
        """The most of a field that the server takes; None where no limit is known."""
        return self._line.concessions.most(field)

    def assumes(self, what: str) -> bool:
        """Whether ``context`` or ``parameters`` is a guess, since nobody told it."""
        return self._line.concessions.has_note(what)

    @property
    def dialect(self) -> str:
        """How the server is spoken to, one of ``DIALECTS``."""
        if isinstance(self._dialect, ChatCompletions):
            return "chat"
        return "text" if isinstance(self._dialect, TextCompletions) else "tokens"

    @property
    def lag(self) -> int:
        """Tokens that a child may be ahead of what has arrived, where a request is not streamed."""
        return self._dialect.lag

    def prompt(self, question: str) -> tuple[int, ...]:
        ids = self._tokenizer.prompt(question)
        self._check_length(ids)
        if isinstance(self._dialect, ChatCompletions):
            self._dialect.remember(ids, question)
        return ids

    def converse(self, messages: Messages) -> tuple[int, ...]:
        """Token ids of a conversation under the policy's chat template, as ``prompt`` gives a question's.

        Raises ContextError, and what the server's tokenizer raises.
        """
        ids = self._tokenizer.converse(messages)
        self._check_length(ids)
        if isinstance(self._dialect, ChatCompletions):
            self._dialect.remember_all(ids, messages)
        return ids

    def rendered(self) -> str:
        """A question under the policy's chat template, special tokens written out; "" where nobody tells."""
        return self._rendered

    @property
    def tells_prompts(self) -> bool:  # type: ignore[override]
        """Whether the dialect can ask; whether the server answers shows when it is asked."""
        return self._dialect.echoes

    def written(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode(text)

    async def prompt_logprobs(self, tokens: tuple[int, ...], start: int) -> PromptLogprobs:
        """Asks for the prompt back (``echo``), and a token more. A server that tells none refuses here."""
        if self._closed:
            raise EngineError("a closed engine takes no requests, got one")
        if not self._dialect.echoes:
            return await super().prompt_logprobs(tokens, start)
        check_span(tokens, start, self.card.context - 1)
        answer = await self._client.ask(self._dialect.path, self._dialect.echo(tokens))
        decode = None if self._dialect.tells_ids else self._tokenizer.decode
        return echoed(answer, tokens, start, decode, self._client.root)

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

    def most_sent(self, prompt: int, n: int, max_tokens: int) -> int:
        """Every request of its own sends the prompt: one for each child where the server is not known to take
        ``n``."""
        conceded = self._line.concessions
        most = conceded.most("n")
        if most is None:
            return prompt if n == 1 or conceded.is_proven("n") else n * prompt
        return prompt * -(-n // max(1, most))

    def at_effort(self, effort: str) -> OpenAIEngine:
        found = self._efforts.get(effort)
        if found is None:
            found = self._efforts[effort] = self._made_for(effort)
        return found

    def _made_for(self, effort: str) -> OpenAIEngine:
        """The same over the same connections, with the knob in chats or in the template."""
        words = in_template(effort)
        dialect, tokenizer = self._dialect, self._tokenizer
        if isinstance(dialect, ChatCompletions):
            dialect = dialect.worded(in_chat(effort))
        else:
            tokenizer = tokenizer.worded(words)
        return self._with(dialect, tokenizer)

    def _with(self, dialect: Dialect, tokenizer: Tokenizer) -> OpenAIEngine:
        made = copy(self)
        made._dialect, made._tokenizer = dialect, tokenizer
        made._line = replace(self._line, dialect=dialect)
        made._flights, made._efforts, made._thinking = {}, {}, {}
        return made

    def refuses_thinking(self, wanted: ThinkingBudget) -> str | None:
        if not isinstance(self._dialect, ChatCompletions):
            return self._template_fault(wanted.effort) if wanted.effort else None
        fault = self.dial.fault(wanted)
        if fault is not None:
            return f"{fault} ({self.card.name!r})"
        refused = [name for name in self.dial.fields(wanted) if self.lacks(name)]
        if refused:
            return (
                f"{self.card.name!r} must be told to think otherwise, got {wanted}: no {refused[0]} is taken"
            )
        if wanted.think is not None and self.dial.kind == "SGLang" and not self._keeps_budgets():
            return (
                f"think needs an SGLang that runs with --enable-strict-thinking, got {wanted} for"
                f" {self.card.name!r}, which does not"
            )
        return None

    def thinking(self, wanted: ThinkingBudget) -> Engine:
        fault = self.refuses_thinking(wanted)
        if fault is not None:
            raise EngineError(fault)
        if isinstance(self._dialect, ChatCompletions):
            return self._told(wanted)
        own = self._told(ThinkingBudget(wanted.effort)) if wanted.effort else self
        return own if wanted.think is None else BudgetedEngine(own, wanted)

    @property
    def dial(self) -> Dial:
        """What the server can be told of thinking in a chat."""
        return dial_of(self.owner, self._client.root)

    def continuation(self, text: str) -> tuple[int, ...] | None:
        return None if isinstance(self._dialect, ChatCompletions) else self._tokenizer.encode(text)

    def spelled(self, tokens: Sequence[int]) -> str:
        return self._spelled(tuple(tokens)) if len(tokens) <= _SHORT else self._tokenizer.decode(tokens)

    def _told(self, wanted: ThinkingBudget) -> OpenAIEngine:
        """The same over the same connections. What refuses such a word refuses the request."""
        found = self._thinking.get(wanted)
        if found is None:
            if isinstance(self._dialect, ChatCompletions):
                fields = self.dial.fields(wanted)
                found = self._with(self._dialect.worded(fields), self._tokenizer)
                found._line = replace(found._line, concessions=self._line.concessions.keeping(fields))
            else:
                found = self._with(self._dialect, self._tokenizer.worded(in_template(wanted.effort)))
            if len(self._thinking) >= _WORDED:  # plans come from whoever asks
                self._thinking = {key: one for key, one in self._thinking.items() if one._flights}
            self._thinking[wanted] = found
        return found

    def _template_fault(self, effort: str) -> str | None:
        """Why a template that is rendered takes no such effort: because it renders all alike."""
        others = ("on", "off") if effort in ("on", "off") else ("low", "high")
        spelled = {self._tokenizer.worded(in_template(one)).prompt("?") for one in others}
        if len(spelled) > 1:
            return None
        word = next(iter(in_template(effort)))
        return (
            f"effort needs a chat template that asks for {word}, got effort={effort} for {self.card.name!r},"
            " whose template does not"
        )

    def _keeps_budgets(self) -> bool:
        """Whether an SGLang ends thoughts at a budget: without its switch it passes them over."""
        if self._is_strict is None:
            told: Any = {}
            for path in ("/server_info", "/get_server_info"):
                try:
                    told = self._client.ask_now(path)
                    break
                except (RefusedError, GarbledError):
                    continue
            self._is_strict = isinstance(told, Mapping) and told.get("enable_strict_thinking") is True
        return self._is_strict

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        flight = self._flights.get(request_id)
        if flight is not None:
            flight.cancel(child)

    async def close(self) -> None:
        self._closed = True
        flights = list(self._flights.values())
        for other in (*self._efforts.values(), *self._thinking.values()):
            other._closed = True
            flights += other._flights.values()
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


def _tokenizer(
    client: Client, served: Served, folder: str | Path | None, words: Mapping[str, Any]
) -> Tokenizer:
    if folder is not None:
        return FolderTokenizer(folder, words)
    if served.owner == "llamacpp":
        return LlamaTokenizer(client, words)
    if served.owner == "vllm" or has_tokenizer(client, served):
        return ServerTokenizer(client, served.model, words)
    return EstimatedTokenizer()


def _rendered(words: Tokenizer) -> str:
    """A question under the chat template; "" where nobody tells."""
    if isinstance(words, EstimatedTokenizer):
        return ""
    try:
        return words.decode(words.prompt("?"))
    except RefusedError:
        return ""


def _opening(words: Tokenizer, rendered: str) -> tuple[int, ...]:
    """The tokens by which prompts end that open a thought; () where they open none."""
    if not opens(rendered):
        return ()
    prompt = words.prompt("?")
    tails = (prompt[-size:] for size in range(1, len(prompt)))
    return next((tail for tail in tails if opens(words.decode(tail))), ())


def _dialect(
    name: str, served: Served, tokenizer: Tokenizer, thinking: str | None, *, thinks: bool
) -> Dialect:
    if name == "text":
        return TextCompletions(served.model, tokenizer)
    if name == "chat":
        fields = in_chat(thinking, served.owner)
        return ChatCompletions(
            served.model,
            fields,
            usage_per_child=served.owner == "llamacpp",
            continues=served.owner == "vllm",
        )
    if served.owner == "llamacpp":
        return LlamaCompletions(served.model)
    harmony = "gpt-oss" in served.model.lower()
    return TokenCompletions(served.model, cuts_stops=thinks or harmony, writes_marks=harmony)
