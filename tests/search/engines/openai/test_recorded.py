"""Events as real servers send them: each recorded stream is read as what was written.

``recorded/`` holds one file a shape, named by server and version; ``-doc`` marks those written down from a
server's documentation or source rather than recorded from it. Its first line says what is expected and where
the shape is from (``source``), the others are the server's events.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import ChildFinished, Request, RequestFinished, Sampling
from search.engines.scripted import ScriptedEngine
from search.remote.fake_server import Asked, FakeServer, Json, Stream

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.jsonl"))


class Playback:
    """A server that tells its model as the recorded one does and streams what was recorded."""

    def __init__(self, expected: dict[str, Any], events: list[Any]) -> None:
        self._expected, self._events = expected, events
        plays = expected.get("plays", "hosted")
        takes = ("tokens", "text", "chat") if plays == "vllm" else ("text", "chat")
        self._other = FakeOpenAI(ScriptedEngine(lambda text, rng: "x"), plays=plays, takes=takes)

    async def __call__(self, asked: Asked) -> Json | Stream:
        if (asked.body or {}).get("stream"):
            return Stream(self._stream())
        told = self._expected.get("answers", {}).get(asked.path)
        return await self._other(asked) if told is None else Json(told)

    async def _stream(self) -> AsyncGenerator[Any, None]:
        for event in self._events:
            yield event
            await asyncio.sleep(0)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_recorded_stream_is_read(file: Path) -> None:
    expected, *events = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    with FakeServer(Playback(expected, events)) as server:
        engine = OpenAIEngine.connect(server.url, parameters=1000, dialect=expected.get("dialect"))
        assert engine.dialect == expected.get("dialect", "tokens")
        assert engine.card.context == expected.get("context", 8192)
        request = Request(
            engine.prompt("1+1?"), expected["n"], 64, Sampling(), 1, logprobs=True, top_logprobs=20
        )
        found = [event async for event in engine.submit(request)]
        await engine.close()
    children = sorted((e for e in found if isinstance(e, ChildFinished)), key=lambda e: e.child)
    assert [child.text for child in children] == expected["texts"]
    assert [child.thought for child in children] == expected.get("thoughts", [""] * len(children))
    assert [child.finish_reason for child in children] == expected["reasons"]
    assert [len(child.logprobs) for child in children] == expected["logprobs"]
    assert [len(child.token_ids) for child in children] == expected["tokens"]
    assert [child.mean_entropy is not None for child in children] == [expected["entropy"]] * len(children)
    last = found[-1]
    assert isinstance(last, RequestFinished)
    assert last.usage.generated_tokens == expected["generated"]
    assert last.usage.cached_prompt_tokens == expected.get("cached", 0)


def test_every_known_server_is_there() -> None:
    servers = {file.stem.partition("-")[0] for file in RECORDED}
    assert servers >= {"llamacpp", "vllm", "ollama", "lmstudio", "sglang", "tgi", "openai", "deepseek"}


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_every_shape_says_where_it_is_from(file: Path) -> None:
    source = json.loads(file.read_text(encoding="utf-8").partition("\n")[0])["source"]
    assert source.startswith("recorded from ") == (not file.stem.endswith("-doc"))
