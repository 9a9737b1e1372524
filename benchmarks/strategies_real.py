"""The real part of ``strategies.py``: one small model, one server, all strategies on the same questions.

Questions are asked in blocks; every contestant answers a block before the next one begins, one contestant
at a time. Each answer is kept as it comes (``versus_rows.py``), with the samples that others begin with. A
row holds what its contestant took itself; what lent samples took is added by the figures.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import versus_servers
from head_to_head import GRID, PRICES, Limit, Prices, Stage, answer_block, dollars
from real_campaign import LOG, PARAMETERS, SMALL
from strategies_contestants import JUDGE, OURS, RIVALS, SLOTS, STEP_JUDGE, THOUGHT_END, VOTE, Ours
from versus_door import Tokens
from versus_questions import COUNT as LEFT_TO_HEAD_TO_HEAD
from versus_questions import held_out
from versus_rows import Block, Row, Rows
from versus_servers import MAX_TOKENS, SAMPLING

from search.campaigns.prompted import PromptedLoader
from search.engines.protocol import Sampling
from search.errors import EngineError, RewardError
from search.grading.registry import domain
from search.loader import Loader, SourceLoader
from search.models.models_loader import ConfiguredPolicy
from search.problem import Problem
from search.result import Candidate, Result
from search.rewards.judge_spec import JudgeSpec
from search.run import run_plan
from search.scores import apportion, split
from search.seeds import seed_of
from search.sources import JudgePrm, ServedPolicy
from search.strategies.protocol import Limits, Setting
from search.sync import run_sync

__all__ = ["BLOCK", "CONTEXT", "COUNT", "Team", "questions", "run", "served"]

COUNT, BLOCK, SEED = 100, 8, 29
#: tokens of a sequence: eight answers stand in one prompt
CONTEXT = 2048
DELIMITER = "\n"
#: the same model, whose thoughts have an end
WAITING = "waiting"
#: characters of what came of a further request that a row keeps
_KEPT = 200


def questions(data: Path, log: Path) -> list[Problem]:
    """GSM8K questions that neither a campaign nor ``head_to_head.py`` asks."""
    logs = [one for one in (log, data / "qwen_coder_gsm8k" / "log") if one.is_dir()]
    return held_out(data / "problem_sets", logs, first=LEFT_TO_HEAD_TO_HEAD, count=COUNT)


def run(problems: Sequence[Problem], rows: Rows, limit: Limit, names: Sequence[str], block: int) -> None:
    """All answers of these contestants that are not there yet, block by block."""
    prices = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    template = tomllib.loads(GRID.read_text(encoding="utf-8"))["template"]
    with _Stage(rows.folder, LOG / "math", prices) as stage:
        loader = served(f"{stage.root('models')}/{SMALL}", template)
        team = Team(loader, rows, limit, stage.meter, prices)
        try:
            for first in range(0, len(problems), block):
                for one in (one for one in (*OURS, *RIVALS) if one.name in names):
                    known = rows.of(one.name)
                    left = [each for each in problems[first : first + block] if each.problem_id not in known]
                    if not left or limit.is_met():
                        continue
                    if isinstance(one, Ours):
                        team.answer(one, left)
                    else:
                        answer_block(one, left, rows, prices, stage, limit, template)
        finally:
            run_sync(loader.close())


class _Stage(Stage):
    """One model behind the door, and the rivals before it."""

    def models(self) -> dict[str, AbstractContextManager[str]]:
        return {SMALL: versus_servers.model(SMALL, slots=SLOTS, context=CONTEXT)}

    def server(self, behind: str, address: str) -> AbstractContextManager[str]:
        if behind == "its_hub-best":
            return versus_servers.its_hub_best(address, SMALL)
        return super().server(behind, address)


def served(url: str, template: str) -> Loader:
    """The model behind a URL, as a policy and as its own judge."""
    policy = ServedPolicy(url, SMALL, {"name": SMALL, "parameters": PARAMETERS[SMALL], "context": CONTEXT})
    waiting = ConfiguredPolicy(SMALL, policy, thought_end=THOUGHT_END)
    judges = {name: JudgePrm(JudgeSpec.parse(name), policy) for name in (JUDGE, STEP_JUDGE)}
    models = SourceLoader({SMALL: policy, WAITING: waiting}, judges)
    return PromptedLoader(models, template=template, delimiter=DELIMITER)


@dataclass(frozen=True, slots=True)
class Team:
    """Answers questions by plans of this project, and keeps the rows. ``meter``: the door's."""

    loader: Loader
    rows: Rows
    limit: Limit
    meter: Any
    prices: Prices

    def answer(self, one: Ours, problems: Sequence[Problem]) -> None:
        """Some questions, ``one.together`` at a time."""
        self.meter.watch({each.problem_id: each.question for each in problems})
        began = time.monotonic()
        done = run_sync(self._all(one, problems))
        seconds = time.monotonic() - began
        counted = {name: [taken.prompt, taken.generated] for name, taken in self.meter.total().items()}
        if done:
            load, today = round(os.getloadavg()[0], 1), date.today().isoformat()
            took = Block(one.name, len(done), round(seconds, 1), counted, one.together, load, today)
            self.rows.add_block(took)
        right = sum(row.right for row in done)
        print(f"{one.name}: {right} of {len(done)} right, {seconds:.0f} s, {counted}", file=sys.stderr)

    async def _all(self, one: Ours, problems: Sequence[Problem]) -> list[Row]:
        room, lent = asyncio.Semaphore(one.together), self.rows.of(VOTE)
        scored = self.rows.of(one.scored_by) if one.scored_by else {}

        async def answer(problem: Problem) -> Row | None:
            async with room:
                if self.limit.is_met():
                    return None
                begun = _begun(one, lent.get(problem.problem_id), scored.get(problem.problem_id))
                row = await self._row(one, problem, begun)
            self.limit.spend(row.prompt + row.generated)
            self.rows.add(one.name, row)
            return row

        return [row for row in await asyncio.gather(*map(answer, problems)) if row is not None]

    async def _row(self, one: Ours, problem: Problem, begun: Sequence[Candidate]) -> Row:
        """One question, and what came of it."""
        began, error, result = time.monotonic(), None, None
        reward = None if one.prm is None else self.loader.reward(one.prm)
        sampling = Sampling(SAMPLING["temperature"], SAMPLING["top_p"], int(SAMPLING["top_k"]))
        engine = self.loader.engine(WAITING if one.waits else SMALL)
        setting = Setting(engine, reward, sampling, Limits(MAX_TOKENS), DELIMITER)
        try:
            seed = seed_of(SEED, one.name, problem.problem_id)
            result = await run_plan(problem, one.plan, setting, seed=seed, prior=begun)
        except (EngineError, RewardError) as lost:
            error = f"{type(lost).__name__}: {lost}"[:_KEPT]
        seconds = time.monotonic() - began
        taken = await asyncio.to_thread(self.meter.taken, problem.problem_id)
        both = sum(taken.values(), Tokens())
        grader = domain(problem.domain)
        read = None if result is None else result.answer
        right = error is None and await asyncio.to_thread(grader.grade, problem, read)
        told = {} if result is None else await asyncio.to_thread(_told, one, problem, result)
        text = "" if result is None or result.chosen is None else result.candidates[result.chosen].text
        return Row(
            *(problem.problem_id, text, read, right, both.prompt, both.generated),
            *(dollars(taken, self.prices), round(seconds, 2), error),
            # samples that were lent, and whether their verdicts were too
            {**told, "begun": len(begun), "scored": any(each.step_rewards for each in begun)},
        )


def _told(one: Ours, problem: Problem, result: Result) -> dict[str, Any]:
    """What else is kept of a run: what others begin with, and what was asked further."""
    grader = domain(problem.domain)
    told: dict[str, Any] = {"outcome": str(result.outcome)}
    if one.name == VOTE:
        told["samples"] = [
            {
                **{"text": each.text, "answer": each.answer, "tokens": each.tokens},
                **{"finish": each.finish_reason, "right": grader.grade(problem, each.answer)},
            }
            for each in result.candidates
        ]
    if one.prm == JUDGE:
        told["rewards"] = [list(each.step_rewards) for each in result.candidates]
    if result.calls:
        told["calls"] = [[call.kind, call.text[:_KEPT]] for call in result.calls]
    if result.jail_seconds:
        told["jail_seconds"] = round(result.jail_seconds, 2)
    return told


def _begun(one: Ours, lent: Row | None, scored: Row | None) -> list[Candidate]:
    """The samples that a contestant begins with; none where the vote's row has none."""
    samples: Sequence[Mapping[str, Any]] = () if lent is None else lent.told.get("samples", ())
    rewards: Sequence[Sequence[float]] = () if scored is None else scored.told.get("rewards", ())
    found = []
    for place, each in enumerate(samples[: one.begins]):
        steps = split(each["text"], DELIMITER)
        known = tuple(rewards[place]) if place < len(rewards) else ()
        found.append(
            Candidate(each["text"], each["answer"], known, apportion(steps, each["tokens"]), each["finish"])
        )
    return found
