"""How methods, plans, endings and features are called on a page: short, and plain enough for a stranger."""

from __future__ import annotations

from collections.abc import Iterable

from planner.evidence.probe import Probe
from search.choice import Choice
from search.plan import Plan

__all__ = [
    "CANNOT_BE_DEPLOYED",
    "ending",
    "feature",
    "method",
    "ordered",
    "plan_parts",
    "plan_text",
    "starred",
]

#: methods that know what nobody knows beforehand
CANNOT_BE_DEPLOYED = frozenset({"oracle", "oracle_steady", "bin_absolute", "bin_quantile", "static_ceiling"})

_METHODS = {
    "planner": "planner",
    "majority": "majority",
    "best_of_n": "best-of-n",
    "best_fixed": "best fixed plan",
    "mixture": "best two fixed plans",
    "bin_absolute": "known bins",
    "bin_quantile": "known quantiles",
    "bin_absolute_predicted": "predicted bins",
    "bin_quantile_predicted": "predicted quantiles",
    "adaptive_consistency": "Adaptive-Consistency",
    "weighted_consistency": "Adaptive-Consistency, weighted",
    "cascade": "cascade",
    "early_stopping": "window agreement",
    "probe_rule": "unanimity rule",
    "knn": "nearest neighbours",
    "random": "random plan",
    "oracle": "oracle",
    "oracle_steady": "steady oracle",
    "static_ceiling": "static ceiling",
}

_FEATURES = {
    "top_share": "share of top answer",
    "second_share": "share of next answer",
    "unanimous": "all answers agree",
    "distinct_share": "distinct answers",
    "entropy": "entropy of the answers",
    "tokens_spread": "spread of lengths",
    "log_mean_tokens": "mean length (log)",
    "log_chars": "question length (log)",
    "largest_log": "largest number (log)",
    "mean_log": "mean number (log)",
    "sum_log": "sum of numbers (log)",
    "depth": "depth of brackets",
    "logprob_mean": "mean logprob",
    "logprob_lowest": "lowest mean logprob",
    "logprob_spread": "spread of logprobs",
    "logprob_worst_token": "logprob of worst token",
    "logprob_of_vote": "logprob of the vote",
    "reward_of_vote": "reward of the vote",
    "reward_best": "best reward",
    "reward_worst": "worst reward",
    "reward_spread": "spread of rewards",
    "reward_choice_over_vote": "best reward over vote's",
    "reward_choice_is_vote": "best reward is vote's",
    "reward_weighted_margin": "weighted vote's margin",
    "thought_share": "share of thought",
    "log_mean_thought": "mean thought (log)",
    "thought_spread": "spread of thoughts",
    "thought_cut_share": "thoughts cut short",
}


def method(name: str) -> str:
    """A method's name for readers; one that is not known is spelled out.

    >>> method("mixture"), method("my_own")
    ('best two fixed plans', 'my own')
    """
    return _METHODS.get(name, name.replace("_", " "))


def starred(name: str) -> str:
    """A method's name with a star where it cannot be deployed.

    >>> starred("majority"), starred("oracle")
    ('majority', 'oracle*')
    """
    return method(name) + ("*" if name in CANNOT_BE_DEPLOYED else "")


def ordered(names: Iterable[str]) -> list[str]:
    """Methods in the order of legends: the planner first, those that cannot be deployed last.

    >>> ordered(["oracle", "majority", "knn", "planner", "bin_quantile"])
    ['planner', 'majority', 'knn', 'bin_quantile', 'oracle']
    """
    return sorted(
        dict.fromkeys(names),
        key=lambda name: (name != "planner", name in CANNOT_BE_DEPLOYED, name.startswith("oracle")),
    )


def plan_parts(plan: Plan | str) -> tuple[str, str]:
    """A plan's strategy and the numbers that are not as usual ("" where it has none).

    >>> plan_parts("beam_search(n=16, width=4, prune=last, score=last, vote=max)")
    ('beam_search', 'n=16')
    >>> plan_parts("weighted_vote(n=4, score=min)")
    ('weighted_vote', 'n=4, score=min')
    >>> plan_parts("cot()")
    ('cot', '')
    """
    parsed = Plan.parse(plan) if isinstance(plan, str) else plan
    return parsed.strategy, ", ".join(parsed.numbers)


def plan_text(choice: Choice, *, policies: int = 1) -> str:
    """A choice in few words; the policy is named where there are several.

    >>> plan_text(Choice("p", "good", Plan.of("best_of_n", n=4)))
    'best_of_n(n=4), good'
    """
    strategy, numbers = plan_parts(choice.plan)
    named = [f"{strategy}({numbers})"]
    if policies > 1:
        named.append(choice.policy)
    if choice.prm is not None:
        named.append(choice.prm)
    return ", ".join(named)


def ending(choice: Choice, probe: Probe, *, policies: int = 1) -> str:
    """Where a request ended, and after how many samples that was decided.

    >>> ending(Choice("p", None, Plan.of("majority", n=16)), Probe("p", 4))
    'majority(n=16), after 4'
    """
    return plan_text(choice, policies=policies) + (f", after {probe.samples}" if probe.samples else "")


def feature(name: str) -> str:
    """A feature's name for readers.

    >>> feature("top_share"), feature("ngram_3"), feature("mean_steps")
    ('share of top answer', 'wording, direction 3', 'mean steps')
    """
    if name.startswith("ngram_"):
        return f"wording, direction {name.removeprefix('ngram_')}"
    return _FEATURES.get(name, name.replace("_", " "))
