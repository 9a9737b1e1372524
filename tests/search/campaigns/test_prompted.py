"""Campaigns under a prompting: what is asked, how steps are cut, and logs that refuse another template."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.campaigns.prompted import PromptedLoader
from search.engines.prompted import PromptedEngine
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import FingerprintError, GridError
from search.loader import FolderLoader, ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog
from search.problem import Problem
from search.prompts import PROMPTINGS
from search.rewards.scripted import ScriptedReward
from search.sync import run_sync

PROBLEMS = [Problem(f"p{i}", "f", "text", f"which is {i}?", str(i)) for i in range(3)]
GRID = {
    "pair": [{"policy": "m", "prm": "r"}],
    "n": [1, 4],
    "samples": 4,
    "block": 4,
    "group": 3,
    "runs": 1,
    "strategies": ["cot", "best_of_n", "beam_search"],
}


def engine(asked: set[str]) -> ScriptedEngine:
    def write(text: str, rng: Random) -> str:
        question, _, written = text.partition(TURN)
        asked.add(question)
        steps = [f"think {rng.randrange(10)}\nmore", "hence", f"# {rng.randrange(3)}"]
        return "\n\n".join(steps[written.count("\n\n") :])

    return ScriptedEngine(write, name="m")


def run(folder: Path, **grid: object) -> tuple[SearchLog, set[str], set[str]]:
    """A campaign's log, what the policy was asked, and the steps that the PRM saw."""
    asked: set[str] = set()
    steps: set[str] = set()

    def judge(question: str, given: tuple[str, ...]) -> float:
        steps.update(given)
        assert question.startswith("which is")
        return 0.5

    log = SearchLog.at(folder)
    loader = ReadyLoader([engine(asked)], [ScriptedReward(judge, name="r")])
    Campaign(PROBLEMS, Grid.of({**GRID, **grid}), log, loader).run()
    return log, asked, steps


def test_the_policy_is_asked_in_the_template_and_the_prm_is_not(tmp_path: Path) -> None:
    log, asked, steps = run(tmp_path / "log", prompt="generic")
    assert asked == {PROMPTINGS["generic"].ask(problem.question) for problem in PROBLEMS}
    assert any(step.startswith("think") and step.endswith("\nmore") for step in steps)
    assert not any("\n\n" in step for step in steps)
    assert log.manifest.settings["prompt of m"] == str(PROMPTINGS["generic"])


def test_plain_is_what_it_was(tmp_path: Path) -> None:
    log, asked, _ = run(tmp_path / "auto")
    assert asked == {problem.question for problem in PROBLEMS}
    assert "prompt of m" not in log.manifest.settings
    assert log.manifest.policy("m") == engine(set()).card
    plain, _, _ = run(tmp_path / "plain", prompt="plain")
    assert difference(log, plain) is None


def test_a_template_and_a_delimiter_of_ones_own(tmp_path: Path) -> None:
    log, asked, steps = run(tmp_path / "log", template="Q: {question}", delimiter="\n\n")
    assert asked == {f"Q: {problem.question}" for problem in PROBLEMS}
    assert any("\nmore" in step for step in steps)
    assert "Q: " in log.manifest.settings["prompt of m"]


def test_another_template_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    run(folder, template="Q: {question}")
    with pytest.raises(FingerprintError, match=r"prompt of m must be the same in .*Q: .*A: "):
        run(folder, template="A: {question}")
    with pytest.raises(FingerprintError, match=r"prompt of m must be the same"):
        run(folder, template="Q: {question}", delimiter=";")
    with pytest.raises(FingerprintError, match=r"policy 'm' must have the same fingerprint"):
        run(folder)
    run(folder, template="Q: {question}")


def test_a_plain_log_refuses_a_template(tmp_path: Path) -> None:
    run(tmp_path / "log")
    with pytest.raises(FingerprintError, match=r"policy 'm' must have the same fingerprint"):
        run(tmp_path / "log", prompt="generic")


def test_grids_say_what_is_wrong() -> None:
    with pytest.raises(GridError, match=r"template must hold \{question\} once, got 'Q'"):
        Grid.of({**GRID, "template": "Q"})
    with pytest.raises(GridError, match=r"prompt: .*got 'gpt'"):
        Grid.of({**GRID, "prompt": "gpt"})
    with pytest.raises(GridError, match="delimiter must be a text that is not empty"):
        Grid.of({**GRID, "delimiter": ""})


def test_folders_tell_their_family(policy: Path, make_checkpoint) -> None:
    chatml = make_checkpoint(seed=6)
    template = "{% for message in messages %}<|im_start|>{{ message['content'] }}{% endfor %}"
    (chatml / "chat_template.jinja").write_text(template)
    inner = FolderLoader({"plain": policy, "chatml": chatml})
    loader = PromptedLoader(inner)
    try:
        assert loader.prompting("plain").is_plain
        assert loader.engine("plain") is inner.engine("plain")
        assert loader.policy_card("plain") == inner.policy_card("plain")
        assert loader.prompting("chatml") == PROMPTINGS["qwen-2.5"]
        engine = loader.engine("chatml")
        assert isinstance(engine, PromptedEngine)
        assert loader.engine("chatml") is engine
        assert engine.card == loader.policy_card("chatml") != inner.policy_card("chatml")
        assert engine.backend == inner.engine("chatml").backend
    finally:
        run_sync(loader.close())
