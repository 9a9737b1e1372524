"""Nothing that people wrote is in a hashed log, and equal things stay equal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import candidate, decision

from planner.server.decisions.comparison import Comparison, Expected
from planner.server.decisions.log import HASHED, DecisionLog, Hashing
from planner.server.decisions.recorder import DecisionQuery
from search.errors import DecisionLogError

KEY, SALT = b"k" * 32, b"s" * 32


def test_hides_every_text_and_keeps_what_is_equal() -> None:
    whole = decision(
        "a", answer="2", candidates=(candidate("2"), candidate("3"), candidate(None), candidate("2"))
    )
    hidden = Hashing(KEY, SALT).hide(whole)
    assert hidden.question.startswith(HASHED)
    answers = [c.answer for c in hidden.candidates]
    assert answers[0] == answers[3] == hidden.answer != answers[1]
    assert answers[2] is None
    assert {c.text for c in hidden.candidates} == {""}
    assert hidden.steps == whole.steps
    assert [c.step_rewards for c in hidden.candidates] == [c.step_rewards for c in whole.candidates]


@given(st.text(), st.text())
def test_equal_texts_have_equal_hashes_under_one_key_and_salt_only(one: str, other: str) -> None:
    hashing = Hashing(KEY, SALT)
    assert (hashing.digest(one) == hashing.digest(other)) == (one == other)
    assert hashing.digest(hashing.digest(one)) == hashing.digest(one)
    for stranger in (Hashing(b"K" * 32, SALT), Hashing(KEY, b"S" * 32)):
        assert stranger.digest(one) != hashing.digest(one)


def test_a_short_key_is_refused_and_no_key_is_shown(tmp_path: Path) -> None:
    with pytest.raises(DecisionLogError, match="at least 16 bytes, got 5"):
        DecisionLog.open(tmp_path / "log.db", hash_key=b"short")
    assert "kkkk" not in repr(Hashing(KEY, SALT))


async def test_no_text_reaches_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = DecisionLog.open(path, hash_key=KEY)
    log.record(
        decision(
            "a", question="Where is my zebra?", answer="quagga", candidates=(candidate("quagga", "an okapi"),)
        )
    )
    found = await log.find("a")
    assert found is not None
    assert found.decision.question.startswith(HASHED)
    assert [r.decision.decision_id for r in await log.search(DecisionQuery(text="Where is my zebra?"))] == [
        "a"
    ]
    assert not await log.search(DecisionQuery(text="zebra"))
    await log.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"alice" in kept
    for text in (b"zebra", b"quagga", b"okapi"):
        assert text not in kept
    # the salt is the log's: another server under the same key hashes alike
    again = DecisionLog.open(path, hash_key=KEY)
    again.record(decision("b", question="Where is my zebra?"))
    assert len(await again.search(DecisionQuery(text="Where is my zebra?"))) == 2
    await again.close()
    assert os.listdir(tmp_path) == ["log.db"]


def test_the_plain_answer_of_a_comparison_is_hidden_too() -> None:
    hashing = Hashing(b"k" * 16, b"salt")
    plain = Expected(policy="small", prm=None, plan="cot()")
    hidden = hashing.hide(decision("a", comparison=Comparison(plain=plain, plain_answer="2")))
    assert hidden.comparison is not None
    assert hidden.comparison.plain_answer == hidden.answer  # equal answers keep equal hashes
    bare = hashing.hide(decision("a", comparison=Comparison(plain=plain)))
    assert bare.comparison == Comparison(plain=plain)
