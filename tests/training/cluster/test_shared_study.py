"""Several processes run one study: they share its trials, and each makes the planner of one process."""

from __future__ import annotations

import fcntl
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState

from search.errors import MissingExtraError
from training.cluster.rounds import passes
from training.cluster.storages import lock_of, storage_of

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("study_driver.py")


def start(place: str, **options: object) -> subprocess.Popen[str]:
    words = [f"{name}={value}" for name, value in options.items()]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), place, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def trials(place: str) -> list[FrozenTrial]:
    """What a study holds; no connection stays open."""
    storage = storage_of(place)
    if isinstance(storage, str):
        storage = optuna.storages.RDBStorage(storage, engine_kwargs={"poolclass": sa.NullPool})
    return optuna.load_study(study_name="planner", storage=storage).trials


@pytest.fixture(params=["journal", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"journal:{tmp_path}/study.log"


@pytest.mark.slow
def test_one_dies_in_a_trial_and_two_at_once_make_the_planner_of_one(
    alone: dict[str, Any], driver: Any, place: str, tmp_path: Path
) -> None:
    killed = start(place, dies=2)
    killed.communicate(timeout=900)
    assert killed.returncode == -signal.SIGKILL
    assert [trial.state for trial in trials(place)[: driver.WIDTH]] == [TrialState.RUNNING] * driver.WIDTH
    both = [start(place, start=tmp_path / "start") for _ in range(2)]
    (tmp_path / "start").touch()
    for found in map(finished, both):
        assert {name: found[name] for name in ("models", "card")} == alone
    assert [trial.number for trial in trials(place)] == list(range(driver.TRIALS))
    assert all(trial.state.is_finished() for trial in trials(place))


@given(values=st.lists(st.floats(-1, 1) | st.just(math.nan), min_size=1, max_size=12))
def test_who_passes_is_what_optuna_says(values: list[float]) -> None:
    study = optuna.create_study(
        direction="maximize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )
    said = []
    for value in values:
        trial = study.ask()
        trial.report(value, 1)
        said.append(not trial.should_prune())
    known = study.get_trials(deepcopy=False)
    assert [passes(known, number, 1) for number in range(len(values))] == said


@pytest.mark.parametrize("kind", ["journal:{}/study.log", "{}/study.log"])
def test_one_process_at_a_time_holds_the_lock_of_a_file(tmp_path: Path, kind: str) -> None:
    lock = lock_of(storage_of(kind.format(tmp_path)))
    with lock(), (tmp_path / "study.log.driver").open("ab") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock():  # it is free again
        assert (tmp_path / "study.log.driver").exists()


def test_one_process_at_a_time_holds_the_lock_of_a_database(postgres_url: str) -> None:
    address = storage_of(postgres_url)
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    asked = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    with engine.connect() as connection:
        with lock_of(address)():
            assert connection.execute(asked).scalar_one() == 1
        assert connection.execute(asked).scalar_one() == 0


def test_postgresql_is_spoken_to_by_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage_of("postgresql://user@host/db") == "postgresql+psycopg://user@host/db"
    assert storage_of("postgresql+psycopg2://host/db") == "postgresql+psycopg2://host/db"
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"test-time-planner\[postgres\]"):
        storage_of("postgresql://user@host/db")
