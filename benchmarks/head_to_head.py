"""Two real models behind one address, held-out questions: who gets how many right, at what cost.

    PLANNER_DATA=FOLDER PLANNER_REAL_MODELS=FOLDER PLANNER_LLAMA_SERVER=PROGRAM
        python benchmarks/head_to_head.py [--parts NAME ...] [--count N] [--spend tokens=N] [--minutes N]
    python benchmarks/head_to_head.py --page

Qwen2.5-Coder-Instruct with 0.5B and 1.5B weights behind llama.cpp's server each (``versus_servers.py``), a
door before both that counts tokens (``versus_door.py``), and 200 questions of GSM8K that no campaign asked
(``versus_questions.py``). The contestants (``versus_contestants.py``): each model greedy; ``planner serve``
at three budgets, with a planner fitted on the log of ``real_campaign.py``; its_hub's self-consistency and
optillm's majority of eight; DeepConf (``versus_deepconf.py``). A text router between the greedy answers
(``versus_router.py``) is computed from them.

Questions are asked in blocks; every contestant answers a block before the next one begins, one contestant
at a time, so whatever is there can be compared. Each answer is kept in ``--rows`` as it comes
(``versus_rows.py``): start it again and it goes on. The planner is fitted at the first start and kept
beside the answers. ``--spend`` limits the tokens of this run, prompts included, and ``--minutes`` its time:
nothing is begun after either. What was given up by a limit or by Ctrl-C is asked again the next time; what
failed is a lost request.

It writes ``head_to_head.json``, ``head_to_head.md`` and ``docs/head_to_head.svg`` from all answers that are
there; ``--page`` does that alone and starts nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import openai
import versus_servers
from openai import OpenAI
from real_campaign import LOG, PARAMETERS, SMALL
from versus_contestants import CONTESTANTS, Answer, Contestant
from versus_door import Meter, Tokens, door
from versus_page import publish
from versus_questions import COUNT, held_out
from versus_rows import Block, Row, Rows

from planner.cli.interrupt import interruptible
from search.campaigns.spending import SpendLimit
from search.errors import LogError, PlannerError
from search.grading.registry import domain
from search.log.store import SearchLog
from search.problem import Problem

HERE = Path(__file__).parent
ROWS, PRICES = HERE / "logs" / "head_to_head", HERE / "head_to_head_prices.toml"
GRID = HERE / "real_campaign" / "draws-4.toml"
BLOCK = 16
#: seconds that the client waits for an answer
PATIENCE = 1800.0

Prices = Mapping[str, Mapping[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    data = Path(os.environ.get("PLANNER_DATA", "."))
    parser.add_argument("--data", type=Path, default=data, help="the folder that PLANNER_DATA names")
    parser.add_argument("--log", type=Path, default=LOG / "math", help="of the real campaign")
    parser.add_argument("--rows", type=Path, default=ROWS, help="answers that are there, and new ones")
    parser.add_argument("--parts", nargs="+", choices=[one.name for one in CONTESTANTS])
    parser.add_argument("--count", type=int, default=COUNT, help="the first questions only")
    parser.add_argument("--block", type=int, default=BLOCK, help="questions in a block")
    parser.add_argument("--spend", type=SpendLimit.parse, help="tokens=N, prompts included, for this run")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="that this run may take")
    parser.add_argument("--page", action="store_true", help="write the page and the chart only")
    parser.add_argument("--output", type=Path, default=HERE / "head_to_head", help="without its suffix")
    asked = parser.parse_args()
    prices = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    rows = Rows(asked.rows)
    try:
        logs = [asked.log, *(asked.data / name for name in ("qwen_coder_gsm8k/log",))]
        questions = held_out(asked.data / "problem_sets", [log for log in logs if log.is_dir()])
        if not asked.page:
            with interruptible("What was answered stays. The same command goes on from there."):
                run(questions[: asked.count], rows, prices, asked)
        publish(questions, rows, prices, asked.log, asked.output)
    except PlannerError as error:
        sys.exit(f"head_to_head: {error}")


def run(questions: Sequence[Problem], rows: Rows, prices: Prices, asked: argparse.Namespace) -> None:
    """All answers that are not there yet, block by block."""
    contestants = [one for one in CONTESTANTS if asked.parts is None or one.name in asked.parts]
    template = tomllib.loads(GRID.read_text(encoding="utf-8"))["template"]
    limit = Limit(asked.spend.tokens if asked.spend else None, time.monotonic() + 60.0 * asked.minutes)
    with Stage(asked.rows, asked.log, prices) as stage:
        for first in range(0, len(questions), asked.block):
            for contestant in contestants:
                known = rows.of(contestant.name)
                block = questions[first : first + asked.block]
                left = [one for one in block if one.problem_id not in known]
                if left and not limit.is_met():
                    answer_block(contestant, left, rows, prices, stage, limit, template)


class Limit:
    """Tokens (prompts included) and time of one run; ``tokens`` None: any number."""

    def __init__(self, tokens: int | None, until: float) -> None:
        self._tokens, self._until = tokens, until
        self._spent = 0
        self._lock = threading.Lock()

    def spend(self, tokens: int) -> None:
        """So many more were taken."""
        with self._lock:
            self._spent += tokens

    def is_met(self) -> bool:
        """Whether nothing more may begin."""
        return time.monotonic() >= self._until or (self._tokens is not None and self._spent >= self._tokens)


class Stage(ExitStack):
    """The servers, each started at its first use and kept until the end."""

    def __init__(self, folder: Path, log: Path, prices: Prices) -> None:
        super().__init__()
        self.meter = Meter()
        self._folder, self._log, self._prices = folder, log, prices
        self._roots: dict[str, str] = {}
        self._door = ""

    def client(self, behind: str) -> OpenAI:
        """The official client of one of the servers. It asks once: what fails is lost."""
        return self.enter_context(
            OpenAI(base_url=f"{self.root(behind)}/v1", api_key="none", max_retries=0, timeout=PATIENCE)
        )

    def root(self, behind: str) -> str:
        """The root of a server."""
        if not self._door:
            models = {name: self.enter_context(server) for name, server in self.models().items()}
            self._door = self.enter_context(door(models, self.meter))
        if behind not in self._roots:
            print(f"{behind}: starting", file=sys.stderr)
            self._roots[behind] = (
                self._door if behind == "models" else self.enter_context(self.server(behind, self._door))
            )
        return self._roots[behind]

    def models(self) -> dict[str, AbstractContextManager[str]]:
        """Model -> its server, not started yet."""
        return {name: versus_servers.model(name) for name in PARAMETERS}

    def server(self, behind: str, address: str) -> AbstractContextManager[str]:
        """What stands before the door at an address, not started yet."""
        if behind == "its_hub":
            return versus_servers.its_hub(address, SMALL)
        if behind == "optillm":
            return versus_servers.optillm(address, SMALL)
        self._folder.mkdir(parents=True, exist_ok=True)
        artefact = self._folder / "planner"
        if not artefact.is_dir():
            fitted(self._log, artefact)
        models = Path(self.enter_context(tempfile.TemporaryDirectory())) / "models.toml"
        models.write_text(versus_servers.models_file(address, self._prices), encoding="utf-8")
        return versus_servers.planner(models, artefact)


def fitted(log: Path, artefact: Path) -> None:
    """Fit a planner, in one piece or not at all.

    Raises LogError where the log has no answer of one of the models.
    """
    asked = set(SearchLog.open(log).read("samples", ["policy"])["policy"])
    if missing := [name for name in PARAMETERS if name not in asked]:
        raise LogError(
            f"a planner learns of models that the log has answers of, got none of {', '.join(missing)}: "
            "see real_campaign.py"
        )
    half = artefact.with_name("planner.half")
    shutil.rmtree(half, ignore_errors=True)
    words = [sys.executable, "-m", "planner", "fit", str(log), "-o", str(half)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    artefact.with_name("fit.txt").write_text(said, encoding="utf-8")
    half.rename(artefact)


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the answers of one block are made with."""

    contestant: Contestant
    client: OpenAI
    meter: Meter
    prices: Prices
    template: str


def answer_block(
    contestant: Contestant,
    questions: Sequence[Problem],
    rows: Rows,
    prices: Prices,
    stage: Stage,
    limit: Limit,
    template: str,
) -> None:
    """Some questions, by one contestant alone."""
    turn = _Turn(contestant, stage.client(contestant.behind), stage.meter, prices, template)
    stage.meter.watch({one.problem_id: one.question for one in questions})
    began, done = time.monotonic(), []

    def answer(problem: Problem) -> None:
        if limit.is_met():
            return
        row = answered(turn, problem)
        limit.spend(row.prompt + row.generated)
        rows.add(contestant.name, row)
        done.append(row)

    with ThreadPoolExecutor(contestant.together) as pool:
        list(pool.map(answer, questions))
    seconds = time.monotonic() - began
    counted = {name: [taken.prompt, taken.generated] for name, taken in stage.meter.total().items()}
    if done:
        rows.add_block(
            Block(
                contestant.name,
                len(done),
                round(seconds, 1),
                counted,
                contestant.together,
                round(os.getloadavg()[0], 1),
                date.today().isoformat(),
            )
        )
    right = sum(row.right for row in done)
    print(f"{contestant.name}: {right} of {len(done)} right, {seconds:.0f} s, {counted}", file=sys.stderr)


def answered(turn: _Turn, problem: Problem) -> Row:
    """One question, and what came of it."""
    began = time.monotonic()
    error = None
    try:
        answer = turn.contestant.ask(turn.client, problem, turn.template)
    except openai.OpenAIError as lost:
        answer, error = Answer("", {}), f"{type(lost).__name__}: {lost}"[:200]
    seconds = time.monotonic() - began
    taken = turn.meter.taken(problem.problem_id)
    both = sum(taken.values(), Tokens())
    grader = domain(problem.domain)
    read = None if error is not None else grader.read(problem, answer.text)
    right = error is None and grader.grade(problem, read)
    return Row(
        problem.problem_id,
        answer.text,
        read,
        right,
        both.prompt,
        both.generated,
        dollars(taken, turn.prices),
        round(seconds, 2),
        error,
        answer.told,
    )


def dollars(taken: Mapping[str, Tokens], prices: Prices) -> float:
    """What some tokens of each model cost: every prompt as often as it was sent, and what was generated."""
    return sum(
        1e-6 * (tokens.prompt * prices[name]["input"] + tokens.generated * prices[name]["output"])
        for name, tokens in taken.items()
    )


if __name__ == "__main__":
    main()
