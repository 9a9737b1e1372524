"""``planner prm-eval`` on a shipped PRM and records of both benchmarks."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from planner.cli.main import app
from planner.models import find_model
from search.checkpoint import read_checkpoint
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.prm_benchmarks.reliability import PrmReliability
from search.prompts import Prompting
from search.remote.fake_server import FakeServer
from search.rewards.computed.head_spec import HeadSpec
from search.rewards.judge_spec import JudgeSpec

STEPS = [["13+64=77", "77+80=157", "#157"], ["13+64=78", "78+80=158", "#158"], ["64+80=144", "#144"]]
PROCESS = [
    {"id": f"{subset}-{i}", "problem": "What is (13+64)+80?", "steps": steps, "label": label}
    for subset in ("gsm8k", "math")
    for i, (steps, label) in enumerate(zip(STEPS, (-1, 0, 1), strict=True))
]
BENCH = [
    {
        "idx": 0,
        "modified_question": "What is (13+64)+80?",
        "modified_process": STEPS[1],
        "error_steps": [1, 2, 3],
        "classification": "deception",
    }
]


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "process.json").write_text(json.dumps(PROCESS))
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in BENCH))
    return [tmp_path / "process.json", tmp_path / "bench.jsonl"]


def test_both_benchmarks_and_a_reliability(files: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "reliability.json"
    code, out, said = run("prm-eval", "lab-prm-weak", *files, "-o", target, "--json")
    assert code == 0, said
    body = json.loads(out)
    assert set(body["processbench"]["subsets"]) == {"gsm8k", "math"}
    assert body["processbench"]["chosen_on"] == "gsm8k"
    assert set(body["prmbench"]["categories"]) == {"deception"}
    assert body["prm_tokens"] > 0
    reliability = PrmReliability.read(target)
    assert reliability.prm == "lab-prm-weak"
    assert reliability.records == 7
    assert reliability.process_f1 == body["processbench"]["average_f1"]


def test_tables_for_people(files: list[Path]) -> None:
    code, out, _ = run("prm-eval", "lab-prm-weak", *files)
    assert code == 0
    for part in ("ProcessBench, lab-prm-weak", "PRMBench, lab-prm-weak", "chosen on gsm8k", "overall"):
        assert part in out


def test_wrong_arguments_end_with_one_line(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text(json.dumps(PROCESS[3]) + "\n")
    for arguments, message in (
        (("nobody", files[0]), "a model must be a folder or the name of a shipped one (lab"),
        (("lab-prm-weak", tmp_path / "missing.jsonl"), "records must be a readable file"),
        (("lab-prm-weak", tmp_path / "other.jsonl"), "of the subset 'gsm8k' or given"),
        (("lab-prm-weak", files[0], "--family", "oracle"), "a reward family must be one of"),
        (("lab-prm-weak", files[0], "--threshold", "2"), "'--threshold'"),
    ):
        code, out, said = run("prm-eval", *arguments)
        assert code == 2, said
        assert message in said
        assert out == ""


def test_a_judge_is_measured_like_a_prm(files: list[Path], tmp_path: Path) -> None:
    """A judge that finds the wrong step is right about all of ProcessBench."""

    def says(text: str, rng: Random) -> str:
        return "No" if re.search(r"78|#144|64\+80=144", text) else "Yes"

    judging = ScriptedEngine(says, name="m")
    served = FakeOpenAI(judging, plays="hosted", takes=("chat",), refuses=("logprobs",))
    with FakeServer(served) as server:
        place = f'name = "m"\nbase_url = "{server.url}"\nparameters = 1000\ncontext = 8192\n'
        models = tmp_path / "models.toml"
        models.write_text(f'[[policy]]\n{place}[[judge]]\nname = "critic"\npolicy = "m"\nscope = "steps"\n')
        code, out, said = run("prm-eval", "critic", *files, "--models", models, "--json")
        assert code == 0, said
        body = json.loads(out)
        assert body["reliability"]["prm"] == JudgeSpec("m", "steps").name
        assert body["processbench"]["subsets"]["gsm8k"]["correct"] == 1.0
        assert body["processbench"]["subsets"]["gsm8k"]["erroneous"] == 0.5  # one error comes later
        assert body["prm_tokens"] > 1000
        code, _, said = run("prm-eval", "critic", files[0], "--models", models, "--family", "orm")
        assert (code, "--family is for a checkpoint folder" in said) == (2, True)
        code, _, said = run("prm-eval", "nobody", files[0], "--models", models)
        assert (code, "PRM must be one of none, got 'nobody'" in said) == (2, True)


def test_a_shipped_policy_judges_by_its_name(files: list[Path]) -> None:
    code, out, said = run(
        "prm-eval", "judge:lab-policy-s:steps:logprobs", files[0], "--limit", "1", "--threshold", "0.4"
    )
    assert code == 0, said
    assert "ProcessBench, judge:lab-policy-s:steps:logprobs:" in out


def test_an_implicit_reward_is_measured_by_its_name(files: list[Path], tmp_path: Path) -> None:
    name = "implicit:lab-policy-m/lab-policy-s"
    code, out, said = run("prm-eval", name, files[0], "--json")
    assert code == 0, said
    body = json.loads(out)
    assert body["reliability"]["prm"] == f"{name}:steps:beta0.05"
    assert body["prm_tokens"] > 0
    models = tmp_path / "models.toml"
    entries = [
        f'[[policy]]\nname = "{new}"\nembedded = "{old}"\n'
        for new, old in (("m", "lab-policy-m"), ("s", "lab-policy-s"))
    ]
    models.write_text("".join(entries))
    code, out, said = run("prm-eval", "implicit:m/s", files[0], "--models", models, "--json")
    assert code == 0, said
    assert json.loads(out)["processbench"]["average_f1"] == body["processbench"]["average_f1"]
    for arguments, message in (
        ((name, files[0], "--family", "orm"), "--family is for a checkpoint folder"),
        (("implicit:lab-policy-m", files[0]), "is written implicit:POLICY/REFERENCE"),
        (
            ("implicit:lab-policy-m/nobody", files[0]),
            "a model must be a folder or the name of a shipped one (lab",
        ),
    ):
        code, _, said = run("prm-eval", *arguments)
        assert (code, message in said) == (2, True), said


def test_a_head_is_measured_like_a_prm(files: list[Path], tmp_path: Path) -> None:
    """A head that says the same of every state finds no wrong step, and none where there is none."""
    folder = find_model("lab-policy-s")
    checkpoint = read_checkpoint(folder)
    hidden = int(checkpoint.config["hidden_size"])
    place = os.path.relpath(folder.resolve(), tmp_path / "head")
    spec = HeadSpec("lab-policy-s", checkpoint.fingerprint, place, Prompting(), hidden, 0, 1.0, 2.0)
    zeros = {"mean": hidden, "scale": hidden, "last.bias": 1}
    tensors = {name: torch.zeros(size) for name, size in zeros.items()}
    (tmp_path / "head").mkdir()
    save_file({**tensors, "last.weight": torch.zeros(1, hidden)}, tmp_path / "head" / "head.safetensors")
    (tmp_path / "head" / "head.json").write_text(json.dumps(spec.to_json()))
    code, out, said = run("prm-eval", tmp_path / "head", files[0], "--threshold", "0.5", "--json")
    assert code == 0, said
    body = json.loads(out)
    assert body["reliability"]["prm"] == "head"
    assert body["processbench"]["subsets"]["gsm8k"]["correct"] == 1.0
    assert body["processbench"]["subsets"]["gsm8k"]["erroneous"] == 0.0
