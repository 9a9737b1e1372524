"""A server with the console and an API that plays a script: the same search every time, no model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from planner.server.console import mount

__all__ = ["FakeApi", "sample_events", "some_savings", "tree_events"]

Json = dict[str, Any]

BEAM = "beam_search(n=16, width=4, prune=last, score=last, vote=max)"
GOOD = "lab-prm-good"
OPEN = "no domain claims this question: the policy answers once"
QUESTION: Json = {"policy": "lab-policy-m", "samples": 0, "prm": None}
FOUR: Json = {"policy": "lab-policy-m", "samples": 4, "prm": None}


def _spend(tokens: int) -> Json:
    policy = tokens * 9 // 14
    return {
        "tokens": tokens,
        "policy_tokens": policy,
        "prm_tokens": tokens - policy,
        "flops": tokens * 9e5,
        "seconds": tokens / 2400,
        "usd": None,
    }


def _advice(plan: str, probe: Json | None = None, policy: str = "lab-policy-m") -> Json:
    return {
        "policy": policy,
        "prm": GOOD,
        "plan": plan,
        "look": probe,
        "accuracy": 0.62,
        "interval": [0.51, 0.71],
        "tokens": 1090.4,
        "flops": 9.8e8,
        "tokens_p90": 1390.0,
        "flops_p90": 1.2e9,
        "seconds": 0.4,
        "abstain": False,
        "runner_up": None,
        "warnings": [],
        "propensity": 1.0,
    }


def _votes(given: Iterable[tuple[str, float]]) -> list[Json]:
    found: dict[str, list[float]] = {}
    for answer, weight in given:
        found.setdefault(answer, []).append(weight)
    return sorted(
        ({"answer": answer, "count": len(all_), "weight": sum(all_)} for answer, all_ in found.items()),
        key=lambda vote: -vote["count"],
    )


def tree_events(
    n: int = 16,
    width: int = 4,
    depth: int = 5,
    *,
    plan: str = BEAM,
    answers: Sequence[str] = ("18", "18", "12", "18", "7"),
    word: str = "",
) -> list[Json]:
    """A beam search: rows of n steps, all but n / width of them pruned, those of the last row finished.

    ``answers`` are given in turn; every step begins with ``word``.
    """
    spent = _spend(0)
    events: list[Json] = [
        {"type": "decided", "stage": 0, "look": QUESTION, "advice": _advice(plan), "spend": spent},
        {
            "type": "started",
            "policy": "lab-policy-m",
            "prm": GOOD,
            "plan": plan,
            "look": None,
            "spend": spent,
        },
    ]
    parents, given, tokens = ["0"], [], 0
    for row in range(depth):
        made = []
        for place in range(n):
            node, reward = f"{row:x}a{place:x}", ((place * 37 + row * 11) % 100) / 100
            tokens += 14
            made.append((reward, node))
            answer = None
            if row == depth - 1:
                answer = answers[place % len(answers)]
                given.append((answer, reward))
            events.append(
                {
                    "type": "grown",
                    "node": node,
                    "parent": parents[place * len(parents) // n],
                    "steps": row + 1,
                    "text": f"{word}{row * 7 + place}+{place + 2}={row * 7 + 2 * place + 2}\n",
                    "reward": reward,
                    "tokens": 9,
                    "finish_reason": "" if answer is None else "end",
                    "answer": answer,
                    "votes": _votes(given),
                    "spend": _spend(tokens),
                }
            )
        if row < depth - 1:
            ranked = [node for _, node in sorted(made, reverse=True)]
            parents = sorted(ranked[: n // width], key=[node for _, node in made].index)
            events.append(
                {
                    "type": "pruned",
                    "kept": parents,
                    "dropped": ranked[n // width :],
                    "spend": _spend(tokens),
                }
            )
    return events


def sample_events(n: int = 4, text: str = "12+9=21\n21-3=18\n#18", answer: str = "18") -> list[Json]:
    """A weighted vote that looks at one sample first and draws the rest afterwards."""
    plan, policy = f"weighted_vote(n={n}, score=last)", "lab-policy-m"
    one = {"policy": policy, "samples": 1, "prm": None}
    spent = _spend(0)
    events: list[Json] = [
        {"type": "decided", "stage": 0, "look": QUESTION, "advice": _advice(plan, one), "spend": spent},
        {
            "type": "started",
            "policy": policy,
            "prm": None,
            "plan": "majority(n=1)",
            "look": one,
            "spend": spent,
        },
    ]
    for draw in [0, *range(n)]:
        scored = len(events) > 2
        if len(events) == 3:
            events += [
                {"type": "looked", "look": one, "candidates": 1, "spend": _spend(40)},
                {"type": "decided", "stage": 1, "look": one, "advice": _advice(plan), "spend": _spend(40)},
                {
                    "type": "started",
                    "policy": policy,
                    "prm": GOOD,
                    "plan": plan,
                    "look": None,
                    "spend": _spend(40),
                },
            ]
        events.append(
            {
                "type": "drawn",
                "draw": draw,
                "text": text,
                "answer": answer,
                "step_rewards": [0.7, 0.9, 0.8] if scored else [],
                "tokens": 30,
                "finish_reason": "end",
                "votes": _votes([(answer, 0.8 * scored)] * (draw + 1)),
                "missing": n - draw - 1,
                "spend": _spend(40 * (draw + 1)),
            }
        )
    return [*events, {"type": "ended", "why": "settled", "missing": 12, "spend": _spend(40 * n)}]


def figure(value: float, width: float, *, known: bool = True) -> Json:
    """A figure of savings, and its interval."""
    low, high = value - width, value + width
    return {"value": value, "low": low, "high": high, "requests": 400, "questions": 210, "is_known": known}


def no_savings() -> Json:
    """Of a server that plans."""
    return {"shadow": False, "share": 0.0, "requests": 0, "planned": 0, "unit": "flops", "rule": RULE}


def some_savings() -> Json:
    """Of a server in shadow mode, a share of whose plans are run beside."""
    return {
        "shadow": True, "share": 0.05, "ran": 24, "dropped": 2, "requests": 480, "planned": 400,
        "unit": "usd", "plain_cost": 1.2, "planned_cost": 0.48, "pairs": 24, "rule": RULE,
        "accuracy": figure(0.112, 0.02), "cost": figure(-0.6, 0.04), "vote_cost": figure(-0.35, 0.05),
        "agreement": figure(0.8, 0.2, known=False), "measured_accuracy": figure(0.0, 0.2, known=False),
        "measured_cost": figure(1.4, 0.3),
    }  # fmt: skip


RULE = "A figure needs 30 different questions."


@dataclass(slots=True)
class FakeApi:
    """What the fake answers, and what it was asked.

    Parameters
    ----------
    answer, policy:
        Said by the API; an attack puts its markup here.
    plain:
        What the plain model answers, by plan; else as the API.
    events:
        The progress of every search.
    hold:
        A stream stops before this event, for as long as this stays set.
    pause:
        Seconds between two events.
    key:
        The API key that is wanted; None: anybody may ask.
    open_ended:
        Whether questions are such that no answer is right or wrong.
    agreement, reward:
        Of the candidates with the answer, and of their last steps.
    prices:
        Whether the server knows what things cost.
    target:
        What is promised of a stream of requests.
    broken:
        A stream ends before its answer: ``"off"`` without a word, ``"error"`` with one.
    savings:
        What planning would have saved.
    asked, searched, feedback, decisions:
        What came, what was looked for, and what was kept. ``vanished``: streams whose reader left.
    """

    answer: str | None = "18"
    policy: str = "lab-policy-m"
    plain: dict[str, str] = field(default_factory=dict)
    events: list[Json] = field(default_factory=partial(tree_events, 8, 4, 3))
    hold: int | None = None
    pause: float = 0.0
    key: str | None = None
    open_ended: bool = False
    prices: bool = False
    agreement: float = 0.625
    reward: float = 0.6
    target: Json | None = None
    broken: str | None = None
    asked: list[Json] = field(default_factory=list)
    feedback: list[Json] = field(default_factory=list)
    decisions: dict[str, Json] = field(default_factory=dict)
    vanished: int = 0
    savings: Json = field(default_factory=no_savings)
    searched: list[dict[str, str]] = field(default_factory=list)

    def app(self) -> Starlette:
        """The application: the console over this API."""
        app = Starlette()
        mount(app)
        for path, method, endpoint in (
            ("/v1/models", "GET", self._models),
            ("/v1/strategies", "GET", self._strategies),
            ("/v1/plan", "POST", self._plan),
            ("/v1/chat/completions", "POST", self._chat),
            ("/v1/feedback", "POST", self._feedback),
            ("/v1/decisions", "GET", self._search),
            ("/v1/decisions.jsonl", "GET", self._export),
            ("/v1/decisions/{id}", "GET", self._decision),
            ("/v1/savings", "GET", self._savings),
            ("/v1/now", "GET", self._now),
        ):
            app.add_route(path, self._guarded(endpoint), methods=[method])
        return app

    def _guarded(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
                return _refused(401, "an API key must be known, got none or another")
            return await endpoint(request)

        return guarded

    async def _models(self, request: Request) -> Response:
        return JSONResponse(
            {
                "object": "list",
                "data": [{"id": "planner", "object": "model", "kind": "planner"}],
                "planner": {
                    "policies": [{"name": self.policy, "parameters": 444288, "up": True}],
                    "prms": [
                        {"name": GOOD, "parameters": 450000, "up": True},
                        {"name": "lab-prm-weak", "parameters": 120000, "up": False},
                    ],
                    "domains": ["arithmetic", "chemistry", "code", "math", "puzzle", "text"],
                    "plans": ["cot()", "majority(n=4)", BEAM],
                    "budget": {"samples": 8},
                    "ceiling": None,
                    "presets": {"low": {"samples": 4}, "medium": {"samples": 16}, "high": {"samples": 64}},
                    "prices": self.prices,
                },
            }
        )

    async def _strategies(self, request: Request) -> Response:
        told = {
            "cot": ("one greedy answer", "majority", False),
            "majority": ("the most frequent answer of n samples", "majority", True),
            "best_of_n": ("the sample of n that the PRM scores highest", "max", True),
            "weighted_vote": ("a vote of n samples, each weighted by its PRM score", "weighted", True),
            "beam_search": ("the PRM prunes n partial solutions after every step", "max", True),
        }
        return JSONResponse(
            {
                "object": "list",
                "data": [
                    {
                        "name": name,
                        "caption": caption,
                        "parameters": ["n"],
                        "vote": vote,
                        "joins_probe": joins,
                    }
                    for name, (caption, vote, joins) in told.items()
                ],
            }
        )

    async def _plan(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        model = str(body["model"])
        forced = model.removeprefix("planner/") if model.startswith("planner/") else None
        if forced is not None and "(" not in forced:
            return _refused(400, f"strategy must be one of cot, majority, got {forced!r}")
        chosen = forced or "weighted_vote(n=16, score=last)"
        others = [
            ("cot()", None, 0.31, 61, True, False),
            ("majority(n=16)", None, 0.44, 702, True, False),
            ("best_of_n(n=16, score=last)", GOOD, 0.58, 1090, True, False),
            ("weighted_vote(n=16, score=last)", GOOD, 0.62, 1090, True, False),
            ("weighted_vote(n=64, score=last)", GOOD, 0.66, 4310, False, True),
            ("weighted_vote(n=20, score=last)", GOOD, 0.63, 1320, False, False),
            (BEAM.replace("max", "weighted"), GOOD, 0.6, 1210, True, False),
        ]
        said = _advice(chosen, None if forced else FOUR, self.policy)
        if self.target is not None:
            said["target"] = self.target
        return JSONResponse(
            {
                "object": "plan",
                "domain": body.get("domain", "text"),
                "reason": "forced_plan" if forced else "open_ended" if self.open_ended else None,
                "detail": f"the model's name forces {forced}"
                if forced
                else OPEN
                if self.open_ended
                else None,
                "budget": {"asked": body.get("budget")},
                "advice": said | ({"accuracy": None, "interval": [0.0, 1.0]} if self.open_ended else {}),
                "alternatives": [
                    {"policy": self.policy, "prm": prm, "plan": plan, "accuracy": right, "tokens": cost}
                    | {"tokens_p90": 1.2 * cost, "fits": fits, "over": over}
                    for plan, prm, right, cost, fits, over in others
                ],
                "why": [
                    {"feature": "largest_log", "value": 3.0445, "effect": 0.041},
                    {"feature": "capitals_share", "value": 0.0143, "effect": -0.012},
                ],
            }
        )

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        if not body.get("stream"):
            return JSONResponse(self._plain(f"chatcmpl-{len(self.decisions):08d}", body))
        return StreamingResponse(self._stream(body), media_type="text/event-stream")

    def _plain(self, name: str, body: Json) -> Json:
        """An answer that comes whole, by the plan that the model names."""
        plan = str(body["model"]).removeprefix("planner/")
        tokens = 702 if "16" in plan else 61
        receipt = self.decide(name, body) | {
            "plan": plan,
            "answer": self.plain.get(plan, self.answer),
            "spend": _spend(tokens),
            "candidates": [],
        }
        message = {"role": "assistant", "content": f"it is {receipt['answer']}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": name, "object": "chat.completion", "choices": [choice], "planner": receipt}

    async def _stream(self, body: Json) -> AsyncIterator[str]:
        name = f"chatcmpl-{len(self.decisions):08d}"
        ended = False
        try:
            for at, event in enumerate(self.events):
                while self.hold == at:
                    await asyncio.sleep(0.01)
                yield f": planner {json.dumps({'choice': 0, **event})}\n\n"
                await asyncio.sleep(self.pause)
            ended = True
        finally:
            self.vanished += not ended
        if self.broken == "error":
            error = {"message": "the policy's backend must answer, got none", "code": "policy_failed"}
            yield f"data: {json.dumps({'error': error})}\n\n"
        if self.broken is not None:
            return
        receipt = self.decide(name, body)
        for delta in ({"content": self.answer or "no answer"}, {}):
            choice: Json = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
            chunk: Json = {"id": name, "object": "chat.completion.chunk", "choices": [choice]}
            yield f"data: {json.dumps(chunk if delta else {**chunk, 'planner': receipt})}\n\n"
        yield "data: [DONE]\n\n"

    def decide(self, name: str, body: Json) -> Json:
        """Keep a decision; its receipt."""
        spent = self.events[-1]["spend"] if self.events else _spend(0)
        plan = next((e["plan"] for e in reversed(self.events) if e["type"] == "started"), "cot()")
        choice: Json = {"policy": self.policy, "prm": GOOD, "plan": plan}
        budget = body.get("budget") or {"samples": 8}
        source = "body" if body.get("budget") else "default"
        outcome = "answered" if self.answer is not None else "unreadable"
        candidates = self._candidates()
        stages = [
            {**choice, "look": QUESTION, "next_look": FOUR, "accuracy": 0.58, "tokens": 1090, "flops": 1e9},
            {**choice, "look": FOUR, "next_look": None, "accuracy": 0.62, "tokens": 900, "flops": 8e8},
        ]
        stages = [{**stage, "propensity": 1.0, "spend": _spend(200)} for stage in stages]
        words = ["question", "4 samples of lab-policy-m"]
        self.decisions[name] = {
            **choice,
            "id": name,
            "created": 1_790_000_000.0 + len(self.decisions),
            "endpoint": "chat",
            "question": body["messages"][-1]["content"],
            "domain": body.get("domain", "text"),
            "answer": self.answer,
            "outcome": outcome,
            "reason": None,
            "accuracy": 0.62,
            "tokens": 1180.0,
            "flops": 1.1e9,
            "spend": spent,
            "feedback": [],
            "key": None,
            "planner": "0f" * 32,
            "budget": budget,
            "budget_source": source,
            "propensity": 1.0,
            "error": None,
            "chosen": next((at for at, one in enumerate(candidates) if one["chosen"]), None),
            "steps": [
                {**stage, "look": words[at], "next_look": None if at else words[1]}
                for at, stage in enumerate(stages)
            ],
            "candidates": candidates,
        }
        return {
            **choice,
            "id": name,
            "reason": None,
            "detail": None,
            "budget": {"asked": budget, "source": source, "granted": budget, "share": 1.0},
            "stages": stages,
            "expected": {
                "accuracy": 0.62,
                "interval": [0.5, 0.7],
                "tokens": 1180.0,
                "flops": 1.1e9,
                "seconds": 0.5,
            },
            "spend": spent,
            "answer": self.answer,
            "outcome": outcome,
            "agreement": self.agreement,
            **({} if self.target is None else {"target": self.target}),
            "abstained": False,
            "escalated": False,
            "ended": None,
            "without": [],
            "warnings": [],
            "sampling": "temperature=1",
            "candidates": candidates,
        }

    def _candidates(self) -> list[Json]:
        """The finished solutions of the script; the second one is chosen."""
        texts: dict[str, str] = {}
        found: dict[str, Json] = {}
        for event in self.events:
            if event["type"] == "grown":
                texts[event["node"]] = texts.get(event["parent"], "") + event["text"]
                if event["finish_reason"]:
                    found[event["node"]] = {
                        **event,
                        "text": texts[event["node"]],
                        "step_rewards": [0.8, self.reward],
                    }
            elif event["type"] == "drawn":
                found[str(event["draw"])] = event
        return [
            {
                "draw": at,
                "text": one["text"],
                "answer": one["answer"],
                "score": 0.6,
                "tokens": one["tokens"],
                "finish_reason": "end",
                "chosen": at == 1,
                "step_rewards": one["step_rewards"],
            }
            for at, one in enumerate(found.values())
        ]

    async def _feedback(self, request: Request) -> Response:
        body = await request.json()
        if body["id"] not in self.decisions:
            return _refused(404, f"feedback is on a decision that is known, got {body['id']!r}")
        self.feedback.append(body)
        outcome = {name: body.get(name) for name in ("correct", "score", "candidate")}
        self.decisions[body["id"]]["feedback"].append({**outcome, "created": 1_790_000_100.0, "key": None})
        return JSONResponse({"object": "feedback", "id": body["id"], "recorded": True})

    def _found(self, request: Request) -> list[Json]:
        asked = request.query_params
        self.searched.append(dict(asked))
        return [
            one
            for one in reversed(self.decisions.values())
            if asked.get("text", "").casefold() in one["question"].casefold()
            and asked.get("outcome", one["outcome"]) == one["outcome"]
            and asked.get("policy", one["policy"]) == one["policy"]
            and one["plan"].startswith(asked.get("plan", ""))
            and one["created"] >= float(asked.get("since", 0))
            and asked.get("feedback", str(bool(one["feedback"])).lower())
            == str(bool(one["feedback"])).lower()
        ]

    async def _export(self, request: Request) -> Response:
        lines = [json.dumps(one) + "\n" for one in self._found(request)]
        return Response("".join(lines), media_type="application/x-ndjson")

    async def _savings(self, request: Request) -> Response:
        return JSONResponse(self.savings)

    async def _search(self, request: Request) -> Response:
        asked, found = request.query_params, self._found(request)
        if "before" in asked:
            found = found[[one["id"] for one in found].index(asked["before"]) + 1 :]
        limit = int(asked.get("limit", "50"))
        return JSONResponse(
            {
                "object": "list",
                "data": found[:limit],
                "next": found[limit - 1]["id"] if len(found) > limit else None,
            }
        )

    async def _decision(self, request: Request) -> Response:
        found = self.decisions.get(request.path_params["id"])
        if found is None:
            return _refused(404, f"a decision must be known, got {request.path_params['id']!r}")
        return JSONResponse(found)

    async def _now(self, request: Request) -> Response:
        rates = [20, 25, 31, 28, 30, 12, 18, 35, 33, 30, 36, 34]
        window = int(request.query_params.get("window", "600"))
        return JSONResponse(
            {
                "time": 1_790_000_200.0,
                "uptime": 5400.0,
                "window": window,
                "windows": [600, 3600, 86400],
                "requests": {
                    "per_second": 3.25,
                    "running": 2,
                    "waiting": 0,
                    "total": 1951,
                    "answered": 1940,
                    "failed": 9,
                    "cancelled": 2,
                    "refused": 0,
                },
                "series": [
                    {
                        "t": 1_790_000_000.0 + 10 * at,
                        "requests": rate,
                        "failed": int(at % 3 == 0),
                        "cancelled": 0,
                        "refused": 4 if at == 5 else 0,
                        "refusals": {"overloaded": 4} if at == 5 else {},
                        "failures": {"policy_failed": 1} if at % 3 == 0 else {},
                        "tokens": 90 * rate,
                        "flops": 1e8 * rate,
                        "usd": 1e-4 * rate if self.prices else None,
                        "p50": 0.2,
                        "p95": 1.2 + 0.01 * at if rate > 15 else None,
                        "p99": 2.0,
                    }
                    for at, rate in enumerate(rates)
                ],
                "latency": {"p50": 0.21, "p90": 0.9, "p95": 1.4, "p99": 2.3},
                "errors": {"requests": 332, "failed": 4, "cancelled": 2, "rate": 4 / 332},
                "refusals": [{"cause": "overloaded", "requests": 4}],
                "failures": [{"cause": "policy_failed", "requests": 4}],
                "spend": {
                    "tokens": 29_880,
                    "flops": 3.3e10,
                    "usd": 0.0332 if self.prices else None,
                    "priced": 332,
                },
                "plans": [
                    {"policy": self.policy, "prm": None, "plan": "cot()", "requests": 140, "share": 0.7},
                    {"policy": self.policy, "prm": GOOD, "plan": BEAM, "requests": 60, "share": 0.3},
                ],
                "promised": {
                    "accuracy": {"feedbacks": 40, "promised": 0.71, "kept": 0.69},
                    "tokens": {"requests": 200, "promised": 61000.0, "spent": 58200},
                    "seconds": {"requests": 31, "kept": 0.968},
                },
                "majority": {
                    "requests": 200,
                    "flops": 4.1e10,
                    "majority_flops": 6.3e10,
                    "ratio": 0.65,
                    "never": 12,
                },
                "share": 1.0,
                "explore": 0.02,
                "drift": {
                    "drifted": 1,
                    "shifts": [
                        {"look": "question", "feature": "log_chars", "live": 500, "outside": 0.21, "psi": 0.4}
                        | {"drifted": True},
                        {"look": GOOD, "feature": "last_reward", "live": 500, "outside": None, "psi": 0.02}
                        | {"drifted": False},
                    ],
                },
                "log": {"waiting": 0, "lost": 0},
                "models": [
                    {"name": self.policy, "kind": "policy", "up": True},
                    {"name": GOOD, "kind": "prm", "up": True},
                    {"name": "lab-prm-weak", "kind": "prm", "up": False},
                ],
                "planner": "0f" * 32,
                "version": "0.1.0",
            }
        )


def _refused(status: int, message: str) -> JSONResponse:
    """An error as the API has it."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status)
