"""Fidelities: nested, of all families, and climbed by the better trials alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.errors import StudyError
from training import fidelities
from training.cluster import judges
from training.fidelities import fidelities_of, sizes
from training.study import fit_training_data
from training.study_cache import StudyCache


@pytest.fixture(scope="module")
def data(synthetic) -> TrainingData:  # type: ignore[no-untyped-def]
    log = synthetic.make_log(90, draws=6, ns=(2,), prms=("good",))
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fidelities for logs of tests: of 22, 66 problems, and what is kept is fitted on all 90."""
    monkeypatch.setattr(fidelities, "SMALLEST", 20)
    monkeypatch.setattr(fidelities, "LARGEST", 66)


def texts(planner: Planner) -> list[str]:
    return [text for stage in planner.stages for text in stage.models]


@pytest.fixture(scope="module")
def unbroken(data: TrainingData) -> tuple[Planner, int]:
    """A study of four trials under low fidelities, and how many it judged."""
    judged: list[judges.Asked] = []
    utility = judges.utility

    def counted(levels: Sequence[fidelities.Fidelity], asked: judges.Asked) -> float | judges.Fault:
        judged.append(asked)
        return utility(levels, asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelities, "SMALLEST", 20)
        patch.setattr(fidelities, "LARGEST", 66)
        patch.setattr(judges, "utility", counted)
        return fit_training_data(data, trials=4), len(judged)


@pytest.mark.parametrize(
    ("problems", "expected"),
    [(60, [60]), (599, [599]), (600, [200, 600]), (2048, [227, 682, 2048]), (10**6, [227, 682, 2048])],
)
def test_sizes(problems: int, expected: list[int]) -> None:
    assert sizes(problems) == expected


@pytest.mark.usefixtures("low")
def test_rungs_are_nested_and_hold_every_family(data: TrainingData) -> None:
    made = fidelities_of(data, seed=1, threads=1, folds="family")
    assert [fidelity.step for fidelity in made] == [1, 3]
    small, large = (set(fidelity.cache.data.problem_ids) for fidelity in made)
    assert (len(small), len(large)) == (22, 66)
    assert small < large < set(data.problem_ids)
    for fidelity in made:
        assert set(fidelity.cache.data.families) == set(data.families)


@pytest.mark.usefixtures("low")
def test_trials_are_pruned_and_the_card_says_so(data: TrainingData, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    card = fit_training_data(data, trials=8, storage=storage).card
    held = optuna.load_study(study_name="planner", storage=storage)
    states = [trial.state for trial in held.trials]
    assert card["trials"] == len(states) == 8
    assert 0 < card["pruned"] == states.count(TrialState.PRUNED) < 8
    assert card["failed"] == 0
    assert card["problems"] == 90
    # who was pruned did no better on the first fidelity than the best that climbed on
    best = max(trial.intermediate_values[1] for trial in held.trials if trial.state == TrialState.COMPLETE)
    pruned = [trial for trial in held.trials if trial.state == TrialState.PRUNED]
    assert all(list(trial.intermediate_values) == [1] for trial in pruned)
    assert max(trial.intermediate_values[1] for trial in pruned) <= best


@pytest.mark.usefixtures("low")
def test_the_same_seed_climbs_the_same_rungs(data: TrainingData, unbroken: tuple[Planner, int]) -> None:
    one, (two, _) = fit_training_data(data, trials=4), unbroken
    assert texts(one) == texts(two)
    assert one.card == two.card


@pytest.mark.usefixtures("low")
def test_a_trial_that_fails_is_told_and_passed_over(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chain = StudyCache.chain

    def broken(self: StudyCache, design: object, tuning: bool) -> object:
        if tuning and design.settings.rank != 2:  # type: ignore[attr-defined]
            raise FloatingPointError("a design went wrong")
        return chain(self, design, tuning)  # type: ignore[arg-type]

    monkeypatch.setattr(StudyCache, "chain", broken)
    storage = f"sqlite:///{tmp_path}/study.db"
    card = fit_training_data(data, trials=4, storage=storage).card
    failed = [
        trial
        for trial in optuna.load_study(study_name="planner", storage=storage).trials
        if trial.state == TrialState.FAIL
    ]
    assert card["trials"] == 4
    assert card["failed"] == len(failed) > 0
    assert failed[0].user_attrs["failure"] == "FloatingPointError: a design went wrong"


def test_a_study_whose_trials_all_fail_says_so(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: StudyCache, design: object, tuning: bool) -> object:
        raise ValueError("no luck")

    monkeypatch.setattr(StudyCache, "chain", broken)
    told = r"one trial that comes to an end, got none of 2, the last: ValueError: no luck"
    with pytest.raises(StudyError, match=told):
        fit_training_data(data, trials=2)


#: goes on with a study, and is killed before it tells the utility of this number among its own
_KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import synthetic
from planner.evidence.training_data import read_training_data
from training import fidelities, study
from training.cluster import judges
fidelities.SMALLEST, fidelities.LARGEST = 20, 66
count, utility = 0, judges.utility
def counted(levels, asked):
    global count
    value = utility(levels, asked)
    count += 1
    if count == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return value
judges.utility = counted
log = synthetic.make_log(90, draws=6, ns=(2,), prms=("good",))
study.fit_training_data(
    read_training_data(log, synthetic.POLICIES, synthetic.PRMS), trials=4, storage={storage!r}
)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("low")
def test_a_study_that_is_killed_again_and_again_continues_where_it_was(
    data: TrainingData,
    unbroken: tuple[Planner, int],
    synthetic,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    lost = (1, 2, 3)  # of what each process judges: the first, second and fourth utility of the study
    for at in lost:
        script = textwrap.dedent(_KILLED).format(
            tests=str(Path(synthetic.__file__).parent), storage=storage, at=at
        )
        done = subprocess.run(
            [sys.executable, "-c", script], check=False, capture_output=True, env=os.environ
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        broken = optuna.load_study(study_name="planner", storage=storage)
        assert [trial.state for trial in broken.trials].count(TrialState.RUNNING) == 1
    judged, utility = [], judges.utility

    def counted(levels: Sequence[fidelities.Fidelity], asked: judges.Asked) -> float | judges.Fault:
        judged.append(asked)
        return utility(levels, asked)

    monkeypatch.setattr(judges, "utility", counted)
    continued = fit_training_data(data, trials=4, storage=storage)
    whole, told = unbroken
    assert texts(continued) == texts(whole)
    assert continued.card == whole.card
    # what had been told was not worked out again
    assert len(judged) == told - sum(at - 1 for at in lost)
