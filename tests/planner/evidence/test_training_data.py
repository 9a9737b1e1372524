"""Reading a log: the same whatever its parts and chunks, only what is needed, and only what is complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from synthetic import POLICIES, PRMS, Log, make_log

from planner.evidence.filling import summaries
from planner.evidence.training_data import TrainingData, read_training_data
from search.errors import LogError, TooLittleDataError
from search.log.manifest import Manifest
from search.log.store import SearchLog


def _alike(one: TrainingData, other: TrainingData) -> bool:
    def numbers(data: TrainingData) -> list[bytes]:
        out = [data.right.tobytes()]
        for pool in data.pools.values():
            out += [pool.codes.tobytes(), pool.prompt.tobytes(), pool.tokens.tobytes(), pool.steps.tobytes()]
            out += [pool.mean_logprob.tobytes(), pool.truncated.tobytes(), str(pool.greedy_code).encode()]
            out += [part.tobytes() for prm in pool.prms.values() for part in (prm.tokens, prm.summary)]
        for runs in data.trees.values():
            out += [
                runs.code.tobytes(),
                runs.codes.tobytes(),
                runs.scores.tobytes(),
                runs.prm_tokens.tobytes(),
            ]
        return out

    same = (one.problem_ids, one.choices, tuple(one.trees)) == (
        other.problem_ids,
        other.choices,
        tuple(other.trees),
    )
    return same and numbers(one) == numbers(other)


def test_chunks_and_the_order_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log = make_log(40, draws=10, ns=(4,), policies=("small", "large"), trees=True)
    whole = read_training_data(log, POLICIES, PRMS)
    monkeypatch.setattr("planner.evidence.complete.CHUNK", 7)
    assert _alike(whole, read_training_data(log, POLICIES, PRMS))
    shuffled = Log(
        {name: frame.sample(fraction=1.0, shuffle=True, seed=1) for name, frame in log.frames.items()}
    )
    again = read_training_data(shuffled, POLICIES, PRMS)
    assert again.problem_ids == whole.problem_ids
    for name, pool in whole.pools.items():
        assert np.array_equal(again.pools[name].codes, pool.codes)
        assert np.array_equal(again.pools[name].prms["good"].summary, pool.prms["good"].summary)


def test_a_log_on_disk_reads_as_its_frames(tmp_path: Path) -> None:
    log = make_log(30, draws=10, ns=(4,), trees=True)
    kept = SearchLog.create(tmp_path / "log", Manifest({}, POLICIES, PRMS))
    for name, frame in log.frames.items():
        for unit, part in enumerate((frame[: len(frame) // 2], frame[len(frame) // 2 :])):
            kept.append(name, part, unit=f"u{unit}")
    assert _alike(read_training_data(kept, POLICIES, PRMS), read_training_data(log, POLICIES, PRMS))


def test_columns_that_are_not_used_are_not_read() -> None:
    log = make_log(30, draws=10, ns=(4,), trees=True)
    lean = Log(
        {
            "problems": log.frames["problems"],
            "samples": log.frames["samples"].drop("text", "seed"),
            "scores": log.frames["scores"].drop("physical_prm_tokens"),
            "runs": log.frames["runs"].drop("outcome", "seconds", "flops", "seed", "physical_policy_tokens"),
            "outcomes": log.frames["outcomes"].select("policy", "prm", "plan"),
        }
    )
    assert _alike(read_training_data(lean, POLICIES, PRMS), read_training_data(log, POLICIES, PRMS))


def test_a_greedy_draw_that_one_problem_lacks_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planner.evidence.complete.CHUNK", 8)
    log = make_log(20, draws=8, ns=(4,))
    samples = log.frames["samples"]
    log.frames["samples"] = samples.filter((pl.col("problem_id") != "q00003") | (pl.col("draw") >= 0))
    log.frames["outcomes"] = log.frames["outcomes"].filter(pl.col("plan") != "cot()")
    pool = read_training_data(log, POLICIES, PRMS).pools["small"]
    assert pool.greedy_code is None
    assert pool.greedy_tokens is None


def test_scores_of_other_draws_are_refused() -> None:
    log = make_log(20, draws=8, ns=(4,))
    late = pl.when((pl.col("problem_id") == "q00003") & (pl.col("prm") == "good")).then(1).otherwise(0)
    log.frames["scores"] = log.frames["scores"].with_columns(pl.col("draw") + late)
    with pytest.raises(LogError, match="a PRM scores the draws of a pool, got others of 'small' by 'good'"):
        read_training_data(log, POLICIES, PRMS)


def test_draws_too_many_are_left_aside() -> None:
    log = make_log(20, draws=8, ns=(4,))
    whole = read_training_data(log, POLICIES, PRMS)
    for table in ("samples", "scores"):
        rows = log.frames[table]
        more = rows.filter(pl.col("problem_id") == "q00003", pl.col("draw") == 0)
        log.frames[table] = pl.concat([more.with_columns(draw=pl.lit(8, pl.Int32)), rows])
    assert _alike(whole, read_training_data(log, POLICIES, PRMS))


def test_rewards_that_are_missing_count_as_nothing() -> None:
    rewards = pl.Series([[0.5, 0.25], [], None, [None, 1.0]], dtype=pl.List(pl.Float32))
    found = summaries(rewards)
    assert found[:, 0].tolist() == [0.25, 0.0, 0.0, 0.0]
    assert found[:, 1].tolist() == [0.25, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(("kept", "problems"), [(1.0, 40), (0.75, 30), (0.25, 40)])
def test_a_prm_that_scored_few_whole_pools_is_left_out_and_not_their_problems(
    kept: float, problems: int
) -> None:
    log = make_log(40, draws=10, ns=(4,), policies=("small", "large"), trees=False)
    scores = log.frames["scores"]
    hurt = log.frames["problems"]["problem_id"].to_list()[int(40 * kept) :]
    missing = pl.all_horizontal(pl.col("policy") == "small", pl.col("prm") == "good", pl.col("draw") == 3)
    missing &= pl.col("problem_id").is_in(hurt)
    log.frames["scores"] = scores.filter(~missing)
    data = read_training_data(log, POLICIES, PRMS)
    assert len(data) == problems
    assert "good" in data.pools["large"].prms
    assert ("good" in data.pools["small"].prms) is (kept >= 0.5)
    assert any(choice.prm == "good" for choice in data.choices if choice.policy == "small") is (kept >= 0.5)
    lost = ("the scores of good were left out: most pools of small lack some",)
    fewer = ("10 incomplete problems were left out",)
    assert data.gaps == {1.0: (), 0.75: fewer, 0.25: lost}[kept]


def test_a_log_without_problems_says_so() -> None:
    with pytest.raises(TooLittleDataError, match="without samples"):
        read_training_data(make_log(0), POLICIES, PRMS)
