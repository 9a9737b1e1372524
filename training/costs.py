"""Measures on a log what choices cost: how much each draws per token of one sample, and its prompts.

The rates of sampling plans are n less what the probe has drawn; those of adaptive votes and cascades are
replayed; those of tree searches are measured ratios, made monotone in n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from planner.deciding.cost import ChoiceCost
from planner.evidence.ordered import ordered_values
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from search.choice import Choice

__all__ = ["fit_costs", "probe_cost"]

Floats = NDArray[np.float64]

#: random orders in which an adaptive vote or a cascade is replayed, per problem
_RUNS = 16
#: problems on which that is done at most: a mean over so many is within 1% or 2%
_MEASURED = 2048


def fit_costs(
    data: TrainingData,
    choices: Sequence[Choice],
    probe: Probe,
    errors: Mapping[str, float],
    rows: NDArray[np.int64],
) -> tuple[ChoiceCost, ...]:
    """Measure every choice's rates on the problems ``rows``.

    ``errors``: policy -> relative error of its length predictions on left-out folds.
    """
    characters = np.array([len(data.questions[i]) for i in rows], np.float64)
    names = list(data.pools)
    out = []
    for choice in choices:
        pool = data.pools[choice.policy]
        mean = float(pool.tokens[rows].mean())
        within = float(pool.tokens[rows].std(axis=1).mean()) / max(mean, 1.0)
        same = bool(probe.samples) and probe.policy == choice.policy
        drawn = probe.samples if probe.joins(choice) else 0
        prompt = (0.0, 0.0) if same else _line(characters, pool.prompt[rows])
        prm_prompt, prm_rate, prm_flops = (0.0, 0.0), 0.0, 0.0
        ratio = 0.0
        if choice.prm is not None:
            scored = pool.prms.get(choice.prm)
            if scored is not None:
                known = probe.prm == choice.prm
                prm_prompt = (0.0, 0.0) if known else _line(characters, scored.prompt[rows])
                ratio = float(scored.tokens[rows].mean()) / max(mean, 1.0)
            prm_flops = data.prms[choice.prm].flops(1.0)
        if choice.plan.must_run:
            policy_rate, tree_prm_rate = _tree_rates(data, choice, rows)
            described = choice.plan.described
            policy_rate = max(policy_rate - (described.fresh(0) - described.fresh(drawn)), 0.0)
            prm_rate = tree_prm_rate + (ratio * drawn if probe.prm != choice.prm else 0.0)
            effective = float(choice.plan.n)
        elif choice.plan.is_ordered:
            policy_rate, prm_rate, prm_flops = _ordered_rates(data, choice, probe, mean, rows)
            prm_prompt, effective = (0.0, 0.0), max(policy_rate, 1.0)
        elif probe.holds(choice):
            policy_rate, effective = 0.0, 1.0
        elif choice.plan.is_greedy:
            assert pool.greedy_tokens is not None
            policy_rate, effective = float(pool.greedy_tokens[rows].mean()) / max(mean, 1.0), 1.0
        else:
            policy_rate = float(choice.plan.n - drawn)
            prm_rate = ratio * (choice.plan.n - (drawn if probe.prm == choice.prm else 0))
            effective = max(policy_rate, 1.0)
        flops = data.policies[choice.policy].flops(1.0)
        out.append(
            ChoiceCost(
                policy=names.index(choice.policy),
                policy_rate=policy_rate,
                prm_rate=prm_rate,
                policy_prompt=prompt[0],
                policy_prompt_slope=prompt[1],
                prm_prompt=prm_prompt[0],
                prm_prompt_slope=prm_prompt[1],
                policy_flops=flops,
                prm_flops=prm_flops,
                spread=within,
                error=errors[choice.policy],
                effective=effective,
            )
        )
    return tuple(out)


def _ordered_rates(
    data: TrainingData, choice: Choice, probe: Probe, mean: float, rows: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Of an adaptive vote or a cascade: tokens of the leading policy and of all other models, per token of
    one sample, and the other models' FLOPs per token."""
    if len(rows) > _MEASURED:
        rows = rows[np.linspace(0, len(rows) - 1, _MEASURED).astype(np.int64)]
    key = ("ordered rates", choice, probe, mean, rows.tobytes())
    if key not in data.memo:
        data.memo[key] = _replayed_rates(data, choice, probe, mean, rows)
    rates: tuple[float, float, float] = data.memo[key]
    return rates


def _replayed_rates(
    data: TrainingData, choice: Choice, probe: Probe, mean: float, rows: NDArray[np.int64]
) -> tuple[float, float, float]:
    joins = probe.joins(choice)
    if joins and probe.greedy:
        data = data.greedy_first(probe.policy)
    k = probe.samples if joins else 0
    held = np.broadcast_to(np.arange(k), (len(data), 1, k)) if k else None
    paid = bool(probe.samples) and probe.policy == choice.policy
    found = ordered_values(data, choice, probe=held, paid=paid, probes=1, runs=_RUNS, problems=rows)
    own = float(found.lead_tokens.mean())
    prompt = 0.0 if paid else float(data.pools[choice.policy].prompt[rows].mean())
    other = max(float(found.tokens.mean()) - own - prompt, 0.0)
    flops = float(found.flops.mean()) - (own + prompt) * data.policies[choice.policy].flops(1.0)
    scale = max(mean, 1.0)
    return own / scale, other / scale, max(flops, 0.0) / other if other > 0 else 0.0


def probe_cost(
    data: TrainingData, probe: Probe, before: Probe, errors: Mapping[str, float], rows: NDArray[np.int64]
) -> ChoiceCost:
    """What going on from ``before`` to ``probe`` costs."""
    pool = data.pools[probe.policy]
    characters = np.array([len(data.questions[i]) for i in rows], np.float64)
    mean = float(pool.tokens[rows].mean())
    fresh = probe.samples - before.samples
    prompt = (0.0, 0.0) if before.samples else _line(characters, pool.prompt[rows])
    prm_prompt, prm_rate, prm_flops = (0.0, 0.0), 0.0, 0.0
    if probe.prm is not None:
        scored = pool.prms[probe.prm]
        known = before.prm == probe.prm
        prm_prompt = (0.0, 0.0) if known else _line(characters, scored.prompt[rows])
        prm_rate = float(scored.tokens[rows].mean()) / max(mean, 1.0) * (fresh if known else probe.samples)
        prm_flops = data.prms[probe.prm].flops(1.0)
    within = float(pool.tokens[rows].std(axis=1).mean()) / max(mean, 1.0)
    rate = float(fresh)
    if probe.greedy and not before.samples:
        assert pool.greedy_tokens is not None
        rate += float(pool.greedy_tokens[rows].mean()) / max(mean, 1.0) - 1.0
    return ChoiceCost(
        policy=list(data.pools).index(probe.policy),
        policy_rate=rate,
        prm_rate=prm_rate,
        policy_prompt=prompt[0],
        policy_prompt_slope=prompt[1],
        prm_prompt=prm_prompt[0],
        prm_prompt_slope=prm_prompt[1],
        policy_flops=data.policies[probe.policy].flops(1.0),
        prm_flops=prm_flops,
        spread=within,
        error=errors[probe.policy],
        effective=float(max(fresh, 1)),
    )


def _tree_rates(data: TrainingData, choice: Choice, rows: NDArray[np.int64]) -> tuple[float, float]:
    """Generated and scored tokens of a tree search per token of one sample, not below smaller n."""
    siblings = [
        other
        for other in data.trees
        if (other.policy, other.prm, other.plan.strategy) == (choice.policy, choice.prm, choice.plan.strategy)
        and _but_n(other) == _but_n(choice)
        and other.plan.n <= choice.plan.n
    ]
    pool = data.pools[choice.policy]
    scored = pool.prms.get(str(choice.prm))
    # a PRM that scored no pool: its prompts are inside the rate
    prompt = 0.0 if scored is None else scored.prompt[rows, None]
    mean = max(float(pool.tokens[rows].mean()), 1.0)
    policy, prm = 0.0, 0.0
    for other in sorted(siblings, key=lambda c: c.plan.n):
        runs = data.trees[other]
        policy = max(policy, float((runs.policy_tokens[rows] - pool.prompt[rows, None]).mean()) / mean)
        prm = max(prm, float((runs.prm_tokens[rows] - prompt).mean()) / mean)
    return max(policy, 0.0), max(prm, 0.0)


def _but_n(choice: Choice) -> tuple[tuple[str, int | str], ...]:
    return tuple(item for item in choice.plan.parameters if item[0] != "n")


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Constant and slope of a least-squares line, both held at 0 or above."""
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
    slope = max(slope, 0.0)
    constant = float(y.mean() - slope * x.mean())
    return (constant, slope) if constant >= 0 else (0.0, float(y.mean()) / max(float(x.mean()), 1.0))
