"""The tables of a search log: names, keys, columns and types, and the schema's version.

See ``search.log.store`` for how they lie on disk. This file knows no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

__all__ = ["SCHEMA_VERSION", "TABLES", "Table"]

#: raised whenever a column changes its name, type or meaning; a new one is optional and raises nothing
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns in order, and the key that orders and identifies rows."""

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, pl.DataType]
    #: columns that differ between two runs that are otherwise equal: seconds, and physical tokens,
    #: which depend on what a cache still held (a resumed campaign starts with a cold one)
    timings: tuple[str, ...] = ()
    #: columns that came later: a part without them is whole, and they are null there
    optional: frozenset[str] = frozenset()


_FLOATS = pl.List(pl.Float32())
_CANDIDATE = pl.Struct(
    {
        "text": pl.String(),
        "answer": pl.String(),
        "step_rewards": _FLOATS,
        "step_tokens": pl.List(pl.Int32()),
        "finish_reason": pl.String(),
    }
)

_CALL = pl.Struct(
    {"kind": pl.String(), "text": pl.String(), "prompt_tokens": pl.Int32(), "tokens": pl.Int32()}
)

#: by name. ``sampling`` is ``str(Sampling)``; ``plan`` is ``str(Plan)``; ``prm`` is "" where none was asked
TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "problems",
            ("problem_id",),
            {
                "problem_id": pl.String(),
                "family": pl.String(),
                "domain": pl.String(),
                "question": pl.String(),
                "answer": pl.String(),
                "meta": pl.String(),  # JSON
            },
        ),
        Table(  # one row per pool draw; greedy is draw -1
            "samples",
            ("problem_id", "policy", "sampling", "draw"),
            {
                "problem_id": pl.String(),
                "policy": pl.String(),
                "sampling": pl.String(),
                "draw": pl.Int32(),
                "seed": pl.Int64(),
                "text": pl.String(),
                "answer": pl.String(),  # canonical; null if unreadable
                "correct": pl.Boolean(),
                "prompt_tokens": pl.Int32(),
                "tokens": pl.Int32(),
                "step_tokens": pl.List(pl.Int32()),
                "mean_logprob": pl.Float32(),
                "min_logprob": pl.Float32(),
                "finish_reason": pl.String(),
                # what follows is null where the engine does not tell it
                "token_ids": pl.List(pl.Int32()),
                "lowest_window_logprob": pl.Float32(),  # lowest mean over 64 tokens on end
                "step_logprobs": _FLOATS,  # means, one per entry of step_tokens
                "mean_entropy": pl.Float32(),  # over the top logprobs of each token, as are these two
                "mean_confidence": pl.Float32(),
                "lowest_confidence": pl.Float32(),
                "thought": pl.String(),  # before the text; "" where the policy did not think
                "thought_tokens": pl.Int32(),  # of ``tokens``
                "thought_cut": pl.Boolean(),  # whether a budget or a limit ended it
            },
            optional=frozenset(
                {
                    "token_ids",
                    "lowest_window_logprob",
                    "step_logprobs",
                    "mean_entropy",
                    "mean_confidence",
                    "lowest_confidence",
                    "thought",
                    "thought_tokens",
                    "thought_cut",
                }
            ),
        ),
        Table(  # one row per pool draw x PRM
            "scores",
            ("problem_id", "policy", "sampling", "prm", "draw"),
            {
                "problem_id": pl.String(),
                "policy": pl.String(),
                "sampling": pl.String(),
                "prm": pl.String(),
                "draw": pl.Int32(),
                "step_rewards": _FLOATS,
                "prompt_tokens": pl.Int32(),  # of the PRM, counted once per problem
                "prm_tokens": pl.Int32(),  # steps and separators, without the prompt
                "physical_prm_tokens": pl.Int32(),
            },
            timings=("physical_prm_tokens",),
        ),
        Table(  # one row per run of a plan that must be run: a tree search, a revision, ...
            "runs",
            ("problem_id", "policy", "sampling", "prm", "plan", "run"),
            {
                "problem_id": pl.String(),
                "policy": pl.String(),
                "sampling": pl.String(),
                "prm": pl.String(),
                "plan": pl.String(),
                "run": pl.Int32(),
                "seed": pl.Int64(),
                "candidates": pl.List(_CANDIDATE),
                "answer": pl.String(),
                "correct": pl.Boolean(),
                "outcome": pl.String(),
                "policy_tokens": pl.Int64(),  # logical, prompt included once
                "prm_tokens": pl.Int64(),  # logical, prompt included once
                "physical_policy_tokens": pl.Int64(),
                "physical_prm_tokens": pl.Int64(),
                "flops": pl.Float64(),
                "seconds": pl.Float64(),
                # what it asked and ran beyond solutions of the question, part of the figures above
                "calls": pl.List(_CALL),
                "jail_seconds": pl.Float64(),
                # of each candidate, as in samples
                "thought_tokens": pl.List(pl.Int32()),
                "thought_cut": pl.List(pl.Boolean()),
            },
            timings=("physical_policy_tokens", "physical_prm_tokens", "seconds", "jail_seconds"),
            optional=frozenset({"calls", "jail_seconds", "thought_tokens", "thought_cut"}),
        ),
        Table(  # one row per problem that a unit of work was given up for; the other tables lack its rows
            "failures",
            ("problem_id", "policy", "prm", "plan", "stage", "first"),
            {
                "problem_id": pl.String(),
                "policy": pl.String(),
                "prm": pl.String(),
                "plan": pl.String(),
                "stage": pl.String(),  # samples, scores or runs
                "first": pl.Int32(),  # the first draw, or the run
                "error": pl.String(),
            },
        ),
        Table(  # one row per problem x choice; derived, can be rebuilt
            "outcomes",
            ("problem_id", "policy", "prm", "plan"),
            {
                "problem_id": pl.String(),
                "policy": pl.String(),
                "prm": pl.String(),
                "plan": pl.String(),
                "accuracy": pl.Float64(),
                "accuracy_se": pl.Float64(),
                "draws": pl.Int32(),  # samples or runs the estimate rests on
                "reward": pl.Float64(),  # mean score of the chosen candidate, null without a PRM
                "tokens": pl.Float64(),  # policy and PRM, logical
                "tokens_p90": pl.Float64(),
                "flops": pl.Float64(),
                "flops_p90": pl.Float64(),
                "seconds": pl.Float64(),  # null where nothing was timed
            },
            timings=("seconds",),
        ),
    )
}
