"""What the answers of the real part say: who got how many right, at what cost, and the differences.

Contestants are compared on the questions that all of those that have answered any have answered. Costs are
what the door before the model counted: every prompt as often as it was sent, and what was generated; samples
that were lent count for whoever began with them. FLOPs are two per weight and token. Intervals are 95%, from
resamples of whole families of questions, the same for all, so that differences are paired.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from real_campaign import PARAMETERS, SMALL
from strategies_contestants import OURS, PAIRS, RIVALS, VOTE, WAIT, captions
from strategies_lab_figures import points, verdict
from versus_contestants import VOTES
from versus_rows import Block, Row, Rows

from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler
from search.grading.registry import domain
from search.log.bins import difficulty_bins
from search.log.pool import Pool
from search.log.subsets import derive_all
from search.plan import Plan
from search.prm_benchmarks.auroc import auroc
from search.problem import Problem
from search.voting.votes import group as grouped

__all__ = ["calculations", "compared", "figures"]

Floats = NDArray[np.float64]
Found = dict[str, Any]
Answers = Mapping[str, Mapping[str, Row]]

RESAMPLES, SEED = 4000, 0
THIRDS = 3
_BEGINS = {one.name: one.begins for one in OURS}
#: contestants whose samples were scored by another one, and that one
_SCORED_BY = {one.name: one.scored_by for one in OURS if one.scored_by}


def calculations(data: Path) -> dict[str, int]:
    """Question -> calculations in its worked solution, GSM8K's own sign of how hard it is."""
    lines = (data / "problem_sets" / "gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()
    return {one["question"].strip(): one["answer"].count("<<") for one in map(json.loads, lines)}


def figures(problems: Sequence[Problem], rows: Rows, steps: Mapping[str, int]) -> Found:
    """Everything, for ``strategies.json``."""
    every = {one.name: rows.of(one.name) for one in (*OURS, *RIVALS)}
    answers = {name: mine for name, mine in every.items() if mine}
    return {
        **{"model": SMALL, "asked": len(problems), "resamples": RESAMPLES},
        "missing": [caption for name, caption in captions().items() if name not in answers],
        **compared(problems, answers, rows.blocks(), steps),
    }


def compared(
    problems: Sequence[Problem], answers: Answers, blocks: Sequence[Block], steps: Mapping[str, int]
) -> Found:
    """Contestants on the questions that all have answered, and their differences."""
    kept = [one for one in problems if answers and all(one.problem_id in mine for mine in answers.values())]
    if not kept:
        return {"questions": 0, "rows": [], "pairs": [], "thirds": [], "judge": None, "wait": None}
    ids = [one.problem_id for one in kept]
    families = [one.family for one in kept]
    resampler = Resampler(len(kept), clusters=families, resamples=RESAMPLES, seed=SEED)
    right = {name: np.array([float(mine[one].right) for one in ids]) for name, mine in answers.items()}
    counts = np.array([steps[one.question] for one in kept])
    bins = difficulty_bins(pl.Series(-counts, dtype=pl.Float64), quantiles=THIRDS).to_physical().to_numpy()
    parts = [np.flatnonzero(bins == third) for third in range(THIRDS)]
    found = [
        {
            **{"name": name, "caption": captions()[name], "right": int(right[name].sum())},
            "accuracy": points(resampler.interval(right[name])),
            "above": None
            if name == VOTE or VOTE not in right
            else points(resampler.interval(right[name] - right[VOTE])),
            **_cost(name, ids, answers),
            **_time(name, blocks),
            "lost": sum(answers[name][one].error is not None for one in ids),
            "thirds": [100 * float(right[name][part].mean()) if len(part) else None for part in parts],
        }
        for name in answers
    ]
    pairs = []
    for ours, rival in PAIRS:
        if ours in right and rival in right:
            above = points(resampler.interval(right[ours] - right[rival]))
            pairs.append(
                {
                    **{"ours": captions()[ours], "rival": captions()[rival], "above": above},
                    **{"width": round(above[2] - above[1], 1), "verdict": verdict(above)},
                }
            )
    thirds = [
        {
            "questions": len(part),
            "least": int(counts[part].min()) if len(part) else None,
            "most": int(counts[part].max()) if len(part) else None,
        }
        for part in parts
    ]
    return {
        **{"questions": len(kept), "rows": found, "pairs": pairs, "thirds": thirds},
        "judge": _judge([answers.get(VOTE, {}).get(one) for one in ids], answers.get("judge-best", {})),
        "wait": _waited(kept, answers, resampler) if {VOTE, WAIT} <= set(answers) else None,
    }


def _cost(name: str, ids: Sequence[str], answers: Answers) -> Found:
    """Per question, with what was lent: samples' prompt once and their tokens, and verdicts on them."""
    prompt = generated = 0
    for one in ids:
        row = answers[name][one]
        prompt, generated = prompt + row.prompt, generated + row.generated
        begun = row.told.get("begun", 0)
        if begun:
            lent = answers[VOTE][one]
            prompt += lent.prompt
            generated += sum(each["tokens"] for each in lent.told["samples"][:begun])
        if row.told.get("scored"):
            judged = answers[_SCORED_BY[name]][one]
            prompt, generated = prompt + judged.prompt, generated + judged.generated
    count = len(ids)
    flops = 2.0 * PARAMETERS[SMALL] * (prompt + generated) / count
    return {"prompt": prompt / count, "generated": generated / count, "flops": flops}


def _time(name: str, blocks: Sequence[Block]) -> Found:
    """Seconds of the machine per question; lent samples by their number, and verdicts on them."""
    own = _seconds(name, blocks)
    lent = _BEGINS.get(name, 0) / VOTES
    vote = _seconds(VOTE, blocks) if lent else 0.0
    judged = _seconds(_SCORED_BY[name], blocks) if name in _SCORED_BY else 0.0
    load = max((one.load for one in blocks if one.contestant == name), default=None)
    known = None if own is None or vote is None or judged is None else own + lent * vote + judged
    return {"seconds": known, "load": load}


def _seconds(name: str, blocks: Sequence[Block]) -> float | None:
    mine = [one for one in blocks if one.contestant == name]
    return sum(one.seconds for one in mine) / sum(one.questions for one in mine) if mine else None


def _waited(kept: Sequence[Problem], answers: Answers, resampler: Resampler) -> Found:
    """A thought that is made to go on, beside a vote over as many of the vote's samples as cost the same."""
    mine = [answers[WAIT][one.problem_id] for one in kept]
    votes = [answers[VOTE][one.problem_id] for one in kept]
    rate = 2.0 * PARAMETERS[SMALL]
    pools = [_pool(problem, row) for problem, row in zip(kept, votes, strict=True)]
    plans = [Plan.of("majority", n=n) for n in range(1, VOTES + 1)]
    accuracy = np.array([[one.accuracy for one in derive_all(pool, plans, None)] for pool in pools])
    tokens = np.array(
        [
            [row.prompt + n * float(pool.tokens.mean()) for n in range(1, VOTES + 1)]
            for row, pool in zip(votes, pools, strict=True)
        ]
    )
    spent = rate * float(np.mean([row.prompt + row.generated for row in mine]))
    same = Track("majority", accuracy, tokens, rate * tokens).at(spent)[0]
    right = np.array([float(row.right) for row in mine])
    return {
        "flops": spent,
        "samples": float(np.interp(spent, (rate * tokens).mean(axis=0), range(1, VOTES + 1))),
        "accuracy": points(resampler.interval(right)),
        "vote": points(resampler.interval(same)),
        "above": points(resampler.interval(right - same)),
    }


def _pool(problem: Problem, row: Row) -> Pool:
    """A vote's samples."""
    samples, grader = row.told["samples"], domain(problem.domain)
    group = grouped(problem, grader, [one["answer"] for one in samples])
    unknown = np.full(len(samples), np.nan)
    return Pool(
        problem_id=problem.problem_id,
        policy=SMALL,
        draws=np.arange(len(samples)),
        group=np.asarray(group, np.int64),
        correct=np.array([bool(one["right"]) for one in samples]),
        tokens=np.array([one["tokens"] for one in samples], np.int64),
        prompt_tokens=row.prompt,
        mean_logprob=unknown,
        min_logprob=unknown,
        scores={},
    )


def _judge(votes: Sequence[Row | None], judged: Mapping[str, Row]) -> Found | None:
    """How often the judge scores a right sample above a wrong one of the same question, the mean over
    questions that have both; and the mean score of each kind."""
    areas: list[float] = []
    said: dict[bool, list[float]] = {True: [], False: []}
    for vote in votes:
        row = None if vote is None else judged.get(vote.question)
        if vote is None or row is None or "rewards" not in row.told or "samples" not in vote.told:
            continue
        right = [bool(one["right"]) for one in vote.told["samples"]]
        scores = [one[-1] if one else 0.0 for one in row.told["rewards"]]
        mine = {
            kind: [score for score, one in zip(scores, right, strict=True) if one is kind] for kind in said
        }
        for kind, some in mine.items():
            said[kind] += some
        if mine[True] and mine[False]:
            areas.append(auroc(mine[True], mine[False]))
    if not areas:
        return None
    return {
        **{"questions": len(areas), "auroc": statistics.fmean(areas)},
        **{"right": statistics.fmean(said[True]), "wrong": statistics.fmean(said[False])},
    }
