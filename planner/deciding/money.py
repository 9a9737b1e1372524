"""Money of choices before they are made: what requests send again is paid for again.

Logical cost, by which choices are compared, knows each prompt once. Who bills a request counts its prompt
every time: an adaptive vote sends the question with each sample, a tree search all that stands with each
step, and what follows a probe the question once more. How often, each strategy says (``Strategy.sends``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding.cost import ChoiceCost
from planner.deciding.decision import Menu
from planner.deciding.stages import Stage
from planner.evidence.probe import Probe
from search.budget import Prices
from search.choice import Choice

__all__ = ["expected_usd", "with_money"]

Floats = NDArray[np.float64]


def with_money(
    menu: Menu,
    stage: Stage,
    prices: Mapping[str, Prices] | Prices,
    *,
    characters: int,
    prompts: Mapping[str, float],
) -> Menu:
    """The menu (one row) of a question of so many characters, with what each option costs in US dollars.

    ``prompts``: tokens of the question's prompt, by policy.

    Each model's tokens count at its own price, at the 90% quantile of their number, and a prompt as often as
    it is sent. What models beside the leading one take, such as later members of a cascade, counts at the
    dearest of their prices. An option of a model without a price costs NaN, which fits no cap.
    """
    actions = stage.actions
    paid = []
    for place, (choice, each) in enumerate(zip(stage.choices, actions.choice_costs, strict=True)):
        prompt, tokens = prompts.get(choice.policy, 0.0), float(menu.costs.tokens[0, place])
        again = _again(choice, stage.probe, prompt, tokens)
        parts = _parted(each, characters, float(menu.costs.tokens_p90[0, place]))
        paid.append(_usd(choice, parts, again, prices))
    probe, following, cost = menu.probe, actions.next_probe, actions.probe_costs
    if probe is not None and following is not None and cost is not None:
        of = _price(prices, following.policy)
        scores = 0.0 if following.prm is None else _prm_price(prices, following.prm, of)
        look = _parted(cost, characters, float(probe.tokens_p90[0, 0]))
        usd = (look.prompt * of.prompt + look.generated * of.generated + look.others * scores) / 1e6
        probe = replace(probe, usd_p90=np.array([[usd]]))
    return replace(menu, costs=replace(menu.costs, usd_p90=np.array([paid])), probe=probe)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Tokens of one option: the policy's prompt, what it writes, and what all other models take."""

    prompt: float
    generated: float
    others: float


def _parted(cost: ChoiceCost, characters: int, tokens: float) -> _Parts:
    prompt = cost.policy_prompt + cost.policy_prompt_slope * characters
    scored = cost.prm_prompt + cost.prm_prompt_slope * characters
    varying = max(0.0, tokens - prompt - scored) if math.isfinite(tokens) else tokens
    rates = cost.policy_rate + cost.prm_rate
    own = cost.policy_rate / rates if rates > 0.0 else 0.0
    return _Parts(prompt, varying * own, scored + varying * (1.0 - own))


def _usd(choice: Choice, parts: _Parts, again: float, prices: Mapping[str, Prices] | Prices) -> float:
    """``again``: prompt tokens that are sent beyond those that the logical cost counts."""
    own = _price(prices, choice.policy)
    others = 0.0
    if choice.prm is not None:
        others = _prm_price(prices, choice.prm, own)
    for part in choice.plan.walk():
        member = _price(prices, part.policy)
        others = max(others, member.prompt, member.generated)
    sent = parts.prompt + again
    return (sent * own.prompt + parts.generated * own.generated + parts.others * others) / 1e6


@dataclass(frozen=True, slots=True)
class _Each:
    """Prices of one policy per million tokens; NaN where they are not known."""

    prompt: float
    generated: float
    prm: float


def _price(prices: Mapping[str, Prices] | Prices, name: str) -> _Each:
    found = prices.get(name) if isinstance(prices, Mapping) else prices
    if found is None:
        return _Each(math.nan, math.nan, math.nan)
    return _Each(found.prompt, found.generated, max(found.prm, found.prm_written or 0.0))


def _prm_price(prices: Mapping[str, Prices] | Prices, prm: str, policy: _Each) -> float:
    """A PRM's own price, or what the policy's table says of PRMs."""
    if isinstance(prices, Mapping) and prm in prices:
        return _price(prices, prm).prm
    return policy.prm


def _again(choice: Choice, probe: Probe, prompt: float, tokens: float) -> float:
    if probe.holds(choice):
        return 0.0
    described = choice.plan.described
    drawn = probe.samples if probe.joins(choice) else 0
    solution = max(0.0, tokens - prompt) / max(1, described.fresh(drawn))
    sent, _ = described.takes(prompt, solution)
    counted = prompt if probe.samples and probe.policy == choice.policy else 0.0  # paid with the probe
    return max(0.0, described.sends(prompt, solution) - sent + counted)


def expected_usd(
    prices: Prices, choice: Choice, *, prompt: int, tokens: float, scored: float = 0.0, prm: float = 0.0
) -> float:
    """Money for a run of a choice.

    Parameters
    ----------
    prompt:
        Tokens of the question's prompt.
    tokens:
        Logical tokens of the policy, its prompts counted once.
    scored, prm:
        Tokens that a PRM scores, and their price.

    >>> from search.plan import Plan
    >>> once = Choice("m", None, Plan.of("majority", n=8))
    >>> each = Choice("m", None, Plan.of("adaptive_vote", n=8))
    >>> [round(expected_usd(Prices(1.0, 1.0), one, prompt=100, tokens=500) * 1e6) for one in (once, each)]
    [500, 1200]
    """
    described = choice.plan.described
    solution = max(0.0, tokens - prompt) / max(1, described.samples)
    counted = min(tokens, described.takes(float(prompt), solution)[0])
    sent = max(counted, described.sends(float(prompt), solution)) if tokens >= prompt else tokens
    return (sent * prices.prompt + (tokens - counted) * prices.generated + scored * prm) / 1e6
