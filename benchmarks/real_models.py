"""What real models reach on real questions, from the log of ``real_campaign.py``, as far as it has come.

    python benchmarks/real_models.py [--log LOG ...] [--throughput FILE] [--output benchmarks/real_models]

It writes ``real_models.json`` and ``real_models.md``: what is logged, the difficulty of the problems, every
choice that the log can replay, and what each method (``real_methods.py``) reaches within a budget. Costs are
logical FLOPs, 2 per parameter and token: each policy's prompt once, all generated tokens, and of cancelled
draws what had been written. Plans are chosen on other folds, families whole; a plan's accuracy is never that
on which it was chosen. Intervals are 95%, from a bootstrap of problems, each with all its samples, under one
seed; differences are of the same problems.

FILE is what ``campaign_throughput.py --output`` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from real_campaign import LOG
from real_methods import Cell, budgets, cells, difference, methods, rivals
from real_page import page
from real_record import Group, Source, Table, groups_of, halves, logged, read, table_of

from planner.cli.printing import json_text
from planner.evaluation.intervals import Resampler
from search.choice import Choice
from search.errors import LogError, PlannerError
from search.log.bins import bin_names, difficulty_bins
from training.crossfit import folds_of

HERE = Path(__file__).parent
FOLDS, SEED, RESAMPLES = 5, 0, 2000
Found = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--log", type=Path, nargs="+", help=f"default: those in {LOG.relative_to(HERE.parent)}"
    )
    parser.add_argument("--throughput", type=Path, default=HERE / "campaign_throughput.json")
    parser.add_argument("--output", type=Path, default=HERE / "real_models", help="without its suffix")
    asked = parser.parse_args()
    try:
        paths = asked.log or sorted(path.parent for path in LOG.glob("*/manifest.json"))
        if not paths:
            raise LogError("a real campaign must have begun, got no log: name one with --log")
        found = measured([read(path) for path in paths]) | throughput(asked.throughput)
    except PlannerError as error:
        sys.exit(f"real_models: {error}")
    # as it will be read again: without numbers that JSON lacks
    found = json.loads(json_text(found))
    asked.output.with_suffix(".json").write_text(json_text(found) + "\n")
    text = page(found)
    asked.output.with_suffix(".md").write_text(text)
    print(text)


def throughput(path: Path) -> Found:
    """``campaign_share_of_raw``: tokens per second of a campaign over those of raw sampling, and by round."""
    share, why, rounds = None, None, []
    if not path.is_file():
        why = f"{path.name} is not there: campaign_throughput.py --output makes it"
    else:
        try:
            told = json.loads(path.read_text())
            share = float(told["share"])
            rounds = [one["campaign"] / one["raw"] for one in told["rounds"]]
        except (ValueError, KeyError, TypeError) as error:
            raise LogError(
                f"the throughput must be what campaign_throughput.py --output writes, "
                f"got {path.name}: {error!r}"
            ) from error
    return {
        "campaign_share_of_raw": share,
        "campaign_share_of_raw_why": why,
        "campaign_share_of_raw_rounds": rounds,
    }


def measured(sources: Sequence[Source]) -> Found:
    """All figures of some logs."""
    drawn = {
        one
        for source in sources
        for policy in source.policies
        for one in (*source.pools[policy], *source.greedy[policy])
    }
    found: Found = {
        "problems": len(drawn),
        "policies": {},
        "logs": [source.name for source in sources],
        "seed": SEED,
        "resamples": RESAMPLES,
        "folds": FOLDS,
        "logged": [{"log": source.name, **row} for source in sources for row in logged(source)],
        "groups": [],
        "budgets": [],
        "differences": [],
    }
    for source in sources:
        for name, card in source.log.manifest.policies.items():
            found["policies"][name] = {"parameters": card.parameters, "flops_per_token": card.flops(1.0)}
        for group in groups_of(source):
            measure(source, group, found)
    return found


def measure(source: Source, group: Group, found: Found) -> None:
    """Add the figures of one group."""
    table = table_of(source, group)
    if not table.choices:
        return
    unit = unit_of(source, group)
    fold = folds_of(table.families, FOLDS, SEED)
    resampler = Resampler(len(table.problems), resamples=RESAMPLES, seed=SEED)
    about = {"group": len(found["groups"]), "problem_set": group.problem_set, "problems": len(table.problems)}
    asked, pairs = methods(group.policies), rivals(group.policies)
    found["groups"].append(
        {
            **about,
            "families": len(set(table.families)),
            "holds": [str(holding) for holding in group.holds],
            "draws": dict(group.draws),
            "lacks": list(group.lacks.values()),
            "unit": {"policy": group.policies[0], "flops": unit},
            "any_right": any_right(source, group, resampler),
            "choices": [alone(table, at, resampler, unit) for at in range(len(table.choices))],
            "bins": binned(source, group, unit),
        }
    )
    for budget in budgets(group, table, unit):
        met = cells(group, table, fold, budget, unit=unit, asked=asked)
        named = {**about, "budget": budget.name, "budget_flops": budget.flops}
        figures = {name: told(one, resampler, unit) for name, one in met.items()}
        found["budgets"].append({**named, "methods": figures})
        for one, other in pairs:
            above = difference(met[one], met[other], resampler)
            if above is not None:
                ends = {"difference": above.value, "low": above.low, "high": above.high}
                costs = {"flops": figures[one]["flops"], "rival_flops": figures[other]["flops"]}
                found["differences"].append({**named, "method": one, "rival": other, **ends, **costs})


def told(one: Cell, resampler: Resampler, unit: float) -> Found:
    """A cell as JSON; ``samples``: its cost in samples of the smallest policy."""
    figures = one.figures(resampler)
    flops = figures["flops"]
    return {**figures, "samples": flops / unit if isinstance(flops, float) else None}


def unit_of(source: Source, group: Group) -> float:
    """Mean FLOPs of one sample of the group's smallest policy, its prompt included."""
    policy = group.policies[0]
    rows = (
        source.log.scan("samples")
        .filter(pl.col("policy") == policy, pl.col("problem_id").is_in(list(group.problems)))
        .filter((pl.col("draw") >= 0) if policy in group.draws else (pl.col("draw") < 0))
        # problems may have different numbers of samples, and count alike
        .group_by("problem_id")
        .agg(tokens=(pl.col("tokens") + pl.col("prompt_tokens")).mean())
        .sort("problem_id")
        .collect()
    )
    return source.log.manifest.policy(policy).flops(float(rows["tokens"].to_numpy().mean()))


def any_right(source: Source, group: Group, resampler: Resampler) -> Mapping[str, Found]:
    """Per policy the share of problems with a right answer among the draws that all of them have: what no
    way to choose among these draws can pass."""
    found = {}
    for policy, count in group.draws.items():
        pools = (source.pools[policy][one] for one in group.problems)
        met = resampler.interval(np.array([float(pool.correct[:count].max()) for pool in pools]))
        found[policy] = {"draws": count, "accuracy": met.value, "low": met.low, "high": met.high}
    return found


def alone(table: Table, at: int, resampler: Resampler, unit: float) -> Found:
    """One choice for all problems."""
    met, flops = resampler.interval(table.accuracy[:, at]), float(table.flops[:, at].mean())
    choice = table.choices[at]
    return {
        **{"choice": str(choice), "strategy": choice.plan.strategy},
        **{"accuracy": met.value, "low": met.low, "high": met.high},
        **{"tokens": float(table.tokens[:, at].mean()), "flops": flops, "samples": flops / unit},
    }


def binned(source: Source, group: Group, unit: float) -> list[Found]:
    """Some choices in each difficulty bin; bins come from half of the smallest policy's draws, and what is
    scored from the other half, from greedy answers and from other policies."""
    split = halves(source, group, group.policies[0])
    if split is None:
        return []
    judged, pools = split
    table = table_of(source, group, pools)
    names = difficulty_bins(pl.Series([judged[one] for one in table.problems])).to_numpy()
    most = len(pools[group.policies[0]][table.problems[0]])
    found = []
    for name in bin_names():
        rows = np.flatnonzero(names == name)
        if not len(rows):
            continue
        resampler = Resampler(len(rows), resamples=RESAMPLES, seed=SEED)
        part = Table(
            tuple(table.problems[row] for row in rows),
            tuple(table.families[row] for row in rows),
            table.choices,
            table.accuracy[rows],
            table.tokens[rows],
            table.flops[rows],
        )
        shown = [at for at, choice in enumerate(table.choices) if is_shown(choice, most)]
        choices = [alone(part, at, resampler, unit) for at in shown]
        found.append({"bin": name, "problems": len(rows), "choices": choices})
    return found


def is_shown(choice: Choice, most: int) -> bool:
    """Whether the table of bins has the choice: one of each kind, before anything was looked at."""
    plan = choice.plan
    if plan.strategy == "majority":
        return plan.n & (plan.n - 1) == 0
    if plan.strategy == "adaptive_vote":
        return plan.n == most and "stop=0.95, ahead=1" in str(plan)
    if plan.strategy == "cascade":
        return plan.parts[0].plan.n == most and plan.parts[1].plan.is_greedy and "tau=0.75" in str(plan)
    return True


if __name__ == "__main__":
    main()
