"""The page of ``real_models.py``: its JSON as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["page", "shortened"]

Found = Mapping[str, Any]

_OPENING = """# Real models on real questions

    python benchmarks/real_models.py

writes this page and `real_models.json` from what `benchmarks/real_campaign.py` has logged so far:
{problems:,} problems.
{policies}.

Costs are logical FLOPs, 2 per parameter and token: each policy's prompt once, all generated tokens, and of
cancelled draws what had been written. They are told in samples of the smallest policy, prompt included.
Within a budget a method takes the plan that is most accurate on the other folds ({folds} folds, families
whole) among those whose mean cost fits. Intervals are 95%, from {resamples:,} resamples of problems with all
their samples, seed {seed}. A cell that the log cannot fill is empty, and the reason stands below its table.
Rewards on the same samples are in [Rewards on a real model](real_rewards.md).
"""
_LOGGED = ("log", "policy", "problem set", "kind", "questions", "samples", "tokens", "tokens a sample")


def page(found: Found) -> str:
    """The whole page."""
    parts = [_OPENING.format(**{**found, "policies": _policies(found["policies"])}), _share(found)]
    parts += ["## What is logged", _logged(found["logged"])]
    short = shortened(list(found["policies"]))
    for group in found["groups"]:
        parts += [_named(part, short) for part in _group(found, group)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def shortened(names: Sequence[str]) -> dict[str, str]:
    """Names without the words that all of them begin or end with.

    >>> shortened(["a-small-it", "a-large-it"])
    {'a-small-it': 'small', 'a-large-it': 'large'}
    >>> shortened(["a-small-it"])
    {'a-small-it': 'a-small-it'}
    """
    words = {name: name.split("-") for name in names}
    if len(words) > 1:
        for end in (0, -1):
            while (
                all(len(one) > 1 for one in words.values()) and len({one[end] for one in words.values()}) == 1
            ):
                for one in words.values():
                    one.pop(end)
    return {name: "-".join(one) for name, one in words.items()}


def _named(text: str, short: Mapping[str, str]) -> str:
    """A text with short names, and choices as plans write them."""
    for name in sorted(short, key=len, reverse=True):
        text = text.replace(name, short[name])
    return text.replace(" x - x ", ": ")


def _policies(policies: Found) -> str:
    short = shortened(list(policies))
    told = [
        f"{name if short[name] == name else f'{short[name]}: {name}'}, {card['parameters']:,} parameters"
        for name, card in policies.items()
    ]
    return "; ".join(told) or "no policies"


def _share(found: Found) -> str:
    share = found["campaign_share_of_raw"]
    rounds = ", ".join(f"{100 * one:.1f}" for one in found["campaign_share_of_raw_rounds"])
    told = (
        f"{100 * share:.1f}% (the median of rounds of {rounds})"
        if share is not None
        else f"not measured ({found['campaign_share_of_raw_why']})"
    )
    return f"Tokens per second of a campaign over those of raw sampling: {told}."


def _logged(rows: Sequence[Found]) -> str:
    if not rows:
        return "Nothing yet."
    cells = [
        (
            *(row["log"], row["policy"], row["problem_set"], row["kind"], f"{row['questions']:,}"),
            *(f"{row['samples']:,}", f"{row['tokens']:,}", f"{row['mean_tokens']:.0f}"),
            *(f"{100 * row[name]:.1f}" for name in ("cut", "unreadable", "right")),
        )
        for row in rows
    ]
    names = (*_LOGGED, "cut at max_tokens %", "unreadable %", "right %")
    note = "Tokens are generated ones; prompts come on top. A program is unreadable without a block of code."
    return f"{_table(names, cells)}\n\n{note}"


def _group(found: Found, group: Found) -> Iterable[str]:
    draws = ", ".join(f"{count} draws of {policy}" for policy, count in group["draws"].items())
    held = ", ".join([*([draws] if draws else []), *(one for one in group["holds"] if "greedy" in one)])
    yield f"## {group['problem_set']}: {group['problems']:,} problems, each with {held}"
    yield (
        f"{group['families']:,} families. One sample of {group['unit']['policy']} with its prompt: "
        f"{group['unit']['flops']:.3g} FLOPs."
    )
    lines = [
        f"- A right answer among the {one['draws']} draws of {policy}: {_accuracy(one)}% of the problems."
        for policy, one in group["any_right"].items()
    ]
    yield "\n".join([*lines, *(f"- {one[0].upper()}{one[1:]}." for one in group["lacks"])])
    yield "Each choice alone: votes, greedy answers, and of the others those that nothing cheaper matches."
    yield _table(("choice", "accuracy %", "cost in samples"), [_row(one) for one in _worth(group["choices"])])
    if group["bins"]:
        yield "By Pass@1 of half of the draws: from 0.5 easy, from 0.1 medium. Choices use the other half."
        yield _bins(group["bins"])
    budgets = [one for one in found["budgets"] if one["group"] == group["group"]]
    yield "Accuracy (%) of each method within a mean budget per question, its cost in samples in brackets:"
    names = list(budgets[0]["methods"])
    yield _table(
        ("method", *(one["budget"] for one in budgets)),
        [(name, *(_cell(one["methods"][name]) for one in budgets)) for name in names],
    )
    empty = list(_empty(budgets, names))
    if empty:
        yield "\n".join(["Empty cells:", "", *empty])
    differences = [one for one in found["differences"] if one["group"] == group["group"]]
    if differences:
        yield "Differences on the same problems, in points:"
        # what is there at some cost is there at any, the last of the budgets
        last = [one for one in differences if one["budget"] == budgets[-1]["budget"]]
        pairs = dict.fromkeys((one["method"], one["rival"]) for one in (*last, *differences))
        yield _table(
            ("difference", *(one["budget"] for one in budgets)),
            [
                (
                    f"{method} above {rival}",
                    *(_gap(differences, one["budget"], method, rival) for one in budgets),
                )
                for method, rival in pairs
            ],
        )


def _worth(choices: Sequence[Found]) -> list[Found]:
    """Those that the page shows, in the order of their costs."""
    shown, best = [], -1.0
    for one in choices:
        if one["accuracy"] > best or one["strategy"] in ("cot", "majority"):
            shown.append(one)
        best = max(best, one["accuracy"])
    return shown


def _row(one: Found) -> tuple[str, ...]:
    return (f"`{one['choice']}`", _accuracy(one), f"{one['samples']:.2f}")


def _bins(bins: Sequence[Found]) -> str:
    names = [one["choice"] for one in bins[0]["choices"]]
    rows = []
    for place, name in enumerate(names):
        met = [one["choices"][place] for one in bins]
        rows.append((f"`{name}`", *(f"{_accuracy(one)} ({one['samples']:.1f})" for one in met)))
    return _table(("choice", *(f"{one['bin']} ({one['problems']})" for one in bins)), rows)


def _cell(one: Found) -> str:
    return "" if one["accuracy"] is None else f"{_accuracy(one)} ({one['samples']:.1f})"


def _empty(budgets: Sequence[Found], names: Sequence[str]) -> Iterable[str]:
    """Why cells of each method are empty."""
    whys: dict[str, list[str]] = {}
    for name in names:
        for why in dict.fromkeys(one["methods"][name]["why"] for one in budgets):
            if why is not None:
                whys.setdefault(why, []).append(name)
    yield from (f"- {'; '.join(named)}: {why}." for why, named in whys.items())


def _gap(differences: Sequence[Found], budget: str, method: str, rival: str) -> str:
    asked = (budget, method, rival)
    for one in differences:
        if (one["budget"], one["method"], one["rival"]) == asked:
            return f"{100 * one['difference']:+.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
    return ""


def _accuracy(one: Found) -> str:
    return f"{100 * one['accuracy']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
