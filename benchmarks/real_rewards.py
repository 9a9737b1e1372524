"""A head of a real model on its own samples and on those of a stronger one, beside likelihood and vote.

    PLANNER_REAL_MODELS=FOLDER python benchmarks/real_rewards.py [--first N] [--greedy N] [--judge URL]
        [--work FOLDER]

The log of ``real_campaign.py`` holds the samples: draws and greedy answers of Qwen2.5-Coder-0.5B-Instruct,
greedy answers of the 1.5B. The head is what ``planner train head --inner 0 --dtype bfloat16`` makes: linear,
on the last hidden states at step ends. Every reward comes from a head that has not seen the problem.
On-policy: the 0.5B's draws, four to a problem, so that right ones can be told from wrong ones of the same
problem. Weak to strong: the 1.5B's greedy answers, one to a problem, told from each other over all problems.

The judge is the 0.5B itself, behind a server at URL: P(yes) to "is this solution right?", by the logprobs of
its first token, of every distinct draw. It reads a solution about as long as the head does.

States are kept in WORK, verdicts in ``logs/verdicts.jsonl``: 1,200 solutions are 343,000 tokens. ``--first``:
of so many problems of the log alone, from the first on; ``--greedy``: the 1.5B's answers to so many of these;
``--judge``: the root of an OpenAI-compatible server, or "" where all verdicts are there. It writes
``real_rewards.json`` and ``real_rewards.md``, which ``real_models.md`` names. It asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from real_campaign import LARGE, LOG, PARAMETERS, SMALL
from strategies_lab_figures import points

from planner.cli.printing import json_text
from planner.evaluation.intervals import Resampler
from search.checkpoint import Checkpoint, read_checkpoint
from search.errors import PlannerError
from search.log.pool import Pool, read_problem_table
from search.log.store import SearchLog
from search.prm_benchmarks.auroc import auroc
from search.rewards.computed.embedded import open_backbone
from search.rewards.computed.head import Written
from search.rewards.computed.pieces import Pieces
from search.rewards.judge_spec import JudgeSpec
from search.scoring import together
from search.sources import JudgePrm, ServedPolicy
from training.heads.head import write_head
from training.heads.head_card import measure_head
from training.heads.head_data import Targets, Tried, read_tried, targets_of, tried_of
from training.heads.head_fit import FittedHead, HeadRecipe, fit_head
from training.heads.head_states import read_states

HERE = Path(__file__).parent
RESAMPLES, SEED = 2000, 0
#: the judge's, a line per problem
VERDICTS = HERE / "logs" / "verdicts.jsonl"
DTYPE = "bfloat16"
#: problems that the judge is asked about at a time, each with its solutions
_TOGETHER = 12
#: a linear head. Its figures are those of the first seed; the others say how much is luck
RECIPE = HeadRecipe(inner=0)
SEEDS = (1, 2, 3, 4, 5)

Floats = NDArray[np.float64]
Found = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    models = Path(os.environ.get("PLANNER_REAL_MODELS", "."))
    parser.add_argument("--log", type=Path, default=LOG / "math")
    parser.add_argument("--policy", type=Path, default=models / SMALL, help="the folder of the 0.5B")
    parser.add_argument("--work", type=Path, default=Path("runs/real-head"), help="keeps states")
    parser.add_argument("--first", type=int, help="problems of the log, from the first on")
    parser.add_argument("--greedy", type=int, default=0, help="of these, the 1.5B's answers")
    parser.add_argument("--judge", metavar="URL", help="of a server of the 0.5B, which judges its draws")
    parser.add_argument("--head", type=Path, help="a new folder, for the head")
    parser.add_argument("--page", action="store_true", help="write the page alone, from the JSON")
    parser.add_argument("--output", type=Path, default=HERE / "real_rewards", help="without its suffix")
    asked = parser.parse_args()
    file = asked.output.with_suffix(".json")
    try:
        if not asked.page:
            torch.set_num_threads(len(os.sched_getaffinity(0)))
            file.write_text(json_text(measured(asked)) + "\n", encoding="utf-8")
    except PlannerError as error:
        sys.exit(f"real_rewards: {error}")
    text = page(json.loads(file.read_text(encoding="utf-8")))
    asked.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def measured(asked: argparse.Namespace) -> Found:
    """All figures. States that are not kept yet are computed."""
    log, checkpoint = SearchLog.open(asked.log), read_checkpoint(asked.policy, None)
    every = _draws(log, checkpoint)
    tried = every[: asked.first]
    states = _states(every, checkpoint, asked.work / "draws", len(tried))
    others: list[Tried] = []
    further: list[torch.Tensor] = []
    for policy in (LARGE,) if asked.greedy else ():
        some = _greedy(log, policy, checkpoint, tried[: asked.greedy])
        further += _states(some, checkpoint, asked.work / f"greedy-{policy}", len(some))
        others += some
    own = [_fitted(tried, states, seed) for seed in SEEDS]
    cards = [measure_head(tried, one.left_out, seed=RECIPE.seed) for one in own]
    if asked.head is not None:
        _write(asked, log, checkpoint, own[0], cards[0])
    # what has no weight is not learned from, and is told by a head that has not seen its family
    weightless = [Targets(np.zeros(one.size), np.zeros(one.size)) for one in others]
    fitted = fit_head(
        [*states, *further],
        [*(targets_of(one, balanced=True) for one in tried), *weightless],
        [*(targets_of(one, balanced=False) for one in tried), *weightless],
        [one.problem.family for one in (*tried, *others)],
        RECIPE,
    )
    judged: Found | None = None
    if asked.judge is not None:
        judged = _judged(tried, asyncio.run(_verdicts(tried, asked.judge, VERDICTS)))
    return {
        "policy": SMALL,
        "logged": len(every),
        "tokens": sum(int(one.pool.tokens.sum()) for one in tried),
        "epochs": own[0].epochs,
        "resamples": RESAMPLES,
        "card": cards[0],
        "seeds": [_seed(seed, card) for seed, card in zip(SEEDS, cards, strict=True)],
        "greedy": _over_problems(others, fitted.left_out[len(tried) :]),
        "judge": judged,
    }


async def _verdicts(tried: Sequence[Tried], url: str, file: Path) -> list[list[float]]:
    """Per problem P(yes) of each of its distinct solutions. What is in the file is not asked again."""
    known: dict[str, list[float]] = {}
    if file.exists():
        known = {row["problem"]: row["right"] for row in map(json.loads, file.read_text().splitlines())}
    left = [one for one in tried if one.problem.problem_id not in known]
    if left and not url:
        raise PlannerError(f"--judge must name a server where verdicts are missing, got {len(left)} problems")
    if left:
        policy = ServedPolicy(url, SMALL, {"name": SMALL, "parameters": PARAMETERS[SMALL]})
        room = asyncio.Semaphore(_TOGETHER)
        file.parent.mkdir(parents=True, exist_ok=True)
        async with JudgePrm(JudgeSpec(SMALL, "solution", "logprobs"), policy).open() as judge:

            async def ask(one: Tried) -> None:
                async with room:
                    opened = judge.open(one.problem.question)
                    scored = await together([judge.extend(opened, steps) for steps in one.solutions])
                right = [each.rewards[-1] for each in scored]
                known[one.problem.problem_id] = right
                with file.open("a", encoding="utf-8") as rows:
                    rows.write(json.dumps({"problem": one.problem.problem_id, "right": right}) + "\n")
                print(f"judge: {len(known)}/{len(tried)}", file=sys.stderr)

            await together([ask(one) for one in left])
    return [known[one.problem.problem_id] for one in tried]


def _judged(tried: Sequence[Tried], verdicts: Sequence[Sequence[float]]) -> Found:
    """The card of the judge: a solution's verdict stands at its last step, the only one that is used."""
    rewards = []
    for one, told in zip(tried, verdicts, strict=True):
        values = np.zeros(one.size)
        for places, verdict in zip(one.nodes, told, strict=True):
            values[places[-1]] = verdict
        rewards.append(values)
    said = np.quantile([one for told in verdicts for one in told], (0.1, 0.9))
    return {**measure_head(tried, rewards, seed=RECIPE.seed), "said": [round(float(one), 2) for one in said]}


def _fitted(tried: Sequence[Tried], states: Sequence[torch.Tensor], seed: int) -> FittedHead:
    """A head as ``planner train head`` fits it. ``seed``: of the folds and of the fit."""
    return fit_head(
        states,
        [targets_of(one, balanced=True) for one in tried],
        [targets_of(one, balanced=False) for one in tried],
        [one.problem.family for one in tried],
        replace(RECIPE, seed=seed),
    )


def _seed(seed: int, card: Found) -> Found:
    """What depends on the luck of a fit."""
    most = card["plans"][-1]
    return {
        **{"seed": seed, "last": card["within"]["last"][0], "n": most["n"]},
        **{name: most[f"{name}_over_majority"][0] for name in ("best_of_n", "weighted_vote")},
    }


def _write(
    asked: argparse.Namespace, log: SearchLog, checkpoint: Checkpoint, fitted: FittedHead, card: Found
) -> None:
    """The head's folder. Its policy is looked for beside it."""
    prompting = log.manifest.promptings[SMALL]
    own = prompting.card(checkpoint.card).fingerprint == log.manifest.policy(SMALL).fingerprint
    about = {
        "command": f"python benchmarks/real_rewards.py --first {card['problems']}",
        **{"policy": SMALL, "samples_of": SMALL, "same_weights": own, "epochs": fitted.epochs},
        **{"folds_of": "families", "recipe": asdict(RECIPE)},
        "calibration": {"kind": "platt", **asdict(fitted.platt)},
    }
    write_head(
        asked.head,
        checkpoint,
        prompting,
        RECIPE,
        fitted,
        {**about, **card},
        place=f"../{SMALL}",
    )


def _draws(log: SearchLog, checkpoint: Checkpoint) -> list[Tried]:
    prompting = log.manifest.promptings[SMALL]
    return read_tried(
        log,
        SMALL,
        Written(Pieces(checkpoint), prompting),
        context=checkpoint.context,
        delimiter=prompting.delimiter,
    )


def _greedy(log: SearchLog, policy: str, checkpoint: Checkpoint, known: Sequence[Tried]) -> list[Tried]:
    """The greedy answers of a policy on these problems, as the 0.5B would read them."""
    prompting = log.manifest.promptings[SMALL]
    convention = Written(Pieces(checkpoint), prompting)
    problems = read_problem_table(log)
    ids = [one.problem.problem_id for one in known]
    rows = log.scan("samples").filter(
        pl.col("policy") == policy, pl.col("draw") < 0, pl.col("problem_id").is_in(ids)
    )
    found = []
    for row in rows.sort("problem_id").collect().to_dicts():
        one = np.zeros(1, np.int64)
        likely = np.array([row["mean_logprob"]], float)
        pool = Pool(
            problem_id=row["problem_id"],
            policy=policy,
            draws=one - 1,
            group=one,
            correct=np.array([bool(row["correct"])]),
            tokens=one + row["tokens"],
            prompt_tokens=row["prompt_tokens"],
            mean_logprob=likely,
            min_logprob=likely,
            scores=MappingProxyType({}),
        )
        found.append(
            tried_of(
                problems[row["problem_id"]],
                pool,
                [row["text"]],
                convention,
                checkpoint.context,
                prompting.delimiter,
            )
        )
    return found


def _states(tried: Sequence[Tried], checkpoint: Checkpoint, work: Path, count: int) -> list[torch.Tensor]:
    return read_states(
        tried,
        open_backbone(checkpoint, "cpu", DTYPE),
        work,
        fingerprint=f"{checkpoint.fingerprint} {DTYPE}",
        hidden=int(checkpoint.config["hidden_size"]),
        first=count,
        progress=lambda done, total: print(f"{work.name}: {done}/{total}", file=sys.stderr),
    )


def _over_problems(others: Sequence[Tried], rewards: Sequence[Floats]) -> list[Found]:
    """Per policy how well its greedy answers are told right from wrong, over problems."""
    found = []
    for policy in dict.fromkeys(one.pool.policy for one in others):
        mine = [
            (one, float(values[one.nodes[0][-1]]), float(values.mean()))
            for one, values in zip(others, rewards, strict=True)
            if one.pool.policy == policy and one.solutions
        ]
        right = np.array([bool(one.pool.correct[0]) for one, _, _ in mine])
        scores = {
            "last": np.array([last for _, last, _ in mine]),
            "mean": np.array([mean for _, _, mean in mine]),
            "likelihood": np.array([float(one.pool.mean_logprob[0]) for one, _, _ in mine]),
        }
        draw = Resampler(len(mine), clusters=[one.problem.family for one, _, _ in mine], resamples=1, seed=0)
        found.append(
            {
                "policy": policy,
                "problems": len(mine),
                "right": points(draw.interval(right.astype(float)))[0],
                **{name: _auroc(values, right) for name, values in scores.items()},
            }
        )
    return found


def _auroc(scores: Floats, right: NDArray[np.bool_]) -> list[float] | None:
    """AUROC with a 95% interval by a bootstrap of problems; None where a score is missing."""
    if np.isnan(scores).any() or right.all() or not right.any():
        return None
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(RESAMPLES):
        at = rng.integers(0, len(right), len(right))
        if right[at].any() and not right[at].all():
            drawn.append(_area(scores[at], right[at]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return [round(100 * value, 1) for value in (_area(scores, right), float(low), float(high))]


def _area(scores: Floats, right: NDArray[np.bool_]) -> float:
    return auroc(scores[right].tolist(), scores[~right].tolist())


# ---- the page

_OPENING = """# Rewards on a real model

    {command}

says what is measured and writes this page and `real_rewards.json`. A linear head on the hidden states of
{policy}, learned from its own draws in the log of `real_campaign.py`: {problems} of {logged} problems of
GSM8K, {samples:,} solutions, {tokens:,} tokens. Every figure is of heads that had not seen the problem.
Intervals are 95%, over problems. The head itself, learned from all of these, is in [`real_head`](real_head);
it looks for its policy's folder beside itself (`--prm-option policy=FOLDER` names another).

## On its own samples

{mixed} of the problems have right and wrong samples. Right before wrong within a problem (AUROC, %; 50 is
chance):
"""
_NAMES = {
    "last": "head, last step",
    "min": "head, worst step",
    "mean": "head, mean of steps",
    "prod": "head, product of steps",
    "likelihood": "likelihood of the policy",
}
_PLANS = {
    "majority": "majority vote",
    "best_of_n": "best of n by the {reward}",
    "weighted_vote": "vote weighted by the {reward}",
    "best_by_likelihood": "best of n by likelihood",
}
#: what a judge's card adds to the head's
_JUDGED = ("best_of_n", "weighted_vote")


def page(found: Found) -> str:
    """The page, from the JSON."""
    card = found["card"]
    about = {**found, "problems": card["problems"], "samples": card["samples"]}
    command = "python benchmarks/real_rewards.py"
    command += f" --first {card['problems']}" if card["problems"] < found["logged"] else ""
    command += f" --greedy {found['greedy'][0]['problems']}" if found["greedy"] else ""
    command += " --judge URL" if found.get("judge") else ""
    blocks = [_OPENING.format(**about, mixed=card["within"]["problems"], command=command)]
    judge = found.get("judge")
    scores = [[title, _percent(card["within"].get(name))] for name, title in _NAMES.items()]
    if judge is not None:
        scores.append(["judge (itself), whole solution", _percent(judge["within"]["last"])])
    blocks.append(_table(["score", "AUROC"], scores))
    if judge is not None:
        low, high = judge["said"]
        blocks.append(
            f"Four of five verdicts of the judge, a P(yes) each, lie between {low:.2f} and {high:.2f}."
        )
    rows = []
    for place, row in enumerate(card["plans"]):
        rows += [_plan(row, name, "head") for name in _PLANS if name in row]
        if judge is not None:
            rows += [_plan(judge["plans"][place], name, "judge") for name in _JUDGED]
    heads = ["n", "plan", "right %", "above the vote of n", "above the vote of 2n"]
    blocks += [
        "Accuracy on the same samples. A pass of the head or the judge over a solution costs about what the "
        "solution did, so that at equal FLOPs n samples with either stand against a vote of 2n:",
        _table(heads, rows),
        _luck(found["seeds"]),
    ]
    if found["greedy"]:
        blocks += [
            "## On a stronger model's answers",
            "One greedy answer to a problem, right ones told from wrong ones over all problems, not within "
            "one: knowing which problems are hard helps here. The 0.5B's head reads the 1.5B's answers, weak "
            "to strong. Intervals are 95%, from resamples of problems.",
            _table(
                ["answers of", "problems", "right %", "head, last step", "head, mean", "likelihood"],
                [
                    [
                        *(one["policy"], str(one["problems"]), f"{one['right']:.1f}"),
                        *(_told(one[name]) for name in ("last", "mean", "likelihood")),
                    ]
                    for one in found["greedy"]
                ],
            ),
        ]
    blocks.append(
        "The log has no draws of the 1.5B, so there is neither best-of-n of its samples nor a head learned "
        "from them. What a judge brings in searches is in [Strategies side by side](strategies.md)."
    )
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _plan(row: Found, name: str, reward: str) -> list[str]:
    """A line of the table of plans."""
    over = (_percent(row.get(f"{name}_over_{other}"), "+") for other in ("majority", "twice"))
    return [str(row["n"]), _PLANS[name].format(reward=reward), _percent(row[name]), *over]


def _luck(seeds: Sequence[Found]) -> str:
    """What other folds and fits give."""

    def ends(name: str, sign: str = "") -> str:
        values = [100 * one[name] for one in seeds]
        return f"{min(values):{sign}.1f} to {max(values):{sign}.1f}"

    return (
        f"The head above has the first of {len(seeds)} seeds of folds and fit. Over all of them the last "
        f"step's AUROC is {ends('last')}; at n = {seeds[0]['n']} best of n is {ends('best_of_n', '+')} "
        f"points above the vote, and the weighted vote {ends('weighted_vote', '+')}."
    )


def _percent(told: Sequence[float] | None, sign: str = "") -> str:
    return "" if told is None else _told([100 * one for one in told], sign)


def _told(told: Sequence[float] | None, sign: str = "") -> str:
    if told is None:
        return ""
    return f"{told[0]:{sign}.1f} [{told[1]:{sign}.1f}, {told[2]:{sign}.1f}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
