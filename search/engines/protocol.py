"""Engines write tokens: requests go in, events come out.

An engine knows nothing of problems, plans, PRMs or grading. One contract suite runs against
every engine. Heavy compute never runs on the event loop's thread. Logprobs are those of the
untempered model (temperature 1, no truncation).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from search.cards import ModelCard
from search.errors import ContextError, EngineError
from search.thinking_budget import ThinkingBudget

__all__ = [
    "ChildFinished",
    "Engine",
    "Event",
    "FinishReason",
    "PromptLogprobs",
    "Request",
    "RequestFinished",
    "Sampling",
    "Tokens",
    "Usage",
    "check_span",
]

_ids = count()


class FinishReason:
    """Why a child ended: the words that logs and results use."""

    STOP = "stop"  # one of the request's stop strings was written
    END = "end"  # the model wrote its end-of-sequence token
    LENGTH = "length"  # max_tokens or the context was reached
    THOUGHT = "thought"  # that, before a thinking model had ended its thought: there is no answer
    FILTERED = "filtered"  # the server's filter of contents let no more out
    CANCELLED = "cancelled"  # somebody asked
    LOST = "lost"  # the backend failed in the middle; in ``BrokenError.partial`` only, never an event

    #: those of children that a limit cut off
    TRUNCATED = (LENGTH, THOUGHT)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. ``temperature=0`` is greedy (then ``top_p`` and ``top_k`` mean nothing).

    ``top_k=0`` and ``top_p=1.0`` switch those off.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        if not self.temperature >= 0.0:
            raise ValueError(f"temperature cannot be negative but got {self.temperature}")
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k cannot be negative but got {self.top_k}")

    def __str__(self) -> str:
        return f"temperature={self.temperature:g}, top_p={self.top_p:g}, top_k={self.top_k}"


@dataclass(frozen=True, slots=True)
class Request:
    """Ask for ``n`` continuations of one prompt.

    Parameters
    ----------
    prompt:
        Token ids (as ``Engine.prompt`` returned them, plus what has been generated since).
    n:
        Children to draw. They share one prefill.
    max_tokens:
        Most new tokens per child.
    sampling, seed:
        The seed determines child i's tokens through (seed, i) where the backend promises it.
    stop:
        Strings that end a child; the stop string stays part of the child's text and tokens.
    logprobs:
        Whether the logprob of each generated token is wanted.
    top_logprobs:
        How many of each token's likeliest candidates are wanted, for ``ChildFinished.mean_entropy`` and the
        confidences (defined on ``search.engines.confidence.TOP``); 0: none, which costs nothing.
    stream:
        Whether ``Tokens`` events are wanted.
    """

    prompt: tuple[int, ...]
    n: int
    max_tokens: int
    sampling: Sampling
    seed: int
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    stream: bool = False
    request_id: str = field(default_factory=lambda: f"r{next(_ids)}")
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        if self.top_logprobs < 0:
            raise ValueError(f"top_logprobs cannot be negative but got {self.top_logprobs}")
        if self.n < 1:
            raise ValueError(f"n must be at least 1, got {self.n}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if not self.prompt:
            raise ValueError("a prompt needs at least one token, got none")


@dataclass(frozen=True, slots=True)
class Usage:
    """Physical work of a request, in tokens. ``prompt_tokens``: all that was sent, cached part included. A
    backend that draws n children in one go counts the prompt once; one that sends a request for each of them
    counts it n times.

    ``is_estimated``: the backend told no counts, so these are estimates by the length of the texts.
    """

    prompt_tokens: int
    cached_prompt_tokens: int
    generated_tokens: int
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """How likely a policy finds tokens that it has not written: one natural logarithm per token asked about.

    ``usage``: the physical work; ``generated_tokens`` are those that a backend wrote along the way.
    """

    values: tuple[float, ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Tokens:
    """New tokens of a child (only when ``Request.stream``)."""

    child: int
    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChildFinished:
    """A child has ended.

    ``token_ids`` holds every generated token, those of the thought, the stop's and the end-of-sequence
    token included; a negative number stands for a token that a server counted and did not tell. ``text`` is
    the answer: it leaves special tokens and the thought out. ``logprobs`` has one natural logarithm per
    token, or is empty when not asked for or not to be had. ``finish_reason`` is a constant of
    ``FinishReason``.
    ``lost_tokens``: the most that a backend may have generated for this child beyond ``token_ids``
    before it heard of the end; they are charged. 0 where the backend knows.

    ``mean_entropy``, ``mean_confidence``, ``lowest_confidence``: how sure the policy was
    (``search.engines.confidence``); None where ``Request.top_logprobs`` was 0 or the backend gave no
    candidates. ``thought``: what a thinking model wrote before its answer, as far as it is told;
    ``thought_tokens``: how many of ``token_ids`` are its (an estimate where the backend does not tell).
    ``thought_cut``: whether a budget ended it (``search.engines.budgeted``).
    """

    child: int
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str
    lost_tokens: int = 0
    mean_entropy: float | None = None
    mean_confidence: float | None = None
    lowest_confidence: float | None = None
    thought: str = ""
    thought_tokens: int = 0
    thought_cut: bool = False


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """The last event of every request, cancelled ones included."""

    usage: Usage


Event = Tokens | ChildFinished | RequestFinished


class Engine(ABC):
    """Who writes tokens. Used on one event loop; ``async with`` closes it.

    >>> from search.engines.scripted import ScriptedEngine
    >>> engine = ScriptedEngine(lambda prompt, rng: "# 7", name="small")
    >>> isinstance(engine, Engine), engine.card.name
    (True, 'small')
    """

    #: what is known of the policy
    card: ModelCard
    #: whether equal requests that are sent together, and alone, get equal tokens, bit for bit
    equal_bits: bool = False
    #: children that are worth having in flight at a time
    concurrency: int = 256
    #: the text that ends a thought, where it is none of the usual tags: all before it is thought
    thought_end: str = ""
    #: whether ``written`` and ``prompt_logprobs`` can be asked; not every backend tells what they do
    tells_prompts: bool = False

    @property
    def backend(self) -> str:
        """What computes, for people: a log's parts say it. Equal weights are one policy whatever computes."""
        return type(self).__name__

    @property
    def last_failure(self) -> str:
        """What its server failed with, in words, as long as it has not answered since; "" otherwise."""
        return ""

    @abstractmethod
    def prompt(self, question: str) -> tuple[int, ...]:
        """The question in the policy's prompt template, as token ids. Raises ContextError."""

    def turn(self, text: str) -> tuple[int, ...]:
        """A text as the whole of the user's turn, without the words of a prompting: what is asked about
        answers that are there already. Token ids in the prompt template. Raises ContextError."""
        return self.prompt(text)

    def worded(self, question: str) -> str:
        """What stands in the user's turn where ``prompt`` asks a question."""
        return question

    def written(self, text: str) -> tuple[int, ...]:
        """Token ids of bare text, as it stands behind a prompt. Raises EngineError where nobody spells it."""
        raise EngineError(
            f"text is spelled by an engine that tells prompts, got {self.backend}, which does not"
        )

    async def prompt_logprobs(self, tokens: tuple[int, ...], start: int) -> PromptLogprobs:
        """The logprobs of ``tokens[start:]``, each given all before it, under the untempered model.

        ``start`` is from 1 to the number of tokens less 1. Raises ContextError where they are more than the
        context takes, EngineError where the backend fails or does not tell (``tells_prompts``).
        """
        raise EngineError(
            "logprobs of a prompt are told by an engine that tells prompts, "
            f"got {self.backend}, which does not"
        )

    @abstractmethod
    def submit(self, request: Request) -> AsyncIterator[Event]:
        """Start a request. Children finish one by one in any order; ``RequestFinished`` comes last.

        Leaving the iterator early cancels the request. Raises ContextError when the prompt leaves
        no room for one token, EngineError when the backend fails; BrokenError tells how far it came.
        """

    def most_sent(self, prompt: int, n: int, max_tokens: int) -> int:
        """The most prompt tokens that a request may send, for which money is reserved
        (``Usage.prompt_tokens``).

        ``prompt``: of the request; ``n``, ``max_tokens``: as in it. By default the prompt once for all
        children.
        """
        return prompt

    def at_effort(self, effort: str) -> Engine:
        """The same policy, asked to think that much (``none`` to ``max``); itself without such a knob.

        Its requests are cancelled through what this returns. It is closed with this engine.
        """
        return self

    def refuses_thinking(self, wanted: ThinkingBudget) -> str | None:
        """Why it cannot be told to think so, one line that says the rule and the value; None where it can.

        May wait for a server.
        """
        from search.engines.budgeted import fault_of

        return fault_of(self, wanted)

    def thinking(self, wanted: ThinkingBudget) -> Engine:
        """The same policy, told to think so. Its requests are cancelled through what this returns, and it is
        closed with this engine. Raises EngineError where it cannot be told so."""
        from search.engines.budgeted import budgeted

        return budgeted(self, wanted)

    def continuation(self, text: str) -> tuple[int, ...] | None:
        """Token ids of a text that a solution is gone on with; None where that cannot be done."""
        return None

    def spelled(self, tokens: Sequence[int]) -> str:
        """The text of tokens, the tags of thoughts included, where ``continuation`` is not None."""
        raise EngineError(f"an engine that spells its tokens is needed, got {self.card.name!r}")

    @abstractmethod
    async def cancel(self, request_id: str, child: int | None = None) -> None:
        """Stop one child or the whole request. Unknown or finished ones are no error.

        What was generated until then arrives as ``ChildFinished`` with reason ``cancelled``.
        """

    @abstractmethod
    async def close(self) -> None:
        """Free everything. Safe to call twice."""

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def check_span(tokens: tuple[int, ...], start: int, context: int) -> None:
    """Raises EngineError for a span that no logprobs can be told of, ContextError for one too long."""
    if not 1 <= start < len(tokens):
        raise EngineError(f"start must be from 1 to {len(tokens) - 1}, got {start} for {len(tokens)} tokens")
    if len(tokens) > context:
        raise ContextError(f"a prompt must fit into a context of {context} tokens, got {len(tokens)}")
