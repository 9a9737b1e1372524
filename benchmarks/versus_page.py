"""``head_to_head.md``, ``.json`` and the chart, from the answers that are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from versus_chart import svg
from versus_figures import figures
from versus_rows import Rows

from planner.cli.printing import json_text
from search.problem import Problem

__all__ = ["CHART", "page", "publish"]

CHART = Path(__file__).resolve().parents[1] / "docs" / "head_to_head.svg"

#: with a higher load a machine of two cores has done something else too
_BUSY = 4.0

Found = Mapping[str, Any]

_OPENING = """# Head to head

    python benchmarks/head_to_head.py

says what is measured and writes this page, `head_to_head.json` and the chart. Qwen2.5-Coder-Instruct with
0.5B and 1.5B weights behind llama.cpp's server each, one address before both, the official client. GSM8K
questions that no campaign asked, in a shuffled order.
{so_far} Intervals are 95%, from {resamples:,}
resamples of questions, the same for all.

Votes are of the 0.5B. All draw at temperature 0.7 and top_p 0.95 with 512 tokens at most. The planner was
fitted on the log of `real_campaign.py`; its budget is the most that a question may cost. The text router
(RouteLLM's recipe) is computed from the greedy answers, so it has no seconds of its own. DeepConf draws
four samples whole and eight at most.
"""
_COSTS = """Dollars are per million questions, at the prices of `head_to_head_prices.toml`: the 1.5B as a
host lists it, the 0.5B by its share of the weights. Tokens are per question: prompts, each as often as it
was sent, and generated ones, cancelled ones included. Seconds per question are those of the machine (two
cores), each contestant alone, with so many questions at a time as the server's sequences allow; an answer's
are the median wait of a client then. Counted: generated tokens per question by the door before the models."""

_AGAINST = """In points, paired on the same questions; the cost is the planner's over the rival's. A coin that
asks the 1.5B with the probability that costs as much is the mixture that anybody could deploy."""
_POOLED = """Rules that are functions of logged answers, each on all questions of `logs/real/math` that hold
what it needs, to narrow the intervals. The router ({questions} questions) is judged on folds that it did not
learn from. These are other questions than those above, so the figures differ."""


def publish(
    questions: Sequence[Problem],
    rows: Rows,
    prices: Mapping[str, Mapping[str, float]],
    log: Path,
    output: Path,
) -> None:
    """Write everything; the chart where there are two contestants at least."""
    # as it will be read again: without numbers that JSON lacks
    found = json.loads(json_text({**figures(questions, rows, log), "prices": prices, "fit": fit_of(rows)}))
    output.with_suffix(".json").write_text(json_text(found) + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(page(found), encoding="utf-8")
    if is_drawn(found):
        CHART.write_text(svg(found["contestants"], found["questions"]), encoding="utf-8")
    print(page(found))


def is_drawn(found: Found) -> bool:
    """Whether there is anything to compare."""
    return len(found["contestants"]) > 1


def fit_of(rows: Rows) -> list[str]:
    """The sentences that ``planner fit`` ended with."""
    path = rows.folder / "fit.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    at = next((n for n, line in enumerate(lines) if line.startswith("Against the rules")), len(lines))
    learned = next((n for n, line in enumerate(lines) if line.startswith("Learned from")), None)
    first = [] if learned is None else [" ".join(lines[learned : learned + 2]).split(". ")[0] + "."]
    last = [
        line for line in lines[at + 1 :] if line and line[0].isalpha() and not line.startswith("mean cost")
    ]
    return [*first, " ".join(last)] if first or last else []


def page(found: Found) -> str:
    """The whole page."""
    blocks = [_OPENING.format(so_far=_so_far(found), resamples=found["resamples"])]
    if found["missing"]:
        blocks.append(f"Not asked yet: {'; '.join(found['missing'])}.")
    if is_drawn(found):
        blocks.append("![Right answers against cost](../docs/head_to_head.svg)")
    if found["contestants"]:
        blocks += [
            "## Right answers and what they cost",
            _COSTS + _load(found),
            _contestants(found),
        ]
    if found["differences"]:
        blocks += ["## The planner against each of them", _AGAINST, _differences(found)]
    if found["fit"]:
        blocks += ["## What `planner fit` said", " ".join(found["fit"])]
    blocks += [
        "## The same rules on the campaign's questions",
        _POOLED.format(**found["router"]),
        _pool(found),
    ]
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _so_far(found: Found) -> str:
    """How many questions there are to compare on."""
    if not found["contestants"]:
        return f"There are {found['asked']} questions, and nobody has been asked yet."
    return (
        f"So far {found['questions']} of {found['asked']} questions have been answered by all that were asked"
        " any,\nwho are compared on these."
    )


def _load(found: Found) -> str:
    """What else the machine did."""
    load = max((one["load"] or 0.0 for one in found["contestants"]), default=0.0)
    if load <= _BUSY:
        return ""
    return f" It was shared with other work (load {load:.0f}), so the seconds say little of the speed."


def _contestants(found: Found) -> str:
    heads = ["contestant", "right %", "$ a million", "prompt", "generated", "counted"]
    heads += ["s a question", "s an answer", "at a time", "lost"]
    rows = [
        [
            one["caption"],
            _shares(one, "accuracy"),
            f"{one['usd']:.1f} [{one['usd_low']:.1f}, {one['usd_high']:.1f}]",
            f"{one['prompt']:.0f}",
            f"{one['generated']:.0f}",
            _number(one["counted"], ".0f"),
            _number(one["seconds"], ".1f"),
            _number(one["median_seconds"], ".1f"),
            _number(one["together"], ".0f"),
            str(one["lost"]),
        ]
        for one in found["contestants"]
    ]
    return _table(heads, rows)


def _differences(found: Found) -> str:
    rows = [
        [
            one["planner"],
            one["rival"],
            f"{one['difference']:+.1f} [{one['low']:+.1f}, {one['high']:+.1f}]",
            f"{one['cost_ratio']:.2f}",
        ]
        for one in found["differences"]
    ]
    return _table(["planner", "against", "points", "cost"], rows)


def _pool(found: Found) -> str:
    rows = [[one["rule"], str(one["questions"]), _shares(one, "accuracy")] for one in found["pool"]]
    return _table(["rule", "questions", "right %"], rows)


def _shares(one: Found, name: str) -> str:
    return f"{100 * one[name]:.1f} [{100 * one[f'{name}_low']:.1f}, {100 * one[f'{name}_high']:.1f}]"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
