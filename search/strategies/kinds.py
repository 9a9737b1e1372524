"""Kinds of strategies: what a log must hold so that a plan's outcome follows from it."""

from __future__ import annotations

from enum import Enum

__all__ = ["Replay"]


class Replay(Enum):
    """What a log needs to hold so that a plan's outcome follows from it."""

    GREEDY = "greedy"  # the greedy draw
    VOTE = "vote"  # any n draws of the pool, and the plan's vote over them
    ORDER = "order"  # draws of one or more policies in an order: ``Strategy.replay`` says what comes of them
    NEVER = "never"  # it must be run: partial solutions are steered, or prompts follow from answers
