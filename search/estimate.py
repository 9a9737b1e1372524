"""What a grid costs before it is run: tokens, FLOPs and hours, with the assumptions said aloud.

Tokens per sample come from the log where it holds samples of the policy, else from a default;
tree searches from their logged runs, else n samples' worth of tokens are assumed (n beams in
flight to the end). Work that the log already holds is not subtracted: this is the whole grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from search.cards import ModelCard
from search.grid import Grid
from search.loader import Loader
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem

__all__ = ["Estimate", "Stage", "estimate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One line: logical tokens of policy and PRM, FLOPs, hours."""

    name: str
    policy_tokens: float
    prm_tokens: float
    flops: float
    hours: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Stages in the order of the campaign, and what was assumed."""

    stages: tuple[Stage, ...]
    assumptions: tuple[str, ...]

    @property
    def tokens(self) -> float:
        """Logical tokens of all policies and PRMs together."""
        return math.fsum(stage.policy_tokens + stage.prm_tokens for stage in self.stages)

    @property
    def flops(self) -> float:
        """Forward FLOPs of everything."""
        return math.fsum(stage.flops for stage in self.stages)

    @property
    def hours(self) -> float:
        """Wall clock at the assumed rate."""
        return math.fsum(stage.hours for stage in self.stages)


@dataclass(frozen=True, slots=True)
class _Rate:
    """Tokens per sample: generated, in the prompt; and per scored sample: steps, prompt."""

    generated: float
    prompt: float
    scored: float
    judged_prompt: float


def estimate(
    problems: Sequence[Problem],
    grid: Grid,
    loader: Loader,
    log: SearchLog | None = None,
    *,
    tokens_per_sample: float = 120.0,
    flops_per_second: float = 1.5e10,
) -> Estimate:
    """The cost of a grid on a problem set.

    Parameters
    ----------
    log:
        Looked at for measured token counts; None: nothing was measured.
    tokens_per_sample:
        Assumed generated tokens, where nothing was measured; prompts are then assumed to take one
        token per four characters of the question, and a PRM as many tokens as the policy.
    flops_per_second:
        What the machine sustains. The default was measured on two CPU cores (24,000 tokens/s of a
        0.32M-parameter policy).

    Raises ValueError for rates that are not positive; CheckpointError for unknown models.
    """
    for name, value in (("tokens_per_sample", tokens_per_sample), ("flops_per_second", flops_per_second)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    assumptions = [f"{flops_per_second:.3g} FLOPs per second", f"{len(problems)} problems"]
    stages: list[Stage] = []
    plans = grid.plans()
    trees = [plan for plan in plans if plan.must_run]
    for policy in grid.policies:
        needs = grid.needs(policy)
        rate = _rate(problems, policy, log, tokens_per_sample, assumptions)
        writer = loader.policy_card(policy)

        def stage(
            name: str, generated: float, prm: str = "", scored: float = 0.0, writer: ModelCard = writer
        ) -> Stage:
            flops = writer.flops(generated) + (loader.prm_card(prm).flops(scored) if prm else 0.0)
            return Stage(
                name=name,
                policy_tokens=generated,
                prm_tokens=scored,
                flops=flops,
                hours=flops / flops_per_second / 3600.0,
            )

        if needs.greedy:
            stages.append(stage(f"{policy}: greedy", len(problems) * (rate.prompt + rate.generated)))
        if needs.draws[policy]:
            per_problem = rate.prompt + grid.samples * rate.generated
            stages.append(stage(f"{policy}: {grid.samples} samples", len(problems) * per_problem))
        for prm in grid.prms(policy):
            if (policy, prm) in needs.scored:
                per_problem = rate.judged_prompt + grid.samples * rate.scored
                stages.append(stage(f"{policy}: scores by {prm}", 0.0, prm, len(problems) * per_problem))
            for plan in trees:
                runs = len(problems) * grid.runs
                generated, scored = _tree(log, policy, prm, plan) or (
                    rate.prompt + plan.n * rate.generated,
                    rate.judged_prompt + plan.n * rate.scored,
                )
                stages.append(
                    stage(f"{policy}: {grid.runs} x {plan} under {prm}", runs * generated, prm, runs * scored)
                )
    if trees:
        assumptions.append("a tree search that was never run takes the tokens of n samples")
    return Estimate(tuple(stages), tuple(assumptions))


def _rate(
    problems: Sequence[Problem],
    policy: str,
    log: SearchLog | None,
    tokens_per_sample: float,
    assumptions: list[str],
) -> _Rate:
    prompt = sum(len(problem.question) for problem in problems) / (4.0 * max(1, len(problems)))
    measured = _measured(log, policy)
    if measured is None:
        assumptions.append(f"{tokens_per_sample:g} tokens per sample of {policy} (not measured)")
        return _Rate(
            generated=tokens_per_sample, prompt=prompt, scored=tokens_per_sample, judged_prompt=prompt
        )
    rows, generated, prompt, scored, judged_prompt = measured
    assumptions.append(f"{generated:.1f} tokens per sample of {policy} (measured on {rows} logged samples)")
    return _Rate(
        generated=generated,
        prompt=prompt,
        scored=generated if scored is None else scored,
        judged_prompt=prompt if judged_prompt is None else judged_prompt,
    )


def _measured(
    log: SearchLog | None, policy: str
) -> tuple[int, float, float, float | None, float | None] | None:
    if log is None:
        return None
    ours = pl.col("policy") == policy
    samples = log.scan("samples").filter(ours, pl.col("draw") >= 0)
    rows, generated, prompt = (
        samples.select(pl.len(), pl.col("tokens").mean(), pl.col("prompt_tokens").mean().alias("prompt"))
        .collect()
        .row(0)
    )
    if not rows:
        return None
    scored, judged = (
        log.scan("scores")
        .filter(ours)
        .select(pl.col("prm_tokens").mean(), pl.col("prompt_tokens").mean())
        .collect()
        .row(0)
    )
    return rows, generated, prompt, scored, judged


def _tree(log: SearchLog | None, policy: str, prm: str, plan: Plan) -> tuple[float, float] | None:
    if log is None:
        return None
    runs = log.scan("runs").filter(
        pl.col("policy") == policy, pl.col("prm") == prm, pl.col("plan") == str(plan)
    )
    generated, scored = (
        runs.select(pl.col("policy_tokens").mean(), pl.col("prm_tokens").mean()).collect().row(0)
    )
    return None if generated is None else (float(generated), float(scored))
