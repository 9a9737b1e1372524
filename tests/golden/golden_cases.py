"""What the golden tests ask: decisions, a campaign and HTTP requests. Plain JSON, without names of the code.

A decision's case has

    question        text
    budget          ``tokens`` and ``flops`` cap the request; beside or instead of them ``mean`` (amount,
                    unit), ``accuracy`` (a target) or ``price`` (accuracy per unit, unit)
    domain, abstain_below, voteable
                    left out: as the planner has them
    explore         seed of an explorer; left out: the best option is taken
    look            what has been seen: ``policy``, ``samples``, ``prm``; left out: the question only
    candidates, spent, groups
                    what the probe showed, what it took, and which answers are equal (left out: equal texts)
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

__all__ = [
    "GRID",
    "ON_THE_LAB",
    "POLICIES",
    "PRM",
    "REQUESTS",
    "TABLES",
    "after_probes",
    "before_probes",
    "scores",
    "writes",
]

Json = dict[str, Any]

#: questions that none of the lab's domains knows
OPEN_ENDED = (
    "Write a short poem about the sea in autumn.",
    "Why do cats purr, and do all of them?",
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?",
    "Translate 'good morning' into French.",
    "Explain what a hash table is to a child of ten. Then say when one would not use it. " * 6,
    "?",
)

#: every kind of budget; tight ones fit nothing, wide ones bind nothing
BUDGETS: tuple[Json, ...] = (
    {"tokens": 60},
    {"tokens": 150},
    {"tokens": 400},
    {"tokens": 800},
    {"tokens": 2500},
    {"tokens": 20_000},
    {"flops": 3e7},
    {"flops": 1e8},
    {"flops": 4e8},
    {"flops": 2e9},
    {"flops": 2e10},
    {"tokens": 700, "flops": 6e8},
    {"mean": [1e8, "flops"]},
    {"mean": [5e8, "flops"]},
    {"mean": [3e9, "flops"]},
    {"mean": [200.0, "tokens"]},
    {"mean": [1500.0, "tokens"]},
    {"mean": [5e8, "flops"], "tokens": 300},
    {"accuracy": 0.2},
    {"accuracy": 0.5},
    {"accuracy": 0.8},
    {"accuracy": 0.95},
    {"accuracy": 1.0},
    {"accuracy": 0.9, "tokens": 500},
    {"accuracy": 0.7, "flops": 3e8},
    {"price": [0.0, "flops"]},
    {"price": [1e-12, "flops"]},
    {"price": [3e-11, "flops"]},
    {"price": [1e-10, "flops"]},
    {"price": [1e-9, "flops"]},
    {"price": [2e-5, "tokens"]},
    {"price": [5e-4, "tokens"]},
    {"price": [1e-11, "flops"], "flops": 1e9},
)


def before_probes(problems: Sequence[Mapping[str, Any]], count: int) -> list[Json]:
    """Cases of decisions that see the question only."""
    asked = [
        *({"question": problem["question"], "domain": problem["domain"]} for problem in problems),
        *({"question": text} for text in OPEN_ENDED),
    ]
    found: list[Json] = []
    # the budgets go round faster than the questions, so that each question meets many of them
    for place, (question, budget) in enumerate(zip(cycle(asked), _budgets(), strict=False)):
        if place == count:
            break
        case: Json = {**question, "budget": budget}
        if place % 11 == 3:
            case["abstain_below"] = 0.6
        if place % 17 == 5:
            case["domain"] = "text"
        if place % 19 == 7:
            case["voteable"] = False
        if place % 10 == 9:
            case["explore"] = place
        found.append(case)
    return found


def after_probes(problems: Sequence[Mapping[str, Any]], probes: Sequence[Json], count: int) -> list[Json]:
    """Cases of decisions after probes; what the probes showed is made up from a fixed seed."""
    rng = random.Random(10)
    budgets = _budgets()
    found: list[Json] = []
    for place, (problem, probe) in enumerate(
        islice(zip(cycle(problems), _slowly(probes), strict=False), count)
    ):
        drawn = [_candidate(rng, probe["prm"] is not None) for _ in range(probe["samples"])]
        case: Json = {
            "question": problem["question"],
            "domain": problem["domain"],
            "budget": next(budgets),
            "look": probe,
            "candidates": drawn,
            "spent": _spent(rng, drawn, probe["prm"] is not None),
        }
        if place % 7 == 2:  # a domain's equality may join answers whose texts differ
            case["groups"] = [-1 if each["answer"] is None else 0 for each in drawn]
        if place % 13 == 4:
            case["abstain_below"] = 0.7
        if place % 10 == 9:
            case["explore"] = place
        found.append(case)
    return found


def _budgets() -> Iterator[Json]:
    """Round after round, each beginning at another budget, so that questions do not meet the same ones."""
    at = 0
    while True:
        yield from BUDGETS
        at += 1
        yield BUDGETS[at * 5 % len(BUDGETS)]


def _slowly(probes: Sequence[Json]) -> Iterator[Json]:
    """Each look for ten cases at a time."""
    return (probe for probe in cycle(probes) for _ in range(10))


def _candidate(rng: random.Random, scored: bool) -> Json:
    steps = rng.randint(1, 6)
    tokens = [rng.randint(3, 30) for _ in range(steps)]
    readable, whole = rng.random() < 0.85, rng.random() < 0.9
    level = rng.random()
    rewards = [round(min(1.0, max(0.0, rng.gauss(level, 0.2))), 6) for _ in range(steps)]
    mean = round(-rng.expovariate(4.0), 6)
    return {
        "text": "\n".join([*(f"step {i}" for i in range(1, steps)), "# 7"]),
        "answer": rng.choice(["7", "7", "12", "9"]) if readable else None,
        "step_rewards": rewards if scored else [],
        "step_tokens": tokens,
        "finish_reason": "stop" if whole else "length",
        "mean_logprob": mean,
        "min_logprob": round(mean - rng.expovariate(1.0), 6),
    }


def _spent(rng: random.Random, drawn: Sequence[Json], scored: bool) -> Json:
    generated = sum(sum(each["step_tokens"]) for each in drawn)
    prompt = rng.randint(15, 60)
    judged = prompt + generated if scored else 0
    flops = 3_104_256.0 * (prompt + generated) + 906_820.0 * judged
    return {"policy_tokens": prompt + generated, "prm_tokens": judged, "flops": flops}


# ---- the campaign

POLICIES, PRM = ("lab-policy-s", "lab-policy-m"), "lab-prm-good"

GRID = """
strategies = ["cot", "majority", "best_of_n", "weighted_vote", "beam_search"]
n = [1, 4]
tree_n = [4]
width = [2]
score = ["last", "min"]
vote = ["weighted"]
samples = 8
block = 4
group = 4
runs = 1
seed = 11
"""

#: table -> its key, and the columns that are no part of what must stay: times, and what caches save
TABLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "problems": (("problem_id",), ()),
    "samples": (("problem_id", "policy", "sampling", "draw"), ()),
    "scores": (("problem_id", "policy", "sampling", "prm", "draw"), ("physical_prm_tokens",)),
    "runs": (
        ("problem_id", "policy", "sampling", "prm", "plan", "run"),
        ("physical_policy_tokens", "physical_prm_tokens", "seconds"),
    ),
    "outcomes": (("problem_id", "policy", "prm", "plan"), ("seconds",)),
}


# ---- the server

SUM = "What is (13+64)+80?"
WALK = "A robot goes from 58 and has moves +13,+1,-3 to reach 72 in exactly 2 moves"
HENS = "Mia keeps 11 hens. The farm sells 7 hens. Mia gets 3 bags with 6 each. How many hens are left?"
PAIR = "What is 2+3?"
POEM = "Write a short poem about the sea in autumn."

#: what scripted policies may write, each as often as the others
_SOLUTIONS: Mapping[str, tuple[str, ...]] = {
    SUM: (
        "13+64=77\n77+80=157\n#157",
        "64+80=144\n13+144=157\n#157",
        "13+64=87\n87+80=167\n#167",
        "13+64=77\n77+80=147\n#147",
        "13+64=77\n77+80=157\n#157",
    ),
    WALK: ("58+13=71\n71+1=72", "58+1=59\n59+13=72", "58+1=59\n59+1=60", "58-3=55\n55+13=68"),
    HENS: ("11-7=4\n3*6=18\n4+18=22\n#22", "11-7=4\n4+3=7\n#7", "3*6=18\n11-7=4\n18+4=22\n#22", "#29"),
    PAIR: ("#5", "#5", "#5", "#5", "2+3=5\n2+3=5\n2+3=5\n2+3=5\n#5", "#6"),
    POEM: ("The sea is grey\nand cold.", "Leaves on the water."),
}

CHAT, TEXT, PLAN = "/v1/chat/completions", "/v1/completions", "/v1/plan"


def writes(asked: str, written: str, rng: random.Random) -> str:
    """What a scripted policy writes after what it has written: one of the solutions of the question."""
    known = next((of for question, of in _SOLUTIONS.items() if question in asked), ("I do not know\n# 0",))
    lines = rng.choice(known).split("\n")
    done = written.count("\n")
    return "\n".join(lines[min(done, len(lines) - 1) :])


def scores(question: str, steps: Sequence[str]) -> float:
    """What a scripted PRM thinks of the last step: more of right answers, and less of each further step."""
    right = any(steps[-1].endswith(end) for end in ("157", "22", "72"))
    return round((0.9 if right else 0.5) - 0.02 * len(steps), 3)


def _chat(question: str, **fields: Any) -> Json:
    asked = {"model": "planner", "seed": 5, "messages": [{"role": "user", "content": question}]}
    return {"path": CHAT, "json": {**asked, "domain": "arithmetic", **fields}}


def _text(prompt: Any, **fields: Any) -> Json:
    asked = {"model": "planner", "seed": 5, "prompt": prompt, "domain": "arithmetic"}
    return {"path": TEXT, "json": {**asked, **fields}}


#: name -> ``path``, and ``json`` (a POST) and ``headers`` where there are any; ``{last}`` in a body or path
#: is the id of the last answer. Their order matters: they go to one server, one after the other.
REQUESTS: Mapping[str, Json] = {
    "models": {"path": "/v1/models"},
    "one model": {"path": "/v1/models/planner"},
    "chat, default budget": _chat(SUM),
    "chat, 4 samples": _chat(SUM, budget=4),
    "chat, 300 tokens": _chat(HENS, budget={"tokens": 300}),
    "chat, 800 tokens, everything shown": _chat(
        HENS, budget={"tokens": 800}, include=["candidates", "steps", "alternatives", "why"]
    ),
    "chat, flops": _chat(WALK, domain="puzzle", budget={"flops": 2e9}),
    "chat, target": _chat(WALK, domain="puzzle", budget={"target_accuracy": 0.9, "tokens": 3000}),
    "chat, low": _chat(SUM, model="planner-low"),
    "chat, high": _chat(WALK, domain="puzzle", model="planner-high", include=["candidates"]),
    "chat, budget in a header": {**_chat(HENS), "headers": {"x-planner-budget": '{"tokens": 500}'}},
    "chat, no PRM": _chat(HENS, prm="none", budget=8),
    "chat, one policy only": _chat(HENS, policy="lab-policy-m", budget=8),
    "chat, abstains": _chat(WALK, domain="puzzle", budget={"tokens": 200}, abstain_below=1.0),
    "chat, majority forced": _chat(SUM, model="planner/majority(n=4)", include=["candidates"]),
    "chat, weighted vote forced": _chat(
        HENS, model="planner/weighted_vote(n=4, score=min)", include=["steps"]
    ),
    "chat, beam search forced": _chat(
        WALK, domain="puzzle", model="planner/beam_search(n=4, width=2)", include=["steps"]
    ),
    "chat, a vote that settles": _chat(PAIR, model="planner/majority(n=16)", include=["candidates"]),
    "chat, a weighted vote that settles": _chat(
        PAIR, model="planner/weighted_vote(n=16, score=last)", include=["candidates"]
    ),
    "chat, one policy, much to spend": _chat(
        WALK, domain="puzzle", policy="lab-policy-m", budget=64, include=["why"]
    ),
    "chat, a look and a target": _chat(
        PAIR, policy="lab-policy-m", budget={"target_accuracy": 0.995, "samples": 64}
    ),
    "chat, a policy's name": _chat(SUM, model="lab-policy-l"),
    "chat, a policy at temperature 1": _chat(SUM, model="lab-policy-s", temperature=1.0),
    "chat, two answers": _chat(HENS, n=2, temperature=1.0, budget={"tokens": 1200}),
    "chat, stop": _chat(HENS, model="lab-policy-m", stop=["\n"]),
    "chat, two tokens": _chat(HENS, model="lab-policy-m", max_tokens=2),
    "chat, streamed": _chat(SUM, model="planner/cot()", stream=True, stream_options={"include_usage": True}),
    "chat, domain not said": {
        "path": CHAT,
        "json": {"seed": 5, "budget": 8, "messages": [{"role": "user", "content": SUM}]},
    },
    "chat, a conversation": _chat(
        SUM,
        budget=4,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 1+2?"},
            {"role": "assistant", "content": "1+2=3\n#3"},
            {"role": "user", "content": HENS},
        ],
    ),
    "chat, many samples forced": _chat(
        WALK, domain="puzzle", model="planner/majority(n=16)", include=["candidates"]
    ),
    "error, money without prices": _chat(SUM, budget={"usd": 0.01}),
    "chat, much time": _chat(SUM, budget={"seconds": 1000.0, "tokens": 800}),
    "chat, open-ended": _chat(POEM, domain="text", budget=4, max_tokens=24),
    "feedback": {"path": "/v1/feedback", "json": {"id": "{last}", "correct": False}},
    "completion": _text(SUM, budget=4),
    "its decision": {"path": "/v1/decisions/{last}"},
    "completion, two prompts": _text([SUM, HENS], budget={"tokens": 600}),
    "plan": {"path": PLAN, "json": {"question": SUM, "domain": "arithmetic", "budget": {"tokens": 800}}},
    "plan, everything shown": {
        "path": PLAN,
        "json": {
            "question": WALK,
            "domain": "puzzle",
            "budget": 16,
            "include": ["alternatives", "why"],
        },
    },
    "plan, several": {
        "path": PLAN,
        "json": {"questions": [SUM, HENS], "domain": "arithmetic", "model": "planner-low"},
    },
    "error, a question without text": {"path": PLAN, "json": {"questions": [SUM, ""]}},
    "error, unknown model": _chat(SUM, model="gpt-4"),
    "error, width": _chat(SUM, model="planner/beam_search(n=10, width=4)"),
    "error, unknown budget": _chat(SUM, budget={"hours": 1}),
    "error, too small a budget": _chat(SUM, budget={"tokens": 3}),
    "error, unknown domain": _chat(SUM, domain="poetry"),
    "error, no messages": {"path": CHAT, "json": {"model": "planner", "messages": []}},
    "error, a number in quotes": _chat(SUM, n="2"),
    "error, a budget in a header": {**_chat(SUM), "headers": {"x-planner-budget": "much"}},
    "error, no question": {"path": PLAN, "json": {}},
    "error, feedback on nothing": {"path": "/v1/feedback", "json": {"id": "nobody", "correct": True}},
    "error, no such path": {"path": "/v1/nothing"},
}

#: those that the lab's models answer too: single answers, which do not depend on what arrives first
ON_THE_LAB = (
    "models",
    "chat, default budget",
    "chat, 4 samples",
    "chat, low",
    "chat, no PRM",
    "chat, one policy only",
    "chat, abstains",
    "chat, beam search forced",
    "chat, a policy's name",
    "chat, a policy at temperature 1",
    "chat, stop",
    "chat, two tokens",
    "chat, streamed",
    "chat, domain not said",
    "chat, a conversation",
    "chat, open-ended",
    "completion",
    "its decision",
)
