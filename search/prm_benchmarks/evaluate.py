"""Score the records of PRM benchmarks and measure: ProcessBench, PRMBench, or both at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.errors import RecordError
from search.prm_benchmarks.prmbench import (
    DEFAULT_THRESHOLD,
    PrmBenchRecord,
    PrmBenchScore,
    score_categories,
)
from search.prm_benchmarks.processbench import (
    TUNING,
    ProcessRecord,
    SubsetScore,
    best_threshold,
    score_subset,
)
from search.prm_benchmarks.reliability import PrmReliability, step_auroc, within_auroc
from search.problem_sets.source import is_hub, records
from search.rewards.protocol import Reward
from search.scoring import together

__all__ = ["PrmEvaluation", "evaluate_prm", "read_benchmark"]

Benchmark = tuple[list[ProcessRecord], list[PrmBenchRecord]]
#: records scored at once; a PRM batches what is asked together
_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PrmEvaluation:
    """What was measured.

    Parameters
    ----------
    subsets:
        ProcessBench: subset -> score, under ``threshold``; ``average`` is the mean of their F1.
    chosen_on:
        The subset on which the threshold was chosen; None: it was given, or is PRMBench's.
    prmbench:
        None without its records.
    tokens:
        PRM tokens processed.
    left_out:
        Solutions longer than the PRM's context.
    """

    subsets: Mapping[str, SubsetScore]
    threshold: float
    chosen_on: str | None
    prmbench: PrmBenchScore | None
    reliability: PrmReliability
    tokens: int
    left_out: int

    @property
    def average(self) -> float:
        """Mean F1 over subsets; NaN without any."""
        return _mean([subset.f1 for subset in self.subsets.values()])


def read_benchmark(sources: Sequence[str | Path], limit: int | None = None) -> Benchmark:
    """The records of files or datasets: those with ``label`` are ProcessBench's, the others PRMBench's.

    ``limit`` takes the first records of each source alone. Raises RecordError.
    """
    process: list[ProcessRecord] = []
    bench: list[PrmBenchRecord] = []
    for source in sources:
        file = str(source).rpartition("@")[2] if is_hub(source) else Path(source).name.partition(".")[0]
        for number, (where, record) in enumerate(records(source)):
            if limit is not None and number == limit:
                break
            if "label" in record:
                process.append(ProcessRecord.of(record, where, file))
            else:
                bench.append(PrmBenchRecord.of(record, where))
    if not process and not bench:
        raise RecordError(
            f"an evaluation needs at least one record, got none in {', '.join(map(str, sources))}"
        )
    return process, bench


async def evaluate_prm(
    reward: Reward,
    benchmark: Benchmark,
    *,
    threshold: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PrmEvaluation:
    """Score all records with a PRM and measure.

    Parameters
    ----------
    threshold:
        A step is called wrong below it. None: chosen on the subset ``gsm8k`` where there are ProcessBench
        records, else PRMBench's own 0.5.
    progress:
        Told (records scored, records in all).

    Raises RecordError when the threshold is to be chosen and the subset or one kind of its samples is
    missing; RewardError when the PRM fails.
    """
    asked: list[tuple[str, tuple[str, ...]]] = [
        (record.problem, record.steps) for kind in benchmark for record in kind
    ]
    rewards, tokens = await _score(reward, asked, progress)
    split = len(benchmark[0])
    process = [pair for pair in zip(benchmark[0], rewards[:split], strict=True) if pair[1]]
    bench = [pair for pair in zip(benchmark[1], rewards[split:], strict=True) if pair[1]]
    chosen_on = None
    if threshold is None and process:
        threshold, chosen_on = _choose(process), TUNING
    cut = DEFAULT_THRESHOLD if threshold is None else threshold
    subsets = {
        name: score_subset(*_columns([pair for pair in process if pair[0].subset == name]), cut)
        for name in dict.fromkeys(record.subset for record, _ in process)
    }
    measured = score_categories([r for r, _ in bench], [s for _, s in bench], cut) if bench else None
    solutions, given = [record for record, _ in process], [steps for _, steps in process]
    reliability = PrmReliability(
        prm=reward.card.name,
        fingerprint=reward.card.fingerprint,
        records=len(process) + len(bench),
        within=within_auroc(solutions, given),
        step_auroc=step_auroc(solutions, given),
        process_f1=_mean([subset.f1 for subset in subsets.values()]),
        prm_score=float("nan") if measured is None else measured.overall.prm_score,
        threshold=cut,
    )
    left_out = len(asked) - len(process) - len(bench)
    return PrmEvaluation(
        subsets=subsets,
        threshold=cut,
        chosen_on=chosen_on,
        prmbench=measured,
        reliability=reliability,
        tokens=tokens,
        left_out=left_out,
    )


async def _score(
    reward: Reward, asked: Sequence[tuple[str, tuple[str, ...]]], progress: Callable[[int, int], None] | None
) -> tuple[list[tuple[float, ...]], int]:
    """Step rewards per solution, none for one over the context, and the tokens that were processed."""
    found: list[tuple[float, ...]] = []
    tokens = 0

    async def one(question: str, steps: Sequence[str]) -> tuple[tuple[float, ...], int]:
        if not reward.fits(question, steps):
            return (), 0
        scored = await reward.extend(reward.open(question), steps)
        return scored.rewards, scored.usage.physical_tokens

    for start in range(0, len(asked), _AT_ONCE):
        for rewards, physical in await together([one(*each) for each in asked[start : start + _AT_ONCE]]):
            found.append(rewards)
            tokens += physical
        if progress is not None:
            progress(len(found), len(asked))
    return found, tokens


def _choose(process: Sequence[tuple[ProcessRecord, tuple[float, ...]]]) -> float:
    tuning = [pair for pair in process if pair[0].subset == TUNING]
    labels, rewards = _columns(tuning)
    kinds = {label < 0 for label in labels}
    if kinds != {True, False}:
        subsets = ", ".join(dict.fromkeys(record.subset for record, _ in process))
        raise RecordError(
            f"a threshold is chosen on erroneous and correct samples of the subset {TUNING!r} or given, "
            f"got {len(tuning)} samples of it, subsets {subsets}"
        )
    return best_threshold(labels, rewards)


def _columns(pairs: Sequence[tuple[ProcessRecord, Any]]) -> tuple[list[int], list[tuple[float, ...]]]:
    return [record.label for record, _ in pairs], [steps for _, steps in pairs]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
