"""How often the graders are wrong, on cases whose truth is known, beside math-verify alone.

    PLANNER_DATA=../shared/data python benchmarks/grading.py [--cases FILE ...]

Cases are JSON lines as ``planner grade`` takes them, with ``equal`` (programs: ``right``), whether a careful
human calls the solution right, and perhaps ``kind``. By default those of ``PLANNER_DATA/grader_cases``. Two
faults are counted: false equal (called right, and is not) of all cases that are wrong, and false different
(called wrong, or unreadable, and is right) of all that are right. math-verify reads the same texts by its own
rules, the reference inside of dollars.

Prints the table, and every case that is judged otherwise than it is labelled; writes both to ``grading.md``
and ``grading.json`` beside itself.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.grading.pairs import grade_pairs, read_pairs

HERE = Path(__file__).parent
OURS, LIBRARY = "planner", "math-verify alone"


@dataclass(frozen=True)
class Scoring:
    """One case: its record, the grader that was asked, the truth, and what it said."""

    record: Mapping[str, Any]
    grader: str
    truth: bool
    right: bool
    read: str | None

    @property
    def is_fault(self) -> bool:
        return self.right != self.truth


def main() -> None:
    """Grade, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=Path, action="append")
    asked = parser.parse_args()
    files = asked.cases or [Path(os.environ.get("PLANNER_DATA", ".")) / "grader_cases" / "cases.jsonl"]
    judged = [case for path in files for case in _judged(path)]
    rows = _rows(judged)
    faults = [case for case in judged if case.is_fault]
    lines = [
        "# What the graders get wrong",
        "",
        "`python benchmarks/grading.py`, which says what is counted.",
        "",
        "| domain | grader | cases | false equal | of | share | false different | of | share |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
        "",
        "## What is left",
        "",
        *(_told(case) for case in faults if case.grader == OURS),
        *(["Nothing."] if not any(case.grader == OURS for case in faults) else []),
    ]
    print("\n".join(lines))
    (HERE / "grading.md").write_text("\n".join(lines) + "\n")
    told = {"rows": rows, "left": [dict(case.record) for case in faults if case.grader == OURS]}
    (HERE / "grading.json").write_text(json.dumps(told, indent=1) + "\n")


def _judged(path: Path) -> Iterable[Scoring]:
    lines = read_pairs(path)
    records = [json.loads(line) for line in lines]
    for record, graded in zip(records, grade_pairs(lines), strict=True):
        truth = record["right"] if "right" in record else record["equal"]
        yield Scoring(record, OURS, truth, graded.right is True, graded.read)
        if record["domain"] == "math":
            yield Scoring(record, LIBRARY, truth, _by_library(record["reference"], record["solution"]), None)


def _by_library(reference: str, solution: str) -> bool:
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)  # it warns of every timeout
    return bool(verify(parse(f"${reference}$"), parse(solution)))


def _rows(judged: Sequence[Scoring]) -> list[dict[str, Any]]:
    pairs = sorted({(case.record["domain"], case.grader != OURS) for case in judged})
    rows = []
    for domain, is_library in pairs:
        cases = [c for c in judged if c.record["domain"] == domain and (c.grader != OURS) == is_library]
        wrong, right = ([c for c in cases if c.truth is truth] for truth in (False, True))
        rows.append(
            {
                "domain": domain,
                "grader": LIBRARY if is_library else OURS,
                "cases": len(cases),
                "false_equal": sum(case.is_fault for case in wrong),
                "wrong": len(wrong),
                "false_different": sum(case.is_fault for case in right),
                "right": len(right),
            }
        )
    return rows


def _line(row: Mapping[str, Any]) -> str:
    shares = [_share(row["false_equal"], row["wrong"]), _share(row["false_different"], row["right"])]
    cells = [row["domain"], row["grader"], row["cases"], row["false_equal"], row["wrong"], shares[0]]
    return f"| {' | '.join(map(str, [*cells, row['false_different'], row['right'], shares[1]]))} |"


def _share(faults: int, cases: int) -> str:
    return f"{100 * faults / cases:.1f}%" if cases else "-"


def _told(case: Scoring) -> str:
    record = case.record
    asked = record.get("reference", record.get("entry_point"))
    kind = "false equal" if case.right else "false different"
    said = f"reference `{asked}`, read `{case.read}`, solution {record['solution']!r}"
    return f"- {record['domain']}, {kind}: {said}"


if __name__ == "__main__":
    main()
