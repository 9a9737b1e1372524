"""Runs that plans share: plans that differ only in how they pick the answer need one tree between them.

The first of them in a grid is run; the others' rows are its candidates under another score or vote. A log
that holds the runs of such a plan already serves as well, so another vote costs nothing afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from search.campaigns.unit import Unit
from search.errors import PlanError
from search.grading.registry import domain
from search.log.records import table_frame
from search.log.revote import Row, revoted
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan
from search.problem import Problem

__all__ = ["shared_frame", "shared_rows", "with_sources"]

#: policy, PRM and plan -> (problem, run) of the rows that a log holds
_Held = dict[tuple[str, str, Plan], set[tuple[str, int]]]


def with_sources(units: Sequence[Unit], log: SearchLog) -> list[Unit]:
    """The units that are to be done, with a ``source`` where another plan's runs hold their candidates: runs
    that the log has, or those of an earlier unit."""
    if not any(unit.table == "runs" and unit.plan.described.picking for unit in units):
        return list(units)
    held = _held(log)
    first: dict[tuple[object, ...], Plan] = {}
    return [unit if unit.table != "runs" else _with_source(unit, held, first) for unit in units]


def _with_source(unit: Unit, held: _Held, first: dict[tuple[object, ...], Plan]) -> Unit:
    tree = unit.plan.tree
    wanted = {(problem.problem_id, unit.first) for problem in unit.problems}
    for (policy, prm, plan), rows in held.items():
        same = (policy, prm, plan.tree) == (unit.policy, unit.prm, tree)
        if same and plan != unit.plan and wanted <= rows:
            return replace(unit, source=plan)
    plan = first.setdefault((unit.policy, unit.prm, tree, frozenset(wanted)), unit.plan)
    return unit if plan == unit.plan else replace(unit, source=plan)


def _held(log: SearchLog) -> _Held:
    held: _Held = {}
    known: dict[str, Plan | None] = {}
    rows = log.read("runs", ("problem_id", "policy", "prm", "plan", "run"))
    for problem, policy, prm, text, run in rows.iter_rows():
        if text not in known:
            known[text] = _parsed(text)
        plan = known[text]
        if plan is not None:
            held.setdefault((policy, prm, plan), set()).add((problem, run))
    return held


def _parsed(text: str) -> Plan | None:
    """None for a plan of a strategy that is not there."""
    try:
        return Plan.parse(text)
    except PlanError:
        return None


async def shared_rows(unit: Unit, log: SearchLog) -> pl.DataFrame:
    """``shared_frame``, beside the loop where grading waits for other processes."""
    if any(domain(problem.domain).waits for problem in unit.problems):
        return await asyncio.to_thread(shared_frame, unit, log)
    return shared_frame(unit, log)


def shared_frame(unit: Unit, log: SearchLog) -> pl.DataFrame:
    """Rows of ``runs`` for a unit with a source: the candidates and costs of the source's runs, and the
    answer that the unit's own plan picks. Nothing was sent for them, so their physical tokens are 0."""
    ids = [problem.problem_id for problem in unit.problems]
    query = log.scan("runs").filter(
        pl.col("policy") == unit.policy,
        pl.col("prm") == unit.prm,
        pl.col("plan") == str(unit.source),
        pl.col("run") == unit.first,
        pl.col("problem_id").is_in(ids),
    )
    found: dict[object, Row] = {
        row["problem_id"]: row for row in query.sort(TABLES["runs"].key).collect().iter_rows(named=True)
    }
    there = [problem for problem in unit.problems if problem.problem_id in found]  # others have failed
    rows = [_shared(found[problem.problem_id], unit.plan, problem) for problem in there]
    return table_frame("runs", rows)


def _shared(row: Row, plan: Plan, problem: Problem) -> Row:
    grader = domain(problem.domain)
    voted = revoted(row, plan, problem, lambda answer: grader.grade(problem, answer))
    return {**voted, "plan": str(plan), "physical_policy_tokens": 0, "physical_prm_tokens": 0}
