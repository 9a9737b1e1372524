"""A real ``llama-server`` with a real model, where both are (``LLAMA_SERVER`` and ``LLAMA_MODEL``)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest

from search.engines.openai.engine import OpenAIEngine
from search.engines.protocol import ChildFinished, FinishReason, Request, RequestFinished, Sampling
from search.models.models_check import Checker
from search.models_file import ModelsFile

SERVER = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server") or ""
MODEL = os.environ.get("LLAMA_MODEL", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (SERVER and Path(SERVER).is_file() and Path(MODEL).is_file()),
        reason="needs llama-server (LLAMA_SERVER) and a GGUF model (LLAMA_MODEL)",
    ),
]

SLOTS, CONTEXT = 4, 512


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with four slots."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = str(Path(SERVER).parent)
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{folder}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
    words = [SERVER, "-m", MODEL, "--alias", "small", "-np", str(SLOTS), "-c", str(SLOTS * CONTEXT)]
    errors = tmp_path_factory.mktemp("llama") / "errors"
    with errors.open("wb") as stream:
        process = subprocess.Popen(
            [*words, "-t", "2", "--port", str(port)], env=environment, stdout=stream, stderr=stream
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, f"{address}/health", errors)
        yield address
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, errors: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, errors.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"llama-server did not start: {errors.read_text()}")


async def draw(engine: OpenAIEngine, request: Request) -> tuple[list[ChildFinished], RequestFinished]:
    events = [event async for event in engine.submit(request)]
    last = events[-1]
    assert isinstance(last, RequestFinished)
    children = [event for event in events if isinstance(event, ChildFinished)]
    return sorted(children, key=lambda child: child.child), last


async def test_ids_logprobs_usage_and_confidence(url: str) -> None:
    async with OpenAIEngine.connect(url) as engine:
        assert isinstance(engine, OpenAIEngine)
        assert engine.card.name == "small"
        assert engine.card.context == CONTEXT
        assert engine.card.parameters > 1_000_000
        prompt = engine.prompt("What is 12 + 30?")
        request = Request(prompt, 3, 12, Sampling(1.0), 7, logprobs=True, top_logprobs=20)
        found, last = await draw(engine, request)
        assert len({child.token_ids for child in found}) > 1
        for child in found:
            assert len(child.logprobs) == len(child.token_ids) <= 12
            assert child.mean_confidence is not None
        assert last.usage.generated_tokens == sum(len(child.token_ids) for child in found)
        assert last.usage.prompt_tokens == len(prompt)


async def test_more_samples_than_slots(url: str) -> None:
    async with OpenAIEngine.connect(url) as engine:
        assert isinstance(engine, OpenAIEngine)
        found, _ = await draw(engine, Request(engine.prompt("Hi"), 6, 4, Sampling(), 1))
        assert [child.child for child in found] == list(range(6))
        assert engine.most("n") == SLOTS


async def test_steps_and_characters_of_several_tokens(url: str) -> None:
    async with OpenAIEngine.connect(url) as engine:
        prompt = engine.prompt("Write the numbers one and two, each on a line of its own.")
        [step], _ = await draw(engine, Request(prompt, 1, 40, Sampling(0.0), 1, ("\n",)))
        assert step.finish_reason == FinishReason.STOP
        assert step.text.endswith("\n")
        [rest], _ = await draw(engine, Request((*prompt, *step.token_ids), 1, 4, Sampling(0.0), 1))
        assert rest.token_ids
        prompt = engine.prompt("Repeat these characters and nothing else: 𓆏𓂀𓆏𓂀")
        [child], last = await draw(engine, Request(prompt, 1, 24, Sampling(0.0), 1, logprobs=True))
        assert len(child.token_ids) == last.usage.generated_tokens


def test_the_check_tells_what_it_can(url: str) -> None:
    models = ModelsFile.of({"policy": [{"name": "small", "base_url": url}]})
    [found] = Checker(models).run()
    assert found.fault == ""
    assert found.can["spoken to by"] == "token ids"
    assert found.can["context"] == f"{CONTEXT} tokens"
    assert found.can["logprobs"] == "yes, 20 candidates"
    assert found.can["continuing"] == found.can["usage"] == found.can["cancelling"] == "yes"
    # the same prompt is computed anew or kept, in other batches: rounding differs, and then tokens do
    assert {line.partition(":")[0] for line in found.missing} <= {"seeds"}
