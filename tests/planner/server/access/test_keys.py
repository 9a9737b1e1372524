"""Keys: what a file may say, who gets in, and that no secret is kept."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.keys import ANYONE, Key, Keys, Scope, new_key
from planner.server.refusal import Refusal
from search.errors import ServeError

SECRET = "a-secret-of-enough-characters"


def test_without_keys_everybody_may_do_everything() -> None:
    keys = Keys()
    assert not keys
    assert keys.who(None, Scope.ADMIN) is ANYONE


def test_a_new_key_opens_the_door_and_is_not_kept(tmp_path: Path) -> None:
    secret, lines = new_key('al"ice')
    assert secret not in lines
    file = tmp_path / "keys.toml"
    file.write_text(lines + "requests_per_minute = 60\n")
    keys = Keys.read(file)
    found = keys.who(f"Bearer {secret}", Scope.INFER)
    assert (found.name, found.requests_per_minute, found.tokens_per_minute) == ('al"ice', 60.0, math.inf)
    with pytest.raises(Refusal, match="admin") as refused:
        keys.who(f"Bearer {secret}", Scope.ADMIN)
    assert refused.value.status == 403


def test_a_key_may_have_limits_for_a_day(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(new_key("a")[1] + "usd_per_day = 5\ntokens_per_day = 1e6\n" + new_key("b")[1])
    limited, other = Keys.read(file)
    assert (limited.usd_per_day, limited.tokens_per_day, limited.is_limited) == (5.0, 1e6, True)
    assert (other.usd_per_day, other.is_limited) == (math.inf, False)
    file.write_text(new_key("a")[1] + "usd_per_day = 0\n")
    with pytest.raises(ServeError, match=r"usd_per_day must be above 0, got 0\.0 in 'a'"):
        Keys.read(file)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", f"Basic {SECRET}", "Bearer x"]
)
def test_anything_else_is_401(header: str | None) -> None:
    keys = Keys([Key.of("a", SECRET)])
    with pytest.raises(Refusal) as refused:
        keys.who(header, Scope.INFER)
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"] == "Bearer"
    assert keys.who(f"bearer  {SECRET} ", Scope.INFER).name == "a"


@given(st.text())
def test_no_other_secret_gets_in(text: str) -> None:
    keys = Keys([Key.of("a", SECRET), Key.of("b", SECRET + "2")])
    if text.strip() not in (SECRET, SECRET + "2"):
        with pytest.raises(Refusal):
            keys.who(f"Bearer {text}", Scope.INFER)


def test_the_environment_gives_a_key_with_all_scopes() -> None:
    keys = Keys.read(None, SECRET)
    assert keys.who(f"Bearer {SECRET}", Scope.ADMIN).name == "environment"
    assert len(keys) == 1
    with pytest.raises(ServeError, match="at least 16"):
        Keys.read(None, "short")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("keys = 3", "tables"),
        ("[keys", "TOML"),
        ("[keys.a]", "sha256"),
        ("[keys.a]\nsha256 = 'x'", "64 hexadecimal"),
        (f"[keys.a]\nsha256 = '{'a' * 64}'\nscopes = ['root']", "scopes"),
        (f"[keys.a]\nsha256 = '{'a' * 64}'\nscopes = 3", "scopes"),
        (f"[keys.a]\nsha256 = '{'a' * 64}'\nkey = 'k'", "fields"),
        (f"[keys.a]\nsha256 = '{'a' * 64}'\ntokens_per_minute = 0", "above 0"),
        (f"[keys.a]\nsha256 = '{'a' * 64}'\ntokens_per_minute = 'many'", "number"),
    ],
)
def test_a_broken_key_file_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(ServeError, match=rule):
        Keys.read(file)


def test_names_differ() -> None:
    with pytest.raises(ServeError, match="differ"):
        Keys([ANYONE, ANYONE])
    with pytest.raises(ServeError, match="name"):
        Key("", "a" * 64)
