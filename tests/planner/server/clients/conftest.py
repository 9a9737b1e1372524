"""Upstreams that really compute: torch in the server's own process, vLLM and llama.cpp in theirs.

``PLANNER_REAL_MODELS`` names the folder with ``Qwen2.5-Coder-0.5B-Instruct`` and its ``.gguf``, and
``PLANNER_LLAMA_SERVER`` llama.cpp's program; without them vLLM serves the lab's policy, which knows no tools,
and llama.cpp is left out.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from serve_process import begun

from planner.models import shipped

sys.path.insert(0, str(Path(__file__).parent))

from talk import TOOL
from upstreams import Before, Upstream

LAB, REAL = "lab-policy-m", "Qwen2.5-Coder-0.5B-Instruct"
#: seconds that a model server has to come up
_LOADING = 300.0


@pytest.fixture(
    scope="session",
    params=[
        "embedded",
        pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.slow]),
        pytest.param("llama.cpp", marks=pytest.mark.slow),
    ],
)
def upstream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Each of them in turn, for the whole contract."""
    models = os.environ.get("PLANNER_REAL_MODELS")
    if request.param == "embedded":
        yield Upstream("embedded", LAB, f'embedded = "{shipped(LAB)}"')
    elif request.param == "vllm":
        folder = shipped(LAB) if models is None else Path(models) / REAL
        tools = () if models is None else ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
        context = () if models is None else ("--max-model-len", "2048", "--max-num-seqs", "8")
        server = request.getfixturevalue("vllm_server")(folder, *tools, *context)
        where = f'base_url = "{server.url}"'
        if models is None:
            yield Upstream("vllm", LAB, where)
        else:
            yield Upstream("vllm", REAL, where, has_tools=True, domain="math")
    else:
        program = os.environ.get("PLANNER_LLAMA_SERVER")
        if program is None or models is None:
            pytest.skip("llama.cpp needs PLANNER_LLAMA_SERVER and PLANNER_REAL_MODELS")
        log = tmp_path_factory.mktemp("llama") / "log"
        with log.open("w") as told:
            yield from _llama(Path(program), Path(models) / f"{REAL}.gguf", told)


def _llama(program: Path, weights: Path, told: Any) -> Iterator[Upstream]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "-m", str(weights), "--alias", REAL, "--jinja", "-t", "1", "-np", "4"]
    command += ["-c", "8192", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(program.parent)}
    process = subprocess.Popen(command, stdout=told, stderr=told, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + _LOADING
        while not _answers(f"{url}/health"):
            assert process.poll() is None, "llama-server has ended"
            assert time.monotonic() < end, "llama-server does not come up"
            time.sleep(0.2)
        yield Upstream("llama.cpp", REAL, f'base_url = "{url}"', has_tools=_calls(url), domain="math")
    finally:
        process.kill()
        process.wait()


def _calls(url: str) -> bool:
    """Whether a server tells a call of a tool as one; some models write it as text that nobody reads."""
    asked = {
        "model": REAL,
        "messages": [{"role": "user", "content": "What is the weather in Paris? Answer with the tool."}],
        "tools": [{"type": "function", "function": TOOL}],
        "tool_choice": "required",
        "max_tokens": 100,
        "temperature": 0,
    }
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(asked).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=_LOADING) as answer:
        found = json.load(answer)
    return bool(found["choices"][0]["message"].get("tool_calls"))


def _answers(url: str) -> bool:
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@pytest.fixture(scope="session")
def before(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Before]:
    """``planner serve`` before an upstream: rules decide, since there is no log."""
    folder = tmp_path_factory.mktemp("before")
    models = folder / "models.toml"
    models.write_text(f'[[policy]]\nname = "{upstream.policy}"\n{upstream.where}\n')
    with begun(["--models", str(models), "--port", "0"], folder) as (_, url):
        yield Before(url)
