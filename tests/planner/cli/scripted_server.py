"""A scripted policy behind a fake server in a process of its own: ``python scripted_server.py PORT``."""

from __future__ import annotations

import sys
import time
from random import Random

from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import TURN, ScriptedEngine
from search.remote.fake_server import FakeServer


def write(text: str, rng: Random) -> str:
    question, _, written = text.partition(TURN)
    answer = question.removeprefix("which is ").removesuffix("?")
    lines = [f"think {rng.randrange(10)}", f"# {answer if rng.random() < 0.5 else rng.randrange(3)}"]
    return "\n".join(lines)[len(written) :]


if __name__ == "__main__":
    app = FakeOpenAI(ScriptedEngine(write, name="m", context=512), pace=0.01)
    with FakeServer(app, int(sys.argv[1])) as server:
        print(server.url, flush=True)
        time.sleep(3600)
