"""What a search log holds, as arrays: pools of samples, their scores, runs of tree searches.

Problems lie along the first axis everywhere, draws along the second. Answers are whole numbers per
problem (equal by the domain's equality, equal numbers, whichever policy wrote them), below 0 where
unreadable (-1, or less where a record by others judged the sample right; see ``planner.evidence.rows``).
Only problems for which every model and plan of the log is complete are taken; the others are counted
in ``left_out``. It knows nothing of features, values or decisions.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.evidence.arrays import Arrays
from planner.evidence.effects import Effects
from planner.evidence.rows import (
    Complete,
    complete_problems,
    credit,
    first_draws,
    numbered,
    parts,
    rows_of,
    summaries,
    unread_codes,
    with_credits,
)
from search.cards import ModelCard
from search.choice import Choice
from search.engines.protocol import FinishReason
from search.errors import LogError
from search.plan import Plan
from search.scores import SCORES
from search.strategies.adaptive.weights import LOGGED
from search.strategies.replay import needs_of

__all__ = ["PolicyPool", "PrmPool", "Tables", "TrainingData", "TreeRuns", "read_training_data", "replayable"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
#: as narrow as the log has them: millions of them lie in memory
Numbers = NDArray[np.number[Any]]


#: what is read of each table, beside whose row it is
_SAMPLES: tuple[str | pl.Expr, ...] = (
    *("policy", "draw", "answer", "correct", "prompt_tokens", "tokens", *LOGGED.values()),
    pl.col("step_tokens").list.len().alias("steps"),
    pl.col("finish_reason").is_in(FinishReason.TRUNCATED).alias("truncated"),
    pl.col("thought_tokens").cast(pl.Float32).alias("thought"),
    pl.coalesce("thought_cut", pl.col("finish_reason") == FinishReason.THOUGHT).alias("thought_cut"),
)
_SCORES = ("policy", "prm", "draw", "step_rewards", "prompt_tokens", "prm_tokens")
_RUNS = (
    *("policy", "prm", "plan", "run", "answer", "correct", "policy_tokens", "prm_tokens"),
    pl.col("candidates").list.eval(
        pl.struct(pl.element().struct.field("answer"), pl.element().struct.field("step_rewards"))
    ),
)


class Tables(Protocol):
    """Whatever gives the tables of a search log (``search.log.store.SearchLog`` does)."""

    def scan(self, table: str) -> pl.LazyFrame:
        """All rows of one table."""
        ...


@dataclass(frozen=True, slots=True)
class PrmPool:
    """A PRM's view of a pool: tokens ``prompt`` (P,) and ``tokens`` (P, D); ``summary`` (P, D, 8)."""

    prompt: Floats
    tokens: Numbers
    summary: NDArray[np.float32]

    def score(self, name: str) -> NDArray[np.float32]:
        """(P, D) scores; ``name`` is one of ``search.scores.SCORES``."""
        return self.summary[:, :, SCORES.index(name)]


@dataclass(frozen=True, slots=True)
class PolicyPool:
    """A policy's pool, arrays (P, D) unless said otherwise. ``greedy_*`` (P,) are None if not logged.

    ``draws`` is 0 for a policy of which there are greedy answers only: its arrays then hold those, D = 1.
    ``signals``: those of ``search.strategies.adaptive.weights.SIGNALS`` that the log has, NaN where not
    known. ``thought``, ``thought_cut``: tokens of thought, NaN where not known, and whether a budget ended
    it; None for a policy that never thinks.
    ``greedy``: the greedy answers as a pool of one draw, where the log has them beside the samples.
    """

    codes: NDArray[np.signedinteger[Any]]
    prompt: Floats  # (P,)
    tokens: Numbers
    steps: Numbers
    mean_logprob: NDArray[np.floating[Any]]
    min_logprob: NDArray[np.floating[Any]]
    truncated: NDArray[np.bool_]
    greedy_code: Ints | None
    greedy_tokens: Floats | None
    prms: Mapping[str, PrmPool]
    signals: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    is_greedy: bool = False
    greedy: PolicyPool | None = None
    thought: NDArray[np.float32] | None = None
    thought_cut: NDArray[np.bool_] | None = None

    @property
    def thinks(self) -> bool:
        """Whether the log has thoughts of it."""
        return self.thought is not None

    @property
    def draws(self) -> int:
        """Samples per problem."""
        return 0 if self.is_greedy else int(self.codes.shape[1])

    def greedy_first(self) -> PolicyPool:
        """The pool whose first draw is the greedy answer, D + 1 draws; with the PRMs that scored it too.

        Raises LogError where the log has no greedy answers beside samples.
        """
        one = self.greedy
        if one is None:
            raise LogError("a greedy answer is seen first where the log has one of each problem, got none")

        def joined(first: Numbers, rest: Numbers) -> Any:
            return np.concatenate([first.astype(rest.dtype), rest], axis=1)

        return replace(
            self,
            codes=joined(one.codes, self.codes),
            tokens=joined(one.tokens, self.tokens),
            steps=joined(one.steps, self.steps),
            mean_logprob=joined(one.mean_logprob, self.mean_logprob),
            min_logprob=joined(one.min_logprob, self.min_logprob),
            truncated=np.concatenate([one.truncated, self.truncated], axis=1),
            prms={
                prm: PrmPool(
                    held.prompt,
                    joined(one.prms[prm].tokens, held.tokens),
                    np.concatenate([one.prms[prm].summary, held.summary], axis=1),
                )
                for prm, held in self.prms.items()
                if prm in one.prms
            },
            signals={
                name: np.concatenate([one.signals[name], values], axis=1)
                if name in one.signals
                else np.concatenate([np.full_like(values[:, :1], np.nan), values], axis=1)
                for name, values in self.signals.items()
            },
            thought=None if self.thought is None else joined(one.known_thought, self.thought),
            thought_cut=None
            if self.thought_cut is None
            else np.concatenate([one.known_cut, self.thought_cut], axis=1),
        )

    @property
    def known_thought(self) -> NDArray[np.float32]:
        """(P, D) tokens of thought, NaN where nothing is known."""
        if self.thought is not None:
            return self.thought
        return np.full(self.codes.shape, np.nan, np.float32)

    @property
    def known_cut(self) -> NDArray[np.bool_]:
        """(P, D): whether a budget ended the thought."""
        return np.zeros(self.codes.shape, np.bool_) if self.thought_cut is None else self.thought_cut


@dataclass(frozen=True, slots=True)
class TreeRuns:
    """Runs of one choice that must be run, a tree search say: ``code`` (P, R) is each run's answer, tokens
    (P, R) are logical, ``codes`` and ``scores`` (P, R, M) are the candidates' (-1 and 0 beyond their
    number)."""

    code: Ints
    policy_tokens: Floats
    prm_tokens: Floats
    codes: Ints
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Everything a planner learns from. P problems."""

    problem_ids: tuple[str, ...]
    families: tuple[str, ...]
    domains: tuple[str, ...]
    questions: tuple[str, ...]
    right: Bools | Floats  # (P, codes): whether the answer with this number is right, or its mean credit
    pools: Mapping[str, PolicyPool]
    trees: Mapping[Choice, TreeRuns]
    choices: tuple[Choice, ...]
    policies: Mapping[str, ModelCard]
    prms: Mapping[str, ModelCard]
    left_out: int = 0
    effects: Effects | None = None  # what traffic shows beyond the log
    #: what was measured of these arrays and is asked for again, by what it is of (``training.costs``)
    memo: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.problem_ids)

    @property
    def main(self) -> str:
        """The policy with most choices of its own samples alone, of several the largest."""
        counted = {
            name: sum(c.policy == name and not c.plan.is_ordered for c in self.choices)
            for name, pool in self.pools.items()
            if pool.draws
        }
        return max(counted, key=lambda name: (counted[name], self.policies[name].parameters, name))

    def greedy_first(self, policy: str) -> TrainingData:
        """A view in which the greedy answer of a policy is the first draw of its pool. Raises LogError."""
        return replace(self, pools={**self.pools, policy: self.pools[policy].greedy_first()})

    def require(self, choice: Choice) -> None:
        """Raises LogError for a choice that the log cannot replay."""
        if not replayable(choice, self.pools, self.trees):
            raise LogError(f"a planner picks among choices that the log can replay, got {choice}")

    def graded(self, codes: NDArray[np.signedinteger[Any]], begin: int = 0) -> Bools | Floats:
        """Whether answers (P, ...) are right; unreadable ones as far as their records said so.

        Numbers where a record gave partial credit. ``begin``: the problem of the first row.
        """
        where = np.arange(begin, begin + len(codes)).reshape(-1, *(1,) * (codes.ndim - 1))
        said = credit(codes)
        right: Bools | Floats = self.right[where, np.maximum(codes, 0)]
        if right.dtype == np.bool_ and not ((said > 0.0) & (said < 1.0)).any():
            return np.where(codes >= 0, right, said == 1.0)
        return np.where(codes >= 0, right, said)


def replayable(choice: Choice, pools: Mapping[str, PolicyPool], trees: Mapping[Choice, TreeRuns]) -> bool:
    """Whether these pools and runs hold what replaying a choice takes."""
    needs = needs_of(choice)
    if choice.policy not in pools or not needs.runs <= set(trees):
        return False
    return (
        all(policy in pools and count <= pools[policy].draws for policy, count in needs.draws.items())
        and all(policy in pools and pools[policy].greedy_code is not None for policy in needs.greedy)
        and all(prm in pools[policy].prms for policy, prm in needs.scored)
    )


def read_training_data(
    tables: Tables,
    policies: Mapping[str, ModelCard],
    prms: Mapping[str, ModelCard],
    *,
    choices: Sequence[Choice] | None = None,
) -> TrainingData:
    """Read a log into arrays.

    Parameters
    ----------
    tables, policies, prms:
        The log, and the cards by name of the models to read; rows of others are left aside.
    choices:
        What the planner may pick among. None: every choice of the ``outcomes`` table, or, where that is
        empty, ``cot``, votes and best-of-n at powers of four, and every logged tree search.

    Raises
    ------
    TooLittleDataError
        No problem is complete.
    LogError
        A policy has pools of two samplings, rows are not graded, or a choice was never logged.
    """
    named = pl.col("policy").is_in(list(policies))
    judged = pl.col("prm").is_in(list(prms))
    samples = tables.scan("samples").filter(named)
    scores = tables.scan("scores").filter(named & judged)
    runs = tables.scan("runs").filter(named & (judged | (pl.col("prm") == "")))
    complete = complete_problems(tables.scan("problems").collect(), samples, scores, runs)
    arrays = Arrays(len(complete.problems))
    for begin, part in parts(complete.problems):
        _take(arrays, begin, part, samples, scores, runs, complete)
    pools = {name: _pool(arrays, name, complete.draws[name]) for name in sorted(complete.draws)}
    trees = {choice: _tree(arrays, choice) for choice in sorted(complete.runs, key=str)}
    known = tuple(_logged(tables, pools, trees) if choices is None else choices)
    data = TrainingData(
        problem_ids=tuple(complete.problems["problem_id"]),
        families=tuple(complete.problems["family"]),
        domains=tuple(complete.problems["domain"]),
        questions=tuple(complete.problems["question"]),
        right=arrays.ragged(False, "right"),
        pools=pools,
        trees=trees,
        choices=tuple(sorted(set(known), key=str)),
        policies={name: policies[name] for name in pools},
        prms={name: prms[name] for name in sorted(_prms(pools, trees))},
        left_out=complete.left_out,
    )
    for choice in known:
        data.require(choice)
    return data


def _take(
    arrays: Arrays,
    begin: int,
    part: pl.DataFrame,
    samples: pl.LazyFrame,
    scores: pl.LazyFrame,
    runs: pl.LazyFrame,
    complete: Complete,
) -> None:
    """Read the rows of some problems into their places."""
    drawn, ran = with_credits(part, rows_of(part, samples, *_SAMPLES)), rows_of(part, runs, *_RUNS)
    numbers, right = numbered(part, drawn, ran)
    arrays.add(right, "right")
    drawn = drawn.join(numbers, on=["at", "answer"], how="left").drop("answer")
    for name, draws in complete.draws.items():
        _take_samples(
            arrays=arrays,
            begin=begin,
            name=name,
            rows=drawn.filter(pl.col("policy") == name),
            draws=draws,
            problems=len(part),
        )
    for choice, count in complete.runs.items():
        same = (pl.col("policy") == choice.policy) & (pl.col("prm") == (choice.prm or ""))
        _take_runs(arrays, begin, choice, ran.filter(same, plan=str(choice.plan)), numbers, count)
    del drawn, ran
    for (policy, prm), rows in rows_of(part, scores, *_SCORES).group_by("policy", "prm"):
        _take_scores(
            arrays=arrays,
            begin=begin,
            policy=str(policy),
            prm=str(prm),
            rows=rows,
            draws=complete.draws[str(policy)],
            problems=len(part),
        )


def _take_samples(
    *, arrays: Arrays, begin: int, name: str, rows: pl.DataFrame, draws: int, problems: int
) -> None:
    greedy = rows.filter(pl.col("draw") == -1).unique(["at"]).sort("at")
    every = np.arange(problems)
    if len(greedy) == problems:
        arrays.put(begin, _codes(greedy), name, "greedy_code")
        arrays.put(begin, _filled(greedy["tokens"]).astype(np.float64), name, "greedy_tokens")
    if draws:
        _take_draws(arrays, begin, rows, first_draws(rows, draws), name, draws=draws)
        if len(greedy) == problems:
            _take_draws(arrays, begin, greedy, every, name, "greedy", draws=1)
    else:  # its greedy answers stand in the place of a pool
        _take_draws(arrays, begin, greedy, every, name, draws=1)


def _take_draws(arrays: Arrays, begin: int, rows: pl.DataFrame, places: Ints, *name: str, draws: int) -> None:
    def put(column: str, kind: type[np.generic]) -> None:
        arrays.put(begin, _filled(rows[column])[places].reshape(-1, draws).astype(kind), *name, column)

    for column in ("tokens", "steps"):
        put(column, np.int32)
    for column in ("mean_logprob", "min_logprob"):
        put(column, np.float32)
    for signal, column in LOGGED.items():
        values = rows[column].cast(pl.Float32).fill_null(float("nan")).to_numpy()
        if not np.isnan(values).all():
            arrays.put(begin, values[places].reshape(-1, draws), *name, "signals", signal)
    put("truncated", np.bool_)
    put("thought_cut", np.bool_)
    thought = rows["thought"].fill_null(float("nan")).to_numpy()
    arrays.put(begin, thought[places].reshape(-1, draws).astype(np.float32), *name, "thought")
    arrays.put(begin, _codes(rows)[places].reshape(-1, draws).astype(np.int32), *name, "codes")
    prompts = _filled(rows["prompt_tokens"])[places[::draws]]
    arrays.put(begin, prompts.astype(np.float64), *name, "prompt")


def _take_scores(
    *, arrays: Arrays, begin: int, policy: str, prm: str, rows: pl.DataFrame, draws: int, problems: int
) -> None:
    _take_scored(arrays, begin, rows, first_draws(rows, draws), policy, "prms", prm, draws=draws)
    greedy = rows.filter(pl.col("draw") == -1).unique(["at"]).sort("at")
    if len(greedy) == problems:
        _take_scored(arrays, begin, greedy, np.arange(problems), policy, "greedy", "prms", prm, draws=1)


def _take_scored(
    arrays: Arrays, begin: int, rows: pl.DataFrame, places: Ints, *name: str, draws: int
) -> None:
    tokens = _filled(rows["prm_tokens"])[places].reshape(-1, draws).astype(np.int32)
    prompts = _filled(rows["prompt_tokens"])[places[::draws]].astype(np.float64)
    found = summaries(rows["step_rewards"])[places]
    arrays.put(begin, tokens, *name, "tokens")
    arrays.put(begin, prompts, *name, "prompt")
    arrays.put(begin, found.reshape(-1, draws, found.shape[1]), *name, "summary")


def _take_runs(
    arrays: Arrays, begin: int, choice: Choice, part: pl.DataFrame, numbers: pl.DataFrame, runs: int
) -> None:
    rows = part.sort("at", "run").filter(pl.int_range(pl.len()).over("at") < runs).with_row_index("row")
    code = _codes(rows.join(numbers, on=["at", "answer"], how="left", maintain_order="left"))
    inside = (
        rows.select("row", "at", "candidates")
        .filter(pl.col("candidates").list.len() > 0)
        .explode("candidates")
        .unnest("candidates")
        .join(numbers, on=["at", "answer"], how="left", maintain_order="left")
        .with_columns(pl.int_range(pl.len()).over("row").alias("place"))
    )
    most = 1 + int(inside["place"].to_numpy().max(initial=0))
    codes, scores = np.full((len(rows), most), -1, np.int64), np.zeros((len(rows), most), np.float32)
    at = (inside["row"].to_numpy(), inside["place"].to_numpy())
    codes[at] = _codes(inside)
    if choice.plan.score is not None:
        scores[at] = summaries(inside["step_rewards"])[:, SCORES.index(choice.plan.score)]
    name = str(choice)
    arrays.put(begin, code.reshape(-1, runs), name, "code")
    for column in ("policy_tokens", "prm_tokens"):
        arrays.put(begin, rows[column].to_numpy().astype(np.float64).reshape(-1, runs), name, column)
    arrays.add(codes.reshape(-1, runs, most), name, "codes")
    arrays.add(scores.reshape(-1, runs, most), name, "scores")


def _codes(rows: pl.DataFrame) -> Ints:
    """Codes of rows; those of unreadable answers hold what ``correct`` and ``credit`` say, where known."""
    codes = rows["code"].fill_null(-1).to_numpy().astype(np.int64)
    unread = codes < 0
    if "correct" in rows.columns and unread.any():
        said = rows["correct"].fill_null(False).cast(pl.Float64)
        if "credit" in rows.columns:
            said = rows["credit"].cast(pl.Float64).fill_null(said)
        codes[unread] = unread_codes(said.to_numpy()[unread])
    return codes


def _filled(column: pl.Series) -> NDArray[Any]:
    """A column as an array, 0 where nothing is known."""
    known = column.fill_null(0 if column.dtype != pl.Boolean else False)
    return (known.fill_nan(0) if known.dtype.is_float() else known).to_numpy()


def _pool(arrays: Arrays, name: str, draws: int) -> PolicyPool:
    greedy = arrays.full(name, "greedy_code")
    found = replace(_drawn(arrays, name), is_greedy=draws == 0)
    if draws and arrays.full(name, "greedy", "codes"):
        found = replace(found, greedy=_drawn(arrays, name, "greedy", thinks=found.thinks))
    if not greedy:
        return found
    code, tokens = arrays.all(name, "greedy_code"), arrays.all(name, "greedy_tokens")
    return replace(found, greedy_code=code, greedy_tokens=tokens)


def _drawn(arrays: Arrays, *name: str, thinks: bool = False) -> PolicyPool:
    """The pool under a name, without what is known of greedy answers beside it.

    ``thinks``: whether its thoughts are kept where all of them are empty.
    """
    prms = {}
    for prm in arrays.names(*name, "prms"):
        if arrays.full(*name, "prms", prm, "summary"):
            prompt, tokens, summary = (
                arrays.all(*name, "prms", prm, part) for part in ("prompt", "tokens", "summary")
            )
            prms[prm] = PrmPool(prompt, tokens, summary)
    signals = [one for one in arrays.names(*name, "signals") if arrays.full(*name, "signals", one)]
    thought, cut = arrays.all(*name, "thought"), arrays.all(*name, "thought_cut")
    thinks = thinks or bool((np.nan_to_num(thought) > 0).any())
    return PolicyPool(
        codes=arrays.all(*name, "codes"),
        prompt=arrays.all(*name, "prompt"),
        tokens=arrays.all(*name, "tokens"),
        steps=arrays.all(*name, "steps"),
        mean_logprob=arrays.all(*name, "mean_logprob"),
        min_logprob=arrays.all(*name, "min_logprob"),
        truncated=arrays.all(*name, "truncated"),
        greedy_code=None,
        greedy_tokens=None,
        prms=prms,
        signals={signal: arrays.all(*name, "signals", signal) for signal in signals},
        is_greedy=True,
        thought=thought if thinks else None,
        thought_cut=cut if thinks else None,
    )


def _tree(arrays: Arrays, choice: Choice) -> TreeRuns:
    name = str(choice)
    return TreeRuns(
        code=arrays.all(name, "code"),
        policy_tokens=arrays.all(name, "policy_tokens"),
        prm_tokens=arrays.all(name, "prm_tokens"),
        codes=arrays.ragged(-1, name, "codes"),
        scores=arrays.ragged(0, name, "scores"),
    )


def _prms(pools: Mapping[str, PolicyPool], trees: Mapping[Choice, TreeRuns]) -> set[str]:
    """PRMs that scored a pool or steered a tree."""
    scored = {prm for pool in pools.values() for prm in pool.prms}
    return scored | {choice.prm for choice in trees if choice.prm is not None}


def _logged(
    tables: Tables, pools: Mapping[str, PolicyPool], trees: Mapping[Choice, TreeRuns]
) -> list[Choice]:
    named = tables.scan("outcomes").select("policy", "prm", "plan").unique().collect()
    if not named.is_empty():
        chosen = [Choice(policy, prm or None, Plan.parse(plan)) for policy, prm, plan in named.iter_rows()]
        # a tree's PRM need not have scored the pool: the tree then takes no probe
        return [
            choice
            for choice in chosen
            if (
                choice in trees
                if choice.plan.must_run
                else replayable(choice, pools, trees)
                if choice.plan.is_ordered
                else choice.policy in pools and choice.prm in (None, *pools[choice.policy].prms)
            )
        ]
    chosen = list(trees)
    for name, pool in pools.items():
        if pool.greedy_code is not None:
            chosen.append(Choice(name, None, Plan.of("cot")))
        sizes = [n for n in (1, 4, 16, 64, 256) if 2 * n <= pool.draws]
        chosen += [Choice(name, None, Plan.of("majority", n=n)) for n in sizes]
        for prm in pool.prms:
            chosen += [
                Choice(name, prm, Plan.of(strategy, n=n, score="last"))
                for strategy in ("best_of_n", "weighted_vote")
                for n in sizes[1:]
            ]
    return chosen
