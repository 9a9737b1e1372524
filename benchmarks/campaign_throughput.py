"""Tokens per second of a campaign beside raw sampling of the same tokens from the same server.

    python benchmarks/campaign_throughput.py --base-url http://127.0.0.1:8000 [--policy NAME]
    python benchmarks/campaign_throughput.py --engine vllm --policy FOLDER
        [--problems FILE --mapping gsm8k] [--tokens 30000] [--block 8] [--rounds 3] [--in-flight N]
        [--max-tokens 320] [--output FILE]

Each round, alternating which comes first:

- ``campaign``: ``search.campaigns.campaign`` draws pools of ``--block`` samples per problem into a new log,
problem by
  problem until about ``--tokens`` tokens: graded, summed up and written.
- ``raw``: the same prompts, the same number of samples and the same sampling, all submitted to the engine at
  once under other seeds; nothing is read, graded or kept.

``share`` is the campaign's tokens per second over the raw ones of the same round. How many problems that
takes is found by a first, short look at lengths, which also warms the server up. ``--output`` keeps every
round as it ends, and the same command goes on from there. It asserts nothing.
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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from planner.solving.sourcing import Sourcing
from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.campaigns.prompted import PromptedLoader
from search.engines.confidence import TOP
from search.engines.protocol import ChildFinished, Engine, Request
from search.loader import SourceLoader
from search.log.store import SearchLog
from search.problem import Problem
from search.problem_sets.problem_set import read_problems
from search.seeds import seed_of
from search.sync import run_sync

#: problems of the first probe
_PROBE = 4


@dataclass(frozen=True, slots=True)
class Run:
    """Generated tokens and seconds."""

    tokens: int
    seconds: float

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds


@dataclass(frozen=True, slots=True)
class Round:
    """Tokens per second of both ways, and the campaign's tokens."""

    campaign: float
    raw: float
    tokens: int

    def told(self) -> str:
        """One line."""
        share = self.campaign / self.raw
        return f"campaign {self.campaign:8.1f} tokens/s  raw {self.raw:8.1f} tokens/s  share {share:.3f}"


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
    parser.add_argument("--output", type=Path, help="JSON; default: the rounds are printed only")
    asked = parser.parse_args()
    urls = () if asked.base_url is None else (asked.base_url,)
    sourcing = Sourcing(asked.engine, (asked.policy,), base_urls=urls, threads=os.cpu_count() or 1)
    [name] = sourcing.policy_names
    problems = read_problems(asked.problems, mapping=asked.mapping or None)
    loader = sourcing.loader([name], [])
    rounds = kept(asked.output)
    try:
        for one in measured(asked, loader, name, problems, len(rounds)):
            rounds.append(one)
            print(one.told(), flush=True)
            if asked.output is not None:
                told = [asdict(each) for each in rounds]
                text = json.dumps({"rounds": told, "share": share_of(rounds)}, indent=1)
                asked.output.write_text(text + "\n")
    finally:
        run_sync(loader.close())
    print(f"median share {share_of(rounds):.3f}")


def kept(path: Path | None) -> list[Round]:
    """The rounds that an output has."""
    if path is None or not path.is_file():
        return []
    return [Round(**one) for one in json.loads(path.read_text())["rounds"]]


def share_of(rounds: Sequence[Round]) -> float:
    """The median of the rounds' shares."""
    return statistics.median(one.campaign / one.raw for one in rounds)


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
    asked: argparse.Namespace, loader: SourceLoader, policy: str, problems: list[Problem], done: int
) -> Iterator[Round]:
    """The rounds after ``done``."""
    probe = campaign_run(asked, loader, policy, problems[:_PROBE], 0)
    count = max(1, round(asked.tokens * _PROBE / max(1, probe.tokens)))
    for number in range(done + 1, asked.rounds + 1):
        first = (number - 1) * count % max(1, len(problems) - count)
        slice_ = problems[first : first + count]
        ways = [campaign_run, raw_run] if number % 2 else [raw_run, campaign_run]
        runs = {way: way(asked, loader, policy, slice_, number) for way in ways}
        yield Round(runs[campaign_run].speed, runs[raw_run].speed, runs[campaign_run].tokens)


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
