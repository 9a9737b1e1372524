"""The logs of compute-optimal-tts: an archive or a folder, pools and tree searches with step rewards."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import RecordError
from search.importing.report import Report
from search.log.store import SearchLog

Import = Callable[..., tuple[SearchLog, Report]]
Files = dict[str, str]


def config(method: str, **tree: int) -> str:
    return json.dumps(
        {
            "method": method,
            "method_config": {"tree_max_width": 1, "beam_size": 1, **tree},
            "gen_config": {"temperature": 0.7, "top_p": 1},
            "LM": ["/models/Qwen2.5-1.5B-Instruct"],
            "RM": "/models/shepherd-7b-prm",
            "prm_step_tag": "\u043a\u0438\n",
        }
    )


def record(number: int, said: int, *, tree: bool = False, verdict: int | None = None, **output: Any) -> str:
    steps = [f"We add {number}.", f"So \\boxed{{{said}}}."]
    return json.dumps(
        {
            "question": f"What is the letter {'abcdefgh'[number]} worth?",
            "groundtruth": f"It is worth \\boxed{{{number}}}.",
            "result": {"majority_vote": int(said == number) if verdict is None else verdict},
            "output": [
                {
                    "text": "".join(f"{step} \u043a\u0438\n" for step in steps),
                    "value": [0.5, 0.25],
                    "extracted_answer": str(said),
                    "token_history": [3, 4] if tree else [10],
                    "completion_tokens": 40 if tree else 10,
                    **output,
                }
            ],
        }
    )


@pytest.fixture
def files() -> Files:
    return {
        "out/best/1_1_1/config.json": config("best_of_n"),
        **{
            f"out/best/1_1_1/question_{q}/record_{r}.jsonl": record(q, q + r) + "\n"
            for q in range(3)
            for r in range(2)
        },
        "out/beam/40_4_1/config.json": config("beam_search", tree_max_width=4, beam_size=2),
        "out/beam/40_4_1/question_0/record_0.jsonl": record(0, 0, tree=True),
    }


def packed(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        # records may stand before the configuration of their setting
        for name, text in sorted(files.items(), reverse=True):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("archive", [True, False])
def test_pools_and_runs_of_both_methods(
    tmp_path: Path, run_import: Import, files: Files, archive: bool
) -> None:
    path = packed(tmp_path / "o.tar.gz", files) if archive else tmp_path / "o"
    if not archive:
        for name, text in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
    log, report = run_import("compute-optimal-tts", path)
    assert report.taken == {"problems": 3, "samples": 6, "scores": 6, "runs": 1}
    assert not report.left_out
    samples = log.read("samples")
    assert samples["correct"].sum() == 3
    assert set(samples["sampling"]) == {"temperature=0.7, top_p=1, top_k=0"}
    assert "We add 0.\n\nSo \\boxed{0}." in samples["text"].to_list()
    assert (samples["tokens"][0], len(samples["step_tokens"][0])) == (10, 2)
    assert log.read("scores")["step_rewards"].to_list()[0] == [0.5, 0.25]
    run = log.read("runs").row(0, named=True)
    assert run["plan"] == "beam_search(n=8, width=4, prune=last, score=last, vote=max)"
    assert (run["answer"], run["correct"], run["candidates"][0]["step_tokens"]) == ("0", True, [3, 4])
    # the question, all that the search generated, and for the PRM a mark per child and step
    prompt = samples["prompt_tokens"][0]
    assert (run["policy_tokens"], run["prm_tokens"]) == (prompt + 40, prompt + 40 + 8)
    assert log.manifest.policies["Qwen2.5-1.5B-Instruct"].parameters == 1_500_000_000
    assert log.manifest.prms["shepherd-7b-prm"].parameters == 7_000_000_000


def test_the_records_verdict_is_kept_and_told(tmp_path: Path, run_import: Import, files: Files) -> None:
    files["out/best/1_1_1/question_0/record_0.jsonl"] = record(0, 0, verdict=0)
    log, report = run_import("compute-optimal-tts", packed(tmp_path / "o.tar.gz", files))
    assert log.read("samples")["correct"].sum() == 2
    assert any("would grade 1 otherwise" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "out/best/1_1_1/config.json",
            config("magic"),
            "method is best_of_n, cot or one of beam_search, dvts, got 'magic'",
        ),
        ("out/best/1_1_1/config.json", "{}", r"config.json: column 'LM' is missing, got none"),
        ("out/best/1_1_1/question_0/record_0.jsonl", "{", r"line 1: a record is one JSON object a line"),
        ("out/best/1_1_1/question_0/record_0.jsonl", "[]", r"line 1: a record is a JSON object"),
    ],
)
def test_broken_logs_are_named(
    tmp_path: Path, run_import: Import, files: Files, name: str, text: str, message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        run_import("compute-optimal-tts", packed(tmp_path / "o.tar.gz", {**files, name: text}))


def test_rewards_out_of_range_and_strays_are_left_out(
    tmp_path: Path, run_import: Import, files: Files
) -> None:
    files["out/best/1_1_1/question_0/record_0.jsonl"] = record(0, 0, value=[2.0])
    files["elsewhere/record_0.jsonl"] = record(0, 0)
    _, report = run_import("compute-optimal-tts", packed(tmp_path / "o.tar.gz", files))
    assert {why: entry.count for why, entry in report.left_out.items()} == {
        "a reward lies in [0, 1] unless rewards are said to be logits": 1,
        "a record lies under the config.json of its setting": 1,
    }


def test_what_is_no_archive_is_refused(tmp_path: Path, run_import: Import) -> None:
    (tmp_path / "o.tar.gz").write_bytes(b"no archive")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match=r"an archive must be a whole \.tar"):
        run_import("compute-optimal-tts", tmp_path / "o.tar.gz")
    with pytest.raises(RecordError, match=r"has a config\.json per setting, got none in"):
        run_import("compute-optimal-tts", tmp_path / "empty")
    with pytest.raises(RecordError, match="records must be a folder or an archive"):
        run_import("compute-optimal-tts", tmp_path / "gone.tar.gz")


@pytest.mark.slow
@pytest.mark.published
def test_the_published_log(data: Path, run_import: Import) -> None:
    log, report = run_import("compute-optimal-tts", data / "compute_optimal_tts" / "output.tar.gz")
    assert report.taken == {"problems": 500, "samples": 1000, "scores": 1000, "runs": 600}
    assert not report.left_out
    assert log.read("samples")["correct"].mean() == pytest.approx(0.494, abs=0.02)
