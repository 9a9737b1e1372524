"""The address of a server: taken before a model is loaded, named where it cannot be had."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planner.server import serve as serving
from planner.server.app import create_app
from planner.server.decisions.store import Store
from planner.server.run import bound, run
from planner.server.service import Service
from planner.server.settings import ServeSettings
from search.errors import PlannerError, ServeError


@pytest.fixture
def taken() -> Any:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_free_port_is_found_and_given_back() -> None:
    with bound("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert port > 0
    with bound("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no.such.name.invalid", "a host must be an address of this machine, got 'no.such.name.invalid'"),
        ("192.0.2.1", "an address must be one to listen on, got 192.0.2.1 port 0"),
    ],
)
def test_an_address_that_is_none_is_named(host: str, words: str) -> None:
    with pytest.raises(ServeError, match=words), bound(host, 0):
        pass


def test_a_used_port_is_named_before_a_model_is_loaded(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("nothing is loaded")

    for name in ("_by_planner", "_by_rules"):
        monkeypatch.setattr(serving, name, load)
    words = rf"a port must be free \(--port 0 takes one that is\), got {taken} in use on 127\.0\.0\.1"
    with pytest.raises(ServeError, match=words):
        serving.serve(ServeSettings(lab=True, port=taken), {})


def test_a_port_that_another_server_takes_meanwhile_is_named(
    service_of: Callable[..., Service], taken: int
) -> None:
    service = service_of()
    with pytest.raises(ServeError, match=f"got {taken} in use"):
        run(create_app(service), service, port=taken)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"decisions": "/nowhere/decisions.db"}, "a decision log is a file in a folder that exists"),
        ({"decisions": "mysql://host/db"}, "a decision log is a file or postgresql://"),
        ({"host_name": ("http://planner.example",)}, "a host name has neither scheme"),
        ({"allow_origin": ("app.example",)}, "an origin is SCHEME://HOST"),
        ({"allow_origin": ("*",)}, "with keys only"),
        ({"domain": "poetry"}, "domain must be one of"),
        ({"default_budget": {"usd": 1.0}}, "needs prices"),
    ],
)
def test_options_are_checked_before_a_model_is_loaded(
    fields: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("no model is loaded")

    monkeypatch.setattr(serving, "_backends", load)
    with pytest.raises(PlannerError, match=words):
        serving.service_of(ServeSettings(lab=True, **fields), {})


def test_names_that_the_planner_does_not_know_are_refused() -> None:
    remote = {"base_url": "http://127.0.0.1:9", "policy": ("lab-policy-m",)}
    with pytest.raises(ServeError, match=r"--prm-url must name one of .*, got 'nobody'"):
        serving.service_of(ServeSettings(**remote, prm_url=("nobody=http://127.0.0.1:9",)), {})
    with pytest.raises(ServeError, match=r"--policy must name one of .*, got 'planner'"):
        serving.service_of(ServeSettings(lab=True, policy=("planner",)), {})


def test_what_was_opened_is_closed_where_a_model_cannot_be(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ServeError("no model")

    monkeypatch.setattr(serving, "_backends", fail)
    place = tmp_path / "decisions.db"
    with pytest.raises(ServeError, match="no model"):
        serving.service_of(ServeSettings(lab=True, decisions=str(place)), {})
    assert not place.with_name("decisions.db-wal").exists()


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
@pytest.mark.parametrize(
    ("fields", "environment"),
    [
        ({"lab": True, "shadow": True, "shadow_policy": "nobody"}, {}),
        ({"lab": True, "policy": ("planner",)}, {}),
        ({"lab": True, "workers": 2, "policy": ("planner",)}, {}),
        ({"lab": True, "hash_questions": True}, {"PLANNER_HASH_KEY": "short"}),
        ({"lab": True, "challenger": "lab-policy-m"}, {}),
    ],
)
def test_a_start_that_is_refused_leaves_no_decision_log(
    fields: dict[str, Any], environment: dict[str, str], form: str, tmp_path: Path
) -> None:
    place = tmp_path / "new.db"
    settings = ServeSettings(**fields, port=0, decisions=form.format(place))
    with pytest.raises(PlannerError):
        serving.serve(settings, environment)
    assert [*tmp_path.iterdir()] == []


def test_a_start_that_is_refused_leaves_a_decision_log_that_was_there(tmp_path: Path) -> None:
    place = tmp_path / "old.db"
    Store.open(place).close()
    settings = ServeSettings(lab=True, port=0, decisions=str(place), policy=("planner",))
    with pytest.raises(PlannerError):
        serving.serve(settings, {})
    assert place.exists()


def test_what_is_loaded_is_told_once_the_port_is_known_to_be_free(taken: int) -> None:
    told: list[str] = []
    wrong = ServeSettings(lab=True, port=0, policy=("planner",))
    with pytest.raises(ServeError, match="--policy must name"):
        serving.serve(wrong, {}, on_loading=lambda: told.append("loading"))
    assert told == ["loading"]
    with pytest.raises(ServeError, match="in use"):
        serving.serve(ServeSettings(lab=True, port=taken), {}, on_loading=lambda: told.append("again"))
    assert told == ["loading"]
