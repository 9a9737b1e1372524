"""Keeps the mean cost of a stream of requests at a budget.

A price calibrated before meets its budget only while requests are like those it was calibrated on. Here
what was spent beyond or below the budget so far is made up over the next ``horizon`` requests: an integral
controller around the calibrated price, so that the mean's error falls as one over the number of requests
whatever the calibration missed by.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from planner.planner import Planner
from planner.solving.solution import Solution
from search.budget import Budget
from search.errors import BudgetError
from search.problem import Problem
from search.result import Spend

__all__ = ["Stream"]


class Stream:
    """A mean budget over the requests that share it. Safe to share between threads.

    Parameters
    ----------
    budget:
        With ``mean_flops`` or ``mean_tokens``, the mean per request; its caps bind each request.
    horizon:
        Requests over which an error is made up: few follow quickly and decide unevenly.

    ``solve`` and ``asolve`` answer within it. Whoever answers otherwise asks ``budget`` before each request,
    decides under it, and tells ``settle`` what the request took.

    Raises BudgetError for a budget without a mean and a horizon below 1.
    """

    def __init__(self, planner: Planner, budget: Budget, *, horizon: int = 64) -> None:
        if horizon < 1:
            raise BudgetError(f"a stream makes up for errors over at least 1 request, got {horizon}")
        mean = budget.mean_flops or budget.mean_tokens
        if mean is None:
            raise BudgetError(f"a stream keeps a mean_flops or a mean_tokens, got {budget}")
        self._field = "mean_tokens" if budget.mean_flops is None else "mean_flops"
        costs = planner.frontier.tokens if budget.mean_flops is None else planner.frontier.flops
        self._lowest, self._highest = min(float(costs.min()), mean), max(float(costs.max()), mean)
        self._planner = planner
        self._budget = budget
        self._target = mean
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

    def budget(self) -> Budget:
        """What the next request may take on average."""
        with self._lock:
            owed = self._target * self._requests - self._spent
        amount = self._target + owed / self._horizon
        # beyond what the planner can spend, or below its cheapest, a larger correction changes nothing
        changed: dict[str, Any] = {self._field: min(max(amount, self._lowest), self._highest)}
        return replace(self._budget, **changed)

    def settle(self, spend: Spend) -> None:
        """Tell what a request has spent, whether or not it was answered."""
        with self._lock:
            self._requests += 1
            self._spent += spend.flops if self._field == "mean_flops" else float(spend.tokens)

    def solve(self, question: str | Problem, **how: Any) -> Solution:
        """``Planner.solve`` within this stream; ``how`` is everything it takes but a budget."""
        found = self._planner.solve(question, budget=self.budget(), **how)
        self.settle(found.spend)
        return found

    async def asolve(self, question: str | Problem, **how: Any) -> Solution:
        """``Planner.asolve`` within this stream; ``how`` is everything it takes but a budget."""
        found = await self._planner.asolve(question, budget=self.budget(), **how)
        self.settle(found.spend)
        return found
