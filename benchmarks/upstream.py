"""A server that answers after a fixed time as ``vllm serve`` would, and keeps count: for measuring load.

    python benchmarks/upstream.py --port 8000 --model lab-policy-m --latency 0.25

It costs little itself (an asyncio protocol, no framework), so that what is measured is what stands before it.
Arithmetic questions "What is (a+b)+c?" are solved, rightly in seven of ten by the seed. ``GET /ledger`` tells
for every c how many requests came, prompt tokens, tokens that were sent whole, and clients that left.
``/pooling`` gives every prefix the same rewards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
from collections.abc import Mapping
from random import Random
from typing import Any

from tokenizers import Tokenizer

from planner.models import shipped

_QUESTION = re.compile(r"\((\d+)\+(\d+)\)\+(\d+)\?")


class Book:
    """What was asked and sent, by the last number of the question."""

    def __init__(self) -> None:
        self.rows: dict[str, list[int]] = {}
        self.requests = 0

    def row(self, key: str) -> list[int]:
        """[requests, prompt tokens, tokens sent, clients that left]."""
        return self.rows.setdefault(key, [0, 0, 0, 0])


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


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, writer: Writer, book: Book, latency: float) -> None:
        self._writer, self._book, self._latency = writer, book, latency
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._open: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        for key in self._open:
            self._book.row(key)[3] += 1
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._data += data
        while True:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            length = int(found[1]) if found else 0
            if len(rest) < length:
                return
            self._data = rest[length:]
            path = head.split(b" ", 2)[1].decode()
            self._asked(path, json.loads(rest[:length]) if length else {})

    def _asked(self, path: str, body: Any) -> None:
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
            self._later(lambda: self._send({"data": rows, "usage": {"prompt_tokens": tokens}}))
        else:
            prompt, tokens = self._writer.read(body)
            key, children = self._writer.write(prompt, body)
            self._book.requests += 1
            row = self._book.row(key)
            row[0] += 1
            row[1] += tokens
            self._open.add(key)
            self._later(lambda: self._answer(path, body, key, children, tokens))

    def _later(self, work: Any) -> None:
        asyncio.get_running_loop().call_later(self._latency, work)

    def _answer(self, path: str, body: Any, key: str, children: list[list[Any]], prompt: int) -> None:
        if self._transport is None:
            return
        self._open.discard(key)
        sent = sum(len(ids) for _, ids, _ in children)
        self._book.row(key)[2] += sent
        usage = {"prompt_tokens": prompt, "completion_tokens": sent, "total_tokens": prompt + sent}
        chats, streams = path.endswith("/chat/completions"), bool(body.get("stream"))
        choices = [self._choice(i, child, body, chats, streams) for i, child in enumerate(children)]
        kind = "chat.completion" if chats else "text_completion"
        head = {"id": "theirs", "object": kind, "created": 1, "model": self._writer.model}
        if not streams:
            self._send({**head, "choices": choices, "usage": usage})
            return
        events = [{**head, "choices": [choice]} for choice in choices]
        events.append({**head, "choices": [], "usage": usage})
        lines = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
        lines += b"data: [DONE]\n\n"
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"%x\r\n%s\r\n0\r\n\r\n" % (len(lines), lines)
        )

    def _choice(self, index: int, child: list[Any], body: Any, chats: bool, streams: bool) -> dict[str, Any]:
        text, ids, reason = child
        choice: dict[str, Any] = {"index": index, "finish_reason": "stop", "logprobs": None}
        if reason is not None:
            choice["stop_reason"] = reason
        if chats:
            return {**choice, "delta" if streams else "message": {"role": "assistant", "content": text}}
        if body.get("logprobs") is not None:
            choice["logprobs"] = {"token_logprobs": [-0.1] * len(ids), "tokens": [str(i) for i in ids]}
        return {**choice, "text": text, "token_ids": ids}

    def _send(self, content: Any) -> None:
        if self._transport is None:
            return
        body = json.dumps(content).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )


async def serve(port: int, model: str, latency: float) -> None:
    """Until killed. Says READY once it listens, and the ledger when it is told to die (SIGTERM)."""
    writer, book = Writer(model), Book()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(writer, book, latency), "127.0.0.1", port, backlog=1024
    )

    def die() -> None:
        """At once, with the ledger as the last word: nothing is counted that was not, and the reverse."""
        print(json.dumps(book.rows), flush=True)
        os._exit(1)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, die)
    print("READY", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--latency", type=float, default=0.25)
    asked = parser.parse_args()
    asyncio.run(serve(asked.port, asked.model, asked.latency))


if __name__ == "__main__":
    main()
