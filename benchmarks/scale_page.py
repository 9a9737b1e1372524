"""The tables of ``scale.md``, out of ``scale.json``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

__all__ = ["page"]


def page(found: dict[str, Any]) -> str:
    """The page, of the parts that were measured."""
    cores = found.get("machine", {}).get("cpus", "?")
    lines = [
        "# Campaigns on a cluster",
        "",
        "Made by `python benchmarks/scale.py actors`, `driver`, `kills`, `lab` and `fits`.",
        f"One machine with {cores} cores, which other work shared at a lower priority; `load` is the load",
        "average before and after. No GPU, and no second machine.",
    ]
    for part in (_actors, _driver, _kills, _lab, _fits):
        lines += part(found)
    return "\n".join(lines) + "\n"


def _actors(found: dict[str, Any]) -> Iterator[str]:
    if "actors" not in found:
        return
    part = found["actors"]
    yield from ("", f"## Actors whose units take {part['latency']:g} s {_load(part)}", "")
    yield from _table(
        ["actors", "units", "seconds", "efficiency", "overhead per unit, ms", "driver's CPU per unit, ms"],
        [
            (
                row["actors"],
                row["units"],
                f"{row['seconds']:.1f}",
                f"{100 * row['efficiency']:.1f}%",
                f"{row['overhead_ms']:.1f}",
                f"{row['driver_ms']:.1f}",
            )
            for row in part["rows"]
        ],
    )
    yield from (
        "",
        "Efficiency is counted from when every actor has been at work to the end of the last unit.",
    )


def _driver(found: dict[str, Any]) -> Iterator[str]:
    if "driver" not in found:
        return
    part = found["driver"]
    yield from ("", f"## The driver, where eight actors answer at once {_load(part)}", "")
    yield from _table(
        ["units", "driver's CPU per unit, ms", "units/s reached", "units/s of a core of its own"],
        [
            (
                f"{row['units']:,}",
                f"{row['driver_ms']:.1f}",
                f"{row['reached']:.0f}",
                f"{row['saturates']:.0f}",
            )
            for row in part["rows"]
        ],
    )
    rate = part["rows"][-1]["saturates"]
    yield from (
        "",
        f"A driver is one process. With a core of its own it saturates at {rate:.0f} units per second: at",
        f"{rate:.0f} actors whose units take a second, or {60 * rate:,.0f} whose units take a minute.",
    )


def _kills(found: dict[str, Any]) -> Iterator[str]:
    if "kills" not in found:
        return
    part = found["kills"]
    logs, killed = part["logs"], part["killed"]
    equal = sum(log["difference"] is None for log in logs)
    yield from ("", f"## Two nodes in network namespaces, killed at random {_load(part)}", "")
    yield from _table(
        [
            *("minutes", "actors killed", "nodes killed", "drivers killed", "logs", "units", "failed units"),
            *("repeated", "lost", "equal to one process's"),
        ],
        [
            (
                f"{part['seconds'] / 60:.1f}",
                killed["actors"],
                killed["nodes"],
                killed["drivers"],
                len(logs),
                f"{sum(log['units'] for log in logs):,}",
                sum(log["failures"] for log in logs),
                sum(log["repeated"] for log in logs),
                sum(log["lost"] for log in logs),
                f"{equal} of {len(logs)}",
            )
        ],
    )
    for log in logs:
        if log["difference"] is not None:
            yield from ("", f"A log that differs: {log['difference']}")


def _lab(found: dict[str, Any]) -> Iterator[str]:
    if "lab" not in found:
        return
    part = found["lab"]
    yield from ("", f"## The lab's campaign, {part['problems']} problems {_load(part)}", "")
    yield from _table(
        ["how", "seconds of the campaign", "seconds of the command", "samples", "runs"],
        [
            (
                name,
                f"{part[key]['seconds']:.0f}",
                f"{part[key]['whole_seconds']:.0f}",
                f"{part[key]['rows']['samples']:,}",
                f"{part[key]['rows']['runs']:,}",
            )
            for key, name in (("one", "one process"), ("cluster", "two actors on two nodes"))
        ],
    )
    equal = "equal, bit for bit" if part["difference"] is None else f"not equal: {part['difference']}"
    yield from ("", f"`lab-policy-m` with `lab-prm-good`, embedded engine. The logs are {equal}.")


def _fits(found: dict[str, Any]) -> Iterator[str]:
    if "fits" not in found:
        return
    part = found["fits"]
    rows = part["rows"]
    yield from ("", "## Fits without trials, by the size of the log", "")
    yield from _table(
        ["outcome rows", "read, CPU s", "peak MB", "fit, CPU s", "peak MB"],
        [(f"{row['rows']:,}", *_taken(row["read"]), *_taken(row["fit"])) for row in rows],
    )
    yield ""
    for what in ("read", "fit"):
        known = [row for row in rows if row[what] is not None]
        for less, more in pairwise(known):
            cpu, peak = (
                math.log(more[what][name] / less[what][name]) / math.log(more["rows"] / less["rows"])
                for name in ("cpu", "peak_mb")
            )
            yield (
                f"- {what}, {less['rows']:,} to {more['rows']:,} rows: CPU seconds grow with the rows to the "
                f"{cpu:.2f}, memory to the {peak:.2f}."
            )
    if any(row["fit"] is None for row in rows):
        yield "- Where there is a -, the fit was ended by a limit before it was done, or not begun."


def _taken(found: dict[str, float] | None) -> tuple[str, str]:
    return ("-", "-") if found is None else (f"{found['cpu']:.1f}", f"{found['peak_mb']:,.0f}")


def _load(part: dict[str, Any]) -> str:
    return f"(load {part['load']['before']:.1f} to {part['load']['after']:.1f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
