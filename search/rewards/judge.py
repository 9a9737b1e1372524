"""The judge: a language model that is asked whether solutions, or their steps, are right.

    judge = Judge(engine, JudgeSpec("small", scope="steps"))

Any engine will do, the policy's own included, and any server that answers a chat. What is asked and how the
verdicts are read says ``search.rewards.judge_spec``. After GenRM (Zhang et al., arXiv 2408.15240): its P(yes)
is ``read="logprobs"``, its vote over sampled verdicts ``read="samples"``; the first wrong step is asked for
as ProcessBench does (arXiv 2412.06559). When it does not pay: Singhi et al., arXiv 2504.01005.

Every verdict is a request of its own, which the caller is charged for in full: its whole prompt, whatever a
server has kept of it, and all that is written. So a judge has no prompt that counts once;
``physical_tokens`` leaves out what was kept. The prompt is as long as the engine says before it is sent:
behind a chat server without a tokenizer that is an estimate by characters, on the safe side.

An answer that is no verdict counts as 0.5; where the first eight are none, the judge fails. An answer that
breaks off is asked for again a few times, within what was held for it.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from search.bounded import Remembered
from search.engines.prompted import PromptedEngine
from search.engines.protocol import ChildFinished, Engine, Request, RequestFinished, Sampling, Usage
from search.errors import BrokenError, CheckpointError, ContextError, EngineError, RewardError
from search.remote.retry import Retry
from search.rewards.judge_spec import JudgeSpec
from search.rewards.protocol import Handle, Need, Reward, RewardUsage, Scored
from search.scoring import together
from search.seeds import seed_of

__all__ = ["Judge"]

#: verdicts at the start of which one must be readable
_FIRST = 8
#: what is said of a step by an answer that is no verdict
_UNKNOWN = 0.5
#: tokens by which a solution that is judged may be longer than what its policy wrote
_AROUND = 8
_GREEDY, _DRAWN = Sampling(temperature=0.0), Sampling()
_BEGINNING = re.compile(r"\W*(y|ye|yes|n|no)\b\W*", re.IGNORECASE)
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(slots=True)
class _Cost:
    """Tokens of one verdict so far: charged, written among these, and what was really processed."""

    charged: int = 0
    written: int = 0
    physical: int = 0


class Judge(Reward):
    """Asks a model for verdicts.

    Parameters
    ----------
    engine:
        Who is asked. A prompting of policies (``PromptedEngine``) is taken off: judges are asked in their own
        words.
    spec:
        What is asked; by default P(yes) of whole solutions. Its model is the engine's name.
    owns:
        Whether closing the judge closes the engine; not where the policy itself judges.
    retry:
        How often, and how soon, an answer that broke off is asked for again.

    Raises CheckpointError for another model's spec.
    """

    def __init__(
        self,
        engine: Engine,
        spec: JudgeSpec | None = None,
        *,
        owns: bool = True,
        retry: Retry | None = None,
    ) -> None:
        while isinstance(engine, PromptedEngine):
            engine = engine.engine
        self.spec = JudgeSpec(engine.card.name) if spec is None else spec
        if self.spec.model != engine.card.name:
            raise CheckpointError(
                f"a judge's model is its engine's, got {self.spec.model!r} for {engine.card.name!r}"
            )
        self.card = self.spec.card(engine.card)
        self.equal_bits = engine.equal_bits
        #: answers that were no verdicts
        self.unreadable = 0
        self._readable = 0
        self._engine, self._owns = engine, owns
        self._retry = Retry(breaks=2, first=0.1, longest=5.0) if retry is None else retry
        self._rng = Random()
        self._prompt = Remembered(engine.prompt, entries=1024)
        self._read = self.spec.read  # auto until the first answer
        self._copies = self.spec.k  # times that a server is sent the prompt for k verdicts, until one tells
        self._usual = 1  # verdicts of the longest call
        self._closed = False

    # -- what it takes --------------------------------------------------------------------------

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        """No prompt counts once; the other number is ``need``'s, of scoring all steps by one call."""
        return 0, self.need(self.open(question), steps).tokens

    def need(self, handle: Handle, steps: Sequence[str]) -> Need:
        """Raises RewardError where a server that tokenizes fails."""
        needs = [self._most(self._length(text)) for text in self._texts(handle, steps)]
        return Need(sum(one.tokens for one in needs), sum(one.written for one in needs))

    def worst(self, question: str, tokens: int, before: int = 0) -> Need:
        one = self._most(self._length(self.spec.ask(question, ())) + before + tokens + _AROUND)
        verdicts = 1 if before else self._usual
        return Need(verdicts * one.tokens, verdicts * one.written)

    def most_read(self, handle: Handle, steps: Sequence[str]) -> int:
        need = self.need(handle, steps)
        return need.tokens - need.written

    def fits(self, question: str, steps: Sequence[str]) -> bool:
        length = self._length(self.spec.ask(question, steps))
        return length + (1 if self._read == "logprobs" else self.spec.tokens) <= self.card.context

    def _texts(self, handle: Handle, steps: Sequence[str]) -> list[str]:
        """What the model is asked for these steps, a text per verdict."""
        every = (*handle.steps, *steps)
        first = len(handle.steps) + 1 if self.spec.scope == "steps" else max(1, len(every))
        last = len(every) if steps else 0
        return [self.spec.ask(handle.question, every[:end]) for end in range(first, last + 1)]

    def _most(self, prompt: int) -> Need:
        """The most that a verdict takes with a prompt of so many tokens."""
        drawn = self.spec.k * self.spec.tokens
        ways = {
            "logprobs": Need(prompt + 1, 1),
            "samples": Need(self._copies * prompt + drawn, drawn),
            "number": Need(prompt + self.spec.tokens, self.spec.tokens),
        }
        if self._read != "auto":
            return ways[self._read]
        both = ways["logprobs"], ways["samples"]
        return Need(sum(one.tokens for one in both), sum(one.written for one in both))

    def _length(self, text: str) -> int:
        """Tokens of what is asked; one more than the context where it is too long."""
        try:
            return len(self._prompt(text))
        except ContextError:
            return self.card.context + 1
        except EngineError as error:
            raise RewardError(f"the judge must tell lengths: {error}") from error

    # -- asking ---------------------------------------------------------------------------------

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        if self._closed:
            raise RewardError("a closed reward scores nothing, got steps")
        if not steps:
            raise RewardError("steps must not be empty, got none")
        longer = Handle(handle.question, (*handle.steps, *steps))
        if not self.fits(handle.question, longer.steps):
            length = self._length(self.spec.ask(handle.question, longer.steps))
            raise RewardError(
                f"a prefix must fit into a context of {self.card.context} tokens, got {length} and a verdict"
            )
        texts = self._texts(handle, steps)
        self._usual = max(self._usual, len(texts))
        costs = [_Cost() for _ in texts]
        count = len(longer.steps)
        found = await together([self._verdict(*each, count) for each in zip(texts, costs, strict=True)])
        if self.spec.scope == "steps":
            rewards = tuple(one[-1] for one in found)
        else:
            rewards = found[0][len(handle.steps) :]
        usage = RewardUsage(
            0,
            sum(cost.charged for cost in costs),
            sum(cost.physical for cost in costs),
            sum(cost.written for cost in costs),
            sum(cost.charged - cost.written for cost in costs),
        )
        return Scored(rewards, longer, usage)

    async def close(self) -> None:
        self._closed = True
        if self._owns:
            await self._engine.close()

    async def _verdict(self, text: str, cost: _Cost, steps: int) -> tuple[float, ...]:
        """One reward for each of so many steps."""
        most = self._most(self._length(text))
        try:
            if self._read in ("auto", "logprobs"):
                (child,) = await self._ask(text, cost, 1, 1, logprobs=True)
                if child.logprobs and not child.thought_tokens:
                    self._read = "logprobs"
                    return (self._noted(_probability(child)),) * steps
                if self._read == "logprobs":
                    if self.spec.read == "logprobs" and not self._readable:
                        raise RewardError(
                            "P(yes) is read from logprobs, got an answer without any: "
                            "read = 'samples' or 'auto' does without"
                        )
                    return (self._noted(None),) * steps
                self._read = "samples"
            if self.spec.read == "number":
                (child,) = await self._ask(text, cost, 1, self.spec.tokens)
                return (self._noted(_percentage(child.text)),) * steps
            children = await self._ask(text, cost, self.spec.k, self.spec.tokens)
            if self.spec.scope == "first_error":
                return self._shares([_place(child.text, steps) for child in children], steps)
            said = [value for child in children if (value := _said(child.text)) is not None]
            return (self._noted(math.fsum(said) / len(said) if said else None),) * steps
        except RewardError:  # a server's failure is one as it stands
            raise
        except EngineError as error:
            raise RewardError(f"the judge {self.card.name} failed: {error}") from error
        finally:
            cost.charged, cost.written = min(cost.charged, most.tokens), min(cost.written, most.written)

    async def _ask(
        self, text: str, cost: _Cost, n: int, tokens: int, *, logprobs: bool = False
    ) -> list[ChildFinished]:
        """n answers of at most so many tokens, counted. Raises EngineError."""
        prompt, breaks = self._prompt(text), 0
        while True:
            request = Request(
                prompt,
                n,
                tokens,
                _GREEDY if n == 1 else _DRAWN,
                seed_of("judge", self.card.name, text, breaks),
                logprobs=logprobs,
            )
            try:
                children, usage = await self._answers(request)
            except BrokenError as error:
                lost = sum(len(one.token_ids) + one.lost_tokens for one in error.partial)
                _add(cost, Usage(len(prompt), 0, lost), lost, len(prompt))
                if breaks >= self._retry.breaks:
                    raise
                await asyncio.sleep(self._retry.delay(breaks, self._rng))
                breaks += 1
                continue
            written = sum(len(one.token_ids) + one.lost_tokens for one in children)
            copies = max(1, min(n, round(usage.prompt_tokens / len(prompt))))
            if n > 1:
                self._copies = copies
            _add(cost, usage, written, max(len(prompt), usage.prompt_tokens))
            return children

    async def _answers(self, request: Request) -> tuple[list[ChildFinished], Usage]:
        children: list[ChildFinished] = []
        usage = Usage(len(request.prompt), 0, 0)
        async for event in self._engine.submit(request):
            if isinstance(event, ChildFinished):
                children.append(event)
            elif isinstance(event, RequestFinished):
                usage = event.usage
        return sorted(children, key=lambda child: child.child), usage

    # -- reading --------------------------------------------------------------------------------

    def _noted(self, value: float | None) -> float:
        """A verdict's value, 0.5 for one that cannot be read. Raises RewardError where none ever could."""
        if value is not None:
            self._readable += 1
            return value
        self.unreadable += 1
        if not self._readable and self.unreadable >= _FIRST:
            raise RewardError(
                f"a judge must answer as it is asked, got none of its first {self.unreadable} answers that "
                f"does: read = 'samples' with more tokens may help, or another template for {self.card.name}"
            )
        return _UNKNOWN

    def _shares(self, places: Sequence[int | None], steps: int) -> tuple[float, ...]:
        """The share of readable verdicts by which each step, and all before it, are right."""
        known = [place for place in places if place is not None]
        self._noted(float(bool(known)) if known else None)
        if not known:
            return (_UNKNOWN,) * steps
        return tuple(sum(place > step for place in known) / len(known) for step in range(steps))


def _add(cost: _Cost, usage: Usage, written: int, prompt: int) -> None:
    cost.charged += prompt + written
    cost.written += written
    cost.physical += usage.prompt_tokens - usage.cached_prompt_tokens + max(written, usage.generated_tokens)


def _probability(child: ChildFinished) -> float | None:
    """P(yes) by the first token of an answer; None where that begins neither yes nor no."""
    found = _BEGINNING.fullmatch(child.text.strip())
    if found is None:
        return None
    likely = min(1.0, math.exp(child.logprobs[0]))
    return likely if found[1].lower().startswith("y") else 1.0 - likely


def _said(text: str) -> float | None:
    """1.0 for yes and 0.0 for no: the first word, else the last of these words; None without one."""
    words = _WORD.findall(text)
    if not words:
        return None
    word = words[0] if re.match(r"\W*(?:yes|no)\b", text, re.IGNORECASE) else words[-1]
    return float(word.lower() == "yes")


def _percentage(text: str) -> float | None:
    """The last number of an answer, from 0 to 100, as a share; None without one."""
    numbers = _NUMBER.findall(text)
    value = float(numbers[-1]) / 100.0 if numbers else -1.0
    return value if 0.0 <= value <= 1.0 else None


def _place(text: str, steps: int) -> int | None:
    """The place of the first wrong step, ``steps`` where all are right (-1); None for no such number."""
    numbers = re.findall(r"-?\d+", text)
    value = int(numbers[-1]) if numbers else -2
    if value == -1:
        return steps
    return value if 0 <= value < steps else None
