"""Latency feedback from past decisions: the work, tokens and seconds of each stage."""

from __future__ import annotations

import re
from collections.abc import Iterator

from planner.server.decisions.recorder import Decision
from planner.solving.latency import Work
from search.choice import Choice
from search.errors import PlanError
from search.plan import Plan

__all__ = ["work_of"]

#: as ``str(Probe)`` has it
_PROBE = re.compile(r"(\d+) samples of (.+?)(?: scored by (.+))?")


def work_of(decision: Decision) -> Iterator[tuple[Work, int, float, int]]:
    """(work, tokens, seconds, load) of each stage; the load then is not known and taken to be 1."""
    if decision.error is not None or decision.outcome in ("failed", "cancelled", "refused", "deadline"):
        return
    for step in decision.steps:
        drawn = _samples(step.look)
        if step.next_look is None:
            try:
                work = Work.of(Choice(step.policy, step.prm, Plan.parse(step.plan)), drawn)
            except PlanError:
                continue
        else:
            found = _PROBE.fullmatch(step.next_look)
            if found is None:
                continue
            work = Work(policy=found[2], prm=found[3], n=max(1, int(found[1]) - drawn), is_tree=False)
        yield work, step.spend.tokens, step.spend.seconds, 1


def _samples(look: str) -> int:
    found = _PROBE.fullmatch(look)
    return 0 if found is None else int(found[1])
