"""Rules that anybody could write, for deciding before there is a log: pure functions of prices and budgets.

The cheapest policy votes until the vote is sure (Adaptive-Consistency, Aggarwal et al., arXiv 2305.11860).
Where there are several policies and the budget holds it, a vote whose samples disagree is handed to the next
dearer one (vote-based cascade, Yue et al., arXiv 2310.03094).

How many samples each policy may draw is a step of one sequence in which no number ever falls. A budget takes
the last step that it holds, so a larger budget never means fewer samples:

>>> [steps([1.0, 8.0])[place] for place in (0, 1, 2, 6, 7, 11)]
[(1, 0), (3, 0), (4, 0), (8, 0), (8, 1), (12, 3)]

A dearer policy comes in when the votes before it cost as much as one answer of its. Nothing here knows how
often a policy is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.budget import Prices
from search.cards import ModelCard
from search.choice import Choice
from search.errors import PlanError
from search.plan import Plan

__all__ = [
    "Cap",
    "by_price",
    "cascaded",
    "chain",
    "most_samples",
    "relative_costs",
    "steps",
    "stop_at",
    "worth_it",
]

#: most samples of one policy, the default of Adaptive-Consistency
_MOST = 40
#: samples of the cheapest policy before another one comes in
_BEFORE_OTHERS = 5
#: fewest samples of a vote: two that disagree settle nothing
_LEAST = 3
#: steps beyond the cheapest policy's most, in which dearer ones still grow
_LATER = 20
#: most policies of a cascade
_DEEPEST = 3
#: characters of a policy's name in a cascade, so that the plan stays one that can be read back
_LONGEST_NAME = 100
#: certainty at which a vote ends where a sample costs nothing
_SURE = 0.95
#: certainty of a vote of one sample
_OF_ONE = 0.75
#: accuracy that another policy's answer can add: that of a sure answer over a coin's
_DOUBT = 0.5


@dataclass(frozen=True, slots=True)
class Cap:
    """One cap of a budget, in its own unit.

    Parameters
    ----------
    limit:
        What may be spent.
    prompt, sample:
        By policy, what its prompt costs once, and what each of its samples costs.
    """

    limit: float
    prompt: tuple[float, ...]
    sample: tuple[float, ...]

    def holds(self, samples: Sequence[int]) -> bool:
        """Whether so many samples of each policy stay within it."""
        spent = sum(
            prompt + count * each
            for count, prompt, each in zip(samples, self.prompt, self.sample, strict=True)
            if count
        )
        return spent <= self.limit


def by_price(cards: Mapping[str, ModelCard], prices: Mapping[str, Prices] | None = None) -> tuple[str, ...]:
    """Names of policies, the cheapest first.

    By money where every price is known, else by FLOPs per token; among equals by FLOPs, then as they came.

    >>> cards = {name: ModelCard(name, size, "f", 4096) for name, size in (("l", 9), ("s", 3), ("m", 6))}
    >>> by_price(cards)
    ('s', 'm', 'l')
    >>> by_price(cards, {"l": Prices(1, 1), "s": Prices(1, 2), "m": Prices(0, 1)})
    ('m', 'l', 's')
    """
    known = prices if prices is not None and all(name in prices for name in cards) else None

    def key(name: str) -> tuple[float, float, float]:
        flops = cards[name].flops(1.0)
        return (0.0, 0.0, flops) if known is None else (known[name].generated, known[name].prompt, flops)

    return tuple(sorted(cards, key=key))


def relative_costs(
    names: Sequence[str], cards: Mapping[str, ModelCard], prices: Mapping[str, Prices] | None = None
) -> tuple[float, ...]:
    """What a token of each policy costs, over what one of the first costs, at least 1.

    In money where every price is known and the first is not free, else in FLOPs.
    """
    if prices is not None and all(name in prices for name in names) and prices[names[0]].generated > 0.0:
        cost = [prices[name].generated for name in names]
    else:
        cost = [cards[name].flops(1.0) for name in names]
    return tuple(max(1.0, one / cost[0]) for one in cost)


def steps(relative: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """All steps: samples of each policy at most, the first of which is the cheapest.

    ``relative``: what a sample of each costs in samples of the first, ascending. From one step to the next no
    number falls. One sample is a greedy answer; a policy before another one votes.
    """
    entered: list[int] = [0] * len(relative)
    found: list[tuple[int, ...]] = [tuple([1] + [0] * (len(relative) - 1))]
    for at in range(_LEAST, _MOST + _LATER + 1):
        counts = [min(at, _MOST), *(_grown(at - begun) if begun else 0 for begun in entered[1:])]
        found.append(tuple(counts))
        place = entered.index(0, 1) if 0 in entered[1:] else 0
        cost = sum(count * each for count, each in zip(counts, relative, strict=True))
        votes = at >= _BEFORE_OTHERS if place == 1 else counts[place - 1] >= _LEAST
        if place and votes and (cost >= relative[place] or at >= _MOST):
            entered[place], counts[place] = at, 1
            found.append(tuple(counts))
    return tuple(dict.fromkeys(found))


def _grown(later: int) -> int:
    """Samples of a policy so many steps after it came in: one, then a vote."""
    return 1 if later // 2 + 1 < _LEAST else min(_MOST, later // 2 + 1)


def most_samples(relative: Sequence[float], caps: Sequence[Cap]) -> tuple[int, ...]:
    """Samples of each policy at most: the last step that every cap holds, and one greedy answer at least.

    >>> most_samples([1.0, 1.0], [Cap(4.0, (0.0, 0.0), (1.0, 1.0))])
    (4, 0)
    >>> most_samples([1.0, 1.0], [Cap(6.0, (0.0, 0.0), (1.0, 1.0))])
    (5, 1)
    """
    first, *others = steps(relative)
    return next((step for step in reversed(others) if all(cap.holds(step) for cap in caps)), first)


def stop_at(cost: float) -> float:
    """The certainty at which a vote ends where a sample costs so much accuracy (1.0 is 100 points).

    Another sample adds no more than the chance that the leader is not the majority.

    >>> stop_at(0.0), stop_at(0.1), stop_at(0.9)
    (0.95, 0.9, 0.5)
    """
    return math.floor(1e4 * min(_SURE, max(0.5, 1.0 - cost)) + 1e-9) / 1e4


def worth_it(samples: Sequence[int], costs: Sequence[float]) -> tuple[int, ...]:
    """These samples without those that cost more accuracy than they can add.

    ``costs``: accuracy that a sample of each policy costs by the budget's price. A vote that would end with
    its first sample is a greedy answer, and a cascade ends before a policy whose answer is too dear.

    >>> worth_it((5, 1), (0.01, 0.6)), worth_it((5, 1), (0.3, 0.4))
    ((5, 0), (1, 0))
    """
    if stop_at(costs[0]) <= _OF_ONE:
        return (1, *(0 for _ in samples[1:]))
    dear = next((place for place, cost in enumerate(costs) if place and cost >= _DOUBT), len(samples))
    return tuple(count if place < dear else 0 for place, count in enumerate(samples))


def cascaded(names: Sequence[str], samples: Sequence[int], costs: Sequence[float]) -> Choice:
    """The choice that draws these samples at most: a greedy answer, an adaptive vote, or a cascade of them.

    >>> print(cascaded(["s", "l"], (5, 0), (0.0, 0.0)).plan.brief)
    adaptive_vote(n=5)
    >>> print(cascaded(["s", "l"], (5, 1), (0.0, 0.0)).plan.brief)
    cascade(first=s: adaptive_vote(n=5, stop=0.95, ahead=4), then=l: cot())
    """
    used = [
        _voting(name, count, stop_at(cost))
        for name, count, cost in zip(names, samples, costs, strict=True)
        if count
    ]
    choice = used.pop()
    for cheaper in reversed(used):
        choice = Choice(cheaper.policy, None, Plan.of("cascade", first=cheaper, then=choice))
    return choice


def _voting(policy: str, samples: int, stop: float) -> Choice:
    plan = Plan.of("cot") if samples == 1 else Plan.of("adaptive_vote", n=samples, stop=stop)
    return Choice(policy, None, plan)


def chain(names: Sequence[str]) -> tuple[str, ...]:
    """The policies of a cascade: the first, the last and one between them, of those whose names a plan can
    hold; the first alone where it is the one that cannot be held.

    >>> chain(["a", "b", "c", "d"]), chain(["my model", "b"]), chain(["a", "my model"])
    (('a', 'c', 'd'), ('my model',), ('a',))
    """
    fit = [name for name in names if _is_held(name)]
    if not fit or fit[0] != names[0]:
        return (names[0],)
    if len(fit) > _DEEPEST:
        fit = [fit[0], fit[len(fit) // 2], fit[-1]]
    return tuple(fit)


def _is_held(name: str) -> bool:
    if len(name) > _LONGEST_NAME:
        return False
    try:
        return bool(Choice(name, None, Plan.of("cot")).short)
    except PlanError:
        return False
