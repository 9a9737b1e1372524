"""What goes into the database comes out again, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from made import decision, step

from planner.server.decisions.comparison import Comparison, Expected
from planner.server.decisions.recorder import DecisionQuery, Feedback, Record
from planner.server.decisions.store import Store
from search.errors import DecisionLogError


def ids(records: list[Record]) -> list[str]:
    return [record.decision.decision_id for record in records]


def test_a_decision_comes_back_equal(where: str) -> None:
    store = Store.open(where)
    kept = decision("a", 1.5)
    bare = decision("b", 2.5, planner=None, prm=None, answer=None, steps=(), candidates=(), chosen=None)
    said = Feedback("a", 3.0, correct=True, score=0.5, candidate=1, key="bob")
    assert store.write([kept, bare], [said]) == [True]
    assert store.find("a") == Record(kept, (said,))
    assert store.find("b") == Record(bare)
    assert store.find("c") is None
    store.close()
    again = Store.open(where)
    assert again.find("a") == Record(kept, (said,))
    again.close()


def test_what_is_written_twice_is_there_once(where: str) -> None:
    store = Store.open(where)
    first, other = decision("a", 1.0), decision("a", 2.0, steps=(step(),) * 5)
    store.write([first, other])
    store.write([other, decision("b")])
    found = store.find("a")
    assert found is not None
    assert found.decision == first
    assert store.count() == 2
    store.close()


def test_feedback_needs_a_decision(where: str) -> None:
    store = Store.open(where)
    said = [Feedback("b", 0.0, correct=True), Feedback("a", 0.0, correct=False)]
    assert store.write([decision("a")], said) == [False, True]
    store.close()


def test_texts_that_no_database_takes_are_mended(where: str) -> None:
    store = Store.open(where)
    store.write([decision("a", question="nul \0 half \ud800 whole \U0001f600 é", accuracy=math.nan)])
    found = store.find("a")
    assert found is not None
    assert found.decision.question == "nul \ufffd half \ufffd whole \U0001f600 é"
    assert found.decision.accuracy is None
    store.close()


def test_search(where: str) -> None:
    store = Store.open(where)
    store.write(
        [
            decision("a", 1.0, question="WORK out 3 + 4", answer="7"),
            decision("b", 2.0, plan="majority(n=4)", question="Über 100%_"),
            decision("c", 3.0, outcome="failed", domain="text"),
            decision("d", 3.0),
        ],
        [Feedback("b", 9.0, candidate=1)],
    )
    for wanted, found in (
        (DecisionQuery(), "dcba"),
        (DecisionQuery(limit=2), "dc"),
        (DecisionQuery(limit=2, before="d"), "cb"),
        (DecisionQuery(before="nobody"), ""),
        (DecisionQuery(text="work OUT"), "a"),
        (DecisionQuery(text="ÜBER"), "b"),
        (DecisionQuery(text="0%_"), "b"),
        (DecisionQuery(text="%"), "b"),
        (DecisionQuery(text="7"), "a"),
        (DecisionQuery(plan="majority(n=4)"), "b"),
        (DecisionQuery(outcome="failed"), "c"),
        (DecisionQuery(domain="text"), "c"),
        (DecisionQuery(since=2.0, until=3.0), "b"),
        (DecisionQuery(with_feedback=True), "b"),
        (DecisionQuery(with_feedback=False), "dca"),
    ):
        assert "".join(ids(store.search(wanted))) == found, wanted
    store.close()


def test_told_goes_through_all_feedback_in_blocks(where: str) -> None:
    store = Store.open(where)
    names = [f"d{i:02d}" for i in range(11)]
    decisions = [decision(name, float(i // 3)) for i, name in enumerate(names)]
    store.write(decisions, [Feedback(name, 0.0, correct=True) for name in names if name != "d04"])
    assert ids(list(store.with_feedback(block=3))) == [name for name in names if name != "d04"]
    store.close()


def test_what_a_planner_saw(where: str) -> None:
    store = Store.open(where)
    store.write([decision(f"d{i}", float(i), steps=(step(features=(float(i),)),)) for i in range(5)])
    oldest = store.features("f" * 16, "question", 9, newest=False)
    assert [created for created, _ in oldest] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert store.features("f" * 16, "question", 2, newest=True) == oldest[:2:-1]
    assert store.features("f" * 16, "question", 9, newest=False, after=2.0) == oldest[3:]
    assert store.features("other", "question", 9, newest=True) == []
    # unscored candidates are left out
    assert len(store.rewards("f" * 16, "judge", 99, newest=True)) == 10
    store.close()


def test_the_first_default_of_a_setting_stays(where: str) -> None:
    store = Store.open(where)
    assert store.value("salt") is None
    assert store.setting("salt", "x") == "x"
    assert store.value("salt") == "x"
    assert store.setting("salt", "y") == "x"
    store.close()


def test_an_sqlite_log_is_its_owners_and_ahead_of_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    store = Store.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with store.engine.connect() as connection:
        read = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "auto_vacuum")
        }
    assert read == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "auto_vacuum": 2}
    store.close()


@pytest.mark.parametrize("wrong", ["mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "no/folder/x"])
def test_another_address_is_refused(wrong: str) -> None:
    with pytest.raises(DecisionLogError, match="a decision log is a file") as caught:
        Store.open(wrong)
    assert "secret" not in str(caught.value)


def test_a_database_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is not a database, whatever it is called\n" * 50)
    with pytest.raises(DecisionLogError, match="can be opened"):
        Store.open(tmp_path / "text")
    with pytest.raises(DecisionLogError, match="can be opened") as caught:
        Store.open("postgresql://u:secret@127.0.0.1:1/d")
    assert "secret" not in str(caught.value)
    with pytest.raises(DecisionLogError, match="exists"):
        Store.read(tmp_path / "missing")


_TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
_FLOAT = st.floats(allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(
    question=_TEXT,
    answer=st.none() | _TEXT,
    accuracy=st.none() | _FLOAT,
    spent_usd=st.none() | _FLOAT,
    budget=st.dictionaries(_TEXT, _FLOAT, max_size=2),
    features=st.lists(_FLOAT, max_size=5).map(tuple),
)
def test_any_decision_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, features: tuple[float, ...], **changes: object
) -> None:
    store = Store.open(tmp_path_factory.getbasetemp() / "any.db")
    with store.engine.execution_options(writes=True).begin() as connection:
        connection.execute(sa.text("DELETE FROM decisions"))
    kept = decision("a", steps=(step(features=features),), **changes)
    store.write([kept])
    found = store.find("a")
    store.close()
    assert found == Record(kept)


def test_a_comparison_comes_back_with_its_decision(where: str) -> None:
    plain = Expected(policy="small", prm=None, plan="cot()", accuracy=0.5, tokens=60.0, flops=1e9, usd=None)
    told = Comparison(plain=plain, planned=plain.times(2), plain_answer='1/2 "\ud800\0')
    kept = [decision("a", 1.0, comparison=told), decision("b", 2.0), decision("c", 3.0, comparison=told)]
    store = Store.open(where)
    store.write(kept)
    assert [record.decision for record in store.compared(block=1)] == [kept[0], kept[2]]
    assert [record.decision for record in store.newest_compared(1)] == [kept[2]]
    store.delete(["a"])
    assert ids(list(store.compared())) == ["c"]
    store.close()


def test_plans_are_found_by_strategy_and_decisions_by_policy(where: str) -> None:
    store = Store.open(where)
    store.write(
        [
            decision("a", 1.0, plan="majority(n=4)"),
            decision("b", 2.0, plan="majority(n=16)", policy="large"),
            decision("c", 3.0, plan="cot()"),
        ]
    )
    assert ids(store.search(DecisionQuery(plan="majority"))) == ["b", "a"]
    assert ids(store.search(DecisionQuery(plan="majority(n=4)"))) == ["a"]
    assert ids(store.search(DecisionQuery(plan="major"))) == []
    assert ids(store.search(DecisionQuery(policy="large"))) == ["b"]
    store.close()


def test_what_keys_have_spent_since(where: str) -> None:
    store = Store.open(where)
    early, late, other = decision("a", 1.0), decision("b", 2.0, spent_usd=0.25), decision("c", 3.0, key="bob")
    store.write([early, late, other, decision("d", 4.0, key=None)])
    assert store.spent(2.0) == {
        str(late.key): (late.spend.tokens, 0.25),
        "bob": (other.spend.tokens, 0.0),
    }
    store.close()
