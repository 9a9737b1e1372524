"""The evaluation of a scripted PRM, by hand from its rewards to its reliability."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path

import pytest

from search.errors import RecordError
from search.prm_benchmarks.evaluate import PrmEvaluation, evaluate_prm, read_benchmark
from search.prm_benchmarks.reliability import PrmReliability
from search.rewards.scripted import ScriptedReward

#: the reward of a step is what is written in it
PROCESS = [
    {"id": "gsm8k-0", "problem": "p", "steps": ["0.9", "0.2", "0.8"], "label": 1},
    {"id": "gsm8k-1", "problem": "p", "steps": ["0.7", "0.6"], "label": -1},
    {"id": "gsm8k-2", "problem": "q", "steps": ["0.9", "0.4"], "label": -1},
    {"id": "math-0", "problem": "r", "steps": ["0.8", "0.1"], "label": 0},
    {"id": "math-1", "problem": "r", "steps": ["0.8", "0.25"], "label": 1},
    {"id": "math-2", "problem": "r", "steps": ["0.8", "0.35"], "label": -1},
]
BENCH = [
    {
        "idx": 0,
        "modified_question": "s",
        "modified_process": ["0.9", "0.8", "0.1", "0.6"],
        "error_steps": [2, 3],
        "classification": "deception",
    }
]


def written(folder: Path, name: str, rows: list[dict[str, object]]) -> Path:
    path = folder / name
    path.write_text(
        json.dumps(rows) if name.endswith(".json") else "".join(json.dumps(r) + "\n" for r in rows)
    )
    return path


def evaluated(*files: Path, **options: object) -> PrmEvaluation:
    reward = ScriptedReward(lambda question, steps: float(steps[-1]), context=40)
    return asyncio.run(evaluate_prm(reward, read_benchmark(files), **options))  # type: ignore[arg-type]


def test_process_bench_by_hand(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = evaluated(
        written(tmp_path, "all.json", PROCESS), progress=lambda done, total: seen.append((done, total))
    )
    # gsm8k is all right for thresholds above 0.2 up to 0.4; its rewards lie at 0.2 and 0.4 there
    assert (found.threshold, found.chosen_on) == (pytest.approx(0.3), "gsm8k")
    assert found.subsets["gsm8k"].f1 == 1.0
    # math: wrong steps 0, 1 named 1, 1; correct passes
    assert (found.subsets["math"].erroneous, found.subsets["math"].correct) == (0.5, 1.0)
    assert found.subsets["math"].f1 == pytest.approx(2 / 3)
    assert found.average == pytest.approx((1 + 2 / 3) / 2)
    assert found.prmbench is None
    assert seen == [(6, 6)]
    assert found.tokens == sum(
        len(row["problem"]) + 1 + sum(len(s) + 1 for s in row["steps"]) for row in PROCESS
    )


def test_reliability_by_hand(tmp_path: Path) -> None:
    files = [written(tmp_path, "all.jsonl", PROCESS), written(tmp_path, "bench.jsonl", BENCH)]
    found = evaluated(*files).reliability
    # last rewards within problems: p: 0.6 against 0.8; q: right alone; r: 0.35 against 0.1 and 0.25
    assert found.within == pytest.approx((0 + 1) / 2)
    # right steps 0.9 .7 .6 .9 .4 .8 .8 .35; first wrong ones 0.2 0.8 0.25: pairs won 8 + 8 + (2 + 2 ties/2)
    assert found.step_auroc == pytest.approx((8 + 8 + 2 + 0.5 * 2) / 24)
    assert found.process_f1 == pytest.approx(5 / 6)
    # at 0.3: right steps 0 and 3 called right, of the wrong ones the first too -> (4/5 + 2/3) / 2
    assert found.prm_score == pytest.approx(11 / 15)
    assert found.records == 7
    target = tmp_path / "reliability.json"
    found.write(target)
    assert PrmReliability.read(target) == found


def test_what_was_not_measured_is_null(tmp_path: Path) -> None:
    found = evaluated(written(tmp_path, "bench.jsonl", BENCH))
    assert (found.threshold, found.chosen_on) == (0.5, None)
    assert math.isnan(found.average)
    found.reliability.write(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["process_f1"] is content["within"] is None
    assert math.isnan(PrmReliability.read(tmp_path / "r.json").process_f1)
    for wrong in ("[]", "{}", json.dumps({**content, "kind": "log"}), json.dumps({**content, "more": 1})):
        (tmp_path / "r.json").write_text(wrong)
        with pytest.raises(RecordError, match="must be what prm-eval wrote, got"):
            PrmReliability.read(tmp_path / "r.json")


def test_a_threshold_can_be_given_and_must_be_where_it_cannot_be_chosen(tmp_path: Path) -> None:
    math_only = written(tmp_path, "math.jsonl", PROCESS[3:])
    assert evaluated(math_only, threshold=0.9).subsets["math"].erroneous == 0.5
    with pytest.raises(RecordError, match="or given, got 0 samples of it, subsets math"):
        evaluated(math_only)
    with pytest.raises(RecordError, match="got 2 samples of it"):
        evaluated(written(tmp_path, "right.jsonl", PROCESS[1:3]))


def test_solutions_over_the_context_are_left_out(tmp_path: Path) -> None:
    long = {"id": "gsm8k-9", "problem": "p" * 40, "steps": ["0.1"], "label": 0}
    found = evaluated(written(tmp_path, "all.jsonl", [*PROCESS, long]))
    assert found.left_out == 1
    assert found.subsets["gsm8k"].erroneous_samples == 1


def test_sources_are_read_in_order_up_to_a_limit(tmp_path: Path) -> None:
    files = [written(tmp_path, "a.json", PROCESS), written(tmp_path, "b.jsonl", BENCH * 3)]
    process, bench = read_benchmark(files, limit=2)
    assert ([record.record_id for record in process], len(bench)) == (["gsm8k-0", "gsm8k-1"], 2)
