"""``planner serve`` as a process: the snippet of docs/server.md, SIGHUP, SIGTERM, and wrong starts."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from serve_process import ENVIRONMENT, begun, snippet

from planner.models import shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A planner of its own, which the test may replace."""
    return Path(shutil.copytree(shipped("planner"), tmp_path / "planner"))


@pytest.fixture
def lab(folder: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``planner serve --lab`` and its address."""
    options = ["--lab", "--port", "0", "--planner", str(folder), "--decisions", str(tmp_path / "log.db")]
    with begun(options, tmp_path) as running:
        yield running


@pytest.mark.slow
def test_a_newcomers_server_answers_reloads_and_ends(
    lab: tuple[subprocess.Popen[str], str], folder: Path, tmp_path: Path
) -> None:
    process, url = lab
    code = snippet()
    assert len([line for line in code.splitlines() if line]) == 5  # the formatter sets the import apart
    ran = subprocess.run(
        [sys.executable, "-c", code.replace("http://127.0.0.1:8400", url)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert "157" in ran.stdout
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as ask:
        found = ask.chat.completions.create(
            model="planner-low",
            messages=[
                {"role": "system", "content": "Work in steps."},
                {
                    "role": "user",
                    "content": "With the numbers 12,9,20,5 you must reach 18 where only +,- is allowed",
                },
            ],
        )
    assert found.usage is not None
    assert found.usage.total_tokens > 0
    # a broken artefact is refused, and requests are answered by the old one
    (folder / "planner.json").write_text("{}")
    process.send_signal(signal.SIGHUP)
    refused = httpx.post(f"{url}/admin/reload", timeout=60.0)
    assert refused.status_code == 409
    assert httpx.get(f"{url}/readyz", timeout=60.0).status_code == 200
    shown = httpx.get(f"{url}/v1/decisions/{found.id}", timeout=60.0)
    assert shown.json()["question"].startswith("With the numbers")
    process.terminate()
    assert process.wait(60) == 0
    said = (tmp_path / "errors").read_text()
    assert "is refused, the old one stays" in said
    assert "With the numbers" not in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "one of --lab, --base-url, --engine, --models, got none"),
        (["--lab", "--base-url", "http://x"], "got --lab and --base-url"),
        (["--lab", "--host", "0.0.0.0"], "needs keys"),
        (["--lab", "--default-budget", "lots"], "holds JSON"),
        (["--lab", "--default-budget", '{"usd": 1}'], "needs prices"),
        (["--lab", "--usd", "1,2,x"], "P,G,R in dollars"),
        (["--lab", "--usd", "1,2"], "P,G,R in dollars .* got '1,2'"),
        (["--lab", "--usd", "1,2,-3"], "P,G,R in dollars"),
        (["--lab", "--allow-origin", "app.example"], "an origin is SCHEME://HOST"),
        (["--lab", "--host-name", "http://planner.example"], "neither scheme, port nor path"),
        (["--lab", "--explore", "1.5"], r"in \[0, 1\)"),
        (["--lab", "--domain", "poetry"], "domain must be one of"),
        (["--lab", "--keys", "/nowhere/keys.toml"], "No such file"),
        (["--lab", "--planner", "/nowhere"], "must be a folder"),
        (["--lab", "--hash-questions"], "need --decisions"),
        (["--base-url", "http://127.0.0.1:9"], "--policy must name one of"),
        (["--base-url", "http://127.0.0.1:9", "--policy", "lab-policy-m", "--prm-url", "x"], "NAME=URL"),
    ],
)
def test_a_wrong_start_ends_with_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from planner.cli.main import app

    with pytest.raises(SystemExit) as ended:
        app(["serve", *options])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert re.search(words, said), said
    assert said.count("\n") == 1


def test_a_new_key_is_shown_once_with_its_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from planner.cli.main import app
    from planner.server.access.keys import Keys, Scope

    with pytest.raises(SystemExit) as ended:
        app(["serve", "--new-key", "alice"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    secret = said.splitlines()[0].rpartition(" ")[2]
    (tmp_path / "keys.toml").write_text(said)
    assert Keys.read(tmp_path / "keys.toml").who(f"Bearer {secret}", Scope.INFER).name == "alice"


@pytest.mark.parametrize(
    ("is_terminal", "said"), [(True, "planner serve: loading the lab's models\n"), (False, "")]
)
def test_a_terminal_is_told_what_is_loaded(
    is_terminal: bool, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from planner.cli.main import app

    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with pytest.raises(SystemExit):
        app(["serve", "--lab", "--port", "0", "--policy", "planner"])
    told = capsys.readouterr().err.splitlines(keepends=True)
    assert "".join(told[:-1]) == said
    assert "--policy must name one of" in told[-1]
