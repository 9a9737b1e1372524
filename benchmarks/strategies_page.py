"""``strategies.md``, from what ``strategies.json`` holds. A part that was not run is named and left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from strategies_lab_figures import verdict

from search.plan import Plan

__all__ = ["page"]

Found = Mapping[str, Any]

#: questions below which accuracies of the real part say nothing
ENOUGH = 20

_OPENING = """# Strategies side by side

    python benchmarks/strategies.py

says what is measured and writes this page and `strategies.json`. Intervals are 95%, from {resamples:,}
resamples of whole families of questions, the same for all, so that differences are paired. There are many of
them: of forty, two leave the truth out by chance. Differences are in points of accuracy."""

_LAB = """## The lab's models, at equal FLOPs

`python benchmarks/strategies.py --only lab`

So far {questions} of {asked} questions of a split that nothing was trained or fitted on, the four domains in
turn, of {families} families; so few make intervals a little narrow. {policy}; under {prm} where a
reward is asked; steps and samples are drawn at temperature 1. Votes are means over random subsets of the
logged samples, trees one run each.

Cost is in samples: the size of a plain vote that takes as many FLOPs. A sample that the PRM scores costs two,
since the PRM is as large as the policy. The tables below go by the budget that a cost is nearest to. "Above a
vote": against a plain vote at the same mean FLOPs, which is split between two sizes where no size fits.
Seconds are CPU seconds per question on one core, in batches of a block of questions; adaptive votes and
cascades are replayed from logged samples and have none. {not_run}"""

_REAL = """## A real model, eight samples

`python benchmarks/strategies.py --only real`

{model} behind llama.cpp's server, GSM8K questions that neither a campaign nor `head_to_head.py` asked. So
far {questions} of {asked} questions have been answered by all contestants that were asked any; they are
compared on these. All have the campaign's instruction, temperature 0.7 and top_p 0.95; optillm's best-of-n
insists on temperature 1. Contestants that begin with whole solutions begin with the vote's own, so their
differences are what was done with these.

Tokens are per question, as the door before the model counted them: prompts as often as they were sent, and
what was generated, lent samples and verdicts included. FLOPs are two per weight and token, as if no prompt
were kept. Seconds are the machine's per question, each contestant alone; lent samples count by their number.
Thirds go by the calculations in the worked solution: {thirds}."""


_THOUGHT = """## Long chains against search, at equal FLOPs

`python benchmarks/strategies.py --only thought`

No weights of a thinking model are at hand. What can be measured is budget forcing (s1, arXiv 2501.19393) on
the lab's {policy}, which was trained on solutions of one length. Its steps stand for the thought: `think=`
cuts it, and `wait=` takes its end away and puts "Wait," (no word of the lab's vocabulary) in its place until
it has so many tokens. {questions} of {asked} questions of the two domains whose solutions have such an end,
of {families} families; forced plans and beams are run for themselves, votes and best-of-n are replayed from
logged samples."""

_PLANNER = """## The planner with the wider choice

`python benchmarks/strategies.py --only planner`

One log of {questions} lab questions of {families} families ({policy} under {prm}, and {larger}), and two
planners per fold of families, each fitted on the other {folds_less} folds with the default settings: one with
all {choices} choices, one without {new} ({old_choices} choices). Both choose for the questions left out, at
mean budgets in samples of {policy}. "Above": the wider one's accuracy over the narrower one's on the same
questions, in points."""


def page(found: Found) -> str:
    """The whole page."""
    resamples = next((found[part]["resamples"] for part in ("lab", "real") if found.get(part)), 0)
    blocks = [_OPENING.format(resamples=resamples)]
    parts = (("lab", _lab), ("thought", _thought), ("planner", _planner), ("real", _real))
    for part, write in parts:
        blocks += write(found[part]) if found.get(part) else [f"The part `{part}` was not run yet."]
    return "\n\n".join(block.strip() for block in blocks) + "\n"


# ---- the lab


def _lab(lab: Found) -> list[str]:
    blocks = [_LAB.format(**lab)]
    if not lab["rows"]:
        return [*blocks, "No question has been answered by all plans yet."]
    blocks.append(_verdicts(lab["rows"]))
    for budget in lab["budgets"]:
        rows = [row for row in lab["rows"] if row["budget"] == budget]
        blocks += [f"### About {budget} samples", _lab_table(rows)]
    shares = "; ".join(
        f"{one['questions']} where {one['rate']:.0f}% of samples are right" for one in lab["thirds"]
    )
    blocks += [
        "### By difficulty",
        "Accuracy, and points above a vote at equal FLOPs, on the thirds by the policy's own share of right "
        f"samples among {lab['judged']} that no plan was replayed from: {shares}. Ties fall to either side.",
        _table(["plan", "samples", "easiest", "middle", "hardest"], map(_third_row, lab["rows"])),
    ]
    return blocks


def _verdicts(rows: Sequence[Found]) -> str:
    """Which plans are surely above a plain vote, and which surely below."""
    told: dict[str, list[str]] = {"won": [], "lost": [], "level": []}
    for row in rows:
        if row["above"] is not None:
            told[verdict(row["above"])].append(f"{_name(row)} ({row['above'][0]:+.1f})")
    captions = {
        "won": "Surely above a plain vote at equal FLOPs",
        "lost": "Surely below it",
        "level": "No sure difference",
    }
    return "\n".join(f"- {caption}: {', '.join(told[kind]) or 'none'}." for kind, caption in captions.items())


def _lab_table(rows: Sequence[Found]) -> str:
    heads = ["plan", "right %", "above a vote", "samples", "tokens", "MFLOPs", "seconds"]
    return _table(
        heads,
        (
            [
                _name(row),
                _between(row["accuracy"]),
                _above(row["above"]),
                f"{row['samples']:.1f}",
                f"{row['tokens']:,.0f}",
                f"{row['flops'] / 1e6:,.0f}",
                _number(row["seconds"], ".2f"),
            ]
            for row in rows
        ),
    )


def _third_row(row: Found) -> list[str]:
    thirds = [
        "" if one is None else f"{one['accuracy']:.1f} {_above(one['above'])}".strip()
        for one in row["thirds"]
    ]
    return [_name(row), f"{row['samples']:.1f}", *thirds]


def _name(row: Found) -> str:
    plan = Plan.parse(row["plan"])
    if plan.parts:
        return f"`{row['plan'].replace('lab-policy-', '')}`"
    vote = f", vote={plan.vote}" if plan.must_run and "vote=" not in plan.brief else ""
    of = "" if row["policy"] != "lab-policy-l" else " of the larger policy"
    return f"`{plan.brief[:-1]}{vote})`{of}"


# ---- long chains


def _thought(thought: Found) -> list[str]:
    blocks = [_THOUGHT.format(**thought)]
    if not thought["rows"]:
        return [*blocks, "No question has been answered by all plans yet."]
    told = {"won": [], "lost": [], "level": []}  # type: dict[str, list[str]]
    for row in thought["rows"]:
        if row["above"] is not None and Plan.parse(row["plan"]).thinking is not None:
            told[verdict(row["above"])].append(f"`{Plan.parse(row['plan']).brief}` ({row['above'][0]:+.1f})")
    lines = [
        f"- Forced thoughts {caption} a plain vote at equal FLOPs: {', '.join(told[kind]) or 'none'}."
        for kind, caption in (("won", "surely above"), ("lost", "surely below"), ("level", "level with"))
    ]
    rows = (
        [
            *(f"`{Plan.parse(row['plan']).brief}`", _between(row["accuracy"]), _above(row["above"])),
            *(f"{row['tokens']:,.0f}", f"{row['flops'] / 1e6:,.0f}"),
        ]
        for row in thought["rows"]
    )
    return [
        *blocks,
        "\n".join(lines),
        _table(["plan", "right %", "above a vote", "tokens", "MFLOPs"], rows),
    ]


# ---- the planner


def _planner(planner: Found) -> list[str]:
    new = ", ".join(f"`{name}`" for name in planner["new"])
    blocks = [_PLANNER.format(**{**planner, "new": new, "folds_less": planner["folds"] - 1})]
    for name, caption in (
        ("guarded", "As planners are, rules deciding at prices where nothing surely better was learned"),
        ("alone", "Where what was learned decides at every price"),
    ):
        part = planner[name]
        mean = part["mean"]
        told = (
            "no budget was kept by both" if mean is None else f"over the budgets kept {_above(mean)} points"
        )
        heads = ["budget", "wider, right %", "narrower, right %", "above"]
        heads += ["wider spent", "narrower spent", "kept"]
        blocks += [f"{caption}: {told}.", _table(heads, map(_budget_row, part["rows"]))]
    return blocks


def _budget_row(row: Found) -> list[str]:
    return [
        *(f"{row['samples']:g}", _between(row["wide"]), _between(row["narrow"]), _above(row["above"])),
        *(f"{one:.1f}" for one in row["spent"]),
        "yes" if row["kept"] else "no",
    ]


# ---- the real model


def _real(real: Found) -> list[str]:
    thirds = "; ".join(
        f"{one['questions']} questions with {one['least']} to {one['most']}"
        for one in real["thirds"]
        if one["questions"]
    )
    blocks = [_REAL.format(**{**real, "thirds": thirds or "none yet"})]
    if real["missing"]:
        blocks.append(f"Not asked yet: {'; '.join(real['missing'])}.")
    if not real["rows"]:
        return blocks
    if real["questions"] < ENOUGH:
        blocks.append(
            "So few questions decide nothing yet: what can be read here is what each contestant takes."
        )
    loads = [row["load"] for row in real["rows"] if row["load"] is not None]
    if loads and max(loads) > 2.0:
        blocks.append(
            f"The machine (two cores) did other work too (load up to {max(loads):.0f}), so the seconds "
            "compare little."
        )
    blocks.append(_real_table(real["rows"]))
    if real["judge"] is not None:
        blocks.append(
            "The judge scores a right sample above a wrong one of the same question with probability "
            "{auroc:.2f}, the mean over {questions} questions with both; mean score of right samples "
            "{right:.2f}, of wrong ones {wrong:.2f}.".format(**real["judge"])
        )
    if real.get("wait") is not None:
        blocks.append(
            "A greedy answer that is made to think on ({samples:.1f} samples' worth of FLOPs) is right in "
            "{mine}%, a vote at equal FLOPs in {same}%: {gap} points.".format(
                samples=real["wait"]["samples"],
                mine=_between(real["wait"]["accuracy"]),
                same=_between(real["wait"]["vote"]),
                gap=_above(real["wait"]["above"]),
            )
        )
    if real["pairs"]:
        blocks += [
            "### Beside the same strategy elsewhere",
            _table(
                ["here", "there", "points", "width", "0 inside"],
                (
                    [
                        *(one["ours"], one["rival"], _above(one["above"]), f"{one['width']:.1f}"),
                        "yes" if one["verdict"] == "level" else "no",
                    ]
                    for one in real["pairs"]
                ),
            ),
        ]
    return blocks


def _real_table(rows: Sequence[Found]) -> str:
    heads = ["contestant", "right %", "above the vote", "prompt", "generated", "TFLOPs", "seconds"]
    heads += ["fewest", "middle", "most", "lost"]
    return _table(
        heads,
        (
            [
                row["caption"],
                _between(row["accuracy"]),
                _above(row["above"]),
                f"{row['prompt']:,.0f}",
                f"{row['generated']:,.0f}",
                f"{row['flops'] / 1e12:.2f}",
                _number(row["seconds"], ".1f"),
                *(_number(one, ".0f") for one in row["thirds"]),
                str(row["lost"]),
            ]
            for row in rows
        ),
    )


# ---- cells


def _between(accuracy: Sequence[float]) -> str:
    return f"{accuracy[0]:.1f} [{accuracy[1]:.1f}, {accuracy[2]:.1f}]"


def _above(above: Sequence[float] | None) -> str:
    return "" if above is None else f"{above[0]:+.1f} [{above[1]:+.1f}, {above[2]:+.1f}]"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
