"""A server that answers after a fixed time as ``vllm serve`` would, and keeps count: for measuring load.

    python benchmarks/upstream.py --port 8000 --model lab-policy-m --latency 0.25
    python benchmarks/upstream.py --port 8000 --model lab-policy-m --latency 0.1 --per-token 0.01 --crowd 0.02

With ``--per-token`` the time grows with a child's tokens and with the children that are being written, and
varies by ``--spread`` (of its logarithm); a stream then brings each child as it is done.
It costs little itself (an asyncio protocol, no framework), so that what is measured is what stands before it.
Arithmetic questions "What is (a+b)+c?" are solved, rightly in seven of ten by the seed. ``GET /ledger`` tells
for every c how many requests came, prompt tokens, tokens that were sent whole, clients that left, and
requests that its own end cut off.
``/pooling`` gives every prefix the same rewards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from http_connection import STREAM, HttpConnection, chunk, event, whole
from tokenizers import Tokenizer

from planner.models import shipped

_QUESTION = re.compile(r"\((\d+)\+(\d+)\)\+(\d+)\?")


class Book:
    """What was asked and sent, by the last number of the question."""

    def __init__(self) -> None:
        self.rows: dict[str, list[int]] = {}
        self.requests = 0
        self.open: Counter[str] = Counter()
        self.writing = 0  # children
        self.rng = Random(0)

    def row(self, key: str) -> list[int]:
        """[requests, prompt tokens, tokens sent, clients that left, cut off by the end]."""
        return self.rows.setdefault(key, [0, 0, 0, 0, 0])

    def asked(self, key: str, tokens: int) -> None:
        """A request has come, with so many prompt tokens."""
        self.requests += 1
        self.open[key] += 1
        row = self.row(key)
        row[0] += 1
        row[1] += tokens

    def sent(self, key: str, tokens: int) -> None:
        """Its answer went out whole."""
        self.open[key] -= 1
        self.row(key)[2] += tokens

    def left(self, key: str) -> None:
        """Its client went before."""
        self.open[key] -= 1
        self.row(key)[3] += 1

    def end(self) -> str:
        """Everything, as JSON; what is open now is cut off."""
        for key, count in self.open.items():
            self.row(key)[4] += count
        return json.dumps(self.rows)


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """How long a child takes: (latency + per_token x tokens x (1 + crowd x children beside it)), varied."""

    latency: float
    per_token: float = 0.0
    crowd: float = 0.0
    spread: float = 0.0

    @property
    def is_fixed(self) -> bool:
        """Whether everything takes the latency."""
        return self.per_token == 0.0 and self.spread == 0.0

    def seconds(self, tokens: int, beside: int, rng: Random) -> float:
        """Of one child."""
        whole = self.latency + self.per_token * tokens * (1.0 + self.crowd * beside)
        return whole * rng.lognormvariate(0.0, self.spread) if self.spread else whole


class Writer:
    """Writes solutions as the lab's policies do."""

    def __init__(self, model: str) -> None:
        self.model = model
        folder = shipped(model)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def read(self, body: Mapping[str, Any]) -> tuple[str, int]:
        """The prompt's text and its tokens."""
        if "messages" in body:
            text = str(body["messages"][-1]["content"])
            return text, len(self._tokenizer.encode(text).ids)
        prompt = body["prompt"]
        if isinstance(prompt, str):
            return prompt, len(self._tokenizer.encode(prompt).ids)
        return self._tokenizer.decode(prompt, skip_special_tokens=False), len(prompt)

    def piece(self, text: str, ids: list[int], place: int) -> str:
        """What one token adds to a text, so that all pieces make the text."""
        before, after = (len(self._tokenizer.decode(ids[:upto])) for upto in (place, place + 1))
        return text[before:] if place == len(ids) - 1 else text[before:after]

    def write(self, prompt: str, body: Mapping[str, Any]) -> tuple[str, list[list[Any]]]:
        """The question's last number, and of each child: text, token ids, stop reason."""
        found = _QUESTION.findall(prompt.replace(" ", ""))
        a, b, c = map(int, found[-1]) if found else (1, 2, 3)
        children = []
        for child in range(int(body.get("n") or 1)):
            rng = Random(int(body.get("seed") or 0) + child)
            total = a + b + c if rng.random() < 0.7 else rng.randrange(1, 999)
            lines = [f"{a}+{b}={a + b}", f"{a + b}+{c}={total}", f"#{total}"]
            text, reason = "\n".join(lines), None
            if "\n" in (body.get("stop") or ()):  # one step, as a tree search wants it
                done = sum(line in prompt.replace(" ", "") for line in (lines[0] + "\n", f"{a + b}+{c}="))
                text, reason = (lines[done] + "\n", "\n") if done < 2 else (lines[2], None)
            children.append([text, self._tokenizer.encode(text, add_special_tokens=False).ids, reason])
        return str(c), children


class Connection(HttpConnection):
    """One that answers after a time."""

    def __init__(self, writer: Writer, book: Book, latency_model: LatencyModel) -> None:
        super().__init__()
        self._writer, self._book, self._latency_model = writer, book, latency_model
        self._open: list[str] = []
        self._writing = 0  # children

    def connection_lost(self, exc: Exception | None) -> None:
        for key in self._open:
            self._book.left(key)
        self._open.clear()
        self._book.writing -= self._writing
        self._writing = 0
        super().connection_lost(exc)

    def asked(self, path: str, body: Any) -> None:
        if path == "/v1/models":
            entry = {"id": self._writer.model, "owned_by": "vllm", "max_model_len": 1024}
            self._send({"data": [entry]})
        elif path == "/ledger":
            self._send({"requests": self._book.requests, "rows": self._book.rows})
        elif path == "/pooling":
            rows = [
                {"index": i, "object": "pooling", "data": [[0.3, 0.7]] * len(ids)}
                for i, ids in enumerate(body["input"])
            ]
            tokens = sum(map(len, body["input"]))
            self._later(
                self._latency_model.latency,
                lambda: self._send({"data": rows, "usage": {"prompt_tokens": tokens}}),
            )
        else:
            prompt, tokens = self._writer.read(body)
            key, children = self._writer.write(prompt, body)
            self._book.asked(key, tokens)
            self._open.append(key)
            answer = _Answer(self, path, body, key, children, tokens)
            self._write(answer, children)

    def _write(self, answer: _Answer, children: list[list[Any]]) -> None:
        """Have each child done at its time."""
        if self._latency_model.is_fixed:
            self._later(self._latency_model.latency, answer.whole)
            return
        beside = self._book.writing
        self._writing += len(children)
        self._book.writing += len(children)
        if answer.streams:
            answer.begin()
        for place, (_, ids, _) in enumerate(children):
            seconds = self._latency_model.seconds(len(ids), beside + len(children) - 1, self._book.rng)

            def done(place: int = place) -> None:
                if self.is_open:
                    self._writing -= 1
                    self._book.writing -= 1
                    answer.done(place)

            self._later(seconds, done)

    def _later(self, seconds: float, work: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, work)

    def sent(self, key: str, tokens: int) -> None:
        """An answer went out whole."""
        self._open.remove(key)
        self._book.sent(key, tokens)

    @property
    def model(self) -> str:
        """Its name."""
        return self._writer.model

    def _send(self, content: Any) -> None:
        self.put(whole(content))


class _Answer:
    """One request's answer: whole, or as a stream of chunks."""

    def __init__(
        self, to: Connection, path: str, body: Any, key: str, children: list[list[Any]], prompt: int
    ) -> None:
        self.streams = bool(body.get("stream"))
        self._to, self._body, self._key, self._children = to, body, key, children
        self._chats = path.endswith("/chat/completions")
        self._sent = sum(len(ids) for _, ids, _ in children)
        self._usage = {
            "prompt_tokens": prompt,
            "completion_tokens": self._sent,
            "total_tokens": prompt + self._sent,
        }
        kind = "chat.completion" if self._chats else "text_completion"
        self._head = {"id": "theirs", "object": kind, "created": 1, "model": to.model}
        self._missing = len(children)

    def whole(self) -> None:
        """Everything at once."""
        if not self._to.is_open:
            return
        self._to.sent(self._key, self._sent)
        choices = [self._choice(place) for place in range(len(self._children))]
        if not self.streams:
            self._to.put(whole({**self._head, "choices": choices, "usage": self._usage}))
            return
        lines = b"".join(self._event([choice]) for choice in choices) + self._end()
        self._to.put(STREAM + chunk(lines) + chunk(b""))

    def begin(self) -> None:
        """The head of a stream."""
        self._to.put(STREAM)

    def done(self, place: int) -> None:
        """A child is done; the last one ends the answer."""
        self._missing -= 1
        if not self.streams:
            if not self._missing:
                self.whole()
            return
        lines = self._event([self._choice(place)])
        if self._missing:
            self._to.put(chunk(lines))
            return
        self._to.sent(self._key, self._sent)
        self._to.put(chunk(lines + self._end()) + chunk(b""))

    def _end(self) -> bytes:
        return self._event([], usage=self._usage) + b"data: [DONE]\n\n"

    def _event(self, choices: list[Any], **more: Any) -> bytes:
        return event({**self._head, "choices": choices, **more})

    def _choice(self, index: int) -> dict[str, Any]:
        text, ids, reason = self._children[index]
        choice: dict[str, Any] = {"index": index, "finish_reason": "stop", "logprobs": None}
        if reason is not None:
            choice["stop_reason"] = reason
        if self._chats:
            return {
                **choice,
                "delta" if self.streams else "message": {"role": "assistant", "content": text},
            }
        if self._body.get("logprobs") is not None:
            choice["logprobs"] = {"token_logprobs": [-0.1] * len(ids), "tokens": [str(i) for i in ids]}
        return {**choice, "text": text, "token_ids": ids}


async def serve(port: int, model: str, latency_model: LatencyModel) -> None:
    """Until killed. Says READY once it listens, and the ledger when it is told to die (SIGTERM)."""
    writer, book = Writer(model), Book()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(writer, book, latency_model), "127.0.0.1", port, backlog=1024
    )

    def die() -> None:
        """At once, with the ledger as the last word: nothing is counted that was not, and the reverse."""
        print(book.end(), flush=True)
        os._exit(1)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, die)
    print("READY", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--latency", type=float, default=0.25, help="seconds of every answer")
    parser.add_argument("--per-token", type=float, default=0.0, help="seconds of each token of a child")
    parser.add_argument("--crowd", type=float, default=0.0, help="how much each child beside it slows one")
    parser.add_argument("--spread", type=float, default=0.0, help="of the time's logarithm")
    asked = parser.parse_args()
    latency_model = LatencyModel(asked.latency, asked.per_token, asked.crowd, asked.spread)
    asyncio.run(serve(asked.port, asked.model, latency_model))


if __name__ == "__main__":
    main()
