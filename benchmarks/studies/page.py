"""The table of targets and all that stands behind it, as Markdown.

It reads figures in the form that ``benchmarks/decision_quality.json`` has and computes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["page"]

_Figures = Mapping[str, Any]


def page(found: _Figures) -> str:
    """Markdown of ``about``, ``targets`` and those of the trials that were made.

    ``above_best_rule``, the primary endpoint in points, may have been measured on other problems: it says on
    how many. ``about`` holds ``command``, ``problems``, ``families``, ``learned_from`` and ``seeds``.
    """
    about = found["about"]
    lines = [
        "# Decision quality",
        "",
        "```",
        about["command"],
        "```",
        "",
        f"{about['problems']} problems of {about['families']} families; baselines picked on "
        f"{about['learned_from']} others. Means over {about['seeds']} seeds of probes and continuations;",
        "95% intervals by bootstrap over families, paired. Costs are logical: probe, PRM and deciding are",
        "charged.",
        "",
        "## Targets",
        "",
        *_table(("", "asked", "reached", "95%", "met"), map(_target, found["targets"])),
        "",
        *(_endpoint(found["above_best_rule"]) if found.get("above_best_rule") else ()),
    ]
    if found.get("evaluation"):
        lines += _evaluation(found["evaluation"][0])
    for part, make in (
        ("alone", _alone),
        ("cells", _cells),
        ("live", _live),
        ("safety", _safety),
        ("transfer", _transfer),
    ):
        if found.get(part):
            lines += make(found[part])
    return "\n".join(lines)


def _target(row: _Figures) -> tuple[str, ...]:
    reached = f"{_number(row['value'])} {row['unit']}".strip()
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    return (row["name"], row["asked"], reached, "" if row["low"] is None else _ends(row), met)


def _endpoint(one: _Figures) -> list[str]:
    bound = one["above_best_on_test"]
    by_seed = ", ".join("-" if value is None else f"{value:+.2f}" for value in one["per_seed"])
    return [
        "## Primary endpoint",
        "",
        "```",
        one["command"],
        "```",
        "",
        f"{one['problems']} problems of {one['families']} families; the planner learned and the rule was",
        f"chosen on {one['learned_from']} others. Means over the budgets that can be spent and over seeds.",
        "",
        *_table(
            ("points of the planner above", "", "95%"),
            (
                (name, "" if met["value"] is None else f"{met['value']:+.2f}", _between(met))
                for name, met in (
                    ("the rule that the learning problems chose", one),
                    ("the rule that is best on the test (a bound: nobody can deploy it)", bound),
                )
            ),
        ),
        "",
        f"By seed: {by_seed}.",
        "",
    ]


def _between(met: _Figures) -> str:
    """An interval in points, or why there is none."""
    return met["why"] if met["value"] is None else f"{met['low']:.2f} to {met['high']:.2f}"


def _evaluation(one: _Figures) -> list[str]:
    budgets = one["budgets"]
    methods = [name for name, value in budgets[0].items() if isinstance(value, Mapping)]
    shown = ", ".join(f"{100 * row['detectable']:.1f}" for row in budgets)
    return [
        "## Accuracy at equal mean FLOPs",
        "",
        "In percent, seed 0; in brackets the points that the planner is above, and the 95% interval of that.",
        f"So many problems show, in four tests of five, a difference to `mixture` of {shown} points.",
        "",
        *_table(
            ("method", *(row["name"] for row in budgets), "area"),
            (
                (f"`{name}`", *(_reached(name, row[name]) for row in budgets), _area(one, name))
                for name in methods
            ),
        ),
        "",
        "## Per policy and PRM",
        "",
        *(f"- {text}" for text in one["definitions"]),
        "",
        *_headlines(one["headline"]),
        "",
        "## Promises",
        "",
        "Before any token, with the price as it came from training:",
        "",
        *_table(
            ("mean budget", "FLOPs expected", "met", "off by %", "accuracy expected, %", "met, %"),
            (
                (
                    name,
                    f"{kept['flops_promised']:.3g}",
                    f"{kept['flops_met']:.3g}",
                    f"{kept['flops_error_percent']:+.1f}",
                    f"{100 * kept['accuracy_promised']:.1f}",
                    f"{100 * kept['accuracy_met']:.1f}",
                )
                for name, kept in one["promises"].items()
            ),
        ),
        "",
        *_by_domain(one["promises"]),
        *_streams(one.get("target_accuracy", ())),
        "Over the choices that were made: "
        + ", ".join(f"{name} {one['calibration'][name]:.3f}" for name in ("ece", "resolution", "brier"))
        + ".",
        "",
        "## Choices made",
        "",
        *_table(
            ("mean budget", "choice", "share of problems, %"),
            (
                (name, f"`{choice}`", f"{100 * share:.1f}")
                for name, made in one["made"].items()
                for choice, share in list(made.items())[:6]
            ),
        ),
        "",
        "## Every fixed choice",
        "",
        *_table(
            ("choice", "accuracy, %", "95%", "samples"),
            (
                (
                    f"`{fixed['name']}`",
                    f"{100 * fixed['accuracy'][0]:.1f}",
                    f"{100 * fixed['low'][0]:.1f} to {100 * fixed['high'][0]:.1f}",
                    f"{fixed['flops'][0] / one['sample_flops']:.1f}",
                )
                for fixed in one["fixed"]
            ),
        ),
        "",
        *(f"- {note}" for note in one["notes"]),
        *(f"- empty, `{name}`: {why}" for name, why in one.get("empty", {}).items()),
        *(f"- left out, `{name}`: {why}" for name, why in one.get("missing", {}).items()),
        "",
    ]


def _by_domain(promises: _Figures) -> list[str]:
    """FLOPs and accuracies promised and met, by domain; nothing where they were not told."""
    rows = [
        (
            name,
            domain,
            str(kept["problems"]),
            f"{kept['flops_error_percent']:+.1f}",
            f"{100 * kept['accuracy_promised']:.1f}",
            f"{100 * kept['accuracy_met']:.1f}",
        )
        for name, every in promises.items()
        for domain, kept in every.get("domains", {}).items()
    ]
    heads = ("mean budget", "domain", "problems", "FLOPs off by %", "accuracy expected, %", "met, %")
    return [*_table(heads, rows), ""] if rows else []


def _streams(rows: Sequence[_Figures]) -> list[str]:
    """What streams under target accuracies met; nothing where none was asked for."""
    if not rows:
        return []
    heads = ("target, %", "met, %", "95%", "FLOPs expected", "met", "by domain, %")
    return [
        "A stream of requests under a target accuracy:",
        "",
        *_table(
            heads,
            (
                (
                    f"{100 * row['asked']:g}{'' if row['reached'] else ' (no price reaches it)'}",
                    f"{100 * row['value']:.1f}",
                    f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
                    f"{row['flops_expected']:.3g}",
                    f"{row['flops_met']:.3g}",
                    ", ".join(f"{name} {100 * met:.0f}" for name, met in row["domains"].items()),
                )
                for row in rows
            ),
        ),
        "",
    ]


def _reached(name: str, point: _Figures | None) -> str:
    if point is None:
        return "-"
    accuracy = f"{100 * point['accuracy']:.1f}"
    if name == "planner":
        return accuracy
    above = f"{100 * point['planner_above']:+.1f}"
    return f"{accuracy} ({above}: {100 * point['above_low']:.1f} to {100 * point['above_high']:.1f})"


def _area(one: _Figures, name: str) -> str:
    return f"{100 * one['areas'][name]['value']:.1f}" if name in one["areas"] else ""


def _alone(found: _Figures) -> list[str]:
    budgets = next(iter(found.values()))["budgets"]
    return [
        "## One policy at a time",
        "",
        "Planners that were learned for one policy and its PRMs. Samples are those of that policy.",
        "",
        *_table(
            ("policy", "method", *(row["name"] for row in budgets)),
            (
                (f"`{policy}`", f"`{name}`", *(_reached(name, row[name]) for row in one["budgets"]))
                for policy, one in found.items()
                for name in ("planner", "majority", "best_of_n", "best_fixed", "mixture", "knn", "oracle")
            ),
        ),
        "",
        *_table(
            ("policy", "oracle gap closed, %", "x less than best of n", "x less than adaptive", "ECE"),
            (
                (
                    f"`{policy}`",
                    _share(one["gap_closed"]),
                    *(_many(one["multiples"].get(name)) for name in ("best_of_n", "adaptive_consistency")),
                    _number(one["calibration"]["ece"]),
                )
                for policy, one in found.items()
            ),
        ),
        "",
    ]


def _share(gap: _Figures) -> str:
    if gap["value"] is None:
        return "-"
    return f"{100 * gap['value']:.0f} ({100 * gap['low']:.0f} to {100 * gap['high']:.0f})"


def _many(multiple: _Figures | None) -> str:
    return "-" if multiple is None else f"{_number(multiple['value'])} ({_ends(multiple)})"


def _cells(found: _Figures) -> list[str]:
    mean = found["mean"]
    return [
        "## Planners of one policy and one PRM",
        "",
        "The same figures, each of a planner that was learned for its pair alone. Geometric mean of the",
        f"multiples: {_number(mean['value'])} ({_ends(mean)}).",
        "",
        *_headlines(found["cells"]),
        "",
    ]


def _headlines(cells: Sequence[_Figures]) -> list[str]:
    heads = ("policy", "PRM", "gain over greedy, %", "multiple over majority", "at the planner's best")
    return _table(heads, map(_cell, cells))


def _cell(cell: _Figures) -> tuple[str, ...]:
    gain = {"low": cell["gain_low"], "high": cell["gain_high"]}
    gained = cell["gain_over_cot_percent"]
    more, most = (("> " if cell[key] else "") for key in ("censored", "at_best_censored"))
    return (
        f"`{cell['policy']}`",
        f"`{cell['prm']}`" if cell["prm"] else "-",
        "" if gained is None else f"{_number(gained)} ({_ends(gain)})",
        f"{more}{_number(cell['multiple_over_majority'])} ({_ends(cell)})",
        f"{most}{_number(cell['at_best'])}",
    )


def _live(one: _Figures) -> list[str]:
    right, gap, ratio = (one[name] for name in ("accuracy", "difference", "flops_ratio"))
    points = {key: 100 * gap[key] for key in ("value", "low", "high")}
    return [
        "## Live",
        "",
        f"{one['problems']} problems solved by the models: {100 * right['value']:.1f}% right, "
        f"{100 * one['accuracy_promised']:.1f}% expected by the replay,",
        f"a difference of {points['value']:+.1f} points ({_ends(points)}). FLOPs over those expected: "
        f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f}).",
        "",
    ]


def _safety(trials: Sequence[_Figures]) -> list[str]:
    budgets = [f"{paired_comparison['samples']:g} samples" for paired_comparison in trials[0]["duels"]]
    return [
        "## Bad PRMs",
        "",
        "Points above majority voting at equal mean FLOPs when every PRM is replaced. Safe: no lower end",
        "below -1 point.",
        "",
        *_table(
            ("PRM", "told by", *budgets, "safe"),
            (
                (
                    trial["prm"],
                    trial["told"],
                    *map(_comparison, trial["duels"]),
                    "yes" if trial["safe"] else "**no**",
                )
                for trial in trials
            ),
        ),
        "",
    ]


def _transfer(found: Sequence[_Figures]) -> list[str]:
    rows = [
        (
            move["kind"],
            f"`{move['name']}`",
            move["told"],
            str(move["problems"]),
            rival,
            *map(_comparison, duels),
        )
        for move in found
        for rival, duels in move["duels"].items()
        if duels
    ]
    held = next(duels for move in found for duels in move["duels"].values() if duels)
    return [
        "## Left out",
        "",
        "Points above the rival at equal mean FLOPs on what the planner was not learned from, told nothing",
        "of it or by calibration problems. The rival picks on what the planner was learned from.",
        "",
        *_table(
            (
                "",
                "left out",
                "told",
                "problems",
                "rival",
                *(f"{paired_comparison['samples']:g} samples" for paired_comparison in held),
            ),
            rows,
        ),
        "",
    ]


def _comparison(one: _Figures) -> str:
    return f"{100 * one['above']:+.1f} ({100 * one['low']:.1f} to {100 * one['high']:.1f})"


def _ends(figures: _Figures) -> str:
    return f"{_number(figures['low'])} to {_number(figures['high'])}"


def _number(value: float | None) -> str:
    """Three figures below one, one decimal above.

    >>> _number(0.01234), _number(123.456), _number(None)
    ('0.0123', '123.5', '-')
    """
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1.0 else f"{value:.1f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]
