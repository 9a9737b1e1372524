"""Controls: a log in which one kind of evidence tells nothing any more.

- ``questions``: texts are exchanged among problems, so that no question tells anything about its answers;
- ``logprobs``: what a policy said about its tokens is exchanged among all samples of that policy;
- ``rewards``: what a PRM said is exchanged among all samples that it scored.

Answers, tokens, costs and gradings stay, so that every rule that does not use the evidence is worth the same
as before. A planner that learns from such a log must fall back on rules; where it falls below them, it
follows noise. Tree searches were steered by the real rewards and stay as they were run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evidence.pools import PolicyPool
from planner.evidence.training_data import TrainingData
from search.errors import LogError

__all__ = ["CONTROLS", "controls_of", "shuffled"]


def _questions(data: TrainingData, rng: np.random.Generator) -> TrainingData:
    order = rng.permutation(len(data))
    return replace(data, questions=tuple(data.questions[at] for at in order))


def _logprobs(data: TrainingData, rng: np.random.Generator) -> TrainingData:
    return replace(data, pools={name: _mute(pool, rng) for name, pool in data.pools.items()})


def _mute(pool: PolicyPool, rng: np.random.Generator) -> PolicyPool:
    order = rng.permutation(pool.codes.size)
    return replace(
        pool,
        mean_logprob=_moved(pool.mean_logprob, order),
        min_logprob=_moved(pool.min_logprob, order),
        signals={signal: _moved(values, order) for signal, values in pool.signals.items()},
        greedy=None if pool.greedy is None else _mute(pool.greedy, rng),
    )


def _rewards(data: TrainingData, rng: np.random.Generator) -> TrainingData:
    return replace(data, pools={name: _unjudged(pool, rng) for name, pool in data.pools.items()})


def _unjudged(pool: PolicyPool, rng: np.random.Generator) -> PolicyPool:
    prms = {
        prm: replace(held, summary=_moved(held.summary, rng.permutation(pool.codes.size)))
        for prm, held in pool.prms.items()
    }
    greedy = None if pool.greedy is None else _unjudged(pool.greedy, rng)
    return replace(pool, prms=prms, greedy=greedy)


def _moved(values: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """Samples (P, D, ...) in another order over problems and draws alike."""
    flat = values.reshape(len(order), *values.shape[2:])
    return flat[order].reshape(values.shape)


#: name -> how it is shuffled
CONTROLS: Mapping[str, Callable[[TrainingData, np.random.Generator], TrainingData]] = MappingProxyType(
    {"questions": _questions, "logprobs": _logprobs, "rewards": _rewards}
)


def shuffled(data: TrainingData, control: str, *, seed: int = 0) -> TrainingData:
    """The log with one kind of evidence shuffled. Equal seeds give equal logs.

    Raises LogError for a name that is not in ``CONTROLS``.
    """
    if control not in CONTROLS:
        raise LogError(f"a control is one of {', '.join(CONTROLS)}, got {control!r}")
    return CONTROLS[control](data, np.random.default_rng([seed, list(CONTROLS).index(control)]))


def controls_of(data: TrainingData) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The controls that mean something on a log, and why the others do not."""
    missing = {}
    if not any(_told(pool) for pool in data.pools.values()):
        missing["logprobs"] = "no logprobs were logged"
    if not any(pool.prms for pool in data.pools.values()):
        missing["rewards"] = "no PRM scored the samples"
    return tuple(name for name in CONTROLS if name not in missing), missing


def _told(pool: PolicyPool) -> bool:
    """Whether samples differ in what the policy said about their tokens."""
    said = (pool.mean_logprob, pool.min_logprob, *pool.signals.values())
    return any(len(np.unique(values[np.isfinite(values)])) > 1 for values in said)
