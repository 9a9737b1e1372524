"""Keeps the mean cost of a stream of requests at a budget.

A price calibrated before meets its budget only while requests are like those it was calibrated on. Here
what was spent beyond or below the budget so far is made up over the next ``horizon`` requests: an integral
controller around the calibrated price, so that the mean's error falls as one over the number of requests
whatever the calibration missed by.
"""

from __future__ import annotations

import threading

from planner.fitted import Fitted
from planner.objective import MeanBudget
from search.errors import BudgetError
from search.result import Spend

__all__ = ["Stream"]


class Stream:
    """A mean budget over the requests that share it. Safe to share between threads.

    Parameters
    ----------
    budget:
        Mean per request.
    horizon:
        Requests over which an error is made up: few follow quickly and decide unevenly.

    Ask ``objective`` before each request, decide under it, and ``settle`` what the request took.

    Raises BudgetError for a horizon below 1.
    """

    def __init__(self, planner: Fitted, budget: MeanBudget, *, horizon: int = 64) -> None:
        if horizon < 1:
            raise BudgetError(f"a stream makes up for errors over at least 1 request, got {horizon}")
        costs = planner.frontier.flops if budget.unit == "flops" else planner.frontier.tokens
        self._lowest, self._highest = float(costs.min()), float(costs.max())
        self._budget = budget
        self._horizon = horizon
        self._lock = threading.Lock()
        self._requests = 0
        self._spent = 0.0

    @property
    def requests(self) -> int:
        """Requests settled."""
        return self._requests

    @property
    def mean(self) -> float:
        """Mean spent per request so far, in the budget's unit; 0 before the first."""
        with self._lock:
            return self._spent / max(self._requests, 1)

    def objective(self) -> MeanBudget:
        """What the next request may take on average."""
        with self._lock:
            owed = self._budget.amount * self._requests - self._spent
        amount = self._budget.amount + owed / self._horizon
        # beyond what the planner can spend, or below its cheapest, a larger correction changes nothing
        low = min(self._lowest, self._budget.amount)
        high = max(self._highest, self._budget.amount)
        return MeanBudget(min(max(amount, low), high), self._budget.unit)

    def settle(self, spend: Spend) -> None:
        """Tell what a request has spent, whether or not it was answered."""
        with self._lock:
            self._requests += 1
            self._spent += spend.flops if self._budget.unit == "flops" else float(spend.tokens)
