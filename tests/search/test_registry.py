"""A registry finds members in three places, loads them late, and stands a broken one."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.campaigns.grid import Grid
from search.errors import GridError, PlanError, PluginError
from search.plan import Plan
from search.registry import Registry, is_path, load_path
from search.strategies.protocol import Strategy
from search.strategies.registry import STRATEGIES

TRIO = """
from dataclasses import dataclass
from search.strategies.sampling import SamplingStrategy

@dataclass(frozen=True)
class Trio(SamplingStrategy):
    name = "trio_of_a_file"
    caption = "three samples"
    n: int = 3

@dataclass(frozen=True)
class Majority(SamplingStrategy):
    name = "majority"
    n: int = 3

class NoStrategy:
    pass
"""

Announce = Callable[..., None]


@pytest.fixture
def announce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Announce:
    """Put a distribution beside ours: ``announce("acme", "group", name="module:attribute", ...)``."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(distribution: str, group: str, /, **points: str) -> None:
        folder = tmp_path / f"{distribution}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (folder / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))

    return made


@pytest.fixture
def trio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the working directory, which nothing else knows."""
    (tmp_path / "own_trio.py").write_text(TRIO)
    monkeypatch.chdir(tmp_path)
    yield "own_trio"
    sys.modules.pop("own_trio", None)
    if STRATEGIES.is_registered("trio_of_a_file"):
        STRATEGIES.unregister("trio_of_a_file")


def colours() -> Registry[type[dict[str, str]]]:
    return Registry("colour", "planner.colours", dict, {"ordered": "collections:OrderedDict"}, PlanError)


class Red(dict[str, str]):
    """The colour of roses. It has more to say.

    But not here.
    """

    name = "red"


def test_a_builtin_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys; from search.registry import Registry; from search.errors import PlanError; "
        "known = Registry('c', 'g', dict, {'o': 'wsgiref.headers:Headers'}, PlanError); "
        "assert list(known) == ['o'] and 'o' in known; print('wsgiref.headers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_name_is_told_with_those_that_are_known() -> None:
    with pytest.raises(PlanError, match=r"^colour must be one of ordered, got 'red'$"):
        colours().get("red")
    assert str(colours().unknown("red")) == "colour must be one of ordered, got 'red'"


def test_what_is_registered_is_found_listed_and_taken_back() -> None:
    known = colours()
    before = known.generation
    assert known.register(Red) is Red
    assert (known.get("red"), list(known), len(known), "red" in known) == (Red, ["ordered", "red"], 2, True)
    assert known.generation > before
    (_, red) = known.plugins()
    assert (red.kind, red.name, red.origin, red.error) == ("colour", "red", "registered", "")
    assert red.location == f"{__name__}:Red"
    assert red.caption == "The colour of roses"
    known.register(Red, "crimson")
    assert list(known) == ["ordered", "crimson", "red"]
    known.unregister("red")
    assert list(known) == ["ordered", "crimson"]
    with pytest.raises(PlanError, match="only what was registered can be taken back, got 'red'"):
        known.unregister("red")


def test_what_is_registered_stands_in_place_of_a_builtin() -> None:
    known = colours()
    assert known.is_builtin("ordered")
    known.register(Red, "ordered")
    assert known.get("ordered") is Red
    assert not known.is_builtin("ordered")
    known.unregister("ordered")
    assert known.get("ordered") is not Red


def test_members_are_of_one_kind_and_have_a_name() -> None:
    class Nameless(dict[str, str]):
        pass

    with pytest.raises(PluginError, match=r"a colour must be a class derived from builtins\.dict, got"):
        colours().register(int, "red")  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="a colour needs a name, got none"):
        colours().register(Nameless)


def test_an_entry_point_is_found_and_says_where_it_comes_from(announce: Announce) -> None:
    announce("acme", "planner.colours", counted="collections:Counter")
    known = colours()
    assert known.get("counted").__name__ == "Counter"
    assert list(known) == ["ordered", "counted"]
    found = known.plugins()[1]
    assert (found.name, found.origin, found.location) == ("counted", "acme 1.2", "collections:Counter")


def test_a_broken_plug_in_is_named_once_and_leaves_the_rest_working(
    announce: Announce, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acme_broken.py").write_text("raise SystemError('no\\nluck')\n")
    announce(
        "acme",
        "planner.colours",
        counted="collections:Counter",
        lost="acme_missing:Colour",
        raising="acme_broken:Colour",
        wrong="fractions:Fraction",
    )
    known = colours()
    with caplog.at_level(logging.WARNING, "planner.plugins"):
        assert [name for name, _ in known.items()] == ["ordered", "counted"]
        assert [name for name, _ in known.items()] == ["ordered", "counted"]
    assert len(caplog.messages) == 3
    assert "colour 'raising' of acme 1.2 cannot be loaded: SystemError: no luck" in caplog.messages
    faults = {one.name: one.error for one in known.plugins() if one.error}
    assert set(faults) == {"lost", "raising", "wrong"}
    assert all("\n" not in fault for fault in faults.values())
    assert "a colour must be a class derived from builtins.dict" in faults["wrong"]
    with pytest.raises(PluginError, match=r"'lost' of acme 1\.2 cannot be loaded: ModuleNotFoundError"):
        known.get("lost")
    with pytest.raises(PlanError, match="must be one of ordered, counted, got 'blue'"):
        known.get("blue")


def test_a_name_that_is_taken_is_told(announce: Announce, caplog: pytest.LogCaptureFixture) -> None:
    announce("acme", "planner.colours", ordered="collections:Counter", red="collections:Counter")
    announce("bcme", "planner.colours", red="collections:UserDict")
    known = colours()
    with caplog.at_level(logging.WARNING, "planner.plugins"):
        assert known.get("red").__name__ == "Counter"
    assert len(caplog.messages) == 2
    faults = {one.origin: one.error for one in known.plugins() if one.error}
    assert faults == {
        "acme 1.2": "its name is taken by collections:OrderedDict (built in)",
        "bcme 1.2": "its name is taken by collections:Counter (acme 1.2)",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.b:C", True), ("a.b.C", True), ("a:C", True), ("trio", False), ("a b:C", False), ("a..b", False)],
)
def test_dotted_paths(text: str, expected: bool) -> None:
    assert is_path(text) is expected


def test_a_dotted_path_is_a_name(trio: str) -> None:
    assert "trio_of_a_file" not in STRATEGIES
    found = STRATEGIES.get(f"{trio}:Trio")
    assert issubclass(found, Strategy)
    assert STRATEGIES.get(f"{trio}.Trio") is STRATEGIES.get("trio_of_a_file") is found
    assert str(Path.cwd()) not in sys.path


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("nowhere.at.all:Trio", "must lead to an object, got 'nowhere.at.all:Trio': ModuleNotFoundError"),
        ("own_trio:Quartet", "must lead to an object, got 'own_trio:Quartet': AttributeError"),
        ("own_trio:NoStrategy", r"a strategy must be a class derived from search\.strategies"),
        ("own_trio:Majority", "a strategy by its dotted path needs a name of its own, got 'majority'"),
    ],
)
def test_a_dotted_path_that_leads_nowhere_is_told(trio: str, path: str, fault: str) -> None:
    with pytest.raises(PluginError, match=fault):
        STRATEGIES.get(path)


def test_a_module_that_fails_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_module.py").write_text("raise ValueError('two\\nlines')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginError, match=r"got 'failing_module:X': ValueError: two lines$"):
        load_path("failing_module:X")


def test_grids_take_dotted_paths(trio: str) -> None:
    pair = [{"policy": "p"}]
    grid = Grid.of({"pair": pair, "strategies": [f"{trio}:Trio"], "n": [3], "samples": 16})
    assert {plan.strategy for plan in grid.plans()} == {"trio_of_a_file"}
    written = Grid.of({"pair": pair, "strategies": [], "plan": [f"{trio}:Trio(n=5)"], "samples": 16})
    assert [str(plan) for plan in written.plans()] == ["trio_of_a_file(n=5)"]


@pytest.mark.parametrize("text", ["own_trio:Trio(n=3)", "own_trio.Trio", "cascade(first=m: own_trio:Trio())"])
def test_a_plan_by_others_imports_nothing(trio: str, text: str) -> None:
    """Clients of a server and logs write plans: no module is imported because of them."""
    with pytest.raises(PlanError):
        Plan.parse(text)
    assert trio not in sys.modules


def test_a_strategy_that_is_registered_anew_is_used_at_once() -> None:
    from dataclasses import dataclass

    from search.strategies.fields import whole
    from search.strategies.sampling import SamplingStrategy

    @dataclass(frozen=True)
    class First(SamplingStrategy):
        n: int = whole(3)

    @dataclass(frozen=True)
    class Second(SamplingStrategy):
        n: int = whole(5)
        tail: int = whole(1)

    STRATEGIES.register(First, "anew")
    try:
        assert (str(Plan.parse("anew")), Plan.parse("anew").n) == ("anew(n=3)", 3)
        STRATEGIES.register(Second, "anew")
        assert (str(Plan.parse("anew")), Plan.parse("anew").n) == ("anew(n=5, tail=1)", 5)
    finally:
        STRATEGIES.unregister("anew")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"strategies": ["cot", "nowhere:Trio"]},
            r"grid: strategies\.1: a dotted path must lead to",
        ),
        ({"strategies": ["own_trio:NoStrategy"]}, r"grid: strategies\.0: a strategy must be a class derived"),
        ({"plan": ["guess(n=3)"]}, r"grid: plan\.0: strategy must be one of cot, .*, got 'guess'"),
    ],
)
def test_a_grid_names_the_key_of_what_cannot_be_loaded(
    trio: str, changed: dict[str, object], said: str
) -> None:
    with pytest.raises(GridError, match=said):
        Grid.of({"pair": [{"policy": "p"}], **changed})
