"""Tokens per second of a campaign beside raw sampling of the same tokens from the same server.

    python benchmarks/campaign_throughput.py --base-url http://127.0.0.1:8000 [--policy NAME]
    python benchmarks/campaign_throughput.py --engine vllm --policy FOLDER
        [--problems FILE --mapping gsm8k] [--tokens 30000] [--block 8] [--rounds 3] [--in-flight N]
        [--max-tokens 320] [--json]

Each round, alternating which comes first:

- ``campaign``: ``search.campaign`` draws pools of ``--block`` samples per problem into a new log, problem by
  problem until about ``--tokens`` tokens: graded, summed up and written.
- ``raw``: the same prompts, the same number of samples and the same sampling, all submitted to the engine at
  once under other seeds; nothing is read, graded or kept.

``share`` is the campaign's tokens per second over the raw ones of the same round. How many problems that
takes is found by a first, short look at lengths, which also warms the server up. It asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from planner.cli.sourcing import Sourcing
from search.campaign import Campaign
from search.engines.confidence import TOP
from search.engines.protocol import ChildFinished, Engine, Request
from search.grid import Grid
from search.loader import SourceLoader
from search.log.store import SearchLog
from search.problem import Problem
from search.problem_set import read_problems
from search.prompted import PromptedLoader
from search.seeds import seed_of
from search.sync import run_sync

#: problems of the first probe
_PROBE = 8


@dataclass(frozen=True, slots=True)
class Run:
    """Generated tokens and seconds."""

    tokens: int
    seconds: float

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=("openai", "vllm", "embedded"), default="openai")
    parser.add_argument("--base-url")
    parser.add_argument("--policy", required=True)
    data = Path(os.environ.get("PLANNER_DATA", ".")) / "problem_sets" / "gsm8k_test.jsonl"
    parser.add_argument("--problems", type=Path, default=data)
    parser.add_argument("--mapping", default="gsm8k")
    parser.add_argument("--tokens", type=int, default=30_000)
    parser.add_argument("--block", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int)
    parser.add_argument("--max-tokens", type=int, default=320)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    urls = () if asked.base_url is None else (asked.base_url,)
    sourcing = Sourcing(asked.engine, (asked.policy,), base_urls=urls, threads=os.cpu_count() or 1)
    [name] = sourcing.policy_names
    problems = read_problems(asked.problems, mapping=asked.mapping or None)
    loader = sourcing.loader([name], [])
    try:
        rounds = measured(asked, loader, name, problems)
    finally:
        run_sync(loader.close())
    shares = [campaign.speed / raw.speed for campaign, raw in rounds]
    if asked.json:
        told = [{"campaign": one.speed, "raw": two.speed, "tokens": one.tokens} for one, two in rounds]
        print(json.dumps({"rounds": told, "share": statistics.median(shares)}, indent=1))
        return
    for (campaign, raw), share in zip(rounds, shares, strict=True):
        print(f"campaign {campaign.speed:8.1f} tokens/s  raw {raw.speed:8.1f} tokens/s  share {share:.3f}")
    print(f"median share {statistics.median(shares):.3f}")


def grid_of(asked: argparse.Namespace, policy: str, seed: int) -> Grid:
    """Pools of one block, greedy answers left out."""
    return Grid.of(
        {
            "pair": [{"policy": policy}],
            "strategies": ["majority"],
            "n": [1],
            "samples": asked.block,
            "block": asked.block,
            "max_tokens": asked.max_tokens,
            "temperature": 0.7,
            "seed": seed,
        }
    )


def measured(
    asked: argparse.Namespace, loader: SourceLoader, policy: str, problems: list[Problem]
) -> list[tuple[Run, Run]]:
    """(campaign, raw) of every round."""
    probe = campaign_run(asked, loader, policy, problems[:_PROBE], 0)
    count = max(1, round(asked.tokens * _PROBE / max(1, probe.tokens)))
    rounds = []
    for number in range(1, asked.rounds + 1):
        first = (number - 1) * count % max(1, len(problems) - count)
        slice_ = problems[first : first + count]
        if number % 2:
            campaign = campaign_run(asked, loader, policy, slice_, number)
            raw = raw_run(asked, loader, policy, slice_, number)
        else:
            raw = raw_run(asked, loader, policy, slice_, number)
            campaign = campaign_run(asked, loader, policy, slice_, number)
        rounds.append((campaign, raw))
    return rounds


def campaign_run(
    asked: argparse.Namespace, loader: SourceLoader, policy: str, problems: list[Problem], seed: int
) -> Run:
    """A campaign into a log of its own, which is removed."""
    folder = Path(tempfile.mkdtemp())
    try:
        log = SearchLog.at(folder / "log")
        campaign = Campaign(problems, grid_of(asked, policy, seed), log, loader, in_flight=asked.in_flight)
        started = time.perf_counter()
        campaign.run()
        seconds = time.perf_counter() - started
        return Run(int(log.read("samples")["tokens"].sum()), seconds)
    finally:
        shutil.rmtree(folder)


def raw_run(
    asked: argparse.Namespace, loader: SourceLoader, policy: str, problems: list[Problem], seed: int
) -> Run:
    """The same requests, all at once, and nothing else."""
    grid = grid_of(asked, policy, seed)
    engine = PromptedLoader(loader, grid.prompt, grid.template, grid.delimiter).engine(policy)
    started = time.perf_counter()
    tokens = run_sync(sampled(engine, grid, problems, seed))
    return Run(tokens, time.perf_counter() - started)


async def sampled(engine: Engine, grid: Grid, problems: list[Problem], seed: int) -> int:
    """Generated tokens."""

    async def one(problem: Problem) -> int:
        prompt = engine.prompt(problem.question)
        most = grid.max_tokens
        request = Request(
            prompt,
            grid.block,
            most,
            grid.sampling,
            seed_of(seed, problem.problem_id, "raw"),
            logprobs=True,
            top_logprobs=TOP,
        )
        return sum(
            [
                len(event.token_ids)
                async for event in engine.submit(request)
                if isinstance(event, ChildFinished)
            ]
        )

    return sum(await asyncio.gather(*map(one, problems)))


if __name__ == "__main__":
    main()
