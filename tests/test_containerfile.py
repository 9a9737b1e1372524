"""The container file: parsed, and its steps run as far as a machine without a container engine can.

The base images, ``apt`` and the installation of the extras are not run here; ``docs/operations.md`` says so.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from planner.server.settings_sources import read_settings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def steps() -> list[tuple[str, str]]:
    """(instruction, its words) in order, comments left out and continued lines joined."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = [line for line in re.sub(r"\\\n\s*", "", kept).splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def stages() -> list[list[tuple[str, str]]]:
    """The steps of each stage."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in steps():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def of(word: str, stage: int = -1) -> list[str]:
    return [rest for each, rest in stages()[stage] if each == word]


def copied() -> list[str]:
    """What is copied from the checkout."""
    plain = [shlex.split(rest) for rest in of("COPY", 0) if not rest.startswith("--from")]
    return [source for words in plain for source in words[:-1]]


def variables() -> dict[str, str]:
    """The environment of the image that runs."""
    return dict(pair.split("=", 1) for rest in of("ENV") for pair in shlex.split(rest))


def test_every_step_is_one_that_engines_know() -> None:
    known = {"FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "EXPOSE", "STOPSIGNAL"}
    known |= {"HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in steps()} <= known
    assert [stage[0][0] for stage in stages()] == ["FROM", "FROM"]
    for image in of("FROM", 0) + of("FROM"):  # named in full: engines differ in what they look for
        assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim( AS \w+)?", image)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").split()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored), source


def test_what_is_copied_is_all_that_the_package_is_built_of(tmp_path: Path) -> None:
    """The step that builds it, without what it depends on."""
    for source in copied():
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, tmp_path / source, ignore=ignored)
        else:
            shutil.copy(ROOT / source, tmp_path / source)
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "out")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
    for wanted in ("planner/server/workers/worker.py", "planner/server/console/page/index.html"):
        assert wanted in names
    assert any(name.startswith("planner/_models/lab-policy-m/") for name in names)


def test_the_installed_extras_exist() -> None:
    [install] = [rest for rest in of("RUN", 0) if "pip install" in rest]
    found = re.search(r'"\.\[([a-z,]+)\]"', install)
    assert found
    assert set(found.group(1).split(",")) <= PROJECT["project"]["optional-dependencies"].keys()
    assert {"serve", "openai", "otel"} <= set(found.group(1).split(","))
    assert "-c constraints.txt" in install
    assert "constraints.txt" in copied()


def test_it_runs_as_nobody_in_particular_and_holds_no_secret() -> None:
    [user] = of("USER")
    [made] = [rest for rest in of("RUN") if rest.startswith("useradd")]
    assert made.split()[-1] == user != "root"
    order = [word for word, _ in stages()[-1]]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert not [name for name in variables() if name.endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))]


def test_the_settings_of_the_image_are_settings() -> None:
    [flags] = map(json.loads, of("CMD"))
    assert flags == ["--lab"]
    settings = read_settings({"lab": True}, variables())
    assert (settings.host, settings.port) == ("0.0.0.0", int(of("EXPOSE")[0]))
    assert of("STOPSIGNAL") == ["SIGTERM"]


def test_the_entry_command_starts_and_wants_a_key() -> None:
    [entry], [flags] = map(json.loads, of("ENTRYPOINT")), map(json.loads, of("CMD"))
    program, *words = entry
    assert PROJECT["project"]["scripts"][program] == "planner.__main__:main"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PLANNER_")}
    given = {name: value for name, value in variables().items() if name != "PATH"}
    ended = subprocess.run(
        [sys.executable, "-c", "from planner.__main__ import main; main()", *words, *flags],
        env={**kept, **given},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 2
    assert "a server that others can reach needs keys" in ended.stderr


@pytest.fixture
def ready() -> Iterator[HTTPServer]:
    """Answers ``/readyz`` with the status that it is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status if self.path == "/readyz" else 404)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False)])
def test_the_health_check_tells_a_ready_server_from_another(
    ready: HTTPServer, status: int, is_well: bool
) -> None:
    ready.status = status  # type: ignore[attr-defined]
    [check] = of("HEALTHCHECK")
    program, flag, code = json.loads(check.partition(" CMD ")[2])
    assert (program, flag) == ("python", "-c")
    code = code.replace(f":{of('EXPOSE')[0]}/", f":{ready.server_address[1]}/")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (ran.returncode == 0) is is_well
