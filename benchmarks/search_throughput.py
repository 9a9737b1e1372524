"""Tokens per second of the search loop, beside plain sampling and beside the loop of known systems.

    python benchmarks/search_throughput.py [--engine embedded|vllm] [--policy FOLDER] [--prm FOLDER]
        [--in-flight 8 64] [--n 16 64] [--rounds 3] [--device cpu|cuda] [--keep NAME]

For every plan and number of problems in flight, alternating, each round with other seeds:

- ``ceiling``: raw sampling of the same number of tokens per problem, all submitted at once, no PRM;
- ``search``: ``search.run.run_plan``, all problems at once;
- ``lock-step``: ``lock_step.py``, one problem at a time, on ``--alone`` of the problems.

Share is tokens/s over the ceiling's of the same round. Where all threads are known (the embedded
engine), CPU seconds tell where time goes whatever else runs on the machine: ``engine`` is tokens per
CPU second of the engine's thread over the ceiling's, ``prm`` and ``loop`` are CPU seconds of the PRM's
thread and of the event loop's (strategies, budgets, bookkeeping) over the engine's. ``loop ms`` is the
event loop's CPU time per child drawn. PRM tokens are those processed per problem, the prompt included
(lock-step: of whole prefixes), and ``x steps`` is that over the tokens of the scored steps and one
prompt. MB is the largest resident set during the runs (with ``--device cuda``: of the card).

Medians of the rounds. ``--keep NAME`` puts the runs under that name into ``search_throughput.json``, in
place of earlier ones, and writes ``search_throughput.md`` from it. It asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import shlex
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from lock_step import Work, lock_step

from planner.models import shipped
from search.engines.protocol import ChildFinished, Engine, Event, Request, Sampling
from search.plan import Plan
from search.problem import Problem
from search.rewards.protocol import Reward
from search.run import run_plan
from search.seeds import seed_of
from search.sources import EmbeddedPolicy, FolderPrm, VllmPolicy, VllmPrm
from search.strategies.protocol import Limits, Setting
from training.lab.problems import problem_set

HERE = Path(__file__).parent
_LIMITS = Limits()
#: seed of the problems, which belong to no data set
_PROBLEMS = 20_260
_HEAD = (
    f"{'plan':<12} {'n':>3} {'problems':>8} {'loop':<10} {'problems/s':>10} {'tokens/s':>8} {'share':>6}"
    f" {'engine':>6} {'prm':>5} {'loop':>5} {'loop ms':>7} {'PRM tokens':>10} {'x steps':>7} {'MB':>6}"
)


_TITLE = """# Search loop: tokens per second beside plain sampling

What the columns mean stands at the top of `search_throughput.py`. In short: `share` is tokens per second over
those of plain sampling of as many tokens, everything submitted at once; `engine` is the same by CPU
seconds of the engine's thread alone, and `prm` and `loop` are the CPU seconds of the PRM and of the event
loop over the engine's. The lock-step loop has one problem at a time. This page is written by the script.
"""

_NOTES = """## How to read it

Where the machine did other work as well, problems/s, tokens/s and `share` say little; CPU seconds do.
`engine` is then what the search reaches where PRM and event loop have cores (or processes) of their own, and
`engine` / (1 + `prm` + `loop`) what it reaches where all share one core.

## Where the rest goes

- `engine`: batches of a search are emptier than those of plain sampling while parents wait for the last of
  their children and for their scores, and keys and values of each finished step are stored once more.
- `prm`: steps are scored as they end, so a batch holds the few that ended in the last engine steps, and a
  small batch is mostly calls. Tokens are not what costs: equal and earlier steps are never computed again.
- `loop`: some seven callbacks of asyncio per child, reservations of the budget, reading answers.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One run."""

    plan: str
    n: int
    problems: int
    loop: str
    seconds: float
    tokens: int
    children: int
    prm_tokens: int
    step_tokens: int
    engine_cpu: float
    prm_cpu: float
    loop_cpu: float
    megabytes: float


class Counted(Engine):
    """An engine that counts the children asked of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.card = engine.card
        self.children = 0

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._engine.prompt(question)

    def submit(self, request: Request) -> AsyncIterator[Event]:
        self.children += request.n
        return self._engine.submit(request)

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        await self._engine.cancel(request_id, child)

    async def close(self) -> None:
        await self._engine.close()


class Clock:
    """Seconds, CPU seconds of the threads that matter, and memory, from its making to ``row``."""

    def __init__(self, device: str) -> None:
        gc.collect()
        self._device = device
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        elif (peak := Path("/proc/self/clear_refs")).exists():
            peak.write_text("5")  # the largest resident set begins anew
        self._cpu = _thread_seconds()
        self._began = time.perf_counter()

    def row(
        self, plan: Plan, problems: int, loop: str, *, tokens: int, children: int, prm: int, steps: int
    ) -> Row:
        seconds = time.perf_counter() - self._began
        cpu = {name: value - self._cpu.get(name, 0.0) for name, value in _thread_seconds().items()}
        return Row(
            plan.strategy,
            plan.n,
            problems,
            loop,
            seconds,
            tokens,
            children,
            prm,
            steps,
            sum(value for name, value in cpu.items() if name.startswith("embedded-engine")),
            sum(value for name, value in cpu.items() if "-reward" in name),
            cpu["MainThread"],
            _peak(self._device),
        )


def _thread_seconds() -> dict[str, float]:
    """CPU seconds of this process's threads by name."""
    return {
        thread.name: time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.ident is not None
    }


def _peak(device: str) -> float:
    """Megabytes."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated()) / 1e6
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


async def ceiling(
    engine: Engine, plan: Plan, work: Sequence[tuple[Problem, int]], seed: int, device: str
) -> Row:
    """So many whole samples of each problem, everything submitted at once."""

    async def one(problem: Problem, n: int) -> int:
        request = Request(
            engine.prompt(problem.question),
            n,
            _LIMITS.max_tokens,
            Sampling(),
            seed_of(seed, problem.problem_id),
            logprobs=True,
        )
        return sum(
            [
                len(event.token_ids)
                async for event in engine.submit(request)
                if isinstance(event, ChildFinished)
            ]
        )

    clock = Clock(device)
    each = await asyncio.gather(*(one(problem, n) for problem, n in work))
    children = sum(n for _, n in work)
    return clock.row(plan, len(work), "ceiling", tokens=sum(each), children=children, prm=0, steps=0)


async def search(
    engine: Engine, reward: Reward, plan: Plan, problems: Sequence[Problem], seed: int, device: str
) -> tuple[Row, list[int]]:
    """Our loop, and the tokens it generated per problem."""
    counted = Counted(engine)
    setting = Setting(counted, reward, limits=_LIMITS)
    clock = Clock(device)
    results = await asyncio.gather(
        *(run_plan(each, plan, setting, seed=seed_of(seed, each.problem_id)) for each in problems)
    )
    spent = [result.spend for result in results]
    tokens = [
        spend.policy_tokens - len(engine.prompt(each.question))
        for spend, each in zip(spent, problems, strict=True)
    ]
    row = clock.row(
        plan,
        len(problems),
        "search",
        tokens=sum(tokens),
        children=counted.children,
        prm=sum(spend.physical_prm_tokens for spend in spent),
        steps=sum(spend.prm_tokens for spend in spent),
    )
    return row, tokens


async def alone(
    engine: Engine, reward: Reward, plan: Plan, problems: Sequence[Problem], seed: int, device: str
) -> Row:
    """The loop of known systems."""
    work = Work()
    clock = Clock(device)
    for each in problems:
        await lock_step(each, plan, engine, reward, _LIMITS, seed_of(seed, each.problem_id), work)
    return clock.row(
        plan,
        len(problems),
        "lock-step",
        tokens=work.generated,
        children=work.children,
        prm=work.whole,
        steps=0,
    )


async def measure(chosen: argparse.Namespace) -> list[Row]:
    """All rows of all rounds."""
    engine, reward = _open(chosen)
    problems = [made.problem for made in problem_set("search", max(chosen.in_flight), _PROBLEMS)]
    rows: list[Row] = []
    async with engine, reward:
        lengths = await _lengths(engine, problems)
        for round_ in range(chosen.rounds):
            for count in chosen.in_flight:
                for n in chosen.n:
                    for plan in _plans(n, chosen.width):
                        asked = problems[:count]
                        row, tokens = await search(engine, reward, plan, asked, round_, chosen.device)
                        samples = [
                            max(1, round(t / length)) for t, length in zip(tokens, lengths, strict=False)
                        ]
                        work = list(zip(asked, samples, strict=True))
                        rows += [row, await ceiling(engine, plan, work, round_, chosen.device)]
                        if count == min(chosen.in_flight):
                            few = asked[: chosen.alone]
                            rows.append(await alone(engine, reward, plan, few, round_, chosen.device))
                        print(
                            f"{datetime.now(UTC):%H:%M:%S} round {round_ + 1}: {plan}, {count} problems",
                            flush=True,
                        )
    return rows


async def _lengths(engine: Engine, problems: Sequence[Problem]) -> list[float]:
    """Mean tokens of a whole sample of each problem; warms everything up as well."""

    async def one(problem: Problem) -> float:
        request = Request(engine.prompt(problem.question), 4, _LIMITS.max_tokens, Sampling(), 1)
        found = [
            len(event.token_ids) async for event in engine.submit(request) if isinstance(event, ChildFinished)
        ]
        return sum(found) / len(found)

    return list(await asyncio.gather(*(one(problem) for problem in problems)))


def _plans(n: int, width: int) -> list[Plan]:
    return [
        Plan.parse(f"best_of_n(n={n}, score=last)"),
        Plan.parse(f"beam_search(n={n}, width={width}, prune=last, score=last, vote=max)"),
        Plan.parse(f"dvts(n={n}, width={width}, prune=last, score=last, vote=max)"),
    ]


def _open(chosen: argparse.Namespace) -> tuple[Engine, Reward]:
    if chosen.engine == "vllm":
        options = json.loads(chosen.options)
        return VllmPolicy(chosen.policy, options).open(), VllmPrm(chosen.prm, options).open()
    if chosen.device != "cpu":
        raise SystemExit(f"the embedded engine computes on the CPU, got --device {chosen.device}")
    threads = {"threads": chosen.threads}
    return EmbeddedPolicy(chosen.policy, threads).open(), FolderPrm(chosen.prm, threads).open()


def table(rows: Sequence[Row]) -> list[str]:
    """One line per plan, number of problems and loop."""
    lines = [_HEAD]
    kinds = dict.fromkeys((row.plan, row.n, row.problems, row.loop) for row in rows)
    for kind in kinds:
        mine = [row for row in rows if (row.plan, row.n, row.problems, row.loop) == kind]
        top = [
            row
            for row in rows
            if (row.plan, row.n, row.loop) == (kind[0], kind[1], "ceiling")
            and (row.problems == kind[2] or kind[3] == "lock-step")
        ]
        pairs = list(zip(mine, top, strict=False))
        share = _median([row.tokens / row.seconds * one.seconds / one.tokens for row, one in pairs])
        engine = _median(
            [_per(row.tokens, row.engine_cpu) / (_per(one.tokens, one.engine_cpu) or 1) for row, one in pairs]
        )
        prm = _median([_per(row.prm_cpu, row.engine_cpu) for row in mine])
        loop = _median([_per(row.loop_cpu, row.engine_cpu) for row in mine])
        split = f"{engine:>6.0%} {prm:>5.2f} {loop:>5.2f}" if engine else f"{'-':>6} {'-':>5} {'-':>5}"
        lines.append(
            f"{kind[0]:<12} {kind[1]:>3} {kind[2]:>8} {kind[3]:<10}"
            f" {_median([row.problems / row.seconds for row in mine]):>10.2f}"
            f" {_median([row.tokens / row.seconds for row in mine]):>8,.0f} {share:>6.0%} {split}"
            f" {_median([1e3 * row.loop_cpu / row.children for row in mine]):>7.3f}"
            f" {_median([row.prm_tokens / row.problems for row in mine]):>10,.0f}"
            f" {_median([_per(row.prm_tokens, row.step_tokens) for row in mine]):>7.2f}"
            f" {max(row.megabytes for row in mine):>6,.0f}"
        )
    return lines


def _rate(row: Row) -> float:
    """Tokens per CPU second of the engine's thread; 0 where there is none in this process."""
    return _per(row.tokens, row.engine_cpu)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def _per(one: float, other: float) -> float:
    return one / other if other else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--engine", choices=("embedded", "vllm"), default="embedded")
    parser.add_argument("--policy", type=Path, default=shipped("lab-policy-m"))
    parser.add_argument("--prm", type=Path, default=shipped("lab-prm-good"))
    parser.add_argument("--in-flight", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--n", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=int, default=4, help="problems of the lock-step loop")
    parser.add_argument("--threads", type=int, default=1, help="torch's, of the embedded engine")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--options", default="{}", help="vLLM's engine arguments, as JSON")
    parser.add_argument("--keep", help="the name of the machine and engine, for the document")
    chosen = parser.parse_args()
    rows = asyncio.run(measure(chosen))
    print("\n".join(table(rows)))
    if chosen.keep:
        keep(chosen.keep, "python benchmarks/search_throughput.py " + shlex.join(sys.argv[1:]), rows)


def keep(name: str, command: str, rows: Sequence[Row]) -> None:
    """Put rows into the file of all kept ones, and write the document from it."""
    file = HERE / "search_throughput.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept[name] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": command,
        "rows": [asdict(row) for row in rows],
    }
    file.write_text(json.dumps(kept, separators=(",", ":")) + "\n")
    (HERE / "search_throughput.md").write_text(document(kept))


def document(kept: Mapping[str, Any]) -> str:
    """The page of all kept runs."""
    parts = [_TITLE]
    for title, each in kept.items():
        lines = table([Row(**row) for row in each["rows"]])
        parts.append(
            f"## {title}\n\n`{each['command']}`, {each['date']}\n\n```\n" + "\n".join(lines) + "\n```\n"
        )
    return "\n".join([*parts, _NOTES])


if __name__ == "__main__":
    main()
