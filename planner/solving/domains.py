"""Which domain a question belongs to, by the planner that is to decide about it; or that it is foreign.

The one place where this is asked, for the Python API, the command line and the server. A domain that is named
counts. Otherwise the planner's own model says it (``planner.features.familiarity``). Planners from before
there was one take every question if they know one domain, and else ask the graders of their domains.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.decider import Decider
from search.errors import GradingError
from search.grading.registry import DOMAINS
from search.grading.registry import domain as grader

__all__ = ["PLAIN", "Assigned", "assign"]

#: the domain of questions that are answered once, whose answers nothing compares
PLAIN = "text"


@dataclass(frozen=True, slots=True)
class Assigned:
    """What is decided about a question before anything else.

    Parameters
    ----------
    domain:
        What reads and compares answers; ``text`` where nothing is planned.
    planned:
        Whether the planner decides; otherwise the question gets one plain answer.
    reason:
        Why nothing is planned, a sentence without its stop; "" where something is.
    """

    domain: str
    planned: bool
    reason: str = ""


def assign(planner: Decider, question: str, domain: str | None = None) -> Assigned:
    """The domain of a question, or why nothing is planned for it.

    ``domain`` overrides what the planner would say. Raises GradingError for one that nobody knows.
    """
    if domain is not None:
        if domain not in DOMAINS:
            raise GradingError(f"domain must be one of {', '.join(DOMAINS)}, got {domain!r}")
        return Assigned(domain, True)
    if planner.domain_model is not None:
        guess = planner.domain_model.predict(question)
        return _foreign(guess.reason) if guess.domain is None else Assigned(guess.domain, True)
    if len(planner.domains) == 1:
        return Assigned(planner.domains[0], True)
    for name in planner.domains:
        if grader(name).claims(question):
            return Assigned(name, True)
    return _foreign(f"no domain of this planner claims the question ({', '.join(planner.domains)})")


def _foreign(reason: str) -> Assigned:
    return Assigned(PLAIN, False, f"not planned: {reason}")
