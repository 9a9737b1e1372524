"""A bench: fakes that count. An engine that knows what it wrote, a PRM that knows what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from search.budget import Prices
from search.engines.protocol import ChildFinished, Event, Request, RequestFinished
from search.engines.scripted import Script, ScriptedEngine
from search.problem import Problem
from search.rewards.protocol import Handle, Scored
from search.rewards.scripted import ScriptedReward
from search.strategies.protocol import Limits, Setting

__all__ = [
    "QUESTION",
    "SOLUTIONS",
    "Bench",
    "CountingEngine",
    "CountingReward",
    "MakeBench",
    "judge",
    "make_bench",
]

QUESTION = "2+3?"

#: three solutions; the wrong one is the most frequent, the right one is what `judge` likes best
SOLUTIONS = {"2+3=6\nso\n# 6": 0.5, "2+3=5\nthat is\n# 5": 0.3, "hm\n# ": 0.2}


class CountingEngine(ScriptedEngine):
    """Keeps every request and every finished child.

    ``takes_n``: whether all children of a request are drawn by one request to the backend; where not, each
    child is a request of its own, which bills its prompt.
    """

    def __init__(self, script: Script, *, context: int = 65536, takes_n: bool = True) -> None:
        super().__init__(script, context=context)
        self.takes_n = takes_n
        self.requests: list[Request] = []
        self.children: list[ChildFinished] = []
        self._made: dict[tuple[int, ...], None] = {}

    def prompt(self, question: str) -> tuple[int, ...]:
        made = super().prompt(question)
        self._made.setdefault(made)
        return made

    def most_sent(self, prompt: int, n: int, max_tokens: int) -> int:
        return prompt if self.takes_n else n * prompt

    def submit(self, request: Request) -> AsyncIterator[Event]:
        self.requests.append(request)
        return self._kept(super().submit(request), 1 if self.takes_n else request.n)

    async def _kept(self, events: AsyncIterator[Event], prompts: int) -> AsyncIterator[Event]:
        async for event in events:
            if isinstance(event, ChildFinished):
                self.children.append(event)
            elif isinstance(event, RequestFinished):
                sent = prompts * event.usage.prompt_tokens
                event = replace(event, usage=replace(event.usage, prompt_tokens=sent))
            yield event

    @property
    def billed(self) -> int:
        """Prompt tokens that the backend bills: every prompt as often as it was sent."""
        return sum(len(one.prompt) * (1 if self.takes_n else one.n) for one in self.requests)

    @property
    def generated(self) -> int:
        """Tokens of all children."""
        return sum(len(child.token_ids) for child in self.children)

    @property
    def prompted(self) -> int:
        """Tokens of all prompts that were sent, each counted once."""
        return sum(len(made) for made in self._made if self.has_sent(made))

    def has_sent(self, prompt: tuple[int, ...]) -> bool:
        """Whether a request began with this prompt."""
        return any(request.prompt[: len(prompt)] == prompt for request in self.requests)


class CountingReward(ScriptedReward):
    """Keeps the steps of every call: the prefix and what is new."""

    def __init__(self, script: Callable[[str, tuple[str, ...]], float], *, context: int = 65536) -> None:
        super().__init__(script, context=context)
        self.calls: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.billed = 0

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        self.calls.append((handle.steps, tuple(steps)))
        scored = await super().extend(handle, steps)
        self.billed += scored.usage.physical_tokens
        return scored

    @property
    def scored(self) -> int:
        """Logical tokens of all calls, the prompt left out."""
        return sum(self.count("", new)[1] for _, new in self.calls)


class _AnyQuestion(Mapping[str, Mapping[str, float]]):
    """What is written whatever is asked: a strategy may ask about its own answers."""

    def __init__(self, solutions: Mapping[str, float]) -> None:
        self._solutions = solutions

    def __getitem__(self, question: str) -> Mapping[str, float]:
        return self._solutions

    def __iter__(self) -> Iterator[str]:
        return iter((QUESTION,))

    def __len__(self) -> int:
        return 1


class Bench:
    """A problem and a setting over a script, with the fakes at hand."""

    def __init__(
        self,
        script: Script,
        judge: Callable[[str, tuple[str, ...]], float],
        limits: Limits,
        context: int,
        prm_context: int,
        takes_n: bool = True,
    ) -> None:
        self.problem = Problem("p", "f", "text", QUESTION, "5")
        self.engine = CountingEngine(script, context=context, takes_n=takes_n)
        self.reward = CountingReward(judge, context=prm_context)
        self.setting = Setting(self.engine, self.reward, limits=limits)
        self.prompt = len(QUESTION) + 1  # and the turn
        self.prm_prompt = self.reward.count(QUESTION, ())[0]

    def bill(self, prices: Prices) -> float:
        """US dollars that the backends ask for what they were sent and have written."""
        return prices.usd(
            prompt=self.engine.billed, generated=self.engine.generated, scored=self.reward.billed
        )


def judge(question: str, steps: tuple[str, ...]) -> float:
    """Right solutions well, wrong ones badly, and not the same at every step."""
    return (0.9 if "5" in "".join(steps) else 0.3) - 0.05 * len(steps)


#: ``make_bench``, as a fixture gives it
MakeBench = Callable[..., Bench]


def make_bench(
    script: Script | None = None,
    judge: Callable[[str, tuple[str, ...]], float] = judge,
    *,
    max_tokens: int = 60,
    max_steps: int = 12,
    context: int = 65536,
    prm_context: int = 65536,
    takes_n: bool = True,
) -> Bench:
    """A bench over a script, by default ``SOLUTIONS`` of any question, and a judge."""
    solutions: Script = _AnyQuestion(SOLUTIONS) if script is None else script
    return Bench(solutions, judge, Limits(max_tokens, max_steps), context, prm_context, takes_n)
