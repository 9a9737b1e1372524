"""A server that fails in every way that upstreams do, and keeps the bill of each question.

    python benchmarks/soak_upstream.py --port 8000 --model lab-policy-m

It answers as ``benchmarks/upstream.py`` does, a token at a time. The last number of a question says what goes
wrong (``fault_of``): every fault of ``ONCE`` happens to the first request for its question, those of
``ALWAYS`` to each. ``GET /ledger`` is the bill by that number: prompt tokens of every request that was taken,
tokens that were written, tokens that a PRM read, requests, and those that broke off, whichever side did it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from http_connection import STREAM, HttpConnection, chunk, event, whole
from upstream import Writer

#: what happens to the first request for a question
ONCE = (
    "error event",
    "error with status 200",
    "no finish reason",
    "empty finish reason",
    "reset in mid-stream",
    "reset before the answer",
    "429",
    "500",
    "hang",
)
#: what happens to every request for a question, and is no failure
ALWAYS = ("no [DONE]", "no usage", "usage in every chunk")
#: a fault for so many of this many questions
_EVERY = 3 * (len(ONCE) + len(ALWAYS))
#: tokens before an answer breaks
_BEFORE = 3


def fault_of(number: int) -> str | None:
    """What goes wrong with the question that ends in this number.

    >>> fault_of(0), fault_of(35)
    ('error event', None)
    """
    place = number % _EVERY
    return (*ONCE, *ALWAYS)[place] if place < len(ONCE) + len(ALWAYS) else None


@dataclass
class Bill:
    """What one question has cost, in tokens.

    ``broken`` requests did not end as they should: their clients cannot know what they cost. ``doubtful`` are
    their prompts and ``children`` what they were to write.
    """

    prompt: int = 0
    generated: int = 0
    scored: int = 0
    requests: int = 0
    asked: int = 0
    broken: int = 0
    doubtful: int = 0
    children: int = 0

    def breaks(self, prompt: int, children: int) -> None:
        """A request has not ended as it should."""
        self.broken += 1
        self.doubtful += prompt
        self.children += children


class Connection(HttpConnection):
    """One that fails, one request at a time."""

    def __init__(
        self, writer: Writer, bills: dict[str, Bill], latency: float, connections: set[Connection]
    ) -> None:
        super().__init__()
        self._connections = connections
        self._writer, self._bills, self._latency = writer, bills, latency
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connections.discard(self)
        self.cut()

    def cut(self) -> None:
        """Write no more."""
        for task in self._tasks:
            task.cancel()

    def asked(self, path: str, body: Any) -> None:
        task = asyncio.ensure_future(self._answer(path, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, path: str, body: Any) -> None:
        if path == "/v1/models":
            entry = {"id": self._writer.model, "owned_by": "vllm", "max_model_len": 1024}
            self._whole({"data": [entry]})
        elif path == "/ledger":
            self.put(whole(_told(self._bills).encode()))
        elif path == "/pooling":
            await asyncio.sleep(self._latency / 4)
            for ids in body["input"]:
                text, _ = self._writer.read({"prompt": ids})
                self._bills[self._writer.write(text, {})[0]].scored += len(ids)
            rows = [{"index": i, "data": [[0.3, 0.7]] * len(ids)} for i, ids in enumerate(body["input"])]
            self._whole({"data": rows})
        else:
            await self._complete(path, body)

    async def _complete(self, path: str, body: Any) -> None:
        text, prompt = self._writer.read(body)
        number, children = self._writer.write(text, body)
        bill = self._bills[number]
        bill.asked += 1
        fault = fault_of(int(number))
        if fault in ONCE and bill.asked > 1:
            fault = None
        if fault == "429":
            self._whole(
                {"error": {"message": "too many requests"}}, "429 Too Many Requests\r\nRetry-After: 0"
            )
            return
        if fault in ("500", "reset before the answer", "error with status 200"):
            bill.breaks(prompt, len(children))
        if fault == "500":
            self._whole({"error": {"message": "it broke"}}, "500 Internal Server Error")
            return
        if fault == "reset before the answer":
            self.reset()
            return
        if fault == "error with status 200":
            self._whole({"error": {"message": "it broke", "code": 500}})
            return
        bill.requests += 1
        bill.prompt += prompt
        try:
            if fault == "hang":
                await asyncio.sleep(1e6)
            await asyncio.sleep(self._latency)
            answer = _Answer(self._writer, path, body, prompt, children)
            if body.get("stream"):
                await self._stream(answer, bill, fault)
            else:
                bill.generated += answer.tokens
                self._plain(answer, fault)
            if fault in ONCE:
                bill.breaks(prompt, len(children))
        except asyncio.CancelledError:
            bill.breaks(prompt, len(children))
            raise

    def _plain(self, answer: _Answer, fault: str | None) -> None:
        if fault == "reset in mid-stream":
            self.put(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{")
            self.reset()
            return
        if fault == "error event":
            self._whole({"error": {"message": "it broke", "code": 500}})
            return
        reason = {"no finish reason": None, "empty finish reason": ""}.get(fault or "", "stop")
        self._whole(answer.plain(reason, has_usage=fault != "no usage"))

    async def _stream(self, answer: _Answer, bill: Bill, fault: str | None) -> None:
        self.put(STREAM)
        for count, (child, token, is_last) in enumerate(answer.order()):
            if fault in ("error event", "reset in mid-stream") and count == _BEFORE:
                if fault == "error event":
                    self.put(chunk(event({"error": {"message": "it broke", "code": 500}})))
                    self.put(chunk(b"data: [DONE]\n\n") + chunk(b""))
                else:
                    self.reset()
                return
            reason: str | None = "stop" if is_last else None
            if is_last and fault in ("no finish reason", "empty finish reason"):
                reason = "" if fault == "empty finish reason" else None
            bill.generated += 1
            usage = answer.usage(count + 1) if fault == "usage in every chunk" else None
            self.put(chunk(event(answer.chunk(child, token, reason, usage))))
            if count % 4 == 3:
                await asyncio.sleep(0.002)
        if fault not in ("no usage", "usage in every chunk"):
            last = {**answer.head, "choices": [], "usage": answer.usage(answer.tokens)}
            self.put(chunk(event(last)))
        if fault != "no [DONE]":
            self.put(chunk(b"data: [DONE]\n\n"))
        self.put(chunk(b""))

    def _whole(self, content: Any, status: str = "200 OK") -> None:
        self.put(whole(content, status))


class _Answer:
    """What is written for one request."""

    def __init__(self, writer: Writer, path: str, body: Any, prompt: int, children: list[list[Any]]) -> None:
        self._chats = path.endswith("/chat/completions")
        self._writer, self._prompt, self._children = writer, prompt, children
        self._logprobs = body.get("logprobs") is not None and body["logprobs"] is not False  # 0 is a yes
        kind = "chat.completion" if self._chats else "text_completion"
        self.head = {"id": "theirs", "object": kind, "created": 1, "model": writer.model}
        self.tokens = sum(len(ids) for _, ids, _ in children)

    def order(self) -> list[tuple[int, int, bool]]:
        """(child, place of a token, whether it is the last) as they are sent: children side by side."""
        longest = max(len(ids) for _, ids, _ in self._children)
        return [
            (child, place, place == len(ids) - 1)
            for place in range(longest)
            for child, (_, ids, _) in enumerate(self._children)
            if place < len(ids)
        ]

    def usage(self, generated: int) -> dict[str, int]:
        """So far."""
        return {
            "prompt_tokens": self._prompt,
            "completion_tokens": generated,
            "total_tokens": self._prompt + generated,
        }

    def plain(self, reason: str | None, *, has_usage: bool) -> dict[str, Any]:
        """Everything at once."""
        choices = []
        for index, (text, ids, _) in enumerate(self._children):
            choice: dict[str, Any] = {"index": index, "finish_reason": reason, "logprobs": None}
            if self._chats:
                choice["message"] = {"role": "assistant", "content": text}
            else:
                choice |= {"text": text, "token_ids": ids}
            choices.append(choice)
        found = {**self.head, "choices": choices}
        return {**found, "usage": self.usage(self.tokens)} if has_usage else found

    def chunk(self, child: int, place: int, reason: str | None, usage: dict[str, int] | None) -> Any:
        """One token."""
        text, ids, stop = self._children[child]
        piece = self._writer.piece(text, ids, place)
        choice: dict[str, Any] = {"index": child, "finish_reason": reason, "logprobs": None}
        if reason == "stop" and stop is not None:
            choice["stop_reason"] = stop
        if self._chats:
            choice["delta"] = {"content": piece}
        else:
            choice |= {"text": piece, "token_ids": [ids[place]]}
            if self._logprobs:
                choice["logprobs"] = {"token_logprobs": [-0.1], "tokens": [str(ids[place])]}
        event = {**self.head, "choices": [choice]}
        return event if usage is None else {**event, "usage": usage}


def _told(bills: Mapping[str, Bill]) -> str:
    """All bills, as JSON."""
    return json.dumps({number: asdict(bill) for number, bill in bills.items()})


async def serve(port: int, model: str, latency: float) -> None:
    """Until killed. Says READY once it listens."""
    writer, bills, connections = Writer(model), defaultdict[str, Bill](Bill), set[Connection]()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(writer, bills, latency, connections), "127.0.0.1", port, backlog=1024
    )

    def die() -> None:
        """At once, with the bills as the last word: what is open has broken off."""
        for connection in list(connections):
            connection.cut()

        def end() -> None:
            print(_told(bills), flush=True)
            os._exit(1)

        asyncio.get_running_loop().call_later(0.01, end)  # once all have noticed

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, die)
    print("READY", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds before an answer")
    asked = parser.parse_args()
    asyncio.run(serve(asked.port, asked.model, asked.latency))


if __name__ == "__main__":
    main()
