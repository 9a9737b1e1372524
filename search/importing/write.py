"""Writes what an importer reads as a search log: whole or not at all, and block by block.

Problems, samples, scores and runs go into parts of a fixed number of records, so memory holds one
block, and per problem its name. The log is built beside its place and renamed onto it at the end.
Draws and runs are numbered in the order in which they come. Where a record brings no verdict the
domain grades. An answer that cannot be read has no vote but keeps the verdict of its record.

When all records are read, problems without a family get one: near-duplicates share it
(``search.problem_sets.families``). Then ``outcomes`` are derived, so that every reader of a log can go on
from here.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import polars as pl

from search.cards import ModelCard
from search.errors import GradingError, RecordError
from search.grading.registry import domain
from search.importing.protocol import UNNAMED, Draw, Importer, Record, Run
from search.importing.report import Report
from search.log.credits import credited
from search.log.manifest import Manifest
from search.log.outcomes import default_plans, greedy_outcomes, pool_outcomes, run_outcomes
from search.log.pool import read_pools
from search.log.records import problem_rows, table_frame
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan
from search.problem import Problem
from search.problem_sets.families import families_of
from search.problem_sets.problem_set import canonical_json
from search.result import Outcome
from search.storage.place import folder_of

__all__ = ["import_records", "replayable"]

#: records of one part
BLOCK = 256

#: rows of each table that are not written yet
_Rows: TypeAlias = dict[str, list[dict[str, object]]]

_WRITTEN = ("problems", "samples", "scores", "runs")
#: where problems wait for their families, beside the tables of the unfinished log
_WAITING = "waiting"
_MENDED = "\ufffd"


def import_records(
    importer: Importer,
    files: Sequence[Path],
    output: Path,
    *,
    block: int = BLOCK,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Make a search log at ``output`` from records by others.

    Parameters
    ----------
    importer:
        Of one format, with its options.
    files:
        What it reads, in this order.
    output:
        A folder that is new or empty.
    block:
        Records per part of the log.
    progress:
        Called with the number of records read, after each block.

    Raises
    ------
    RecordError
        A file cannot be read, or no record of it can be taken; nothing is written then.
    """
    if not files:
        raise RecordError("an import needs at least one file, got none")
    if block < 1:
        raise ValueError(f"a block holds at least 1 record, got {block}")
    output = folder_of(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise RecordError(f"an import writes into a folder that is new or empty, got {str(output)!r}")
    report = Report(importer.name)
    unfinished = output.with_name(f"{output.name}.importing")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        log = SearchLog.create(unfinished, Manifest({f"imported/{importer.name}": f"{importer.version}"}))
        with log.writing():
            _fill(log, importer, importer.records(files, report), report, block, progress)
            log.replace("outcomes", _outcomes(log, report))
        if output.exists():
            output.rmdir()
        unfinished.rename(output)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return report


def replayable(samples: int, steps: int) -> list[Plan]:
    """Plans whose outcomes a pool of ``samples`` draws can tell on each half of it.

    Powers of four up to half the pool, and half the pool itself. Where no solution has more than one
    reward (``steps`` = 1) all scores are one, so ``last`` stands for them.
    """
    half = max(1, samples // 2)
    widest = [
        Plan.of("majority", n=half),
        *(Plan.of(name, n=half, score="last") for name in ("best_of_n", "weighted_vote") if half > 1),
    ]
    plans = dict.fromkeys((*default_plans(samples), *widest))
    return [plan for plan in plans if steps > 1 or plan.score in (None, "last")]


class _Account:
    """What has been taken of each problem, by name: enough to number rows and to refuse doubles."""

    def __init__(self) -> None:
        self.questions: dict[str, int] = {}
        self.samplings: dict[str, str] = {}
        self.draws: Counter[tuple[str, str]] = Counter()
        self.greedy: set[tuple[str, str]] = set()
        self.runs: Counter[tuple[str, str, str, str]] = Counter()
        self.credits: dict[str, list[tuple[str, int, float]]] = defaultdict(list)
        self.unread: Counter[bool] = Counter()
        self.mended = 0


def _fill(
    log: SearchLog,
    importer: Importer,
    records: Iterable[Record],
    report: Report,
    block: int,
    progress: Callable[[int], None] | None,
) -> None:
    account = _Account()
    rows: _Rows = {name: [] for name in _WRITTEN}
    read = parts = 0
    for read, record in enumerate(records, 1):
        _add(record, importer, account, rows, report)
        if read % block == 0:
            parts = _flush(log, importer, rows, report, parts)
            if progress is not None:
                progress(read)
    parts = _flush(log, importer, rows, report, parts)
    if progress is not None:
        progress(read)
    _settle_problems(log, account, report, parts)
    if not report.taken["samples"] and not report.taken["runs"]:
        why = next(iter(report.left_out.items()), None)
        told = "no record" if why is None else f"none: {why[0]} ({why[1].first})"
        raise RecordError(f"an import needs at least one record that can be taken, got {told}")
    sizes = Counter(account.draws.values())
    if len(sizes) > 1:
        _note_sizes(account.draws, report)
    _note_verdicts(account, report)


def _flush(log: SearchLog, importer: Importer, rows: _Rows, report: Report, parts: int) -> int:
    log.declare(policies=importer.policies(), prms=importer.prms())
    for table, held in rows.items():
        if held:
            try:
                frame = table_frame(table, held)
            except UnicodeEncodeError as error:
                # our readers mend half of a character; an importer of another kind may not
                raise RecordError(
                    f"records must be Unicode text, got {error.object[error.start]!r}"
                ) from None
            if table == "problems":
                (log.path / _WAITING).mkdir(exist_ok=True)
                frame.write_parquet(log.path / _WAITING / f"{parts:06d}.parquet")
            else:
                log.append(table, frame, unit=f"import-{parts:06d}")
            report.take(table, len(held))
            held.clear()
    return parts + 1


def _settle_problems(log: SearchLog, account: _Account, report: Report, parts: int) -> None:
    """Move the problems that waited into the log, with their families and the credits of their samples."""
    waiting = [log.path / _WAITING / f"{part:06d}.parquet" for part in range(parts)]
    waiting = [path for path in waiting if path.exists()]
    unnamed = [
        row
        for path in waiting
        for row in pl.scan_parquet(path)
        .filter(family=UNNAMED)
        .select("problem_id", "question")
        .collect()
        .iter_rows()
    ]
    families = dict(
        zip([name for name, _ in unnamed], families_of([question for _, question in unnamed]), strict=True)
    )
    for path in waiting:
        frame = pl.read_parquet(path)
        named = [
            families.get(name, family) for name, family in frame.select("problem_id", "family").iter_rows()
        ]
        meta = [
            canonical_json({**json.loads(text), **credited(account.credits[name])})
            if name in account.credits
            else text
            for name, text in frame.select("problem_id", "meta").iter_rows()
        ]
        frame = frame.with_columns(pl.Series("family", named, pl.String), pl.Series("meta", meta, pl.String))
        log.append("problems", frame, unit=f"import-{path.stem}")
    shutil.rmtree(log.path / _WAITING, ignore_errors=True)
    if unnamed:
        found = len(set(families.values()))
        report.note(
            f"families: near-duplicates share one; {len(families):,} problems that name none are of {found:,}"
        )


def _note_verdicts(account: _Account, report: Report) -> None:
    right, wrong = account.unread[True], account.unread[False]
    if right:
        report.note(
            f"no answer can be read from {right + wrong:,} samples, {right:,} of them right by the record: "
            "they keep its verdict and have no vote"
        )
    elif wrong:
        report.note(f"no answer can be read from {wrong:,} samples: they are wrong and have no vote")
    partial = [credit for credits in account.credits.values() for _, _, credit in credits]
    if partial:
        report.note(
            f"{len(partial):,} samples have a score between 0 and 1, on average "
            f"{sum(partial) / len(partial):.3f}: they count with it"
        )
    if account.mended:
        report.note(
            f"{account.mended:,} texts hold U+FFFD, which stands for what no text can hold, such as half an "
            "emoji"
        )


def _add(record: Record, importer: Importer, account: _Account, rows: _Rows, report: Report) -> None:
    problem, where = record.problem, record.where
    asked = hash((problem.question, problem.answer))
    known = account.questions.get(problem.problem_id)
    if known is not None and known != asked:
        report.leave_out("a problem id names one question with one reference answer", where)
        return
    verdicts = (*(draw.correct for draw in record.draws), *(run.correct for run in record.runs))
    judged = None not in verdicts
    if problem.answer is not None or not judged:
        try:
            domain(problem.domain).grade(problem, None)
        except GradingError:
            report.leave_out("a reference answer is one that its domain can read", where)
            return
    if known is None:
        account.questions[problem.problem_id] = asked
        account.mended += _MENDED in problem.question
        rows["problems"] += problem_rows([problem])
    for draw in record.draws:
        _add_draw(problem, draw, where, account, rows, report)
    for run in record.runs:
        _add_run(problem, run, importer, account, rows)


def _add_draw(
    problem: Problem,
    draw: Draw,
    where: str,
    account: _Account,
    rows: _Rows,
    report: Report,
) -> None:
    key = (problem.problem_id, draw.policy)
    if draw.greedy and key in account.greedy:
        report.leave_out("a policy has one greedy answer per problem", where)
        return
    if not draw.greedy and account.samplings.setdefault(draw.policy, draw.sampling) != draw.sampling:
        report.leave_out("the samples of a policy are drawn in one way", where)
        return
    number = -1 if draw.greedy else account.draws[key]
    if draw.greedy:
        account.greedy.add(key)
    else:
        account.draws[key] += 1
    if draw.credit is not None:
        account.credits[problem.problem_id].append((draw.policy, number, draw.credit))
    if draw.answer is None:
        account.unread[bool(draw.correct)] += 1
    account.mended += _MENDED in draw.text
    rows["samples"].append(
        {
            "problem_id": problem.problem_id,
            "policy": draw.policy,
            "sampling": draw.sampling,
            "draw": number,
            "seed": None,  # nobody can draw it again
            "text": draw.text,
            "answer": draw.answer,
            "correct": _verdict(problem, draw.answer, draw.correct),
            "prompt_tokens": draw.prompt_tokens,
            "tokens": draw.tokens,
            "step_tokens": list(draw.step_tokens),
            "mean_logprob": None,
            "min_logprob": None,
            "finish_reason": draw.finish_reason,
        }
    )
    rows["scores"] += [
        {
            "problem_id": problem.problem_id,
            "policy": draw.policy,
            "sampling": draw.sampling,
            "prm": prm,
            "draw": number,
            "step_rewards": list(scored.rewards),
            "prompt_tokens": scored.prompt_tokens,
            "prm_tokens": scored.tokens,
            "physical_prm_tokens": scored.prompt_tokens + scored.tokens,
        }
        for prm, scored in draw.scores.items()
    ]


def _add_run(problem: Problem, run: Run, importer: Importer, account: _Account, rows: _Rows) -> None:
    key = (problem.problem_id, run.policy, run.prm, str(run.plan))
    number = account.runs[key]
    account.runs[key] += 1
    readable = any(candidate.answer is not None for candidate in run.candidates)
    rows["runs"].append(
        {
            "problem_id": problem.problem_id,
            "policy": run.policy,
            "sampling": run.sampling,
            "prm": run.prm,
            "plan": str(run.plan),
            "run": number,
            "seed": None,
            "candidates": [
                {
                    "text": candidate.text,
                    "answer": candidate.answer,
                    "step_rewards": list(candidate.step_rewards),
                    "step_tokens": list(candidate.step_tokens),
                    "finish_reason": candidate.finish_reason,
                }
                for candidate in run.candidates
            ],
            "answer": run.answer,
            "correct": _verdict(problem, run.answer, run.correct),
            "outcome": str(Outcome.ANSWERED if readable else Outcome.UNREADABLE),
            "policy_tokens": run.policy_tokens,
            "prm_tokens": run.prm_tokens,
            "physical_policy_tokens": run.policy_tokens,
            "physical_prm_tokens": run.prm_tokens,
            "flops": _card(importer.policies(), run.policy).flops(run.policy_tokens)
            + _card(importer.prms(), run.prm).flops(run.prm_tokens),
            "seconds": None,
        }
    )


def _card(cards: Sequence[ModelCard], name: str) -> ModelCard:
    return next(card for card in cards if card.name == name)


def _verdict(problem: Problem, answer: str | None, own: bool | None) -> bool:
    return domain(problem.domain).grade(problem, answer) if own is None else own


def _note_sizes(draws: Counter[tuple[str, str]], report: Report) -> None:
    """Say which pools are smaller than the usual one of their policy: a fit leaves those problems out."""
    by_policy: dict[str, Counter[int]] = {}
    for (_, policy), count in draws.items():
        by_policy.setdefault(policy, Counter())[count] += 1
    for policy, sizes in sorted(by_policy.items()):
        usual = max(sizes, key=lambda size: (sizes[size], size))
        fewer = sum(count for size, count in sizes.items() if size < usual)
        if fewer:
            report.note(
                f"{policy}: most problems have {usual} samples, {fewer} have fewer; a fit leaves those out"
            )


def _outcomes(log: SearchLog, report: Report) -> pl.DataFrame:
    """Outcomes of what each policy's pools can replay, of greedy answers and of runs."""
    parts = [run_outcomes(log)]
    pooled: set[str] = set()
    for policy in log.manifest.policies:
        parts.append(greedy_outcomes(log, policy))
        pools = read_pools(log, policy)
        if not pools:
            continue
        pooled.add(policy)
        sizes = Counter(map(len, pools.values()))
        usual = max(sizes, key=lambda size: (sizes[size], size))
        steps = _most_steps(log, policy)
        parts.append(pool_outcomes(log, pools.values(), replayable(usual, steps)))
    bare = sorted(set(log.manifest.policies) - pooled)
    if bare:
        report.note(f"{', '.join(bare)}: no samples, and a planner is fitted on policies that have some")
    return pl.concat(parts).sort(TABLES["outcomes"].key)


def _most_steps(log: SearchLog, policy: str) -> int:
    rewards = log.scan("scores").filter(pl.col("policy") == policy).select(pl.col("step_rewards").list.len())
    return int(rewards.max().collect().item() or 0)
