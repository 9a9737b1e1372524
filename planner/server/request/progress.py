"""Progress of a request as lines of its stream: SSE comments, which every OpenAI client skips.

    : planner {"type": "decided", "choice": 0, "stage": 0, ...}

A named event would not do: the official client takes any event's data for a chunk.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from planner.server.request.serialize import (
    advice_to_dict,
    known,
    probe_to_dict,
    spend_to_dict,
    votes_to_list,
)
from planner.solving.events import Decided, Drawn, Ended, Event, Grown, Lost, Probed, Pruned, Started

__all__ = ["comment", "progress_to_dict"]

_Json = dict[str, Any]


def progress_to_dict(event: Event, choice: int = 0, usd: float | None = None) -> _Json | None:
    """An event in JSON; None for one that a client does not hear of. ``choice`` numbers the answers."""
    teller = _TELLERS.get(type(event))
    if teller is None:
        return None
    kind, body = teller(event)
    return {"type": kind, "choice": choice, **body, "spend": spend_to_dict(event.spend, usd)}


def comment(body: _Json) -> bytes:
    """A comment line of a stream."""
    line = json.dumps(body, separators=(",", ":"), allow_nan=False)
    return f": planner {line}\n\n".encode()


def _decided(event: Decided) -> tuple[str, _Json]:
    return "decided", {
        "stage": event.stage,
        "look": probe_to_dict(event.probe),
        "advice": advice_to_dict(event.advice),
    }


def _started(event: Started) -> tuple[str, _Json]:
    choice = event.choice
    return "started", {
        "policy": choice.policy,
        "prm": choice.prm,
        "plan": str(choice.plan),
        "look": probe_to_dict(event.probe),
    }


def _drawn(event: Drawn) -> tuple[str, _Json]:
    candidate = event.candidate
    return "drawn", {
        "draw": event.draw,
        "text": candidate.text,
        "answer": candidate.answer,
        "step_rewards": list(candidate.step_rewards),
        "tokens": candidate.tokens,
        "finish_reason": candidate.finish_reason,
        "votes": votes_to_list(event.votes),
        "missing": event.missing,
    }


def _grown(event: Grown) -> tuple[str, _Json]:
    return "grown", {
        "node": event.node,
        "parent": event.parent,
        "steps": event.steps,
        "text": event.text,
        "reward": known(event.reward),
        "tokens": event.tokens,
        "finish_reason": event.finish_reason,
        "answer": event.answer,
        "votes": votes_to_list(event.votes),
    }


def _pruned(event: Pruned) -> tuple[str, _Json]:
    return "pruned", {"kept": list(event.kept), "dropped": list(event.dropped)}


def _probed(event: Probed) -> tuple[str, _Json]:
    return "looked", {"look": probe_to_dict(event.probe), "candidates": event.candidates}


def _ended(event: Ended) -> tuple[str, _Json]:
    return "ended", {"why": str(event.why), "missing": event.missing}


def _lost(event: Lost) -> tuple[str, _Json]:
    return "lost", {"prm": event.prm}


_TELLERS: dict[type, Callable[[Any], tuple[str, _Json]]] = {
    Decided: _decided,
    Started: _started,
    Drawn: _drawn,
    Grown: _grown,
    Pruned: _pruned,
    Probed: _probed,
    Ended: _ended,
    Lost: _lost,
}
