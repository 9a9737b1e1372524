"""Every format is found by its name, with its own options and no others."""

from __future__ import annotations

import pytest

from search.errors import PlanError, PlannerError, RecordError
from search.importing.protocol import Importer, declared, drawn
from search.importing.registry import FORMATS, importer


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_found_by_its_name(name: str) -> None:
    found = importer(name)
    assert isinstance(found, Importer)
    assert found.name == name
    assert found == importer(name)


def test_an_unknown_format_or_option_is_told() -> None:
    with pytest.raises(RecordError, match=r"format must be one of search-and-learn, .*, got 'csv'"):
        importer("csv")
    with pytest.raises(RecordError, match=r"qwen-math-rm takes policy, .*, got plan"):
        importer("qwen-math-rm", {"plan": "cot()"})
    with pytest.raises(RecordError, match=r"table takes columns, .*, got _seen"):
        importer("table", {"_seen": {}})


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("search-and-learn", {"plan": "majority(n=4)"}, PlanError),
        ("search-and-learn", {"parameters": 0}, RecordError),
        ("search-and-learn", {"top_p": 0.0}, RecordError),
        ("tree-of-thoughts", {"plan": "best_of_n(n=4)"}, PlanError),
        ("tree-of-thoughts", {"temperature": -1.0}, RecordError),
        ("gsm8k-solutions", {"samples": 0}, RecordError),
        ("qwen-math-rm", {"prm_parameters": -5}, RecordError),
        ("table", {"columns": {"color": "c"}}, RecordError),
        ("table", {"sizes": {"p": 0}}, RecordError),
        ("table", {"domain": "poetry"}, PlannerError),
    ],
)
def test_options_are_checked_when_an_importer_is_made(
    name: str, options: dict[str, object], error: type[PlannerError]
) -> None:
    with pytest.raises(error, match="got "):
        importer(name, options)


def test_a_declared_card_says_that_nothing_vouches_for_it() -> None:
    card = declared("p", 7)
    assert (card.fingerprint, card.flops(1.0)) == ("declared:p", 14.0)
    assert drawn(0.0) == "temperature=0, top_p=1, top_k=0"
