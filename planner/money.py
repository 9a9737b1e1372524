"""Money of choices before they are made: what requests send again is paid for again.

Logical cost, by which choices are compared, knows each prompt once. Who bills a request counts its prompt
every time: an adaptive vote sends the question with each sample, a tree search all that stands with each
step, and what follows a probe the question once more. How often, each strategy says (``Strategy.sends``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.cost import ChoiceCost
from planner.decision import Menu
from planner.labels import Probe
from planner.stages import Stage
from search.budget import Prices
from search.choice import Choice

__all__ = ["expected_usd", "prompts_of", "sent_again", "within_money"]

Floats = NDArray[np.float64]


def within_money(menu: Menu, stage: Stage, prompts: Mapping[str, float], bought: float) -> Menu:
    """The menu (one row) without choices that are within ``bought`` tokens only if prompts count once.

    Parameters
    ----------
    prompts:
        Tokens of the question's prompt, by policy.
    bought:
        Tokens that the money left buys at the dearest price.

    What is excluded has a cost that fits no cap (NaN). Choices that send each prompt once are left to the
    decision's own caps.
    """
    again = sent_again(menu, stage, prompts)
    dear = (again > 0.0) & (menu.costs.tokens_p90[0] + again > bought)
    if not dear.any():
        return menu
    return replace(menu, costs=replace(menu.costs, tokens_p90=np.where(dear, np.nan, menu.costs.tokens_p90)))


def sent_again(menu: Menu, stage: Stage, prompts: Mapping[str, float]) -> Floats:
    """(C,) prompt tokens that each choice sends beyond those that its logical cost counts."""
    return np.array(
        [
            _again(choice, stage.probe, prompts.get(choice.policy, 0.0), float(menu.costs.tokens[0, place]))
            for place, choice in enumerate(stage.choices)
        ]
    )


def _again(choice: Choice, probe: Probe, prompt: float, tokens: float) -> float:
    if probe.holds(choice):
        return 0.0
    described = choice.plan.described
    drawn = probe.samples if probe.joins(choice) else 0
    solution = max(0.0, tokens - prompt) / max(1, described.fresh(drawn))
    sent, _ = described.takes(prompt, solution)
    counted = prompt if probe.samples and probe.policy == choice.policy else 0.0  # paid with the probe
    return max(0.0, described.sends(prompt, solution) - sent + counted)


def prompts_of(costs: Mapping[str, ChoiceCost], characters: int) -> dict[str, float]:
    """Tokens of a question's prompt by policy, from a cost of each before anything was sent."""
    return {name: cost.policy_prompt + cost.policy_prompt_slope * characters for name, cost in costs.items()}


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
