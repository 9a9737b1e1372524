"""Half an hour of everything at once before upstreams that fail: nothing is lost, stuck or wrongly charged.

    python benchmarks/serve_soak.py --minutes 30

The server is the real command in a process of its own, before ``benchmarks/soak_upstream.py``, which fails in
each of the ways named there, is killed and started again, as is the PRM's server, while the database of
decisions is locked from time to time and the planner is loaded anew. Clients ask on all protocols, planned,
with forced plans and passed on, plain and as streams, with and without deadlines; some go away.

What is counted: requests *lost* (a connection that ends without an answer or an error, an answer that is not
in the decision log, an answer passed on as whole that is not), *stuck* (no end within a minute), *wrong
receipts* (beside the upstreams' own bill of that question), and errors of the server's own (status 500 and
more although the upstreams did what was asked). The figures go to ``serve_soak.json``, the page to
``serve_soak.md``; the exit code is 1 where any of them is not 0.

A receipt must be the bill to the last token where all requests for its question ended as they should. Of one
that broke, was cut off or got no answer nobody but its server knows what it cost: there the receipt may be
above the bill by its prompt and sixteen tokens of each child, and below it by what was on its way unread.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
from serve_load import POLICY, Client, House, house
from soak_upstream import ALWAYS, Bill, fault_of

from search.budget import Prices

HERE = Path(__file__).parent
PRICES = Prices(prompt=1.0, generated=4.0, prm=0.5)
#: seconds after which a request is stuck
_STUCK = 60.0
#: seconds that a request with a deadline has
_SECONDS = 2.0
#: tokens of each child that a server may have written and not sent
_LAG = 16
#: seconds after which a PRM that was killed is surely asked again
_REST = 60.0
#: tokens that may lie between a server and who has stopped listening: an answer's
_UNREAD = 32
#: tokens by which a prompt may be miscounted that its server does not tell
_TEMPLATE = 8
PLANS = (
    "planner",
    "planner-low",
    "planner/cot()",
    "planner/majority(n=4)",
    "planner/best_of_n(n=4, score=last)",
    "planner/adaptive_vote(n=4, stop=0.9, ahead=1)",
    "planner/adaptive_vote(n=6, ahead=4)",
    "planner/refine(rounds=1)",
    "planner/aggregate(n=3)",
    "planner/beam_search(n=4, width=2)",
)
PROTOCOLS = ("chat", "responses", "messages", "completions")


@dataclass
class Answer:
    """What a client got for one question."""

    number: int
    kind: str  # planned or passed on
    fault: str | None
    began: float
    ended: float
    receipt: dict[str, Any]


@dataclass
class Seen:
    """What all clients of a soak have seen."""

    random: Random
    ends: float
    answers: dict[str, Answer] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    lost: list[Any] = field(default_factory=list)
    stuck: list[Any] = field(default_factory=list)
    wrong: list[Any] = field(default_factory=list)
    own: list[Any] = field(default_factory=list)  # errors of the server's own
    kills: list[tuple[str, float, float]] = field(default_factory=list)  # what, from, to
    bills: list[dict[str, dict[str, int]]] = field(default_factory=list)  # of upstreams that were killed
    longest: float = 0.0
    number: int = 0

    def next(self) -> int:
        """A number no other question has."""
        self.number += 1
        return self.number

    def beside(self, began: float, ended: float, slack: float = 1.0) -> list[str]:
        """What was killed or locked during this time, or just before."""
        return [what for what, start, end in self.kills if start <= ended and end + slack >= began]


@dataclass(frozen=True)
class Asked:
    """One request."""

    number: int
    model: str
    protocol: str
    streams: bool
    seconds: float | None
    n: int = 1

    @property
    def kind(self) -> str:
        """Who answers."""
        return "passed on" if self.model == POLICY else "planned"

    @property
    def path(self) -> str:
        """Of its protocol."""
        return {"chat": "/v1/chat/completions"}.get(self.protocol, f"/v1/{self.protocol}")

    @property
    def body(self) -> dict[str, Any]:
        """In its protocol's words."""
        question = f"What is (13+64)+{self.number}?"
        body: dict[str, Any] = {"model": self.model, "stream": self.streams}
        if self.seconds is not None:
            body["budget"] = {"seconds": self.seconds}
        if self.protocol == "completions":
            return {**body, "prompt": question}
        if self.protocol == "responses":
            return {**body, "input": question}
        body["messages"] = [{"role": "user", "content": question}]
        return {**body, "max_tokens": 200} if self.protocol == "messages" else {**body, "n": self.n}


async def ask(client: httpx.AsyncClient, asked: Asked) -> tuple[int, Any, str]:
    """(status, the receipt's answer or the error, its text). Raises EOFError for an end without an end."""
    if not asked.streams:
        found = await client.post(asked.path, json=asked.body)
        body = found.json()
        return found.status_code, body, _text_of(asked.protocol, body)
    async with client.stream("POST", asked.path, json=asked.body) as found:
        if found.status_code != 200:
            return found.status_code, json.loads(await found.aread()), ""
        return await _streamed(asked.protocol, _events(found))


async def _events(found: httpx.Response) -> AsyncIterator[Any]:
    async for line in found.aiter_lines():
        if line.startswith("data: "):
            yield line[6:] if line == "data: [DONE]" else json.loads(line[6:])


async def _streamed(protocol: str, events: AsyncIterator[Any]) -> tuple[int, Any, str]:
    text, whole, ended = "", dict[str, Any](), False
    async for event in events:
        if event == "[DONE]":
            ended = True
        elif event.get("error") or event.get("type") == "response.failed":
            return 599, event, text
        elif protocol in ("chat", "completions"):
            for choice in event.get("choices", ()):
                if choice.get("index") == 0:
                    text += choice.get("delta", {}).get("content") or choice.get("text") or ""
            if "planner" in event:
                whole = {"id": event["id"], "planner": event["planner"]}
        elif protocol == "responses":
            text += event.get("delta", "") if event["type"] == "response.output_text.delta" else ""
            if event["type"] in ("response.completed", "response.incomplete"):
                whole, ended = event["response"], True
        else:
            text += event.get("delta", {}).get("text", "") if event["type"] == "content_block_delta" else ""
            if "planner" in event:
                whole |= {"planner": event["planner"]}
            ended = ended or event["type"] == "message_stop"
    if not ended or "planner" not in whole:
        raise EOFError(f"a stream ended without its end, after {text!r}")
    return 200, whole, text


def _text_of(protocol: str, body: Any) -> str:
    if not isinstance(body, dict) or body.get("error"):
        return ""
    if protocol == "chat":
        return str(body["choices"][0]["message"]["content"])
    if protocol == "completions":
        return str(body["choices"][0]["text"])
    items = body["output"] if protocol == "responses" else body["content"]
    texts = [part for item in items for part in item.get("content", [item])]
    return "".join(part.get("text", "") for part in texts)


async def soak(minutes: float, clients: int, pause: float, seed: int) -> dict[str, Any]:
    """Mixed load under faults."""
    prices = f"{PRICES.prompt},{PRICES.generated},{PRICES.prm}"
    options = ("--floor", "0.5", "--prices", prices, "--explore", "0.02")
    with house(0.05, *options, program="soak_upstream.py") as there:
        seen = Seen(Random(seed), time.monotonic() + minutes * 60)
        memory = [there.server.memory]
        workers = [asyncio.ensure_future(_client(there, seen, pause)) for _ in range(clients)]
        trouble = asyncio.ensure_future(_trouble(there, seen))
        while time.monotonic() < seen.ends:
            await asyncio.sleep(min(30.0, max(0.1, seen.ends - time.monotonic())))
            memory.append(there.server.memory)
            found = f"{len(seen.lost)} lost, {len(seen.stuck)} stuck, {len(seen.own)} own errors"
            print(f"{seen.counts.total()} {memory[-1]:.0f} MiB, {found}", flush=True)
        await asyncio.gather(*workers, trouble)
        await asyncio.sleep(3.0)  # the window in which a decision becomes durable, and another
        _, now = await Client(there.port).ask("/v1/now")
        await _check_receipts(there, seen)
        _check_log(there, seen)
        return {
            "minutes": minutes,
            "clients": clients,
            "seed": seed,
            "counts": dict(sorted(seen.counts.items())),
            "requests": sum(count for name, count in seen.counts.items() if name.startswith("asked ")),
            "answered": len(seen.answers),
            "lost": len(seen.lost),
            "stuck": len(seen.stuck),
            "wrong_receipts": len(seen.wrong),
            "own_errors": len(seen.own),
            "examples": {name: getattr(seen, name)[:5] for name in ("lost", "stuck", "wrong", "own")},
            "still_running": now["requests"]["running"] + now["requests"]["waiting"],
            "longest_s": seen.longest,
            "mib": [round(value) for value in memory],
        }


async def _client(there: House, seen: Seen, pause: float) -> None:
    random = Random(seen.random.random())
    limits = httpx.Timeout(_STUCK * 2)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{there.port}", timeout=limits) as client:
        while time.monotonic() < seen.ends:
            await asyncio.sleep(random.expovariate(1 / pause))
            kind = random.random()
            if kind < 0.1:
                await _beside(client, seen, random)
            else:
                await _one(client, seen, random, leaves=kind < 0.17)


async def _one(client: httpx.AsyncClient, seen: Seen, random: Random, *, leaves: bool) -> None:
    """One question, from beginning to end."""
    number = seen.next()
    fault = fault_of(number)
    protocol = random.choice(PROTOCOLS)
    is_planned = protocol == "completions" or random.random() < 0.6
    in_time = fault == "hang" or random.random() < 0.15
    asked = Asked(
        number=number,
        model=random.choice(PLANS) if is_planned else POLICY,
        protocol=protocol,
        streams=random.random() < 0.5,
        seconds=_SECONDS if in_time else None,
        n=random.choice((1, 1, 1, 2)) if protocol == "chat" and not is_planned else 1,
    )
    began = time.monotonic()
    what = {**asdict(asked), "fault": fault}
    try:
        async with asyncio.timeout(random.random() * 0.2 if leaves else _STUCK):
            status, body, text = await ask(client, asked)
    except TimeoutError:
        seen.counts["left" if leaves else "stuck"] += 1
        if not leaves:
            seen.stuck.append(what)
        return
    except (httpx.HTTPError, EOFError, ValueError) as error:
        seen.lost.append({**what, "error": repr(error)})
        return
    ended = time.monotonic()
    seen.longest = max(seen.longest, ended - began)
    way = f"{protocol}{', stream' if asked.streams else ''}"
    seen.counts[f"asked {asked.kind}, {way}"] += 1
    seen.counts[f"status {status}"] += 1
    seen.counts[f"fault {fault or 'none'}: {asked.kind} {status}"] += 1
    # a PRM that did not answer is left in peace for a while, and plans that need it are refused
    disturbed = seen.beside(began, ended, 5.0) or "prm" in seen.beside(began, ended, _REST)
    if status != 200:
        if (fault is None or fault in ALWAYS) and not disturbed and not in_time:
            seen.own.append({**what, "status": status, "body": body})
            print(json.dumps(seen.own[-1]), flush=True)
        return
    receipt = {**body["planner"], "text": text}
    seen.answers[receipt["id"]] = Answer(number, asked.kind, fault, began, ended, receipt)
    if asked.kind == "passed on" and not in_time and "#" not in text:
        seen.lost.append({**what, "error": f"a text that is not whole passed as one: {text!r}"})


async def _beside(client: httpx.AsyncClient, seen: Seen, random: Random) -> None:
    """What is asked beside questions."""
    number, answers = seen.next(), list(seen.answers)
    known = random.choice(answers) if answers else "none"
    requests: list[tuple[str, Any]] = [
        ("/v1/plan", {"question": f"What is (1+2)+{number}?", "budget": {"tokens": 800}}),
        ("/v1/feedback", {"id": known, "correct": random.random() < 0.7}),
        ("/v1/messages/count_tokens", {"model": POLICY, "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/now", None),
        ("/v1/models", None),
        ("/metrics", None),
        ("/v1/decisions?limit=20", None),
        ("/v1/savings", None),
        ("/admin/reload", {}),
    ]
    path, body = random.choices(requests, weights=(6, 6, 2, 2, 1, 1, 2, 1, 0.5))[0]
    began = time.monotonic()
    try:
        async with asyncio.timeout(_STUCK):
            found = await (client.get(path) if body is None else client.post(path, json=body))
    except TimeoutError:
        seen.stuck.append(path)
        return
    except httpx.HTTPError as error:
        seen.lost.append({"path": path, "error": repr(error)})
        return
    seen.counts[f"asked {path.partition('?')[0]}"] += 1
    seen.counts[f"{path.partition('?')[0]} {found.status_code}"] += 1
    # a locked database may say so
    if found.status_code >= 500 and "lock" not in seen.beside(began, time.monotonic(), 5.0):
        seen.own.append({"path": path, "status": found.status_code, "body": found.text[:300]})


async def _trouble(there: House, seen: Seen) -> None:
    """What goes wrong beside single requests, one after another, all along."""

    async def prm() -> None:
        seen.bills.append(json.loads(await asyncio.to_thread(there.prm.die)))
        await asyncio.sleep(5.0)
        await asyncio.to_thread(there.prm.start)

    async def policy() -> None:
        seen.bills.append(json.loads(await asyncio.to_thread(there.policy.die)))
        await asyncio.sleep(2.0)
        await asyncio.to_thread(there.policy.start)

    async def lock() -> None:
        base = sqlite3.connect(there.decisions, isolation_level=None, timeout=30.0)
        try:
            base.execute("BEGIN EXCLUSIVE")
            await asyncio.sleep(5.0)
            base.execute("ROLLBACK")
        finally:
            base.close()

    kinds: list[Callable[[], Awaitable[None]]] = [prm, lock, policy]
    turn = 0
    while time.monotonic() + 60.0 < seen.ends:
        await asyncio.sleep(40.0)
        kind, began = kinds[turn % len(kinds)], time.monotonic()
        # it counts from its beginning, since requests end while it lasts
        seen.kills.append((kind.__name__, began, began + 3600.0))
        await kind()
        seen.kills[-1] = kind.__name__, began, time.monotonic()
        seen.counts[f"trouble: {kind.__name__}"] += 1
        turn += 1


async def _check_receipts(there: House, seen: Seen) -> None:
    """Each receipt against the upstreams' bill of its question."""
    lives = list(seen.bills)
    for port in (there.policy_port, there.prm_port):
        _, bills = await Client(port).ask("/ledger")
        lives.append(bills)
    for answer in seen.answers.values():
        bills = [Bill(**life[key]) for life in lives if (key := str(answer.number)) in life]
        bill = Bill(*(sum(values) for values in zip(*(asdict(one).values() for one in bills), strict=True)))
        killed = any(what != "lock" for what in seen.beside(answer.began, answer.ended, 5.0))
        exact = not bill.broken and not killed and answer.receipt["ended"] is None
        seen.counts[f"receipts checked {'to the token' if exact else 'by bounds'}"] += 1
        for rule in _rules_broken(answer, bill, exact=exact, killed=killed):
            seen.wrong.append({"rule": rule, "bill": asdict(bill), **asdict(answer)})
            print(json.dumps(seen.wrong[-1]), flush=True)


def _rules_broken(answer: Answer, bill: Bill, *, exact: bool, killed: bool) -> Iterator[str]:
    """The rules that a receipt breaks, beside the bill of its question."""
    spend = answer.receipt["spend"]
    usd = PRICES.usd(prompt=bill.prompt, generated=bill.generated, scored=bill.scored)
    if spend["tokens"] != spend["policy_tokens"] + spend["prm_tokens"]:
        yield f"tokens are the policy's and the PRM's, got {spend}"
    if spend["usd"] is None:
        yield "money is known where prices are, got none"
        return
    # what a server does not tell is counted here, the prompt by the policy's own template
    slack = bill.requests * _TEMPLATE if answer.fault == "no usage" and answer.kind == "passed on" else 0
    off = (spend["usd"] - usd) * 1e6
    if exact and abs(off) > slack * PRICES.prompt + 1e-6:
        yield f"money is the bill's, got {spend['usd']:.7f} for {usd:.7f}"
    # of a request that broke nobody knows what it cost: its prompt, and what may have been on its way
    most = bill.doubtful * PRICES.prompt + bill.children * _LAG * PRICES.generated
    if not killed and not exact and answer.receipt["ended"] is None and off > most + slack + 1e-6:
        yield f"no more is paid than may have been used, got {spend['usd']:.7f} for {usd:.7f}"
    # what was on its way when a request was cut off was never read, though its server has sent it
    cut = bill.children if answer.receipt["ended"] is None else bill.requests
    unread = cut * _UNREAD * PRICES.generated
    if not killed and off < -slack * PRICES.prompt - unread - 1e-6:
        yield f"nothing is used and not paid for, got {spend['usd']:.7f} for {usd:.7f}"


def _check_log(there: House, seen: Seen) -> None:
    """Every answer is in the decision log, with the money of its receipt."""
    with sqlite3.connect(f"file:{there.decisions}?mode=ro", uri=True) as log:
        kept = dict(log.execute("SELECT decision_id, spent_usd FROM decisions"))
    log.close()
    for name, answer in seen.answers.items():
        if name not in kept:
            seen.lost.append({"id": name, "number": answer.number, "error": "not in the decision log"})
        elif abs((kept[name] or 0.0) - (answer.receipt["spend"]["usd"] or 0.0)) > 1e-9:
            seen.wrong.append(
                {"rule": "the log has the receipt's money", "kept": kept[name], **asdict(answer)}
            )


def written(found: dict[str, Any]) -> str:
    """The page."""
    mib = found["mib"]
    lines = [
        "# A soak of the server",
        "",
        f"`python benchmarks/serve_soak.py --minutes {found['minutes']:g}`, which says what is counted"
        f" ({found['at']}). {found['clients']} clients.",
        "",
        "| what | |",
        "|---|---|",
        f"| requests | {found['requests']:,} |",
        f"| answered questions | {found['answered']:,} |",
        f"| lost | {found['lost']} |",
        f"| stuck | {found['stuck']} |",
        f"| wrong receipts | {found['wrong_receipts']} |",
        f"| errors of the server's own | {found['own_errors']} |",
        f"| still running at the end | {found['still_running']} |",
        f"| longest request | {found['longest_s']:.1f} s |",
        "| resident MiB, at the start, after a minute and at the end |"
        f" {mib[0]}, {mib[min(2, len(mib) - 1)]}, {mib[-1]} |",
        "",
        "| in detail | times |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in found["counts"].items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Soak, write, print; exit code 1 where anything was lost, stuck or wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--pause", type=float, default=1.0, help="mean seconds between a client's requests")
    parser.add_argument("--seed", type=int, default=1, help="of the clients")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the figures and the page")
    parser.add_argument("--at", default="one core, shared with other work", help="said beside the figures")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = asyncio.run(soak(asked.minutes, asked.clients, asked.pause, asked.seed))
    found = {"at": f"{datetime.now(UTC):%Y-%m-%d}; {asked.at}", **found}
    with suppress(FileExistsError):
        asked.output.mkdir(parents=True)
    (asked.output / "serve_soak.json").write_text(json.dumps(found, indent=1) + "\n")
    (asked.output / "serve_soak.md").write_text(written(found))
    print(json.dumps(found, indent=1))
    bad = found["lost"] + found["stuck"] + found["wrong_receipts"] + found["own_errors"]
    sys.exit(1 if bad or found["still_running"] else 0)


if __name__ == "__main__":
    main()
