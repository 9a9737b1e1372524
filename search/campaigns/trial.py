"""A trial of a campaign: its first few problems are drawn and scored, to see lengths and speed. Logs nothing.

Few solutions at first, then four times as many, until a trial takes long enough or is as large as the
campaign keeps in flight: a batching engine is faster the more it has. The last trial counts. Its speed is
that until half of its solutions have ended, since a campaign has others to put in their place; where units
run alone, the tail of each is part of the campaign, and of the figure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from search.campaigns.grid import Grid
from search.campaigns.metered import MeteredEngine
from search.campaigns.prompted import PromptedLoader
from search.campaigns.spending import Meter
from search.loader import Loader
from search.plan import Plan
from search.problem import Problem
from search.result import Result
from search.run import run_plan
from search.scoring import score_solution, together
from search.seeds import seed_of
from search.strategies.protocol import Setting

__all__ = ["Measured", "Scoring", "measure"]

#: solutions of the first trial
_FIRST = 16
#: seconds after which no larger trial is made
_ENOUGH = 5.0


@dataclass(frozen=True, slots=True)
class Scoring:
    """Of one PRM: tokens per solution and per prompt, and tokens per second."""

    solution: float
    prompt: float
    speed: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one policy.

    ``solutions`` were drawn, of ``solution`` tokens each, at ``speed`` generated tokens per second; a prompt
    has ``prompt`` tokens; ``cut``: the share that reached ``max_tokens``; ``unreadable``: the share without
    an answer. ``tokens``: all that was spent on it. ``scorings``: PRM -> what scoring takes.
    """

    solutions: int
    solution: float
    prompt: float
    speed: float
    cut: float
    unreadable: float
    tokens: int
    scorings: MappingProxyType[str, Scoring]


async def measure(problems: Sequence[Problem], grid: Grid, loader: Loader) -> dict[str, Measured]:
    """Try every policy of a grid, and its PRMs, on the first problems.

    Loads the models. Raises what a campaign raises.
    """
    asked = PromptedLoader(loader, grid.prompt, grid.template, grid.delimiter)
    return {name: await _measured(problems, grid, asked, name) for name in grid.policies}


async def _measured(problems: Sequence[Problem], grid: Grid, loader: PromptedLoader, policy: str) -> Measured:
    engine = loader.engine(policy)
    most = min(grid.group * grid.block, len(problems) * grid.block)
    if not engine.equal_bits:
        most = min(len(problems) * grid.block, engine.concurrency)
    spent, solutions = 0, min(_FIRST, most)
    while True:
        trial = _Trial(problems, grid, loader, policy, solutions)
        await trial.run()
        spent += trial.tokens
        if trial.seconds >= _ENOUGH or solutions >= most:
            break
        solutions = min(4 * solutions, most)
    scorings = {}
    for prm in grid.prms(policy):
        scorings[prm], scored = await _scoring(trial, loader, policy, prm)
        spent += scored
    return trial.measured(spent, scorings)


class _Trial:
    """About so many solutions, all in flight at once."""

    def __init__(
        self, problems: Sequence[Problem], grid: Grid, loader: PromptedLoader, policy: str, solutions: int
    ) -> None:
        self._grid = grid
        self._loader = loader
        self._policy = policy
        self._limits = grid.limits_of([loader.generation_defaults(name) for name in grid.policies])
        self._draws = min(grid.block, max(1, math.ceil(solutions / len(problems))))
        self._draws = max(self._draws, min(grid.block, 4))
        self.problems = tuple(problems[: max(1, math.ceil(solutions / self._draws))])
        self._meter = Meter(is_live=True)
        self._ends: list[tuple[float, int]] = []
        self.results: list[Result] = []
        self.seconds = 0.0

    @property
    def tokens(self) -> int:
        """Spent so far."""
        return self._meter.tokens

    async def run(self) -> None:
        engine = self._loader.engine(self._policy)
        sampling = self._grid.sampling_of(self._loader.generation_defaults(self._policy))
        delimiter = self._loader.prompting(self._policy).delimiter
        started = time.monotonic()

        def ended() -> None:
            usage = self._meter.usage(engine.card.name)
            self._ends.append((time.monotonic() - started, usage.generated))

        async def one(problem: Problem) -> Result:
            metered = MeteredEngine(engine, self._meter, ended)
            setting = Setting(metered, None, sampling, self._limits, delimiter)
            seed = seed_of(self._grid.seed, "trial", problem.problem_id, len(self.problems))
            return await run_plan(problem, Plan.of("majority", n=self._draws), setting, seed=seed)

        self.results = await together([one(problem) for problem in self.problems])
        self.seconds = time.monotonic() - started

    def measured(self, spent: int, scorings: dict[str, Scoring]) -> Measured:
        """What this trial showed."""
        engine = self._loader.engine(self._policy)
        usage = self._meter.usage(engine.card.name)
        drawn = [candidate for result in self.results for candidate in result.candidates]
        at, tokens = self._ends[-1] if engine.equal_bits else self._ends[len(self._ends) // 2]
        return Measured(
            len(drawn),
            usage.generated / max(1, len(drawn)),
            usage.first_prompt / max(1, usage.runs),
            tokens / max(at, 1e-9),
            sum(one.tokens >= self._limits.max_tokens for one in drawn) / max(1, len(drawn)),
            sum(one.answer is None for one in drawn) / max(1, len(drawn)),
            spent,
            MappingProxyType(scorings),
        )


async def _scoring(trial: _Trial, loader: PromptedLoader, policy: str, prm: str) -> tuple[Scoring, int]:
    """What a PRM takes for the solutions of a trial, and the tokens spent on it."""
    reward, delimiter = loader.reward(prm), loader.prompting(policy).delimiter
    pairs = [
        (problem.question, candidate.text)
        for problem, result in zip(trial.problems, trial.results, strict=True)
        for candidate in result.candidates
    ]
    started = time.monotonic()
    scored = await together(
        [score_solution(reward, question, text, delimiter) for question, text in dict.fromkeys(pairs)]
    )
    seconds = time.monotonic() - started
    count = max(1, len(scored))
    tokens, prompts = sum(one[2] for one in scored), sum(one[1] for one in scored)
    speed = max(1, tokens) / max(seconds, 1e-9)
    return Scoring(tokens / count, prompts / count, speed), tokens + prompts
