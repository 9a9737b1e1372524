"""Every domain is found by its name; an unknown one says which are known."""

from __future__ import annotations

import pytest

from search.errors import GradingError
from search.grading.protocol import Domain
from search.grading.registry import DOMAINS, domain, guess_domain


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_is_found_by_its_name(name: str) -> None:
    found = domain(name)
    assert isinstance(found, Domain)
    assert found.name == name
    assert domain(name) is found


def test_an_unknown_domain_says_which_are_known() -> None:
    with pytest.raises(GradingError, match=r"domain must be one of .*arithmetic.*, got 'poetry'"):
        domain("poetry")


@pytest.mark.parametrize("question", ["Write me a poem about the sea.", "hello", "Who are you and why?"])
def test_open_ended_chat_belongs_to_no_domain(question: str) -> None:
    assert guess_domain(question) is None
