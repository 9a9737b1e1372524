"""Every domain is found by its name; an unknown one says which are known; the lab's come as plug-ins do."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.errors import GradingError
from search.grading.protocol import Domain
from search.grading.registry import DOMAINS, domain
from search.grading.text import TextDomain

CORE = ("math", "python", "quantity", "formula", "text", "game24")
LAB = ("arithmetic", "chemistry", "code", "puzzle")


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_is_found_by_its_name(name: str) -> None:
    found = domain(name)
    assert isinstance(found, Domain)
    assert found.name == name
    assert domain(name) is found


def test_the_core_knows_its_own_and_the_lab_plugs_in() -> None:
    origins = {plugin.name: plugin.origin for plugin in DOMAINS.plugins()}
    assert {origins[name] for name in CORE} == {"built in"}
    assert all(origins[name].startswith("test-time-planner ") for name in LAB)


def test_the_installed_entry_points_are_those_of_the_project_file() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    told = project["project"]["entry-points"]["planner.graders"]
    assert sorted(told) == sorted(LAB)
    assert {plugin.name: plugin.location for plugin in DOMAINS.plugins() if plugin.name in LAB} == told


@pytest.mark.parametrize("name", ["poetry", "search.grading.text:TextDomain", "os.path:join", ""])
def test_an_unknown_domain_says_which_are_known(name: str) -> None:
    with pytest.raises(GradingError, match=r"domain must be one of .*arithmetic.*, got "):
        domain(name)


class Shouting(TextDomain):
    name = "shouting"


@pytest.fixture
def shouting() -> Iterator[type[Domain]]:
    yield DOMAINS.register(Shouting)
    DOMAINS.unregister("shouting")


def test_a_domain_that_is_registered_is_found(shouting: type[Domain]) -> None:
    assert "shouting" in DOMAINS
    assert isinstance(domain("shouting"), shouting)
    assert domain("shouting") is domain("shouting")


class TestReplaced:
    def test_another_of_the_same_name_takes_its_place_until_it_goes(self) -> None:
        class Louder(TextDomain):
            name = "text"

        before = domain("text")
        DOMAINS.register(Louder)
        try:
            assert isinstance(domain("text"), Louder)
        finally:
            DOMAINS.unregister("text")
        assert type(domain("text")) is type(before)
