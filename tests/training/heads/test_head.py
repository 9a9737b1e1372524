"""A head from a log: by Python and by the command, resumed, loaded as a PRM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import planner
from planner.cli.main import app
from planner.models import find_model
from search.checkpoint import read_checkpoint
from search.engines.cache import Prefix
from search.errors import CheckpointError
from search.log.manifest import Manifest
from search.log.records import problem_rows, table_frame
from search.log.store import SearchLog
from search.prompts import Prompting
from search.rewards.computed.backbone import Backbone
from search.rewards.computed.embedded import EmbeddedBackbone
from search.rewards.computed.head import Written
from search.rewards.computed.pieces import Pieces
from search.rewards.families import open_reward
from training.heads.head import HeadWork, train_head
from training.heads.head_data import Tried, read_tried
from training.heads.head_fit import HeadRecipe
from training.heads.head_states import read_states
from training.lab.problems import Mix, problem_set

POLICY = "lab-policy-s"
QUICK = HeadRecipe(inner=8, epochs=30, folds=3, rows=32, rate=1e-2)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    """Six solutions of each of forty problems; wrong ones end in a way that their states give away."""
    worked = list(problem_set("search", 40, 3, Mix({"arithmetic": 1.0}, (1, 2, 3))))
    card = read_checkpoint(find_model(POLICY)).card
    sampling = "temperature=1, top_p=1, top_k=0"
    made = SearchLog.create(
        tmp_path_factory.mktemp("head") / "log", Manifest({"sampling": sampling}, {POLICY: card})
    )
    rows = []
    for place, one in enumerate(worked):
        for draw in range(6):
            right = (draw + place) % 3 > 0
            steps = one.steps if right else (*one.steps[:-1], "#9999")
            rows.append(
                {
                    **{"problem_id": one.problem.problem_id, "policy": POLICY, "sampling": sampling},
                    **{
                        "draw": draw,
                        "seed": 1,
                        "text": "\n".join(steps),
                        "answer": steps[-1],
                        "correct": right,
                    },
                    **{"prompt_tokens": 9, "tokens": 20, "step_tokens": [20]},
                    **{"mean_logprob": -0.1 * draw, "min_logprob": -1.0, "finish_reason": "end"},
                }
            )
    asked = table_frame("problems", problem_rows([one.problem for one in worked]))
    with made.writing():
        made.append("problems", asked, unit="u")
        made.append("samples", table_frame("samples", rows), unit="u")
    return made


class Counting(Backbone):
    """Counts what it is asked for."""

    def __init__(self, inner: Backbone) -> None:
        self._inner = inner
        self.sequences = 0

    def extend(
        self, prefixes: Sequence[Prefix | None], tokens: Sequence[Sequence[int]]
    ) -> tuple[list[Prefix], list[Tensor]]:
        self.sequences += len(tokens)
        return self._inner.extend(prefixes, tokens)

    def final(self, states: Tensor) -> Tensor:
        return self._inner.final(states)


def tried(log: SearchLog) -> list[Tried]:
    checkpoint = read_checkpoint(find_model(POLICY))
    return read_tried(
        log, POLICY, Written(Pieces(checkpoint), Prompting()), context=checkpoint.context, delimiter="\n"
    )


def test_states_are_those_of_each_solution_alone_and_are_computed_once(
    log: SearchLog, tmp_path: Path
) -> None:
    known = tried(log)
    backbone = Counting(EmbeddedBackbone(read_checkpoint(find_model(POLICY))))
    states = read_states(known, backbone, tmp_path / "w", fingerprint="f", hidden=_hidden())
    sent = backbone.sequences
    assert [len(rows) for rows in states] == [one.size for one in known]
    with torch.inference_mode():
        for one, rows in list(zip(known, states, strict=True))[::13]:
            for pieces, nodes in zip(one.pieces, one.nodes, strict=True):
                tokens = [*one.prompt, *(token for piece in pieces for token in piece.tokens)]
                _, (whole,) = backbone.extend([None], [tokens])
                last = backbone.final(whole)[-1]
                assert torch.allclose(rows[nodes[-1]], last, atol=1e-4)
    backbone.sequences = 0
    (tmp_path / "w" / "states-00001.safetensors").unlink()  # as a run that was stopped leaves it
    again = read_states(known, backbone, tmp_path / "w", fingerprint="f", hidden=_hidden())
    assert 0 < backbone.sequences < sent
    assert all(torch.equal(one, two) for one, two in zip(states, again, strict=True))
    part = read_states(known, backbone, tmp_path / "p", fingerprint="f", hidden=_hidden(), first=3)
    assert len(part) == 3
    assert all(torch.equal(one, two) for one, two in zip(part, states, strict=False))
    with pytest.raises(CheckpointError, match="kept states are those of one log and policy"):
        read_states(known, backbone, tmp_path / "w", fingerprint="g", hidden=_hidden())


def _hidden() -> int:
    return int(read_checkpoint(find_model(POLICY)).config["hidden_size"])


async def test_a_head_is_made_and_loaded_as_a_prm(log: SearchLog, tmp_path: Path) -> None:
    work = HeadWork(log=log, policy=find_model(POLICY), recipe=QUICK, command="made by a test")
    card = train_head(work, tmp_path / "head")
    assert json.loads((tmp_path / "head" / "card.json").read_text()) == card
    assert (card["samples_of"], card["same_weights"], card["problems"]) == (POLICY, True, 40)
    assert card["folds_of"] == "families"
    assert card["within"]["problems"] == 40
    assert card["within"]["last"][1] > 0.8
    for name in ("last", "min", "mean", "prod", "likelihood"):
        value, low, high = card["within"][name]
        assert low <= value <= high
    assert [row["n"] for row in card["plans"]] == [2, 4, 6]
    assert card["plans"][-1]["best_of_n"][0] > 0.85
    two, four = card["plans"][:2]
    gap = two["best_of_n"][0] - four["majority"][0]
    assert two["best_of_n_over_twice"][0] == pytest.approx(gap, abs=2e-4)
    assert "best_of_n_over_twice" not in four
    assert card["process_bench"]["f1"] > 0.3
    assert 0.0 <= card["calibration"]["brier"] <= 0.5
    assert not (tmp_path / "head.states").exists()
    question = tried(log)[0]
    async with open_reward(tmp_path / "head") as reward:
        assert reward.card.name == "head"
        scored = await reward.extend(reward.open(question.problem.question), question.solutions[0])
        assert all(0.0 < value < 1.0 for value in scored.rewards)
    with pytest.raises(CheckpointError, match="written to a new folder"):
        train_head(work, tmp_path / "head")


def test_a_run_that_is_stopped_goes_on(log: SearchLog, tmp_path: Path) -> None:
    work = HeadWork(log=log, policy=find_model(POLICY), recipe=QUICK)

    def stop(name: str, done: int, total: int) -> None:
        if (name, done) == ("folds", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_head(work, tmp_path / "broken", tell=stop)
    assert (tmp_path / "broken.states").is_dir()
    train_head(work, tmp_path / "broken")
    train_head(work, tmp_path / "whole")
    for name in ("head.safetensors", "head.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_command_and_a_campaign_under_the_head(log: SearchLog, tmp_path: Path) -> None:
    command = ["train", "head", str(log.path), "--policy", POLICY, "-o", str(tmp_path / "head")]
    done = CliRunner().invoke(app, [*command, "--problems", "30", "--inner", "0"])
    assert done.exit_code == 0, done.output
    assert "Right before wrong within problems" in done.output
    assert json.loads((tmp_path / "head" / "card.json").read_text())["problems"] == 30
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2
    wrong = CliRunner().invoke(app, [*command[:-1], str(tmp_path / "other"), "--samples", "nobody"])
    assert (wrong.exit_code, "policies of this log are lab-policy-s, got 'nobody'" in wrong.output) == (
        2,
        True,
    )
    problems = [one.problem for one in tried(log)][:4]
    grid = {"pair": [{"policy": POLICY, "prm": "head"}], "strategies": ["best_of_n", "beam_search"]}
    grid |= {"samples": 4, "block": 4, "n": [4], "width": [2], "runs": 1, "score": ["last"], "max_tokens": 48}
    made = planner.search(
        problems,
        output=tmp_path / "log",
        grid=grid,
        models={POLICY: find_model(POLICY), "head": tmp_path / "head"},
    )
    scores = made.scan("scores").collect()
    assert set(scores["prm"]) == {"head"}
    assert (scores["prm_tokens"] > 0).all()
    assert set(made.scan("runs").collect()["prm"]) == {"head"}


def test_a_prm_is_no_policy(log: SearchLog, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="a policy must be a causal language model"):
        train_head(HeadWork(log=log, policy=find_model("lab-prm-weak")), tmp_path / "head")
