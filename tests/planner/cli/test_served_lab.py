"""The lab's models behind fake servers give the very log that they give in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from planner.models import shipped
from search.checkpoint import read_checkpoint
from search.engines.embedded import EmbeddedEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.tokenizer import CheckpointTokenizer
from search.log.store import SearchLog
from search.remote.fake_server import FakeServer
from search.rewards.served.fake_server import FakePrmServer
from search.sync import run_sync

POLICY, PRM = "lab-policy-s", "lab-prm-weak"
GRID = """
samples = 4
block = 4
n = [1, 4]
tree_n = [4]
strategies = ["cot", "majority", "best_of_n", "beam_search"]
score = ["last"]
group = 4
runs = 1
"""


@pytest.fixture
def urls() -> Iterator[tuple[str, str]]:
    """Servers of the policy and of the PRM."""
    folder = shipped(POLICY)
    engine = EmbeddedEngine.load(folder)
    words = CheckpointTokenizer(read_checkpoint(folder))
    with ExitStack() as running:
        policy = running.enter_context(
            FakeServer(FakeOpenAI(engine, encode=words.encode, decode=words.decode))
        )
        prm = running.enter_context(FakeServer(FakePrmServer(str(shipped(PRM)))))
        yield policy.url, prm.url
    run_sync(engine.close())


def test_the_same_log_comes_out(tmp_path: Path, urls: tuple[str, str]) -> None:
    (tmp_path / "grid.toml").write_text(GRID)

    def run(*arguments: str) -> None:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output

    problems = str(tmp_path / "problems.jsonl")
    run("train", "problems", "search", "4", "-o", problems, "--seed", "3")
    common = ("search", problems, "--grid", str(tmp_path / "grid.toml"), "--policy", POLICY, "--prm", PRM)
    run(*common, "-o", str(tmp_path / "near"))
    served = ("--engine", "openai", "--base-url", urls[0], "--prm-url", f"{PRM}={urls[1]}")
    run(*common, "-o", str(tmp_path / "far"), *served)
    near, far = SearchLog.open(tmp_path / "near"), SearchLog.open(tmp_path / "far")
    key = ["problem_id", "draw"]
    for table, columns in {
        "samples": ["text", "answer", "tokens", "finish_reason"],
        "scores": ["prm_tokens"],
    }.items():
        one, two = (log.read(table, [*key, *columns]).sort(key) for log in (near, far))
        assert one.equals(two), table
    one, two = (log.read("scores", [*key, "step_rewards"]).sort(key) for log in (near, far))
    for mine, theirs in zip(one["step_rewards"], two["step_rewards"], strict=True):
        assert mine.to_list() == pytest.approx(theirs.to_list(), abs=1e-4)
    one, two = (
        log.read("runs", ["problem_id", "answer", "policy_tokens", "prm_tokens"]) for log in (near, far)
    )
    assert one.sort("problem_id").equals(two.sort("problem_id"))
    rescored = far.read("runs", ["physical_prm_tokens"])["physical_prm_tokens"].sum()
    assert rescored > near.read("runs", ["physical_prm_tokens"])["physical_prm_tokens"].sum()
