"""Which domain a question belongs to, by the planner that is to decide about it; or that it is foreign.

The one place where this is asked, for the Python API, the command line and the server. A domain that is named
counts. Otherwise the graders say whose question it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.fitted import Fitted
from search.errors import GradingError
from search.grading.registry import DOMAINS, guess_domain

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


def assign(planner: Fitted, question: str, domain: str | None = None) -> Assigned:
    """The domain of a question, or why nothing is planned for it.

    ``domain`` overrides what the planner would say. Raises GradingError for one that nobody knows.
    """
    if domain is not None:
        if domain not in DOMAINS:
            raise GradingError(f"domain must be one of {', '.join(DOMAINS)}, got {domain!r}")
        return Assigned(domain, True)
    guessed = guess_domain(question)
    if guessed is None or guessed.name not in planner.domains:
        return Assigned(PLAIN, False, "no domain claims this question, so answers cannot be compared")
    return Assigned(guessed.name, True)
