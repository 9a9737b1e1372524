"""``docs/quickstart.md`` walked from top to bottom, against a server that knows chats and no more."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import httpx
import pytest
from doc_pages import ROOT
from fake_model import KEY, hosted, write_questions
from typer.testing import CliRunner

from planner.cli.main import app

PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")

#: commands that are typed into a shell here; the others are read by the same program in this process
TYPED = ("models", "fit")

#: what makes the walk short: text of the page -> text that runs
SHORT = {
    "samples = 8": "samples = 2",
    "n = [1, 2, 4, 8]": "n = [1, 2]",
    "-o my-planner": "-o my-planner --trials 0",
    "-o report.html": "-o report.html --budgets 2",
}


def marked(mark: str) -> list[str]:
    """The blocks under a mark (a pattern), in order."""
    return re.findall(rf"^<!-- {mark} -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command that is run in the foreground, in order."""
    blocks = re.findall(r"(?<! -->\n)^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def shortened(text: str) -> str:
    for long, short in SHORT.items():
        text = text.replace(long, short)
    return text


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The address of a hosted model."""
    with hosted() as server:
        yield server.url


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


def walk(line: str, environment: dict[str, str]) -> tuple[int, str]:
    """How a command ended in the working directory, and all that it said."""
    _, name, *rest = shlex.split(line)
    if name not in TYPED:
        ran = CliRunner().invoke(app, [name, *rest])
        return ran.exit_code, f"{ran.output}{ran.exception or ''}"
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=environment, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_quickstart_leads_to_a_planned_request(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "planner"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m planner "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MY_KEY": KEY,
        "COLUMNS": "100",
    }
    for name, text in re.findall(
        r"^<!-- file: (\S+) -->\n```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    ):
        (tmp_path / name).write_text(shortened(text).replace("https://api.example.com/v1", f"{endpoint}/v1"))
    write_questions(tmp_path / "questions.csv", 60)

    walked = commands()
    assert [line.split()[1] for line in walked] == [
        *("models", "solve", "problems", "search", "search", "bins", "fit", "report", "solve")
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_KEY", KEY)
    for line in walked:
        code, said = walk(shortened(line), environment)
        assert code == 0, (line, said)
        assert KEY not in said
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")

    port = str(free_port())
    (serve,) = marked("in the background")
    client, same_in_python = marked(r"not run: needs the [^\n]+")
    with (
        (tmp_path / "serve.out").open("w") as said,
        subprocess.Popen(
            ["/bin/sh", "-c", f"exec {serve.strip()} --port {port}"],
            cwd=tmp_path,
            env=environment,
            stdout=said,
            stderr=said,
        ) as server,
    ):
        try:
            for _ in range(200):
                try:
                    ready = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5.0).status_code == 200
                except httpx.TransportError:
                    ready = False
                if ready or server.poll() is not None:
                    break
                time.sleep(0.2)
            talk = [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Ann has 12 eggs and finds 30 more. How many eggs has Ann now?"},
            ]
            passed = httpx.post(
                f"http://127.0.0.1:{port}/v1/chat/completions",
                json={"model": "planner", "messages": talk},
                timeout=60.0,
            )
            assert passed.status_code == 200, passed.text
            assert passed.json()["planner"]["plan"]
            for code in (client, same_in_python):
                with redirect_stdout(StringIO()) as printed:
                    exec(
                        compile(code.replace("8400", port), "quickstart.md", "exec"), {"__name__": "__main__"}
                    )
                assert re.search(r"\b4[24]\b", printed.getvalue())  # 42, or wrong by 2
        finally:
            server.terminate()
    assert KEY not in (tmp_path / "serve.out").read_text()
