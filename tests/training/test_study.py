from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copy

import numpy as np
import pytest

from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.errors import LogError, StudyError, TooLittleDataError
from training.crossfit import folds_of
from training.study import fit, fit_training_data


@pytest.fixture(scope="module")
def small(synthetic) -> TrainingData:  # type: ignore[no-untyped-def]
    return read_training_data(synthetic.make_log(90, draws=12, ns=(4,)), synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture(scope="module")
def light(synthetic) -> TrainingData:  # type: ignore[no-untyped-def]
    """Two stages instead of four, where a test is about the study and not about what is learned."""
    log = synthetic.make_log(90, draws=6, ns=(2,), prms=("good",))
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture(scope="module")
def begun(light: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a study of one trial. To be copied."""
    path = tmp_path_factory.mktemp("begun") / "study.db"
    fit_training_data(light, trials=1, storage=f"sqlite:///{path}")
    return path


def texts(planner: Planner) -> list[str]:
    return [text for stage in planner.stages for text in stage.models]


def test_the_same_seed_gives_the_same_planner(small: TrainingData) -> None:
    one, two = (fit_training_data(small, trials=2, seed=4) for _ in range(2))
    assert texts(one) == texts(two)
    assert one.card == two.card
    assert texts(fit_training_data(small, trials=2, seed=5)) != texts(one)


def test_a_continued_study_ends_as_an_unbroken_one(light: TrainingData, begun: Path, tmp_path: Path) -> None:
    storage = f"sqlite:///{copy(begun, tmp_path)}"
    told: list[int] = []
    continued = fit_training_data(
        light, trials=3, storage=storage, progress=lambda done, of, best: told.append(done)
    )
    assert told == [2, 3]
    unbroken = fit_training_data(light, trials=3)
    assert texts(continued) == texts(unbroken)


def test_a_study_of_another_log_is_not_continued(
    light: TrainingData,
    begun: Path,
    synthetic,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    storage = f"sqlite:///{copy(begun, tmp_path)}"
    other = read_training_data(
        synthetic.make_log(90, draws=6, ns=(2,), prms=("good",), seed=9), synthetic.POLICIES, synthetic.PRMS
    )
    with pytest.raises(StudyError, match="continued with the log it began with, got another"):
        fit_training_data(other, trials=2, storage=storage)
    with pytest.raises(StudyError, match="continued with the seed it began with, 0, got 3"):
        fit_training_data(light, trials=2, storage=storage, seed=3)
    with pytest.raises(StudyError, match="continued with the folds it began with, family, got problem"):
        fit_training_data(light, trials=2, storage=storage, folds="problem")


def test_too_small_a_log_says_what_would_do(synthetic) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TooLittleDataError, match=r"at least 10 complete problems, .* at least 60, got 9;"):
        fit(synthetic.make_log(9, draws=8, ns=(4,)), synthetic.POLICIES, synthetic.PRMS, trials=1)
    with pytest.raises(TooLittleDataError, match="got 90 problems of 1"):
        fit(
            synthetic.make_log(90, draws=8, ns=(4,), families=1), synthetic.POLICIES, synthetic.PRMS, trials=1
        )
    with pytest.raises(TooLittleDataError, match="without samples"):
        fit(synthetic.make_log(0), synthetic.POLICIES, synthetic.PRMS)


@pytest.mark.parametrize(("problems", "families"), [(59, 12), (20, 12), (30, 1), (10, 2)])
def test_few_problems_make_a_planner_of_adaptive_consistency(
    synthetic,  # type: ignore[no-untyped-def]
    problems: int,
    families: int,
) -> None:
    log = synthetic.make_log(problems, draws=16, ns=(8,), families=families)
    planner = fit(log, synthetic.POLICIES, synthetic.PRMS, trials=5)
    strategies = {choice.plan.strategy for choice in planner.choices}
    assert strategies <= {"adaptive_vote", "majority", "cot"}
    assert "adaptive_vote" in strategies
    assert f"{problems} problems are too few to learn from" in planner.card["verdict"]["sentence"]
    price = float(planner.frontier.prices[0])
    questions = log.frames["problems"]["question"].to_list()
    advice = planner.recommend(questions[0], price=price)
    assert advice.by_rule
    assert advice.choice.prm is None
    # the same for every question
    assert {planner.recommend(one, price=price).choice for one in questions} == {advice.choice}


def test_tokens_that_nobody_counted_are_named(small: TrainingData) -> None:
    pools = {name: replace(pool, tokens=np.zeros_like(pool.tokens)) for name, pool in small.pools.items()}
    with pytest.raises(LogError, match="samples whose tokens are counted, got none for"):
        fit_training_data(replace(small, pools=pools), trials=0)


def test_incomplete_problems_are_left_out(synthetic) -> None:  # type: ignore[no-untyped-def]
    log = synthetic.make_log(30, draws=8, ns=(4,))
    scores = log.frames["scores"]
    log.frames["scores"] = scores.filter(scores["problem_id"] != "q00003")
    one = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)
    assert (len(one), one.left_out) == (29, 1)


def test_families_stay_whole_and_folds_even() -> None:
    families = [f"f{i % 11}" for i in range(200)]
    folds = folds_of(families, 5, 0)
    assert len({(f, int(g)) for f, g in zip(families, folds, strict=True)}) == 11
    sizes = [int((folds == g).sum()) for g in range(5)]
    assert max(sizes) - min(sizes) <= 20


def test_the_card_says_what_it_was_learned_from(small: TrainingData) -> None:
    card = fit_training_data(small, trials=1, date="2026-05-01", seed=3).card
    assert (card["problems"], card["date"], card["seed"], card["trials"]) == (90, "2026-05-01", 3, 1)
    assert len(card["families"]) == 12
    assert (
        card["prm_auroc_within_problems"]["small x good"]
        > 0.9
        > card["prm_auroc_within_problems"]["small x bad"]
    )


def test_leaving_out_problems_trusts_the_question_more_than_leaving_out_families(synthetic) -> None:  # type: ignore[no-untyped-def]
    data = read_training_data(synthetic.make_log(90, draws=20), synthetic.POLICIES, synthetic.PRMS)
    by_family = fit_training_data(data, trials=0, folds="family")
    by_problem = fit_training_data(data, trials=0, folds="problem")
    assert by_family.card["quality"]["folds"] == "family"
    assert by_problem.card["quality"]["folds"] == "problem"
    kept = [np.concatenate(p.card["quality"]["shrinkage"]).sum() for p in (by_family, by_problem)]
    assert kept[1] > kept[0]
