"""``models/README.md``: what the lab's models can do, and that there is something to decide.

Everything is measured on held-out problems, from search logs and the cards beside the models. Every
difference is paired by problem and has a 95% interval. Figures come from ``planner train report``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from search.log.bins import bins
from search.log.store import SearchLog
from search.plan import Plan
from search.strategies.registry import STRATEGIES
from search.strategies.trees.tree import TreeSearch
from training.lab.making.policy import POLICIES
from training.lab.making.prm import PRMS

__all__ = ["COMMANDS", "Outcomes", "claims", "lab_report", "read_cards", "tree_strategies"]

_BINS = ("easy", "medium", "hard")

#: what makes everything under ``models/``, in order, this page last; about two hours on two cores
COMMANDS = (
    *(f"planner train policy {size}" for size in POLICIES),
    *(f"planner train prm {name}" for name in PRMS),
    "planner train problems search 1024 --seed 7 -o runs/learn.jsonl.gz",
    "planner train problems check 384 --seed 8 -o runs/held-out.jsonl.gz",
    *(
        command
        for log in ("learn", "held-out")
        for command in (
            f"planner search runs/{log}.jsonl.gz --grid models/lab/main.toml -o runs/{log}-main",
            f"planner search runs/{log}.jsonl.gz --grid models/lab/hand-over.toml -o runs/{log}-hand-over",
            f"planner merge runs/{log}-main runs/{log}-hand-over -o runs/{log}",
        )
    ),
    "planner fit runs/learn -o models/planner --folds problem --seed 7 --trials 30",
    "planner evaluate runs/held-out --planner models/planner --training runs/learn"
    " --budgets 2,4,8,16,64 --json > runs/evaluation.json",
    "planner search runs/held-out.jsonl.gz --grid models/lab/more-prms.toml -o runs/held-out-main",
    "planner train report runs/held-out-main runs/held-out-hand-over --evaluation runs/evaluation.json",
)


class Outcomes:
    """The outcomes of some logs on the same problems, as one column of accuracies per choice."""

    def __init__(self, logs: Sequence[SearchLog]) -> None:
        rows = pl.concat([log.read("outcomes") for log in logs]).unique(
            ["problem_id", "policy", "prm", "plan"], keep="first", maintain_order=True
        )
        domains = logs[0].read("problems").select("problem_id", "domain")
        self._rows = rows.join(domains, on="problem_id", maintain_order="left")

    def choices(self) -> list[tuple[str, str, str]]:
        """(policy, prm or "", plan), in a fixed order."""
        return sorted(self._rows.select("policy", "prm", "plan").unique().iter_rows())

    def of(self, policy: str, prm: str, plan: str) -> pl.DataFrame:
        """problem_id, domain, accuracy, tokens and flops of one choice, sorted by problem."""
        return (
            self._rows.filter(
                (pl.col("policy") == policy) & (pl.col("prm") == prm) & (pl.col("plan") == plan)
            )
            .select("problem_id", "domain", "accuracy", "tokens", "flops")
            .sort("problem_id")
        )

    def difference(
        self, first: tuple[str, str, str], second: tuple[str, str, str], domain: str | None = None
    ) -> tuple[float, float]:
        """Points that ``first`` is above ``second`` on the problems both have, and the 95% half-width.

        ``domain`` keeps to its problems; None takes all.
        """
        both = self.of(*first).join(self.of(*second), on="problem_id", suffix="_2")
        if domain is not None:
            both = both.filter(pl.col("domain") == domain)
        gap = 100.0 * (both["accuracy"] - both["accuracy_2"]).to_numpy()
        return float(gap.mean()), _half(gap)


def lab_report(
    logs: Sequence[SearchLog],
    main: str,
    cards: Mapping[str, Mapping[str, Any]],
    evaluation: Mapping[str, Any] | None,
) -> str:
    """The page as Markdown.

    Parameters
    ----------
    logs:
        The first holds the main policy with all its PRMs; all are over the same problems.
    cards:
        Name of a shipped model -> its card.
    evaluation:
        ``Evaluation.to_json()`` of the shipped planner on the first log, for the headroom.
    """
    outcomes = Outcomes(logs)
    parts = [
        "# The lab's models",
        "",
        "Tiny transformers, trained on generated problems, so that the whole loop runs on two CPU cores.",
        "Made by:",
        "",
        "```",
        *COMMANDS,
        "```",
        "",
        "## Policies",
        "",
        *_policies(cards),
        "",
        "## PRMs",
        "",
        *_prms(cards),
        "",
        "## Something to decide",
        "",
        *_bins(logs[0], main),
        "",
        *_headroom(evaluation),
        "",
        *claims(outcomes, main),
        "",
        "## Every choice",
        "",
        "Mean over the held-out problems; FLOPs are logical: prompt once, every generated token, every step",
        "scored once.",
        "",
        *_table(
            ("policy", "PRM", "plan", "problems", "accuracy", "FLOPs"),
            (
                (
                    policy,
                    prm or "-",
                    f"`{_brief(plan)}`",
                    len(rows),
                    _mean(rows["accuracy"]),
                    f"{rows['flops'].to_numpy().mean():.2e}",
                )
                for policy, prm, plan in outcomes.choices()
                for rows in (outcomes.of(policy, prm, plan),)
            ),
        ),
        "",
    ]
    return "\n".join(parts)


def _policies(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = []
    for name, card in cards.items():
        if "pass_at_1" in card:
            rates, shares = card["pass_at_1"], card["difficulty_bins"]
            domains = [f"{rates[d]:.0f}" for d in ("arithmetic", "puzzle", "code", "chemistry")]
            bands = " / ".join(f"{share:.0f}" for share in shares.values())
            rows.append(
                (f"`{name}`", f"{card['parameters']:,}", rates["all"], card["greedy"]["all"], *domains, bands)
            )
    return [
        "Pass@1 in percent at temperature 1 on the `check` split; bins are easy / medium / hard shares.",
        "",
        *_table(
            ("policy", "parameters", "Pass@1", "greedy", "arithmetic", "puzzle", "code", "chemistry", "bins"),
            rows,
        ),
    ]


def _prms(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = []
    for name, card in cards.items():
        if "within" in card:
            within = card["within"]
            by_domain = [
                f"{card['within_by_domain'][d]:.2f}" for d in ("arithmetic", "puzzle", "code", "chemistry")
            ]
            rows.append(
                (
                    f"`{name}`",
                    f"{card['parameters']:,}",
                    f"{within['last']:.3f}",
                    f"{within['min']:.3f}",
                    *by_domain,
                    f"{card['step_auroc']:.3f}",
                    f"{100 * card['process_f1']:.1f}",
                )
            )
    return [
        "AUROC within problems: how often the PRM scores a right sample of a problem above a wrong one of",
        "the same problem (by `last`, by `min`, and by `last` per domain). Step AUROC and ProcessBench F1",
        "are against the exact check.",
        "",
        *_table(
            (
                "PRM",
                "parameters",
                "within, last",
                "within, min",
                "arithmetic",
                "puzzle",
                "code",
                "chemistry",
                "step AUROC",
                "F1",
            ),
            rows,
        ),
    ]


def _bins(log: SearchLog, main: str) -> list[str]:
    table = bins(log).filter(pl.col("policy") == main)
    lines = []
    for prm in sorted(set(table["prm"].to_list())):
        rows = table.filter(pl.col("prm") == prm)
        sizes = {
            name: int(rows.filter(pl.col("bin") == name)["problems"].to_numpy().max(initial=0))
            for name in _BINS
        }
        total = max(1, sum(sizes.values()))
        heads = [f"{name} ({100 * sizes[name] / total:.0f}%)" for name in _BINS]
        body = []
        for plan in dict.fromkeys(rows["plan"].to_list()):
            cells = []
            for name in _BINS:
                cell = rows.filter((pl.col("plan") == plan) & (pl.col("bin") == name))
                cells.append(
                    ""
                    if cell.is_empty()
                    else f"{100 * cell['accuracy'][0]:.1f}" + (" *" if cell["best"][0] else "")
                )
            body.append((f"`{_brief(plan)}`", *cells))
        lines += [f"`{main}` with `{prm or 'no PRM'}`; accuracy in percent, * is the best of its bin:", ""]
        lines += [*_table(("plan", *heads), body), ""]
    return lines


def _headroom(evaluation: Mapping[str, Any] | None) -> list[str]:
    if evaluation is None:
        return []
    rows = []
    for row in evaluation["budgets"]:
        cells = [
            f"{100 * row[name]['accuracy']:.1f}" for name in ("best_fixed", "mixture", "planner", "oracle")
        ]
        gap = 100 * (row["oracle"]["accuracy"] - row["best_fixed"]["accuracy"])
        mixed = 100 * (row["oracle"]["accuracy"] - row["mixture"]["accuracy"])
        rows.append((row["name"], *cells, f"{gap:.1f}", f"{mixed:.1f}"))
    return [
        "Headroom at equal mean FLOPs: the oracle picks per problem on one half of the samples and is scored",
        "on the other; the fixed plan and the mixture were picked on other problems.",
        "",
        *_table(
            (
                "mean budget",
                "best fixed",
                "mixture of two",
                "planner",
                "oracle",
                "oracle - fixed",
                "oracle - mixture",
            ),
            rows,
        ),
    ]


def tree_strategies() -> tuple[str, ...]:
    """The searches over steps, by name."""
    return tuple(name for name, kind in STRATEGIES.items() if issubclass(kind, TreeSearch))


def claims(outcomes: Outcomes, main: str) -> list[str]:
    """PRMs against the vote, small against large, weak to strong, on-policy against offline."""
    known = set(outcomes.choices())
    rows: list[tuple[object, ...]] = []

    def compare(first: tuple[str, str, str], second: tuple[str, str, str], domain: str | None = None) -> None:
        if first in known and second in known:
            gap, half = outcomes.difference(first, second, domain)
            flops = [outcomes.of(*choice)["flops"].to_numpy().mean() for choice in (first, second)]
            where = domain or "all"
            above = f"{gap:+.1f}{_plus_minus(half)}"
            rows.append((_name(first), _name(second), where, above, f"{flops[0] / flops[1]:.2f}"))

    trees = [str(Plan.of(name, n=16, vote="weighted")) for name in tree_strategies()]
    for prm in sorted({prm for policy, prm, _ in known if policy == main and prm}):
        for domain in (None, "puzzle", "arithmetic"):
            for n in (4, 16, 64):
                for strategy in ("best_of_n", "weighted_vote"):
                    compare(
                        (main, prm, f"{strategy}(n={n}, score=last)"), (main, "", f"majority(n={n})"), domain
                    )
            for tree in trees:
                compare((main, prm, tree), (main, "", "majority(n=16)"), domain)
    for strategy in ("best_of_n", "weighted_vote"):
        for n in (4, 16):
            plan = f"{strategy}(n={n}, score=last)"
            compare((main, "lab-prm-onpolicy", plan), (main, "lab-prm-offline", plan))
    large = ("lab-policy-l", "", "cot()")
    for policy in ("lab-policy-s", main):
        best = _best(outcomes, policy, large)
        if best is not None:
            compare(best, large)
    for n in (4, 16):
        for strategy in ("best_of_n", "weighted_vote"):
            compare(
                ("lab-policy-l", "lab-prm-good", f"{strategy}(n={n}, score=last)"),
                ("lab-policy-l", "", f"majority(n={n})"),
            )
    return [
        "Differences in points, paired by problem, with 95% half-widths: PRMs against the vote, on-policy",
        "against offline labels, small policies with their best plan against the large one's greedy answer,",
        "the small PRM over the large policy.",
        "",
        *_table(("first", "second", "problems", "first - second", "FLOPs ratio"), rows),
    ]


def _best(outcomes: Outcomes, policy: str, ceiling: tuple[str, str, str]) -> tuple[str, str, str] | None:
    """The policy's most accurate choice, whatever it costs."""
    own = [choice for choice in outcomes.choices() if choice[0] == policy]
    if not own or ceiling not in outcomes.choices():
        return None
    return max(own, key=lambda choice: float(outcomes.of(*choice)["accuracy"].to_numpy().mean()))


def _name(choice: tuple[str, str, str]) -> str:
    policy, prm, plan = choice
    return f"`{policy}` `{_brief(plan)}`" + (f" `{prm}`" if prm else "")


def _brief(plan: str) -> str:
    """A plan without what the grammar fills in, n apart."""
    return Plan.parse(plan).brief


def _mean(values: pl.Series) -> str:
    percent = 100.0 * values.to_numpy()
    return f"{percent.mean():.1f}{_plus_minus(_half(percent))}"


def _plus_minus(half: float) -> str:
    """Nothing where one problem tells no interval."""
    return "" if math.isnan(half) else f" ± {half:.1f}"


def _half(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """95% half-width of a mean; NaN for one value."""
    return 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else math.nan


def _table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(map(str, heads))} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows]


def read_cards(models: Path) -> dict[str, dict[str, Any]]:
    """The cards of all shipped models, policies by size."""
    names = ["lab-policy-s", "lab-policy-m", "lab-policy-l"]
    names += sorted(path.parent.name for path in models.glob("lab-prm-*/card.json"))
    return {
        name: json.loads((models / name / "card.json").read_text())
        for name in names
        if (models / name / "card.json").is_file()
    }
