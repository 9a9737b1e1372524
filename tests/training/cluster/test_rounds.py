"""Several trials at a time: the planner depends on how many, not on who judges them or when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.cluster.fake_ray import FakeRay
from search.errors import StudyError
from training.cluster.judges import Asked, Fault, Judge, RayJudge, judged_here
from training.cluster.storages import storage_of
from training.fidelities import Fidelity
from training.study import fit_training_data


@pytest.fixture(scope="module")
def small(synthetic) -> TrainingData:  # type: ignore[no-untyped-def]
    log = synthetic.make_log(60, draws=6, ns=(2,), prms=("good",))
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture(scope="module")
def three(small: TrainingData) -> list[str]:
    return texts(fit_training_data(small, trials=3, width=3))


def texts(planner: Planner) -> list[str]:
    return [text for stage in planner.stages for text in stage.models]


class Enough(Exception):
    """A driver that was killed."""


def test_actors_and_one_process_make_the_same_planner(small: TrainingData, three: list[str]) -> None:
    ray = FakeRay()
    judges: list[RayJudge] = []

    def made(make: Callable[[], Sequence[Fidelity]]) -> Judge:
        judges.append(RayJudge(ray, make, 2, 1.0))
        return judges[0]

    assert texts(fit_training_data(small, trials=3, width=3, judges=made)) == three
    judges[0].close()
    assert [actor.is_killed for actor in ray.actors] == [True, True]
    assert {one["max_task_retries"] for one in ray.options} == {-1}


def test_a_study_in_a_journal_that_was_killed_goes_on_with_its_round(
    small: TrainingData, three: list[str], tmp_path: Path
) -> None:
    storage = f"journal:{tmp_path}/study.log"

    def dies(make: Callable[[], Sequence[Fidelity]]) -> Judge:
        here = judged_here(make())

        def judge(asked: Sequence[Asked]) -> list[float | Fault]:
            here(asked[:1])
            raise Enough

        return judge

    with pytest.raises(Enough):
        fit_training_data(small, trials=3, width=3, judges=dies, storage=storage_of(storage))
    begun = optuna.load_study(study_name="planner", storage=storage_of(storage))
    assert [trial.state.is_finished() for trial in begun.trials] == [False] * 3
    assert texts(fit_training_data(small, trials=3, width=3, storage=storage_of(storage))) == three
    with pytest.raises(StudyError, match="continued with the width it began with, 3, got 1"):
        fit_training_data(small, trials=4, storage=storage_of(storage))


def test_trials_that_all_fail_say_why(small: TrainingData) -> None:
    def judges(make: object) -> Judge:
        return lambda asked: [Fault("ValueError: nothing fits") for _ in asked]

    with pytest.raises(StudyError, match="got none of 2, the last: ValueError: nothing fits"):
        fit_training_data(small, trials=2, width=2, judges=judges)


def test_where_a_study_is_kept(tmp_path: Path) -> None:
    assert storage_of(str(tmp_path / "s.db")) == f"sqlite:///{tmp_path}/s.db"
    assert storage_of("postgresql+psycopg://user@host/db") == "postgresql+psycopg://user@host/db"
    assert isinstance(storage_of(f"journal:{tmp_path}/log"), optuna.storages.JournalStorage)


@pytest.mark.parametrize("text", ["journal:", "journal:/no/such/folder/log", "redis://host/0"])
def test_other_places_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(StudyError, match="got ") as caught:
        storage_of(text)
    assert "\n" not in str(caught.value)


def test_a_width_is_at_least_one(small: TrainingData) -> None:
    with pytest.raises(StudyError, match="at least 1 trial at a time, got 0"):
        fit_training_data(small, trials=1, width=0)


def test_one_at_a_time_is_the_study_of_one_process(small: TrainingData) -> None:
    seen: list[Any] = []

    def judges(make: Callable[[], Sequence[Fidelity]]) -> Judge:
        here = judged_here(make())

        def judge(asked: Sequence[Asked]) -> list[float | Fault]:
            seen.append(len(asked))
            return here(asked)

        return judge

    fit_training_data(small, trials=2, judges=judges)
    assert seen == [1] * len(seen)
    assert len(seen) >= 2
