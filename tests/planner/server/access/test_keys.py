"""Keys: who may do what; and wrong ones, which are counted, told and slowed."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from houses import House
from hypothesis import given
from hypothesis import strategies as st

from planner.server.access.keys import ANYONE, Key, Keys, Scope, WrongKeyError, WrongKeys, new_key
from planner.server.refusal import Refusal
from planner.server.service import Service
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


class Clock:
    """Time that passes when told to; what is waited for passes at once and is written down."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waited: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


def test_pauses_grow_by_address_and_are_forgotten() -> None:
    clock = Clock()
    wrong = WrongKeys(60.0, clock)
    pauses = [wrong.pause("a") for _ in range(12)]
    assert pauses == sorted(pauses)
    assert (pauses[:3], pauses[-1]) == ([0.0, 0.0, 0.0], 2.0)
    assert wrong.pause("b") == 0.0
    clock.now = 60.0
    assert wrong.pause("a") == 0.0
    assert wrong.count == 14


def test_many_addresses_are_not_kept_for_ever() -> None:
    wrong = WrongKeys(60.0, Clock())
    for _ in range(4):
        wrong.pause("first")
    for number in range(5000):
        wrong.pause(str(number))
    assert wrong.pause("first") == 0.0


def test_the_log_has_one_line_an_interval(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    wrong = WrongKeys(60.0, clock)
    with caplog.at_level(logging.WARNING, "planner.server"):
        for second in range(180):
            clock.now = float(second)
            wrong.pause("a")
    assert [record.getMessage() for record in caplog.records] == [
        "an API key must be known, got 1 wrong since the last line of this kind (1 in all)",
        "an API key must be known, got 60 wrong since the last line of this kind (61 in all)",
        "an API key must be known, got 60 wrong since the last line of this kind (121 in all)",
    ]


async def test_no_more_are_held_back_than_there_is_room_for() -> None:
    go = asyncio.Event()

    async def wait(seconds: float) -> None:
        await go.wait()

    wrong = WrongKeys(60.0, Clock(), wait)
    for _ in range(3):
        await wrong.met("a")
    held = [asyncio.ensure_future(wrong.met("a")) for _ in range(256)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refused:
        await wrong.met("a")
    assert refused.value.status == 429
    go.set()
    await asyncio.gather(*held)
    await wrong.met("a")


def test_a_server_slows_wrong_keys_and_no_right_one(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    clock = Clock()
    keys = Keys([Key.of("a", SECRET)])
    house = serving(service_of(keys=keys, wrong_keys=WrongKeys(60.0, clock, clock.sleep)))

    def ask(secret: str | None, path: str = "/v1/models") -> int:
        headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
        return httpx.get(f"{house.url}{path}", headers=headers).status_code

    assert [ask(None) for _ in range(6)] == [401] * 6
    assert house.service.wrong_keys.count == 0  # a key that is missing was not tried
    assert [ask("wrong") for _ in range(4)] + [ask("wrong", "/metrics")] == [401] * 5
    assert clock.waited == [0.1, 0.2]
    assert ask(SECRET) == 200
    assert clock.waited == [0.1, 0.2]
    told = httpx.get(f"{house.url}/metrics", headers={"authorization": f"Bearer {SECRET}"}).text
    assert "planner_wrong_keys 5.0" in told


def test_keys_of_a_file_come_and_go_with_a_reload(
    service_of: Callable[..., Service], serving: Callable[[Service], House], tmp_path: Path
) -> None:
    (alice, alices), (bob, bobs) = new_key("alice"), new_key("bob")
    file = tmp_path / "keys.toml"
    file.write_text(alices)
    house = serving(service_of(keys=Keys.read(file, SECRET)))

    def opens(secret: str) -> bool:
        found = httpx.get(f"{house.v1}/models", headers={"authorization": f"Bearer {secret}"})
        return found.status_code == 200

    def reload() -> tuple[int, Any]:
        found = httpx.post(f"{house.url}/admin/reload", headers={"authorization": f"Bearer {SECRET}"})
        return found.status_code, found.json().get("keys")

    assert (opens(alice), opens(bob)) == (True, False)
    file.write_text(bobs)
    assert (opens(alice), opens(bob)) == (True, False)
    assert reload() == (200, 2)
    assert (opens(alice), opens(bob)) == (False, True)
    file.write_text("[keys")
    assert reload()[0] == 409
    assert (opens(alice), opens(bob)) == (False, True)
    file.write_text("")
    assert reload() == (200, 1)  # that of the environment is left
    assert (opens(alice), opens(bob), opens(SECRET)) == (False, False, True)


def test_a_broken_planner_does_not_keep_a_key_alive(
    service_of: Callable[..., Service], serving: Callable[[Service], House], tmp_path: Path, artefact: Path
) -> None:
    folder = tmp_path / "planner"
    folder.mkdir()
    for file in artefact.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    secret, lines = new_key("alice")
    file = tmp_path / "keys.toml"
    file.write_text(lines)
    house = serving(service_of(folder=folder, keys=Keys.read(file, SECRET)))
    (folder / "manifest.json").write_text("{}")
    file.write_text("")
    found = httpx.post(f"{house.url}/admin/reload", headers={"authorization": f"Bearer {SECRET}"})
    assert found.status_code == 409
    gone = httpx.get(f"{house.v1}/models", headers={"authorization": f"Bearer {secret}"})
    assert gone.status_code == 401


def test_a_file_whose_last_key_is_gone_opens_nothing(tmp_path: Path) -> None:
    secret, lines = new_key("alice")
    file = tmp_path / "keys.toml"
    file.write_text(lines)
    keys = Keys.read(file)
    file.write_text("")
    with pytest.raises(ServeError, match="holds at least one key"):
        Keys.read(file)
    gone = keys.reread()
    assert (len(gone), bool(gone)) == (0, True)
    for said in (None, f"Bearer {secret}"):
        with pytest.raises(Refusal) as refused:
            gone.who(said, Scope.INFER)
        assert refused.value.status == 401
    file.write_text(lines)
    assert gone.reread().who(f"Bearer {secret}", Scope.INFER).name == "alice"
    with pytest.raises(WrongKeyError):
        keys.who("Bearer another", Scope.INFER)
