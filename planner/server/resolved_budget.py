"""Whether a request's deadline leaves time for work."""

from __future__ import annotations

from planner.server.refusal import Refusal

__all__ = ["check_time"]

#: seconds below which no work is begun
_LEAST = 0.005


def check_time(seconds: float | None, passed: float) -> None:
    """Raise Refusal (400) for a deadline, ``passed`` seconds after arrival, that leaves no time for work."""
    if seconds is not None and seconds - passed < _LEAST:
        raise Refusal(
            f"a budget must leave {_LEAST:g} s for the work, got {seconds:.3g} s and {passed:.3g} s passed",
            param="budget",
            code="budget",
        )
