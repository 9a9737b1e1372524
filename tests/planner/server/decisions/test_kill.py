"""A server that is killed for real loses no more than the last second, and nothing it acknowledged."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from planner.server.decisions.recorder import DecisionQuery
from planner.server.decisions.store import Store

ROOT = Path(__file__).resolve().parents[4]

#: what may be lost: decisions handed over in the last second
WINDOW = 1.0


@pytest.mark.slow
@pytest.mark.parametrize("lines", [40, 400, 900])
def test_kill_9(where: str, lines: int) -> None:
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("dies.py")), where],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    said += child.stdout.read().splitlines(keepends=True)
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    whole = [line.split() for line in said if line.endswith("\n")]
    put = {name: float(rest[0]) for what, name, *rest in whole if what == "put"}
    told = {name for what, name, *_ in whole if what == "told"}
    assert told
    store = Store.open(where)
    kept = {record.decision.decision_id: record for record in _all(store)}
    store.close()
    end = max(put.values())
    lost = [end - moment for name, moment in put.items() if name not in kept]
    assert max(lost, default=0.0) <= WINDOW
    for name in told:
        assert len(kept[name].feedback) == 1
    for record in kept.values():
        assert (len(record.decision.steps), len(record.decision.candidates)) == (2, 3)
    # nothing is missing between two that are there
    assert sorted(kept) == [f"d{number:06d}" for number in range(len(kept))]


def _all(store: Store):  # type: ignore[no-untyped-def]
    wanted = DecisionQuery(limit=1000)
    while found := store.search(wanted):
        yield from found
        wanted = DecisionQuery(limit=1000, before=found[-1].decision.decision_id)
