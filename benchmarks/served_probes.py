"""What two model servers do differently, asked of each of them directly with a few dozen tokens.

``served_models.py`` runs this; nothing of the project stands between it and the server.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

__all__ = ["Upstream", "differences"]

_QUESTION = "What is 12 + 30? Answer with the number alone."
#: as many as no server is expected to take
_MANY = 12
_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """A model server: its root, what it calls the model, and its own counters under ``/metrics``."""

    url: str
    model: str
    prompt_counter: str
    written_counter: str

    def counted(self) -> tuple[int, int]:
        """(prompt tokens computed, tokens written) since the server started, by its own count."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        found = {self.prompt_counter: 0.0, self.written_counter: 0.0}
        for line in lines:
            name = line.partition("{")[0].partition(" ")[0]
            if name in found:
                found[name] += float(line.rpartition(" ")[2])
        return int(found[self.prompt_counter]), int(found[self.written_counter])

    def version(self) -> str:
        """As the server tells it: vLLM under ``/version``, llama.cpp in ``/props``."""
        for path, key in (("/version", "version"), ("/props", "build_info")):
            with (
                suppress(OSError, ValueError),
                urllib.request.urlopen(self.url + path, timeout=30) as answer,
            ):
                return str(json.load(answer).get(key, "?"))
        return "?"

    def ask(self, path: str, **fields: Any) -> tuple[int, Any]:
        """(status, answer): the object, or the list of a stream's events."""
        body = json.dumps({"model": self.model, **fields}).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                status, text = answer.status, answer.read().decode()
        except HTTPError as error:
            status, text = error.code, error.read().decode()
        if not text.startswith("data:"):
            return status, json.loads(text)
        return status, list(_events(text))


def _events(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        data = line.removeprefix("data: ")
        if data and data != "[DONE]":
            yield json.loads(data)


def differences(server: Upstream) -> dict[str, str]:
    """What was asked -> what was found."""
    ids = _ids(server)
    short: dict[str, Any] = {"max_tokens": 2, "temperature": 0.0}
    found = {
        "token ids as prompt": _taken(server.ask("/v1/completions", prompt=ids, **short)),
        "token ids in answers": _told_ids(server, ids, short),
        "text as prompt": _taken(server.ask("/v1/completions", prompt="1 + 1 =", **short)),
        f"n = {_MANY}": _taken(server.ask("/v1/completions", prompt=ids, n=_MANY, max_tokens=1)),
        "n = 2 at temperature 0": _taken(server.ask("/v1/completions", prompt=ids, n=2, **short)),
        "the same seed twice": _seeds(server),
        "most logprobs": _most_logprobs(server, ids),
        "form of logprobs in completions": _form(server, ids, short),
        "usage in streams": _usage(server, ids, short),
        "n = 2, usage in streams": _usage(server, ids, {**short, "n": 2, "temperature": 1.0}),
        "a chat whose last turn is the assistant's": _prefill(server),
        "thinking knob": _taken(
            server.ask(
                "/v1/chat/completions",
                messages=_talk(),
                chat_template_kwargs={"enable_thinking": False},
                reasoning_effort="low",
                **short,
            )
        ),
        "a prompt beyond the context": _taken(server.ask("/v1/completions", prompt=ids * 90, **short)),
        "max_tokens beyond the context": _beyond(server, ids),
        "a stop string": _stop(server),
        "a stream that is left": _left(server, ids),
    }
    return found


def _talk(*more: Mapping[str, str]) -> list[Mapping[str, str]]:
    return [{"role": "user", "content": _QUESTION}, *more]


def _ids(server: Upstream) -> list[int]:
    """Token ids of a text: both servers have ``/tokenize``, each with its own field."""
    _, answer = server.ask("/tokenize", prompt=_QUESTION, content=_QUESTION)
    return list(answer["tokens"])


def _taken(asked: tuple[int, Any]) -> str:
    status, answer = asked
    if isinstance(answer, list):
        answer = next((event for event in answer if "error" in event), {})
    error = answer.get("error") if isinstance(answer, Mapping) else None
    if error is None:
        return "taken"
    said = error.get("message", error) if isinstance(error, Mapping) else error
    return f"refused ({status}): {said}"[:160]


def _told_ids(server: Upstream, ids: list[int], short: Mapping[str, Any]) -> str:
    _, answer = server.ask("/v1/completions", prompt=ids, logprobs=1, return_token_ids=True, **short)
    choice = answer["choices"][0]
    if choice.get("token_ids"):
        return "`token_ids`, where `return_token_ids` asks for them"
    if "id" in str(choice.get("logprobs")):
        return "an `id` with each logprob"
    return "none"


def _seeds(server: Upstream) -> str:
    texts = []
    for seed in (7, 7, 8):
        _, answer = server.ask(
            "/v1/completions", prompt="Once upon a time", max_tokens=24, temperature=1.0, seed=seed
        )
        texts.append(answer["choices"][0]["text"])
    same = "the same text" if texts[0] == texts[1] else "another text"
    return f"{same}; another seed: {'the same text' if texts[0] == texts[2] else 'another text'}"


def _most_logprobs(server: Upstream, ids: list[int]) -> str:
    refusal = "none refused"
    for count in (100, 40, 20):
        asked = server.ask("/v1/completions", prompt=ids, logprobs=count, max_tokens=1, stream=True)
        if _taken(asked) == "taken":
            told = asked[1][0]["choices"][0]["logprobs"]
            rows = told.get("content") or told.get("top_logprobs")
            row = rows[0].get("top_logprobs", rows[0])
            return f"{len(row)} for {count}; more: {refusal}"
        refusal = _taken(asked) + (", as the first event of a stream" if asked[0] == 200 else "")
    return refusal


def _form(server: Upstream, ids: list[int], short: Mapping[str, Any]) -> str:
    _, answer = server.ask("/v1/completions", prompt=ids, logprobs=1, **short)
    return ", ".join(f"`{name}`" for name in sorted(answer["choices"][0]["logprobs"]))


def _usage(server: Upstream, ids: list[int], short: Mapping[str, Any]) -> str:
    options = {"include_usage": True}
    _, events = server.ask("/v1/completions", prompt=ids, stream=True, stream_options=options, **short)
    told = [event for event in events if event.get("usage")]
    where = "with a child's last event" if told[0]["choices"] else "in an event of its own"
    details = told[0]["usage"].get("prompt_tokens_details") or {}
    cached = ", with cached tokens" if "cached_tokens" in details else ""
    return f"{where}{cached}" + (f", {len(told)} times" if len(told) > 1 else "")


def _prefill(server: Upstream) -> str:
    begun = {"role": "assistant", "content": "The number is"}
    _, plain = server.ask("/v1/chat/completions", messages=_talk(begun), max_tokens=6, temperature=0.0)
    _, gone_on = server.ask(
        "/v1/chat/completions",
        messages=_talk(begun),
        max_tokens=6,
        temperature=0.0,
        continue_final_message=True,
        add_generation_prompt=False,
    )
    texts = [answer["choices"][0]["message"]["content"] for answer in (plain, gone_on)]
    return f"{texts[0]!r}; with `continue_final_message`: {texts[1]!r}"


def _beyond(server: Upstream, ids: list[int]) -> str:
    """A length that the context cannot hold; a stop string ends what is taken."""
    return _taken(server.ask("/v1/completions", prompt=ids, max_tokens=100_000, temperature=0.0, stop=[" "]))


def _stop(server: Upstream) -> str:
    _, answer = server.ask(
        "/v1/completions", prompt="1, 2, 3, 4, ", max_tokens=12, temperature=0.0, stop=["7"]
    )
    choice = answer["choices"][0]
    kept = "in the text" if choice["text"].endswith("7") else "left out of the text"
    return f"{kept}; told as `stop_reason`: {choice.get('stop_reason')!r}"


def _left(server: Upstream, ids: list[int]) -> str:
    """Tokens that a server still counts after its client has gone."""
    body = {"model": server.model, "prompt": ids, "max_tokens": 400, "temperature": 1.0, "stream": True}
    body |= {"ignore_eos": True}
    before = server.counted()[1]
    request = urllib.request.Request(
        f"{server.url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        for _ in range(16):  # eight events and the empty lines after them
            answer.readline()
    time.sleep(1.0)
    first = server.counted()[1]
    time.sleep(5.0)
    later = server.counted()[1]
    return f"left after 8 of 400 tokens: {first - before} counted 1 s later, {later - before} 6 s later"
