"""Rules: the choices that anybody could write down, made for a search log.

Each rule is a plan like any other: a vote that stops when it is sure (Adaptive-Consistency, Aggarwal et al.,
arXiv 2305.11860), the same with weighted votes, and a cascade from a cheaper to a dearer policy (Yue et al.,
arXiv 2310.03094). A planner picks among them as among the plans of the log, and falls back on the best of
them where it has learned nothing better. Weights are picked on the log
(``planner.evaluation.baselines.vote_weights``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from planner.evaluation.baselines.vote_weights import pick_weights
from planner.evidence.training_data import TrainingData, replayable
from search.choice import Choice
from search.plan import Plan
from search.strategies.adaptive.weights import LEARNED, Weights

__all__ = ["STOPS", "consistency_choices", "largest", "pick_weights", "rule_choices", "with_rules"]

#: at which certainty a vote stops, and how many samples that all agree reach it. One is the first that can
#: be read
STOPS = {0.7: 1, 0.8: 2, 0.9: 3, 0.96: 4, 0.99: 6}
#: policies between which cascades are made, the cheapest first
_POLICIES = 6


def with_rules(data: TrainingData, *, seed: int = 0) -> TrainingData:
    """The same data, whose choices include the rules that it can replay."""
    return replace(data, choices=tuple(sorted({*data.choices, *rule_choices(data, seed=seed)}, key=str)))


def rule_choices(data: TrainingData, *, seed: int = 0) -> tuple[Choice, ...]:
    """Adaptive votes of every policy with at least two draws, plain and weighted, and cascades."""
    weights = {policy: pick_weights(data, policy, seed=seed) for policy in data.pools}
    votes = [choice for policy in data.pools for choice in _votes(data, policy, weights[policy])]
    return _replayable([*votes, *_cascades(data)], data)


def consistency_choices(data: TrainingData) -> tuple[Choice, ...]:
    """What needs no learning at all: one answer of every policy, and its plain adaptive votes."""
    found = [
        choice for policy in data.pools for choice in (next(_answers(data, policy)), *_votes(data, policy))
    ]
    return _replayable(found, data)


def _replayable(choices: Iterable[Choice], data: TrainingData) -> tuple[Choice, ...]:
    return tuple(choice for choice in choices if replayable(choice, data.pools, data.trees))


def largest(data: TrainingData, policy: str) -> int:
    """The most samples that a logged plan of a policy draws, of those in its pool."""
    drawn = [
        c.plan.n for c in data.choices if c.policy == policy and not c.plan.must_run and not c.plan.parts
    ]
    return min(max(drawn, default=1), data.pools[policy].draws)


def _votes(
    data: TrainingData, policy: str, weighted: Iterable[tuple[str | None, Weights]] = ()
) -> Iterator[Choice]:
    most = largest(data, policy)
    if most < 2:
        return
    weighed: list[tuple[str | None, Weights | None]] = [(None, None), *weighted]
    for n in _caps(most):
        for stop, alike in STOPS.items():
            if alike < n:
                for prm, weights in weighed:
                    spelled = {} if weights is None else _spelled(weights)
                    plan = Plan.of("adaptive_vote", n=n, stop=stop, ahead=1, **spelled)
                    # learned weights may give a PRM that says nothing no part in them
                    yield Choice(policy, prm if plan.needs_prm else None, plan)


def _caps(most: int) -> list[int]:
    """2, 4, 8, 16, ... and ``most``, the last four of them."""
    powers = [2**power for power in range(1, most.bit_length()) if 2**power <= most]
    return sorted({*powers, most})[-4:]


def _spelled(weights: Weights) -> Mapping[str, object]:
    spelled: dict[str, object] = {"weight": weights.kind, "level": weights.level}
    if weights.kind in LEARNED:
        return spelled | {"terms": weights.terms, "bias": weights.bias}
    return spelled | ({"signal": weights.signal, "scale": weights.scale} if weights.asks_signal else {})


def _cascades(data: TrainingData) -> list[Choice]:
    """From each policy to each dearer one: the cheaper vote stands where it is unanimous, or nearly."""
    price = {
        name: data.policies[name].flops(float(pool.tokens.mean() + pool.prompt.mean()))
        for name, pool in data.pools.items()
    }
    ordered = sorted(price, key=lambda name: (price[name], name))[:_POLICIES]
    found = []
    for cheap, dear in combinations(ordered, 2):
        n = min(largest(data, cheap), 4)
        if n < 2:
            continue
        firsts = [(Plan.of("majority", n=2), 1.0)]
        if n > 2:
            firsts.append((Plan.of("adaptive_vote", n=n, stop=0.8, ahead=1), 0.74))
        for first, tau in firsts:
            for then in _answers(data, dear):
                plan = Plan.of("cascade", first=Choice(cheap, None, first), tau=tau, then=then)
                found.append(Choice(cheap, None, plan))
    return found


def _answers(data: TrainingData, policy: str) -> Iterator[Choice]:
    """One answer of a policy, and its best vote."""
    pool, n = data.pools[policy], largest(data, policy)
    if pool.greedy_code is not None:
        yield Choice(policy, None, Plan.of("cot"))
    else:
        yield Choice(policy, None, Plan.of("majority", n=1))
    if n > 2:
        yield Choice(policy, None, Plan.of("adaptive_vote", n=n, stop=0.9, ahead=1))
