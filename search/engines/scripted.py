"""A public fake engine: a script says what is written, characters are the tokens.

It honours every part of the contract (events, stops, limits, cancelling, seeds, usage) without a
model, so strategies can be tested against known continuations.

A script is one of two things:

- a callable ``(text_so_far, rng) -> rest of the solution``. ``text_so_far`` is
  ``question + TURN + what has been written``; ``rng`` is seeded by (request seed, child), or always
  alike when sampling is greedy. A callable states no probabilities: all logprobs are 0.0, each token's
  only candidate is itself.
- a mapping ``question -> {solution: probability}``. This is a true language model over characters:
  the next one is distributed as in the solutions that begin with what has been written, so
  temperature, ``top_p``, ``top_k`` and logprobs all mean what they say.

The solution's end counts as an end-of-sequence token. A solution may begin with a thought.

    >>> import asyncio
    >>> from search.engines.protocol import ChildFinished, Request, Sampling
    >>> async def first_steps() -> list[str]:
    ...     engine = ScriptedEngine(lambda text, rng: "1+1=2\\n# 2")
    ...     request = Request(engine.prompt("1+1?"), 1, 99, Sampling(), seed=1, stop=("\\n",))
    ...     events = [event async for event in engine.submit(request)]
    ...     return [event.text for event in events if isinstance(event, ChildFinished)]
    >>> asyncio.run(first_steps())
    ['1+1=2\\n']
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from search.cards import ModelCard
from search.engines.confidence import of_token, reduce
from search.engines.protocol import (
    ChildFinished,
    Engine,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Sampling,
    Tokens,
    Usage,
)
from search.engines.thinking import Shown, settled
from search.errors import ContextError, EngineError
from search.seeds import seed_of

__all__ = ["END", "TURN", "Script", "ScriptedEngine"]

#: stands between the question and what the policy has written; no question may contain it
TURN = "\x1e"
#: the end-of-sequence token; never part of a text
END = "\x03"

Script = Callable[[str, Random], str] | Mapping[str, Mapping[str, float]]


@dataclass(slots=True)
class _Child:
    """One continuation while it is being written."""

    rng: Random
    shown: Shown = field(default_factory=Shown)
    plan: str | None = None  # what a callable said will be written
    written: list[str] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    candidates: list[list[float]] = field(default_factory=list)  # logprobs of all there were, per token


@dataclass(slots=True)
class _Flight:
    """The children of one request; ``cancelled`` holds those that somebody stopped."""

    active: dict[int, _Child]
    cancelled: set[int] = field(default_factory=set)


class ScriptedEngine(Engine):
    """Writes what a script says, one character a token, all children side by side.

    Parameters
    ----------
    script:
        See the module's first paragraph.
    context:
        Longest prompt plus continuation, in characters.
    parameters:
        What the card says; FLOPs follow from it.
    """

    equal_bits = True

    def __init__(
        self, script: Script, *, name: str = "scripted", context: int = 65536, parameters: int = 1000
    ) -> None:
        self.script = script
        self._flights: dict[str, _Flight] = {}
        self._closed = False
        fingerprint = hashlib.sha256(f"scripted:{name}".encode()).hexdigest()
        self.card = ModelCard(name, parameters, fingerprint, context)

    def prompt(self, question: str) -> tuple[int, ...]:
        ids = tuple(map(ord, question + TURN))
        self._check_length(ids)
        return ids

    def submit(self, request: Request) -> AsyncIterator[Event]:
        if self._closed:
            raise EngineError("a closed engine takes no requests, got one")
        self._check_length(request.prompt)
        if request.request_id in self._flights:
            raise EngineError(f"a request id is used once at a time, got {request.request_id!r} twice")
        children = {i: _Child(Random(self._seed(request, i))) for i in range(request.n)}
        self._flights[request.request_id] = _Flight(children)
        return self.events(request, self._flights[request.request_id])

    def continuation(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def spelled(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens)).replace(END, "")

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        flight = self._flights.get(request_id)
        if flight is not None:
            flight.cancelled.update(flight.active if child is None else {child} & flight.active.keys())

    async def close(self) -> None:
        self._closed = True
        for flight in self._flights.values():
            flight.cancelled.update(flight.active)

    @property
    def in_flight(self) -> tuple[str, ...]:
        """The ids of requests that have not ended."""
        return tuple(self._flights)

    async def events(self, request: Request, flight: _Flight) -> AsyncIterator[Event]:
        prompt = "".join(map(chr, request.prompt))
        generated = 0
        try:
            while flight.active:
                for i, child in list(flight.active.items()):
                    if i in flight.cancelled:
                        reason: str | None = FinishReason.CANCELLED
                    else:
                        generated += 1
                        token = self._write(prompt, child, request.sampling)
                        reason = self._reason(request, child)
                        if request.stream:
                            written = "".join(child.written).replace(END, "")
                            yield Tokens(i, child.shown.new(written, reason is not None), (ord(token),))
                    if reason is not None:
                        del flight.active[i]
                        yield _finished(i, child, reason, request)
                await asyncio.sleep(0)  # others run here: cancelling works in the middle
            yield RequestFinished(Usage(len(request.prompt), 0, generated))
        finally:
            self._flights.pop(request.request_id, None)

    def _write(self, prompt: str, child: _Child, sampling: Sampling) -> str:
        if callable(self.script):
            if child.plan is None:
                child.plan = self.script(prompt, child.rng) + END
            token, logprob, candidates = child.plan[len(child.written)], 0.0, [0.0]
        else:
            token, logprob, candidates = _draw(
                self.script, prompt + "".join(child.written), child.rng, sampling
            )
        child.written.append(token)
        child.logprobs.append(logprob)
        child.candidates.append(candidates)
        return token

    def _reason(self, request: Request, child: _Child) -> str | None:
        if child.written[-1] == END:
            return FinishReason.END
        if request.stop and "".join(child.written).endswith(request.stop):
            return FinishReason.STOP
        length = len(child.written)
        full = length >= request.max_tokens or len(request.prompt) + length >= self.card.context
        return FinishReason.LENGTH if full else None

    def _check_length(self, prompt: tuple[int, ...]) -> None:
        if len(prompt) >= self.card.context:
            raise ContextError(
                f"a prompt must leave room for one token in a context of {self.card.context},"
                f" got {len(prompt)} tokens"
            )

    @staticmethod
    def _seed(request: Request, child: int) -> int:
        return 0 if request.sampling.temperature == 0 else seed_of(request.seed, child)


def _finished(i: int, child: _Child, reason: str, request: Request) -> ChildFinished:
    text = "".join(child.written)
    most = request.top_logprobs
    sure = reduce([of_token(candidates, most) for candidates in child.candidates] if most else [])
    ended = ChildFinished(
        i,
        text.replace(END, ""),
        tuple(map(ord, text)),
        tuple(child.logprobs) if request.logprobs else (),
        reason,
        mean_entropy=sure.mean_entropy,
        mean_confidence=sure.mean_confidence,
        lowest_confidence=sure.lowest_confidence,
    )
    return settled(ended, decode=lambda ids: "".join(map(chr, ids)))


def _draw(
    script: Mapping[str, Mapping[str, float]], text: str, rng: Random, sampling: Sampling
) -> tuple[str, float, list[float]]:
    """The next character, its untempered logprob and those of all candidates, given what has been written."""
    question, _, written = text.partition(TURN)
    solutions = script.get(question)
    if solutions is None:
        raise EngineError(f"a script must know the question, got {question!r}")
    weights: dict[str, float] = {}
    for solution, probability in solutions.items():
        if solution.startswith(written):
            token = (solution + END)[len(written)]
            weights[token] = weights.get(token, 0.0) + probability
    total = math.fsum(weights.values())
    if total <= 0:
        return END, 0.0, [0.0]  # the script has nothing that begins so: an end, certainly
    ranked = sorted(weights, key=lambda token: (-weights[token], token))
    logprobs = [math.log(weights[token] / total) for token in ranked]
    if sampling.temperature == 0:
        return ranked[0], logprobs[0], logprobs
    tempered = [(weights[token] / total) ** (1.0 / sampling.temperature) for token in ranked]
    kept = ranked[: sampling.top_k or None]
    mass, nucleus = 0.0, sampling.top_p * math.fsum(tempered[: len(kept)])
    for count, weight in enumerate(tempered[: len(kept)], start=1):
        mass += weight
        if mass >= nucleus:
            kept = kept[:count]
            break
    token = rng.choices(kept, tempered[: len(kept)])[0]
    return token, math.log(weights[token] / total), logprobs
