"""Rungs: nested, of all families, and climbed by the better trials alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from planner.experience import Experience, read_experience
from planner.planner import Planner
from search.errors import StudyError
from training import rungs, study
from training.rungs import rungs_of, sizes
from training.study import fit_experience
from training.workshop import Workshop


@pytest.fixture(scope="module")
def experience(synthetic) -> Experience:  # type: ignore[no-untyped-def]
    return read_experience(synthetic.make_log(90, draws=16, ns=(4,)), synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rungs for logs of tests: of 22, 66 problems, and what is kept is fitted on all 90."""
    monkeypatch.setattr(rungs, "SMALLEST", 20)
    monkeypatch.setattr(rungs, "LARGEST", 66)


def texts(planner: Planner) -> list[str]:
    return [text for stage in planner.stages for text in stage.models]


@pytest.mark.parametrize(
    ("problems", "expected"),
    [(60, [60]), (599, [599]), (600, [200, 600]), (2048, [227, 682, 2048]), (10**6, [227, 682, 2048])],
)
def test_sizes(problems: int, expected: list[int]) -> None:
    assert sizes(problems) == expected


@pytest.mark.usefixtures("low")
def test_rungs_are_nested_and_hold_every_family(experience: Experience) -> None:
    made = rungs_of(experience, seed=1, threads=1, folds="family")
    assert [rung.step for rung in made] == [1, 3]
    small, large = (set(rung.workshop.experience.problem_ids) for rung in made)
    assert (len(small), len(large)) == (22, 66)
    assert small < large < set(experience.problem_ids)
    for rung in made:
        assert set(rung.workshop.experience.families) == set(experience.families)


@pytest.mark.usefixtures("low")
def test_trials_are_pruned_and_the_card_says_so(experience: Experience, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    card = fit_experience(experience, trials=8, storage=storage).card
    held = optuna.load_study(study_name="planner", storage=storage)
    states = [trial.state for trial in held.trials]
    assert card["trials"] == len(states) == 8
    assert 0 < card["pruned"] == states.count(TrialState.PRUNED) < 8
    assert card["failed"] == 0
    assert card["problems"] == 90
    # who was pruned did no better on the first rung than the best that climbed on
    best = max(trial.intermediate_values[1] for trial in held.trials if trial.state == TrialState.COMPLETE)
    for trial in held.trials:
        if trial.state == TrialState.PRUNED:
            assert list(trial.intermediate_values) == [1]
            assert trial.intermediate_values[1] <= best


@pytest.mark.usefixtures("low")
def test_the_same_seed_climbs_the_same_rungs(experience: Experience) -> None:
    one, two = (fit_experience(experience, trials=4, seed=2) for _ in range(2))
    assert texts(one) == texts(two)
    assert one.card == two.card


@pytest.mark.usefixtures("low")
def test_a_trial_that_fails_is_told_and_passed_over(
    experience: Experience, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chain = Workshop.chain

    def broken(self: Workshop, design: object, tuning: bool) -> object:
        if tuning and design.settings.rank != 2:  # type: ignore[attr-defined]
            raise FloatingPointError("a design went wrong")
        return chain(self, design, tuning)  # type: ignore[arg-type]

    monkeypatch.setattr(Workshop, "chain", broken)
    storage = f"sqlite:///{tmp_path}/study.db"
    card = fit_experience(experience, trials=4, storage=storage).card
    failed = [
        trial
        for trial in optuna.load_study(study_name="planner", storage=storage).trials
        if trial.state == TrialState.FAIL
    ]
    assert card["trials"] == 4
    assert card["failed"] == len(failed) > 0
    assert failed[0].user_attrs["failure"] == "FloatingPointError: a design went wrong"


def test_a_study_whose_trials_all_fail_says_so(
    experience: Experience, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Workshop, design: object, tuning: bool) -> object:
        raise ValueError("no luck")

    monkeypatch.setattr(Workshop, "chain", broken)
    with pytest.raises(StudyError, match="one trial that comes to an end, got none of 2") as caught:
        fit_experience(experience, trials=2)
    assert str(caught.value.__cause__) == "no luck"


_KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import synthetic
from planner.experience import read_experience
from training import rungs, study
rungs.SMALLEST, rungs.LARGEST = 20, 66
count, utility = 0, study._utility
def counted(workshop, design):
    global count
    value = utility(workshop, design)
    count += 1
    if count == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return value
study._utility = counted
log = synthetic.make_log(90, draws=16, ns=(4,))
study.fit_experience(
    read_experience(log, synthetic.POLICIES, synthetic.PRMS), trials=4, storage={storage!r}
)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_killed_study_continues_where_it_was(
    experience: Experience, synthetic, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: int
) -> None:  # type: ignore[no-untyped-def]
    storage = f"sqlite:///{tmp_path}/study.db"
    script = textwrap.dedent(_KILLED).format(
        tests=str(Path(synthetic.__file__).parent), storage=storage, at=at
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    broken = optuna.load_study(study_name="planner", storage=storage)
    assert [trial.state for trial in broken.trials].count(TrialState.RUNNING) == 1
    judged, utility = [], study._utility

    def counted(workshop: Workshop, design: object) -> float:
        judged.append(design)
        return utility(workshop, design)  # type: ignore[arg-type]

    monkeypatch.setattr(study, "_utility", counted)
    continued = fit_experience(experience, trials=4, storage=storage)
    again = len(judged)
    judged.clear()
    unbroken = fit_experience(experience, trials=4)
    assert texts(continued) == texts(unbroken)
    assert continued.card == unbroken.card
    # what had been told was not worked out again
    assert again == len(judged) - (at - 1)
