"""What ``import planner`` offers: a few names, loaded when used, each with an example that runs."""

from __future__ import annotations

import doctest
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic

import planner
from planner.models import shipped
from search.log.store import SearchLog

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "lightgbm", "sklearn", "polars", "transformers", "numpy", "training", "fastapi")
#: bases of plug-ins and what adds them
PLUGGED = ("Baseline", "Engine", "Grader", "Importer", "Reward", "Strategy", "register")


def offered() -> Iterator[str]:
    """The public names that are there."""
    for name in planner.__all__:
        try:
            getattr(planner, name)
        except ImportError:
            continue
        yield name


NAMES = tuple(offered())


def python(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code, or with ``-m`` a module, in a fresh interpreter that starts in ``folder``."""
    command = [sys.executable, *(arguments or ("-c", code))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    """A log of 80 problems on disk."""
    made = synthetic.make_log(80, policies=("small", "large"), draws=16, ns=(4,), seed=5)
    return SearchLog.open(synthetic.write_log(tmp_path_factory.mktemp("api") / "log", made))


@pytest.fixture(scope="module")
def fitted(log: SearchLog) -> planner.Planner:
    return planner.fit(log, trials=0)


def test_about_twenty_five_names_and_nothing_else() -> None:
    assert len(planner.__all__) == len(set(planner.__all__)) <= 26
    assert set(dir(planner)) == {*planner.__all__, "__version__"}
    assert {*planner.__all__} - {*NAMES} <= {*PLUGGED}
    with pytest.raises(AttributeError, match="has no attribute 'Desk'"):
        planner.Desk  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_each_has_an_example_that_runs(
    name: str, log: SearchLog, fitted: planner.Planner, capsys: pytest.CaptureFixture[str]
) -> None:
    """``log`` and ``fitted`` stand for a user's own."""
    thing: Any = getattr(planner, name)
    finder = doctest.DocTestFinder(recurse=False)
    known = {**vars(sys.modules[thing.__module__]), "log": log, "fitted": fitted}
    [test] = finder.find(thing, name, globs=known)
    assert test.examples, f"{name} has no example"
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert result.failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("method", ["recommend", "solve", "asolve", "allocate", "stream"])
def test_each_method_has_an_example_that_runs(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    thing = getattr(planner.Planner, method)
    [test] = doctest.DocTestFinder(recurse=False).find(thing, method, globs={})
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0, capsys.readouterr().out


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"import planner, sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = python(code, tmp_path)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_functions_are_not_shadowed_by_packages(tmp_path: Path) -> None:
    code = (
        "import planner, search, planner.evaluation, planner.cli.logs.search, planner.planner\n"
        "print(callable(planner.search), callable(planner.evaluate), search.__name__)"
    )
    assert python(code, tmp_path).stdout.split() == ["True", "True", "search"]


# ---- packages of other people


@pytest.fixture(params=["search.py", "search/__init__.py", "training/__init__.py"])
def elsewhere(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a module of its own that has the name of one of ours."""
    own = tmp_path / request.param
    own.parent.mkdir(exist_ok=True)
    own.write_text("raise RuntimeError('of somebody else')\n")
    return tmp_path


def test_a_package_that_shadows_ours_is_told_in_one_line(elsewhere: Path) -> None:
    done = python("import planner", elsewhere)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ImportError: the package ")
    assert str(elsewhere) in last
    assert "rename that" in last


def test_the_command_says_so_without_a_traceback(elsewhere: Path) -> None:
    done = python("", elsewhere, "-m", "planner", "--version")
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("planner: the package ")
    script = python(
        "", elsewhere, "-c", "import sys; sys.argv = ['/usr/bin/planner']; import planner.cli.main"
    )
    assert script.returncode == 2
    assert len(script.stderr.splitlines()) == 1


def test_folders_that_are_no_packages_shadow_nothing(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "data.csv").write_text("a,b\n")
    (tmp_path / "planner.toml").write_text("")
    done = python("", tmp_path, "-m", "planner", "--version")
    assert (done.returncode, done.stdout) == (0, f"planner {planner.__version__}\n")


# ---- the example of the door


def test_three_statements_reach_an_answer() -> None:
    p = planner.load("lab")
    advice = p.recommend("With the numbers 12,9,20,5 you must reach 18 where only +,- is allowed", tokens=800)
    assert advice.tokens_p90 <= 800
    a = p.solve("What is (13+64)+80?", tokens=800)
    assert (a.answer, a.domain, a.reason) == ("157", "arithmetic", "")
    assert a.spend.tokens <= 800
    p.close()


async def test_it_runs_inside_a_loop_and_events_come_to_it() -> None:
    p = planner.load("lab")
    events: list[object] = []
    a = await p.asolve("What is (13+64)+80?", seconds=60, on_event=events.append)
    same = p.solve("What is (13+64)+80?", seconds=60)
    assert a.answer == same.answer == "157"
    assert len(events) >= 3
    p.close()


def test_searched_fitted_and_evaluated(log: SearchLog, fitted: planner.Planner, tmp_path: Path) -> None:
    fitted.save(tmp_path / "mine")
    loaded = planner.load(tmp_path / "mine")
    assert loaded.card == fitted.card
    found = planner.evaluate(log.path, loaded, budgets=[4, 16])
    header, first, *_ = str(found).splitlines()[1:]
    assert header.split() == ["method", "4", "samples", "16", "samples"]
    assert first.startswith("planner")
    assert str(log).startswith(f"search log {str(log.path)!r}: 80 problems")


def test_models_that_are_not_there_are_told_when_they_are_needed(fitted: planner.Planner) -> None:
    with pytest.raises(planner.PlannerError, match=r"models= must say where each model is"):
        fitted.solve("work out the sum of 3 + 4", tokens=4000, domain="arithmetic")
    wrong = fitted.with_models({"other": "lab-policy-m"})
    with pytest.raises(planner.PlannerError, match=r"a model must be one of .*, got 'other'"):
        wrong.solve("work out the sum of 3 + 4", tokens=4000, domain="arithmetic")
    with pytest.raises(planner.PlannerError, match=r"models= is a file, .* got 5"):
        fitted.with_models(5).solve("3 + 4", tokens=4000, domain="arithmetic")  # type: ignore[arg-type]
    with pytest.raises(planner.PlannerError, match="models= is a file"):
        fitted.with_models("nowhere.toml").solve(
            "work out the sum of 3 + 4", tokens=4000, domain="arithmetic"
        )


@pytest.mark.parametrize("wrong", ["", "  ", 5, None, "\ud800"])
def test_a_question_is_a_text(wrong: Any) -> None:
    p = planner.load("lab")
    for ask in (p.recommend, p.solve):
        with pytest.raises(planner.PlannerError, match="a question is "):
            ask(wrong, tokens=800)
    with pytest.raises(planner.PlannerError, match="a question is "):
        p.allocate([wrong], tokens=800)


def test_a_budget_is_said_once() -> None:
    p = planner.load("lab")
    budget = planner.Budget(tokens=800)
    assert p.recommend("What is 3 + 4?", budget=budget) == p.recommend("What is 3 + 4?", tokens=800)
    with pytest.raises(planner.BudgetError, match=r"an object or keyword arguments, got .* seconds=2"):
        p.recommend("What is 3 + 4?", budget=budget, seconds=2)
    with pytest.raises(planner.BudgetError, match=r"a budget needs one of tokens, .*, got none"):
        p.solve("What is 3 + 4?")
    with pytest.raises(planner.BudgetError, match=r"a budget has the words tokens, .*, got 'token'"):
        p.solve("What is 3 + 4?", token=3)  # type: ignore[call-arg]
    with pytest.raises(planner.BudgetError, match="needs prices, got usd"):
        p.solve("What is 3 + 4?", usd=0.1)
    with pytest.raises(planner.BudgetError, match="a batch shares one budget in flops or in tokens, got"):
        p.allocate(["What is 3 + 4?"], seconds=2)


async def test_a_stream_answers_within_its_mean() -> None:
    lab = planner.load("lab")
    stream = lab.stream(mean_flops=4e8, tokens=3000)
    one, two = stream.solve("What is (13+64)+80?"), await stream.asolve("What is 3+4?", seed=2)
    assert (one.answer, two.answer, stream.requests) == ("157", "7", 2)
    assert stream.mean == pytest.approx((one.spend.flops + two.spend.flops) / 2)
    lab.close()
    with pytest.raises(planner.BudgetError, match="a stream keeps a mean_flops or a mean_tokens, got"):
        lab.stream(tokens=9)


def test_models_are_found_where_a_mapping_says(tmp_path: Path) -> None:
    where = {name: name for name in planner.load("lab").policies}
    lab = planner.load("planner", models=where, domain="arithmetic")
    assert lab.solve("the sea and 3+4", tokens=800).domain == "arithmetic"
    lab.close()
    grid = {"pair": [{"policy": "lab-policy-m"}], "strategies": ["cot"]}
    asked = [planner.Problem("p1", "sums", "arithmetic", "What is 3 + 4?", "7")]
    log = planner.search(asked, output=tmp_path / "log", grid=grid, models={"lab-policy-m": "lab-policy-m"})
    again = planner.search(asked, output=tmp_path / "log", grid=grid, seed=None)
    assert (log.rows("outcomes"), str(again)) == (1, str(log))
    with pytest.raises(planner.PlannerError, match=r"a grid is a file, a mapping or a Grid, got 3"):
        planner.search(asked, output=tmp_path / "none", grid=3)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def test_models_that_it_was_not_learned_from_are_refused_unless_allowed(
    fitted: planner.Planner, tmp_path: Path
) -> None:
    lab = planner.load("lab").with_models({"lab-policy-s": "lab-policy-m"})
    with pytest.raises(planner.PlannerError, match="a model lies in a folder of its name, got"):
        lab.solve("What is 3 + 4?", tokens=800)
    others = {}
    for kind, model in (("policies", "lab-policy-m"), ("prms", "lab-prm-good")):
        for name in getattr(fitted, kind):
            others[name] = shutil.copytree(shipped(model), tmp_path / name)
    with pytest.raises(planner.ArtefactError, match="a planner decides for models it was learned from"):
        fitted.with_models(others).solve("What is 3 + 4?", tokens=4000, domain="arithmetic")
    allowed = fitted.with_models(others, allow_foreign=True)
    assert allowed.solve("What is 3 + 4?", tokens=4000, domain="arithmetic").spend.tokens > 0
    allowed.close()
