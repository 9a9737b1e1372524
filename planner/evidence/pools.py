"""The samples, scores and runs of a search log as arrays, equally many for every problem.

Problems lie along the first axis everywhere, draws along the second. Answers are whole numbers per problem
(``search.log.numbering``): equal by the domain's equality, equal numbers, whichever policy wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import LogError
from search.scores import SCORES

__all__ = ["PolicyPool", "PrmPool", "TreeRuns"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: as narrow as the log has them: millions of them lie in memory
Numbers = NDArray[np.number[Any]]


@dataclass(frozen=True, slots=True)
class PrmPool:
    """A PRM's view of a pool: tokens ``prompt`` (P,) and ``tokens`` (P, D); ``summary`` (P, D, 8)."""

    prompt: Floats
    tokens: Numbers
    summary: NDArray[np.float32]

    def score(self, name: str) -> NDArray[np.float32]:
        """(P, D) scores; ``name`` is one of ``search.scores.SCORES``."""
        return self.summary[:, :, SCORES.index(name)]


@dataclass(frozen=True, slots=True)
class PolicyPool:
    """A policy's pool, arrays (P, D) unless said otherwise. ``greedy_*`` (P,) are None if not logged.

    ``draws`` is 0 for a policy of which there are greedy answers only: its arrays then hold those, D = 1.
    ``signals``: those of ``search.strategies.adaptive.weights.SIGNALS`` that the log has, NaN where not
    known. ``thought``, ``thought_cut``: tokens of thought, NaN where not known, and whether a budget ended
    it; None for a policy that never thinks.
    ``greedy``: the greedy answers as a pool of one draw, where the log has them beside the samples.
    """

    codes: NDArray[np.signedinteger[Any]]
    prompt: Floats  # (P,)
    tokens: Numbers
    steps: Numbers
    mean_logprob: NDArray[np.floating[Any]]
    min_logprob: NDArray[np.floating[Any]]
    truncated: NDArray[np.bool_]
    greedy_code: Ints | None
    greedy_tokens: Floats | None
    prms: Mapping[str, PrmPool]
    signals: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    is_greedy: bool = False
    greedy: PolicyPool | None = None
    thought: NDArray[np.float32] | None = None
    thought_cut: NDArray[np.bool_] | None = None

    @property
    def thinks(self) -> bool:
        """Whether the log has thoughts of it."""
        return self.thought is not None

    @property
    def draws(self) -> int:
        """Samples per problem."""
        return 0 if self.is_greedy else int(self.codes.shape[1])

    def greedy_first(self) -> PolicyPool:
        """The pool whose first draw is the greedy answer, D + 1 draws; with the PRMs that scored it too.

        Raises LogError where the log has no greedy answers beside samples.
        """
        one = self.greedy
        if one is None:
            raise LogError("a greedy answer is seen first where the log has one of each problem, got none")

        def joined(first: NDArray[Any], rest: NDArray[Any]) -> Any:
            return np.concatenate([first.astype(rest.dtype), rest], axis=1)

        columns = ("codes", "tokens", "steps", "mean_logprob", "min_logprob", "truncated")
        arrays = {name: joined(getattr(one, name), getattr(self, name)) for name in columns}
        prms = {}
        for prm, held in self.prms.items():
            if prm in one.prms:
                first = one.prms[prm]
                tokens, summary = joined(first.tokens, held.tokens), joined(first.summary, held.summary)
                prms[prm] = PrmPool(held.prompt, tokens, summary)
        signals = {
            name: joined(one.signals.get(name, np.full_like(values[:, :1], np.nan)), values)
            for name, values in self.signals.items()
        }
        thought = None if self.thought is None else joined(one.known_thought, self.thought)
        cut = None if self.thought_cut is None else joined(one.known_cut, self.thought_cut)
        return replace(self, **arrays, prms=prms, signals=signals, thought=thought, thought_cut=cut)

    @property
    def known_thought(self) -> NDArray[np.float32]:
        """(P, D) tokens of thought, NaN where nothing is known."""
        if self.thought is not None:
            return self.thought
        return np.full(self.codes.shape, np.nan, np.float32)

    @property
    def known_cut(self) -> NDArray[np.bool_]:
        """(P, D): whether a budget ended the thought."""
        return np.zeros(self.codes.shape, np.bool_) if self.thought_cut is None else self.thought_cut


@dataclass(frozen=True, slots=True)
class TreeRuns:
    """Runs of one choice that must be run, a tree search say: ``code`` (P, R) is each run's answer, tokens
    (P, R) are logical, ``codes`` and ``scores`` (P, R, M) are the candidates' (-1 and 0 beyond their
    number)."""

    code: Ints
    policy_tokens: Floats
    prm_tokens: Floats
    codes: Ints
    scores: NDArray[np.float32]
