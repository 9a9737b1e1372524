"""Measures what decisions promise against what they meet, on problems whose fold was left out.

The decisions are those that will be made: at each price by what was learned or by a rule, as the portfolio
says, stage after stage. Every correction is held towards none by a few problems' worth, first of all
decisions of a kind, then of a domain's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu, Rule, decide
from planner.deciding.replay import ReplayOutcome, aligned, follow
from planner.deciding.stages import Stage
from planner.predicting.calibration import Promises
from training.crossfit import Chain
from training.portfolio import Portfolio

__all__ = ["fit_promises"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: a correction is held towards none as by so many problems that met what was promised
_HELD = 8.0


def fit_promises(
    chain: Chain,
    stages: Sequence[Stage],
    menus: Sequence[Menu],
    safe: Portfolio,
    domains: Sequence[str],
) -> tuple[Promises, ...]:
    """The corrections of each stage.

    Parameters
    ----------
    chain:
        Decisions of problems whose fold was left out.
    stages, menus:
        As they are kept; and what each could decide between, every prediction made without the row's fold.
    safe:
        What decides at each price, of the first stage.
    domains:
        (P,) of each problem.
    """
    count = len(stages[0].choices)
    first = replace(menus[0], average=safe.average[:, :count], near=safe.near[:, :count], trust=safe.trust)
    rules = [Rule(price=float(price)) for price in chain.prices]
    made = [np.stack([decide(menu, rule) for rule in rules], axis=1) for menu in (first, *menus[1:])]
    per_flop = float(chain.tokens.sum() / max(chain.flops.sum(), 1e-300))
    names = tuple(sorted(set(domains)))
    home = np.array([names.index(domain) for domain in domains])
    found: list[Promises] = []
    met: ReplayOutcome | None = None
    reached = _reached(chain, made)
    for place in range(len(stages) - 1, -1, -1):
        fit, options = chain.fits[place], made[place]
        after = None if met is None else aligned(met, fit.matrix, chain.fits[place + 1].matrix)
        met = follow(fit.matrix, list(options.T), after)
        said = _promised(stages[place], menus[place], options, chain.prices, per_flop)
        probes = options == len(fit.matrix.choices)
        weight = reached[place] / fit.matrix.probes
        rows = home[fit.matrix.problem]
        shape = (len(names) + 1, 2, len(chain.prices))
        logit, tokens, flops = np.zeros(shape), np.ones(shape), np.ones(shape)
        for j in range(shape[2]):
            at = (slice(None), j)
            cell = (probes[at].astype(np.int64), rows, weight[at], len(names))
            logit[:, :, j] = _logits(said.accuracy[at], met.accuracy[at], *cell)
            tokens[:, :, j] = _factors(said.tokens[at], met.tokens[at], *cell)
            flops[:, :, j] = _factors(said.flops[at], met.flops[at], *cell)
        found.insert(0, Promises(chain.prices, names, logit, tokens, flops))
    return tuple(found)


def _reached(chain: Chain, made: Sequence[Ints]) -> list[Floats]:
    """Per stage (rows, J), 1.0 where decisions get there and 0.0 elsewhere."""
    out = [np.ones(made[0].shape)]
    for place in range(1, len(made)):
        before, here = chain.fits[place - 1].matrix, chain.fits[place].matrix
        went = out[-1] * (made[place - 1] == len(before.choices))
        out.append(np.repeat(went, here.probes // before.probes, axis=0))
    return out


def _promised(stage: Stage, menu: Menu, options: Ints, prices: Floats, per_flop: float) -> ReplayOutcome:
    """(rows, J) what each decision is expected to give, as ``planner.deciding.advice`` says it without
    corrections."""
    count = len(stage.choices)
    at = np.minimum(options, count - 1)
    accuracy, tokens, flops = (
        np.take_along_axis(values, at, axis=1)
        for values in (stage.accuracy(menu), menu.costs.tokens, menu.costs.flops)
    )
    if menu.advance_net.shape[1]:
        gained = menu.level[:, None] + menu.advance_net + prices * menu.advance_cost
        probes = options == count
        accuracy = np.where(probes, stage.calibration.apply(gained), accuracy)
        flops = np.where(probes, menu.advance_cost, flops)
        tokens = np.where(probes, menu.advance_cost * per_flop, tokens)
    return ReplayOutcome(accuracy, tokens, flops)


def _factors(said: Floats, met: Floats, kind: Ints, home: Ints, weight: Floats, count: int) -> Floats:
    """(D + 1, 2) what costs are multiplied by."""
    unit = float((weight * said).sum() / max(weight.sum(), 1e-300)) * _HELD
    if unit <= 0.0:
        return np.ones((count + 1, 2))
    by_kind = _ratio(weight * met, weight * said, kind, 2, unit)
    moved = said * by_kind[kind]
    by_home = np.append(_ratio(weight * met, weight * moved, home, count, unit), 1.0)
    return np.asarray(by_home[:, None] * by_kind)


def _ratio(met: Floats, said: Floats, group: Ints, count: int, held: float) -> Floats:
    top, bottom = (np.bincount(group, values, minlength=count) for values in (met, said))
    return np.asarray((top + held) / (bottom + held))


def _logits(said: Floats, met: Floats, kind: Ints, home: Ints, weight: Floats, count: int) -> Floats:
    """(D + 1, 2) what is added to the logit of an accuracy."""
    inside = np.clip(said, 1e-6, 1.0 - 1e-6)
    logit = np.log(inside / (1.0 - inside))
    by_kind = np.array([_shift(logit, met, weight * (kind == k)) for k in range(2)])
    moved = logit + by_kind[kind]
    by_home = np.array([_shift(moved, met, weight * (home == h)) for h in range(count)])
    return np.asarray(np.append(by_home, 0.0)[:, None] + by_kind)


def _shift(logit: Floats, met: Floats, weight: Floats) -> float:
    """What is to be added so that the mean accuracy is the one that was met; Newton's method.

    Held towards 0 as by ``_HELD`` problems of even chances.
    """
    kept = weight > 0.0
    logit, met, weight = logit[kept], met[kept], weight[kept]
    shift, held = 0.0, _HELD / 4.0
    for _ in range(40):
        p = 1.0 / (1.0 + np.exp(-(logit + shift)))
        slope = float((weight * (p - met)).sum()) + held * shift
        step = slope / (float((weight * p * (1.0 - p)).sum()) + held)
        shift -= min(max(step, -1.0), 1.0)
        if abs(step) < 1e-9:
            break
    return shift
