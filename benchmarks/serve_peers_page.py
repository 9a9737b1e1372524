"""The arithmetic and the page of ``serve_peers.py``, from the rounds that have run."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serve_peers_servers import CONTESTANTS, PASSED, PLANNED, VOTE

__all__ = ["Figure", "figures", "page", "targets"]

#: the most that a planned single answer may add, ms
PLANNED_MOST = 3.0
#: cores that other work may take before a run is one beside other work
_QUIET = 0.1
_OURS, _ALONE = "planner", "upstream"
_CAPTIONS = {each.name: each.caption for each in CONTESTANTS}


@dataclass(frozen=True, slots=True)
class Figure:
    """One server under one load: medians over the rounds.

    ``added_p50``, ``added_p95``: ms over the upstream's of the same round. ``low``, ``high``: of the added
    median over the rounds. ``share``: of the upstream's throughput. ``cpu``: ms of a request. ``mib``:
    resident. ``failed`` of ``requests``: answered without status 200, over all rounds.
    """

    server: str
    way: str
    clients: int
    added_p50: float
    added_p95: float
    low: float
    high: float
    per_s: float
    share: float
    cpu: float
    mib: float
    requests: int
    failed: int


def figures(rounds: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """By way, clients and server, in the order in which the servers are named."""
    found: dict[tuple[str, int, str], list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = defaultdict(list)
    for one in rounds:
        alone = {(row["way"], row["clients"]): row for row in one["cells"] if row["server"] == _ALONE}
        for row in one["cells"]:
            # a planned single answer costs the upstream what one that is passed on costs it
            way = PASSED if row["way"] == PLANNED else row["way"]
            found[row["way"], row["clients"], row["server"]].append((row, alone[way, row["clients"]]))
    ways, names = [PASSED, PLANNED, VOTE], list(_CAPTIONS)
    order = sorted(found, key=lambda key: (ways.index(key[0]), key[1], names.index(key[2])))
    return [_figure(*key, found[key]) for key in order]


def _figure(
    way: str, clients: int, server: str, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> Figure:
    added = [row["p50_ms"] - alone["p50_ms"] for row, alone in pairs]
    middle = statistics.median
    return Figure(
        server=server,
        way=way,
        clients=clients,
        added_p50=middle(added),
        added_p95=middle(row["p95_ms"] - alone["p95_ms"] for row, alone in pairs),
        low=min(added),
        high=max(added),
        per_s=middle(row["per_s"] for row, _ in pairs),
        share=middle(row["per_s"] / alone["per_s"] for row, alone in pairs),
        cpu=middle(row["cpu_ms"] for row, _ in pairs),
        mib=middle(row["mib"] for row, _ in pairs),
        requests=sum(row["requests"] for row, _ in pairs),
        failed=sum(row["failed"] for row, _ in pairs),
    )


def targets(found: Sequence[Figure]) -> Iterator[tuple[str, str, bool]]:
    """(what is asked, what came, whether it is reached), one by one.

    Whoever answers with errors reaches nothing and is nobody's measure, since errors are quick.
    """
    for figure in found:
        if figure.way == PLANNED:
            asked = f"planned `cot` adds less than {PLANNED_MOST:g} ms, {_clients(figure.clients)}"
            yield asked, f"{figure.added_p50:.2f} ms", figure.added_p50 < PLANNED_MOST and not figure.failed
    for name, unit, value in (
        ("added latency", "ms", lambda one: one.added_p50),
        ("CPU of a request", "ms", lambda one: one.cpu),
    ):
        for ours in found:
            if ours.server != _OURS or ours.way == PLANNED:
                continue
            peers = [
                one
                for one in found
                if (one.way, one.clients) == (ours.way, ours.clients)
                and one.server not in (_OURS, _ALONE)
                and not one.failed
            ]
            asked = f"lowest {name}, {ours.way}, {_clients(ours.clients)}"
            if not peers:
                yield asked, f"{value(ours):.2f} {unit}; every peer failed", not ours.failed
                continue
            best = min(peers, key=value)
            came = f"{value(ours):.2f} {unit}; {_CAPTIONS[best.server]} {value(best):.2f} {unit}"
            yield asked, came, value(ours) <= value(best) and not ours.failed


def page(found: Mapping[str, Any]) -> str:
    """The page."""
    rounds, settings = found["rounds"], found["settings"]
    rows = figures(rounds)
    lines = [
        "# The server beside its peers",
        "",
        f"`python benchmarks/serve_peers.py --rounds {len(rounds)} --seconds {settings['seconds']:g}`, which"
        " says how it is",
        "measured; `serve_peers.json` has the figures of every round, and this page is made of them.",
        "",
        *_conditions(found),
        "",
        f"The upstream answers after {settings['latency'] * 1e3:g} ms, whatever it is asked. A row is a",
        f"median over {len(rounds)} rounds of {settings['seconds']:g} s at each point; within a round the",
        "servers take turns. Added: over the upstream's own latency, asked in the same way by as many",
        "clients in the same round; in brackets the lowest and the highest round. Throughput: as a share",
        "of the upstream's own. CPU: of the server's processes, for a request. Memory: resident, after the",
        "load. All servers are as they come, one process each, and all of them run while one is asked.",
        "LiteLLM's proxy only passes on: it offers no vote. its_hub asks for eight samples by eight",
        "requests, the others by one request with `n=8`.",
        *(f"\n{note}" for note in found.get("notes", ())),
    ]
    for way, heading in (
        (PASSED, "One answer, passed on, and planned by us as `cot`"),
        (VOTE, "Self-consistency of 8"),
    ):
        lines += ["", f"## {heading}", "", *_table([one for one in rows if one.way in _beside(way)])]
    lines += ["", "## What was reached", "", "| asked | came | reached |", "|---|---|---|"]
    lines += [
        f"| {asked} | {came} | {'yes' if is_reached else '**no**'} |"
        for asked, came, is_reached in targets(rows)
    ]
    return "\n".join(lines) + "\n"


def _beside(way: str) -> tuple[str, ...]:
    return (PASSED, PLANNED) if way == PASSED else (way,)


def _conditions(found: Mapping[str, Any]) -> Iterator[str]:
    rounds, versions = found["rounds"], found["versions"]
    beside = [one["cores_taken_by_other_work"] for one in rounds]
    load = ", ".join(f"{one['load_average']:.1f}" for one in rounds)
    other = " to ".join(dict.fromkeys((f"{min(beside):.2f}", f"{max(beside):.2f}")))
    kind = "Measured **beside other work**" if max(beside) > _QUIET else "Measured on an idle machine"
    yield f"{kind}, {rounds[0]['at']} to {rounds[-1]['at']} UTC. The clients, the upstream and the"
    yield f"servers share {found['cores']} cores, of which other work took {other} on average of a round."
    yield f"The load average of a minute, in which this run's own work counts, was {load} at the ends of"
    yield f"the rounds. Versions: its_hub {versions['its_hub']}, optillm {versions['optillm']}, LiteLLM"
    yield f"{versions['litellm']}."


def _table(rows: Sequence[Figure]) -> Iterator[str]:
    yield "| clients | server | added p50 ms | added p95 ms | throughput | CPU ms | memory MiB | failed |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in sorted(rows, key=lambda one: one.clients):
        caption = _CAPTIONS[one.server] + (", planned `cot`" if one.way == PLANNED else "")
        failed = f"{one.failed} of {one.requests}" if one.failed else "0"
        if one.server == _ALONE:
            speed = f"{one.per_s:.1f} a second"
            yield f"| {one.clients} | {caption} | | | {speed} | {one.cpu:.2f} | {one.mib:.0f} | {failed} |"
            continue
        caption = f"**{caption}**" if one.server == _OURS else caption
        yield (
            f"| {one.clients} | {caption} | {one.added_p50:.2f} ({one.low:.2f} to {one.high:.2f}) |"
            f" {one.added_p95:.1f} | {one.share:.1%} | {one.cpu:.2f} | {one.mib:.0f} | {failed} |"
        )


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"
