"""``served_models.md``, from what ``served_models.json`` holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from served_parts import CAP, TOKENS

__all__ = ["page"]

_NAMES = {"vllm": "vLLM", "llamacpp": "llama.cpp"}
#: part -> what was asked
_ASKED = {
    "passed on": "the policy by its name, passed on",
    "planned": f"`planner`, budget of {TOKENS} tokens",
    "forced": "`planner/majority(n=4)`",
    "streamed": "`planner/majority(n=2)`, a stream",
    "deadline": "`planner/majority(n=8)`, budget of {deadline:g} seconds, short questions",
    "hard budget": f"`planner/majority(n=4)`, header with {CAP} tokens",
}
_COST_HEADS = [
    "server",
    "asked",
    "answered",
    "charged",
    "counted",
    "receipts",
    "most_tokens",
    "median_s",
    "slowest_s",
]
_Found = Mapping[str, Any]


def page(found: Mapping[str, _Found]) -> str:
    """The whole file. A part that has not run yet is left out."""
    servers = [name for name in _NAMES if name in found]
    told = " and ".join(
        f"{_NAMES[name]} {found[name].get('versions', {}).get('server', '')}" for name in servers
    )
    blocks = [
        "# One small model behind two servers",
        "`python benchmarks/served_models.py`, which says what is measured; the figures are in"
        f" `served_models.json`. Qwen2.5-Coder-0.5B-Instruct behind {told}, `planner serve --models` before"
        " it, GSM8K questions, all at the same time, asked by the official client"
        f" (openai {_first(found, 'versions', 'client')}). {_first(found, 'versions', 'machine')}",
        "## What was asked and what it cost",
        "Charged: generated tokens of the answers' `usage`. Counted: what the server's own counter says that"
        " it wrote meanwhile. Receipts: those that agree with the `usage` and tell money. Largest: most"
        " tokens of one answer, prompt and all.",
        _table(_COST_HEADS, _costs(found, servers)),
        "Streams told by their comments, and cut-off answers by their receipts (`ended`):",
        _table(["server", "asked", "pieces", "comments", "ended", "errors"], _notes(found, servers)),
        "## What `planner serve` adds",
        "Median milliseconds until an answer of one token was there, asked one by one, in turns.",
        _table(["server", "direct", "passed on", "`planner/cot()`"], _latency(found, servers)),
        "## A client that leaves, several answers, refusals",
        _table(["asked", *(_NAMES[name] for name in servers)], _others(found, servers)),
        "## What `planner models check` says",
        _table(["asked", *(_NAMES[name] for name in servers)], _side_by_side(found, servers, _can)),
        "## What the servers do differently",
        "Asked of each server directly, nothing between.",
        _table(["asked", *(_NAMES[name] for name in servers)], _side_by_side(found, servers, _differs)),
    ]
    return "\n\n".join(blocks) + "\n"


def _first(found: Mapping[str, _Found], part: str, key: str) -> str:
    return str(next((one[part][key] for one in found.values() if part in one), ""))


def _costs(found: Mapping[str, _Found], servers: Sequence[str]) -> Iterable[list[object]]:
    for part, asked in _ASKED.items():
        for name in servers:
            one = found[name].get(part)
            if one is not None:
                yield [
                    _NAMES[name],
                    asked.format_map(one),
                    f"{one['answered']} of {one['asked']}",
                    one["charged"],
                    one["told"],
                    f"{one['receipts']} of {one['answered']}",
                    one["most_tokens"],
                    f"{one['seconds']:.1f}",
                    f"{one['slowest']:.1f}",
                ]


def _notes(found: Mapping[str, _Found], servers: Sequence[str]) -> Iterable[list[object]]:
    for part in ("planned", "streamed", "deadline", "hard budget"):
        for name in servers:
            one = found[name].get(part)
            if one is not None:
                pieces = one["pieces"] or ""
                told = [_listed(one[key]) for key in ("comments", "ended", "errors")]
                yield [_NAMES[name], _ASKED[part].format_map(one), pieces, *told]


def _latency(found: Mapping[str, _Found], servers: Sequence[str]) -> Iterable[list[object]]:
    for name in servers:
        one = found[name].get("latency")
        if one is not None:
            yield [_NAMES[name], *(f"{one[way]:.0f}" for way in ("direct", "passed on", "planned"))]


def _others(found: Mapping[str, _Found], servers: Sequence[str]) -> Iterable[list[object]]:
    def row(part: str, what: str, tell: Callable[[_Found], str]) -> list[object]:
        return [what, *(tell(found[name][part]) if part in found[name] else "" for name in servers)]

    yield row(
        "leaving",
        "a client leaves a plan's stream",
        lambda one: f"{one['written']} tokens written by then, {one['afterwards']} afterwards",
    )
    yield row("several", "`n=2`", lambda one: f"{one['choices']} answers")
    yield row("several", "a conversation of three turns", lambda one: f"answered ({one['conversation']})")
    yield row("extra", "`logprobs`, passed on", lambda one: f"{one['logprobs']} candidates of 3 asked for")
    kinds = next((list(found[name]["faults"]) for name in servers if "faults" in found[name]), [])
    for kind in kinds:
        if kind != "part_seconds":
            yield row("faults", kind, lambda one, kind=kind: str(one[kind]))  # type: ignore[misc]


def _can(one: _Found) -> Mapping[str, str]:
    return dict(one.get("check", {}).get("can", {}))


def _differs(one: _Found) -> Mapping[str, str]:
    return {key: value for key, value in one.get("differences", {}).items() if key != "part_seconds"}


def _side_by_side(
    found: Mapping[str, _Found], servers: Sequence[str], of: Callable[[_Found], Mapping[str, str]]
) -> Iterable[list[object]]:
    keys = dict.fromkeys(key for name in servers for key in of(found[name]))
    for key in keys:
        yield [key, *(of(found[name]).get(key, "") for name in servers)]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [list(heads), ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
