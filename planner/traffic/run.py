"""From the address of a decision log and the folder of a planner to estimates: what the commands call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from planner.planner import Planner
from planner.traffic.feedback_file import read_feedback
from planner.traffic.sources import Source, Sources
from search.errors import ArtefactError, MissingExtraError

try:
    from planner.server.decisions.store import Store
    from planner.traffic.follow import Follower
    from planner.traffic.gather import Gathered, gather
    from planner.traffic.ope import OpeReport, evaluate_offline
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"estimates from a decision log need {error.name}: pip install 'test-time-planner[serve]'"
    ) from error

__all__ = ["evaluate_log", "fingerprint_of", "follow_log", "sources_of"]


def evaluate_log(
    decisions: str,
    folder: Path,
    *,
    sources: Sequence[str] = (),
    feedback: Path | None = None,
    least_price: float = 0.0,
) -> OpeReport:
    """Estimate the planner in ``folder`` on a decision log.

    ``sources`` as ``Source.parse`` takes them. Raises DecisionLogError, ArtefactError, RecordError.
    """
    told = sources_of(sources)
    gathered = follow_log(
        decisions, Planner.load(folder), fingerprint_of(folder), feedback=feedback, least_price=least_price
    )
    return evaluate_offline(gathered, told)


def follow_log(
    decisions: str,
    planner: Planner,
    fingerprint: str,
    *,
    feedback: Path | None = None,
    least_price: float = 0.0,
    since: float | None = None,
) -> Gathered:
    """A planner followed through a decision log, from ``since`` on (seconds since the epoch).

    Raises ArtefactError for a planner of other models.
    """
    extra = None if feedback is None else read_feedback(feedback)
    store = Store.read(decisions)
    try:
        follower = Follower(planner, fingerprint, least_price=least_price)
        gathered = gather(store, follower, extra=extra, since=since)
    finally:
        store.close()
    if not gathered.policies & set(planner.policies):
        raise ArtefactError(
            f"a planner is estimated on decisions about its own models "
            f"({', '.join(sorted(planner.policies))}), got {', '.join(sorted(gathered.policies))}"
        )
    return gathered


def fingerprint_of(folder: Path) -> str:
    """As decisions name a planner: of its manifest, which holds the hashes of everything else."""
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def sources_of(given: Sequence[str]) -> Sources:
    """Sources as the command line tells them. Raises RecordError."""
    return Sources(dict(Source.parse(one) for one in given))
