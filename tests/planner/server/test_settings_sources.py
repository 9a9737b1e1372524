"""Settings from flags, the environment and a file: what counts where several speak, and every fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.server.settings import ServeSettings
from planner.server.settings_sources import read_settings
from search.errors import ServeError, SettingsError

#: values for settings of every kind: as a flag gives them, as text, as TOML
KINDS: dict[str, list[tuple[Any, str, str]]] = {
    "allow_foreign": [(False, "yes", "true"), (True, "off", "true")],
    "port": [(9000, "9001", "9002"), (1, "2", "3")],
    "price": [(0.5, "0.25", "1")],
    "host": [("a.example", "b.example", '"c.example"')],
    "keys": [(Path("a"), "b", '"c"')],
    "policy": [(["a"], "b,c", '["d"]'), (["a"], '["b,c"]', '["d", "e"]')],
    "default_budget": [("1", '{"tokens": 2}', "{ tokens = 3 }"), ("4", "5", "6")],
    "prices": [("1,2,3", "4,5,6", "[7, 8, 9]")],
}
CASES = [(name, *case) for name, cases in KINDS.items() for case in cases]


def file_of(folder: Path, text: str) -> Path:
    path = folder / "serve.toml"
    path.write_text(text)
    return path


def faults_of(
    folder: Path, text: str = "", environment: dict[str, str] | None = None, **flags: Any
) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        read_settings(flags, environment or {}, file_of(folder, text))
    assert str(refused.value) == "\n".join(refused.value.faults)
    return tuple(fault.replace(str(folder) + "/", "") for fault in refused.value.faults)


@pytest.mark.parametrize(("name", "flag", "variable", "toml"), CASES)
def test_a_flag_wins_over_a_variable_that_over_the_file_that_over_the_default(
    name: str, flag: Any, variable: str, toml: str, tmp_path: Path
) -> None:
    path = file_of(tmp_path, f"lab = true\n{name} = {toml}\n")
    environment = {f"PLANNER_SERVE_{name.upper()}": variable}

    def found(*sources: str) -> Any:
        return getattr(
            read_settings(
                {"lab": True, **({name: flag} if "flag" in sources else {})},
                environment if "variable" in sources else {},
                path if "file" in sources else None,
            ),
            name,
        )

    alone = [found("flag"), found("variable"), found("file")]
    assert found("flag", "variable", "file") == found("flag", "file") == found("flag", "variable") == alone[0]
    assert found("variable", "file") == alone[1]
    assert found() == ServeSettings.model_fields[name].default
    assert len({str(value) for value in alone}) > 1


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_any_port_as_a_variable_is_that_port_as_a_flag(port: int, other: int) -> None:
    environment = {"PLANNER_SERVE_PORT": str(port), "PLANNER_SERVE_LAB": "1"}
    assert (
        read_settings({}, environment).port == read_settings({"port": port}, {"PLANNER_SERVE_LAB": "1"}).port
    )
    assert read_settings({"port": other}, environment).port == other


def test_a_switch_can_be_switched_off_again(tmp_path: Path) -> None:
    path = file_of(tmp_path, "lab = true\n")
    settings = read_settings({"lab": False, "base_url": "http://x"}, {}, path)
    assert (settings.lab, settings.base_url) == (False, "http://x")


def test_the_file_can_be_named_by_a_variable(tmp_path: Path) -> None:
    first = file_of(tmp_path, "lab = true\nport = 1\n")
    other = tmp_path / "other.toml"
    other.write_text("lab = true\nport = 2\n")
    environment = {"PLANNER_SERVE_CONFIG": str(first)}
    assert read_settings({}, environment).port == 1
    assert read_settings({}, environment, other).port == 2


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    environment = {"PLANNER_SERVE_PORT": "", "PLANNER_SERVE_LAB": "on", "PLANNER_SERVE_CONFIG": ""}
    assert read_settings({}, environment).port == 8400


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("prot = 1", "got 'prot' in 'serve.toml' (did you mean 'port'?)"),
        ("max-tokens = 1", "got 'max-tokens' in 'serve.toml' (did you mean 'max_tokens'?)"),
        ("config = 'x'", "got 'config' in 'serve.toml'"),
        ("port = '8400'", "port in 'serve.toml' must be a whole number in [0, 65535], got '8400'"),
        ("port = 70000", "port in 'serve.toml' must be a whole number in [0, 65535], got 70000"),
        ("port = true", "port in 'serve.toml' must be a whole number in [0, 65535], got True"),
        ("running = 0", "running in 'serve.toml' must be a whole number of at least 1, got 0"),
        ("floor = nan", "floor in 'serve.toml' must be a number in (0, 1], got nan"),
        ("price = inf", "price in 'serve.toml' must be a number of at least 0, got inf"),
        ("keep_days = 0", "keep_days in 'serve.toml' must be a number above 0, got 0"),
        ("allow_foreign = 1", "allow_foreign in 'serve.toml' must be true or false, got 1"),
        ("planner = 3", "planner in 'serve.toml' must be a text, got 3"),
        ("keys = 3", "keys in 'serve.toml' must be a path, got 3"),
        ("policy = 'm'", "policy in 'serve.toml' must be a list of texts, got 'm'"),
        ("default_budget = 0", "default_budget in 'serve.toml' is a budget: samples must be above 0"),
        ("default_budget = { hours = 1 }", "a budget has the fields"),
        ("prices = [1, 2]", "prices in 'serve.toml' is P,G,R in dollars per million tokens, got [1, 2]"),
        ("prm_url = { good = 3 }", "prm_url in 'serve.toml' is NAME=URL, got 3"),
    ],
)
def test_a_fault_of_the_file_is_one_line(line: str, said: str, tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, f"lab = true\n{line}\n")
    assert said in fault


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("PROT", "1", "got 'PLANNER_SERVE_PROT' (did you mean 'PLANNER_SERVE_PORT'?)"),
        ("port", "1", "got 'PLANNER_SERVE_port' (did you mean 'PLANNER_SERVE_PORT'?)"),
        ("PORT", "tcp://10.0.0.1:8400", "PLANNER_SERVE_PORT must be a whole number in [0, 65535], got 'tcp:"),
        ("LAB", "perhaps", "PLANNER_SERVE_LAB must be true or false, got 'perhaps'"),
        ("PRICE", "much", "PLANNER_SERVE_PRICE must be a number of at least 0, got 'much'"),
        ("POLICY", '["a', "PLANNER_SERVE_POLICY must be a list of texts, got '[\"a'"),
        ("CEILING", "lots", "PLANNER_SERVE_CEILING holds JSON"),
    ],
)
def test_a_fault_of_the_environment_is_one_line(variable: str, text: str, said: str, tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "lab = true", {f"PLANNER_SERVE_{variable}": text})
    assert said in fault


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, "prot = 1\nrunning = 0\n", {"PLANNER_SERVE_LAB": "si"}, ceiling="x")
    assert len(faults) == 4
    assert [
        word for fault in faults for word in ("prot", "running", "LAB", "--ceiling") if word in fault
    ] == [*("prot", "--ceiling", "LAB", "running")]


def test_a_value_that_a_flag_replaces_must_be_right_all_the_same(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "lab = true\nport = 'x'\n", port=9000)
    assert fault.startswith("port in")


@pytest.mark.parametrize("line", ["lap = true", "base_url = 'http://me:secret@host'"])
def test_a_misspelled_or_refused_setting_contradicts_nothing(line: str, tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, f"{line}\n")
    assert "--lab" not in fault


def test_a_contradiction_says_where_its_sides_stand(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "lab = true\n", {"PLANNER_SERVE_BASE_URL": "http://x"})
    assert fault.endswith("got --lab and --base-url (lab in 'serve.toml', PLANNER_SERVE_BASE_URL)")
    (fault,) = faults_of(tmp_path, lab=True, base_url="http://x")
    assert fault == "a server has one of --lab, --base-url, --engine, --models, got --lab and --base-url"
    (fault,) = faults_of(tmp_path, "lab = true\nkeep_days = 3\n")
    assert fault.endswith("need --decisions, got none (keep_days in 'serve.toml')")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("upstream_key = 'hunter2'", "name the variable that does in 'upstream_key_env'"),
        ("api_key = 'hunter2'", "name the variable that does in 'key_env'"),
        ("key_env = 'pk-hunter2'", "key_env in 'serve.toml' names an environment variable"),
        ("key_env = 'hunter2'", "key_env in 'serve.toml' names an environment variable"),
        ("decisions = 'postgresql://me:hunter2@host/db'", "give the address in PLANNER_SERVE_DECISIONS"),
        ("decisions = 'postgresql://host/db?password=hunter2'", "must hold no password, got one"),
        ("prm_url = ['good=http://me:hunter2@host']", "give the address in PLANNER_SERVE_PRM_URL"),
        ("[prm_url]\ngood = 'http://me:hunter2@host'", "give the address in PLANNER_SERVE_PRM_URL"),
        ("hunter = 'hunter2'", "must be a setting of planner serve, got 'hunter'"),
    ],
)
def test_no_secret_stands_in_a_file_and_none_is_repeated(text: str, said: str, tmp_path: Path) -> None:
    (fault,) = (
        faults_of(tmp_path, f"{text}\n", lab=True)
        if "prm_url" not in text
        else faults_of(tmp_path, text, base_url="http://x")
    )
    assert said in fault
    assert "hunter2" not in fault


def test_a_password_may_stand_in_the_environment(tmp_path: Path) -> None:
    address = "postgresql://me:hunter2@host/db"
    environment = {"PLANNER_SERVE_DECISIONS": address}
    assert read_settings({}, environment, file_of(tmp_path, "lab = true")).decisions == address


def test_a_variable_that_is_named_must_be_set(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "lab = true\nkey_env = 'MY_KEY'\n")
    assert fault == "key_env in 'serve.toml' must name a variable that is set, got 'MY_KEY'"
    settings = read_settings({"lab": True, "key_env": "MY_KEY"}, {"MY_KEY": "secret"})
    assert settings.key_env == "MY_KEY"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "must be readable, got '.*serve.toml': No such file"),
        (b"port =", "is TOML"),
        (b"\xff", "is TOML"),
    ],
)
def test_a_file_that_cannot_be_read(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ServeError, match=re.compile(said)):
        read_settings({"lab": True}, {}, path)
