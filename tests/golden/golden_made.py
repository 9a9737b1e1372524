"""Makes what the golden files hold, from the code as it is now."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import golden_adapter as adapter
import golden_cases as cases

__all__ = [
    "MODELS",
    "campaign",
    "campaign_problems",
    "decision_cases",
    "decisions",
    "hashes",
    "http",
    "rounded",
]

Json = dict[str, Any]

#: how far floats that models computed may differ, relatively: their last bits depend on the machine
MODELS = 1e-4

#: problems of each domain in the campaign, and among the questions of decisions
_IN_CAMPAIGN, _ASKED = 2, 6
_BEFORE, _AFTER = 300, 200
_DOMAINS = ("arithmetic", "puzzle", "code", "chemistry")

#: fields of the server's answers that differ from one time to the next, or depend on what caches hold
_VOLATILE = {
    *("id", "created", "seconds", "cached_tokens"),
    *("physical_policy_tokens", "physical_prm_tokens"),
}


def rounded(value: Any) -> Any:
    """The same JSON with floats of nine significant digits; NaN and infinities, which JSON lacks, as text."""
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


# ---- decisions


def decision_cases() -> list[Json]:
    """500 questions to the shipped planner, before probes and after."""
    planner = adapter.load_planner(adapter.shipped_planner())
    problems = adapter.lab_problems("check", 21, dict.fromkeys(_DOMAINS, _ASKED))
    probes = [probe for probe in adapter.probes(planner) if probe["samples"]]
    return [*cases.before_probes(problems, _BEFORE), *cases.after_probes(problems, probes, _AFTER)]


def decisions(asked: Sequence[Mapping[str, Any]]) -> list[Json]:
    """What the shipped planner decides in each case."""
    planner = adapter.load_planner(adapter.shipped_planner())
    return [rounded(adapter.decide(planner, case)) for case in asked]


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a folder, by name."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


# ---- the campaign


def campaign(problems: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, dict[str, Json]]:
    """The rows of every table of a small campaign, under the text of their key."""
    given, grid, log = folder / "problems.jsonl", folder / "grid.toml", folder / "log"
    given.write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    grid.write_text(cases.GRID)
    policies = [word for name in cases.POLICIES for word in ("--policy", name)]
    arguments = (*policies, "--prm", cases.PRM, "--grid", str(grid))
    adapter.run_command("search", str(given), "-o", str(log), *arguments)
    found: dict[str, dict[str, Json]] = {}
    for table, (key, left_out) in cases.TABLES.items():
        rows = {
            " | ".join(str(row[name]) for name in key): {
                name: value for name, value in row.items() if name not in (*key, *left_out)
            }
            for row in adapter.read_table(log, table)
        }
        found[table] = {name: rounded(rows[name]) for name in sorted(rows)}
    return found


def campaign_problems() -> list[Json]:
    """What the campaign runs on."""
    return adapter.lab_problems("check", 33, dict.fromkeys(_DOMAINS, _IN_CAMPAIGN))


# ---- the server


def http(*, scripted: bool) -> dict[str, Json]:
    """Answers of the server by the request's name: status, and the body without what varies.

    With scripted models to all requests; with those of the lab to what does not depend on timing.
    """
    found: dict[str, Json] = {}
    last = ""
    with adapter.serving(scripted=scripted) as client:
        for name in cases.REQUESTS if scripted else cases.ON_THE_LAB:
            asked = cases.REQUESTS[name]
            path = asked["path"].replace("{last}", last)
            headers = asked.get("headers", {})
            if "json" in asked:
                sent = json.dumps(asked["json"]).replace("{last}", last)
                headers = {"content-type": "application/json", **headers}
                answer = client.post(path, content=sent, headers=headers)
            else:
                answer = client.get(path, headers=headers)
            kind = answer.headers["content-type"].partition(";")[0]
            body = _streamed(answer.text) if kind == "text/event-stream" else answer.json()
            if "choices" in body and "id" in body:
                last = body["id"]
            found[name] = {"status": answer.status_code, "type": kind, "body": rounded(_settled(body))}
    return found


def _streamed(text: str) -> Json:
    """What a stream said: its last chunk with a receipt, the text joined, and the usage. How the text was cut
    into chunks depends on timing."""
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    parts = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    receipts = [chunk["planner"] for chunk in chunks if "planner" in chunk]
    ends = [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]
    return {
        "object": chunks[0]["object"],
        "content": "".join(parts),
        "finish_reason": ends,
        "planner": receipts,
        "usage": chunks[-1].get("usage"),
        "done": lines[-1],
    }


def _settled(value: Any) -> Any:
    """Without what varies; that a field is there, or null, is kept. A model's id is its name."""
    if isinstance(value, Mapping):
        varies = _VOLATILE - {"id"} if value.get("object") == "model" else _VOLATILE
        return {
            name: "*" if name in varies and each is not None else _settled(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_settled(each) for each in value]
    return value
