"""What a plan that the grammar does not know was probably meant to be.

>>> hint("best-of-16"), hint("maj@8"), hint("self-consistency 40"), hint("greedy decoding")
('best_of_n(n=16)', 'majority(n=8)', 'majority(n=40)', 'cot()')
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from search.errors import PlanError
from search.plan import Plan
from search.strategies.fields import grammar_of
from search.strategies.registry import STRATEGIES

__all__ = ["hint", "unknown_plan"]

#: what people write -> our strategy, the first that is found
_WORDS = (
    (("weighted",), "weighted_vote"),
    (("dvts", "diverse"), "dvts"),
    (("rebase", "rewardbalanced"), "rebase"),
    (("particle",), "particle_filter"),
    (("lookahead",), "lookahead"),
    (("beam", "tree"), "beam_search"),
    (("bestof", "bon", "best"), "best_of_n"),
    (("maj", "consisten", "vote", "voting", "cons@", "sc"), "majority"),
    (("greedy", "cot", "zeroshot", "singleshot", "chainofthought", "direct"), "cot"),
    (("pass@", "sampl"), "majority"),
)


def hint(said: str) -> str | None:
    """A plan of the grammar that ``said`` may have meant; None where nothing comes near."""
    squeezed = re.sub(r"[\s_.-]+", "", said.casefold())
    strategy = next((name for words, name in _WORDS if any(word in squeezed for word in words)), None)
    if strategy is None:
        near = get_close_matches(said.partition("(")[0].strip().casefold(), list(STRATEGIES), 1)
        strategy = near[0] if near else None
    if strategy is None:
        return None
    number = re.search(r"[0-9]+", said)
    if number is None or "n" not in grammar_of(STRATEGIES.get(strategy)):
        return f"{strategy}()" if "n" not in grammar_of(STRATEGIES.get(strategy)) else f"{strategy}(n=16)"
    try:
        Plan.of(strategy, n=int(number[0]))
    except PlanError:
        return f"{strategy}(n=16)"
    return f"{strategy}(n={number[0]})"


def unknown_plan(said: str) -> str:
    """The rule that a plan breaks, with a hint."""
    meant = hint(said)
    told = "plans are " + ", ".join(STRATEGIES) if meant is None else f"did you mean {meant}?"
    return f"a plan is one that the grammar knows, got {said[:60]!r}: {told}"
