"""What a grid costs before it is run: tokens, FLOPs, money and hours, with the assumptions said aloud.

Tokens per sample come from the log where it holds samples of the policy, else from a trial
(``search.campaigns.trial``), else from a default; hours from the speed of a trial, else from an assumed one;
tree searches from their logged runs, else n samples' worth of tokens are assumed (n beams in
flight to the end). Work that the log already holds is not subtracted: this is the whole grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from search.budget import Prices
from search.campaigns.grid import Grid
from search.campaigns.trial import Measured
from search.choice import Choice
from search.loader import Loader
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem

__all__ = ["Estimate", "Stage", "estimate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One line: logical tokens of policy and PRM, FLOPs, hours; dollars, None where no price is known."""

    name: str
    policy_tokens: float
    prm_tokens: float
    flops: float
    hours: float
    usd: float | None = None


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
    def usd(self) -> float | None:
        """Dollars, None where no price is known."""
        known = [stage.usd for stage in self.stages if stage.usd is not None]
        return math.fsum(known) if known else None

    @property
    def hours(self) -> float:
        """Wall clock at the measured or assumed speed."""
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
    measured: Mapping[str, Measured] = MappingProxyType({}),
    prices: Mapping[str, Prices] = MappingProxyType({}),
    tokens_per_sample: float = 120.0,
    flops_per_second: float = 1.5e10,
) -> Estimate:
    """The cost of a grid on a problem set.

    Parameters
    ----------
    log:
        Looked at for measured token counts; None: nothing was measured.
    measured:
        Policy -> what a trial of it showed.
    prices:
        Model -> prices.
    tokens_per_sample:
        Assumed generated tokens, where nothing was measured; prompts are then assumed to take one
        token per four characters of the question, and a PRM as many tokens as the policy.
    flops_per_second:
        What the machine sustains, where no trial was made. The default was measured on two CPU cores (24,000
        tokens/s of a 0.32M-parameter policy).

    Raises ValueError for rates that are not positive; CheckpointError for unknown models.
    """
    for name, value in (("tokens_per_sample", tokens_per_sample), ("flops_per_second", flops_per_second)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    assumptions = [f"{len(problems)} problems"]
    if not measured:
        assumptions.insert(0, f"{flops_per_second:.3g} FLOPs per second")
    stages: list[Stage] = []
    # plans that only pick another answer share their runs
    running: dict[tuple[str, str | None, Plan], Choice] = {}
    for choice in grid.choices():
        if choice.plan.must_run:
            running.setdefault((choice.policy, choice.prm, choice.plan.tree), choice)
    for policy in grid.policies:
        needs = grid.needs(policy)
        trial = measured.get(policy)
        rate = _rate(problems, policy, log, trial, tokens_per_sample, assumptions)
        pricing = _Pricing(policy, loader, trial, prices, flops_per_second)
        many = len(problems)
        if needs.greedy:
            stages.append(pricing.stage(f"{policy}: greedy", many * rate.prompt, many * rate.generated))
        if needs.draws[policy]:
            stages.append(
                pricing.stage(
                    f"{policy}: {grid.samples} samples",
                    many * rate.prompt,
                    many * grid.samples * rate.generated,
                )
            )
        for prm in grid.prms(policy):
            if (policy, prm) in needs.scored:
                per_problem = rate.judged_prompt + grid.samples * rate.scored
                stages.append(pricing.stage(f"{policy}: scores by {prm}", 0.0, 0.0, prm, many * per_problem))
        for choice in (one for one in running.values() if one.policy == policy):
            plan, prm, runs = choice.plan, choice.prm or "", len(problems) * grid.runs
            sent, written = plan.described.takes(rate.prompt, rate.generated)
            generated, scored = _tree(log, policy, prm, plan) or (
                sent + written,
                rate.judged_prompt + plan.n * rate.scored if prm else 0.0,
            )
            name = f"{policy}: {grid.runs} x {plan}{f' under {prm}' if prm else ''}"
            prompts = runs * min(sent, generated)
            again = runs * max(0.0, plan.described.sends(rate.prompt, rate.generated) - sent)
            written = runs * generated - prompts
            stages.append(pricing.stage(name, prompts, written, prm, runs * scored, again))
    if running:
        assumptions.append("a tree search that was never run takes the tokens of n samples")
    if any(plan.thinking is not None and plan.thinking.think for _, _, plan in running):
        assumptions.append("a plan with think that was never run takes all of its thought")
    return Estimate(tuple(stages), tuple(assumptions))


@dataclass(frozen=True, slots=True)
class _Pricing:
    """Tokens of one policy, and of its PRMs, as a stage."""

    policy: str
    loader: Loader
    trial: Measured | None
    prices: Mapping[str, Prices]
    flops_per_second: float

    def stage(
        self,
        name: str,
        prompt: float,
        generated: float,
        prm: str = "",
        scored: float = 0.0,
        again: float = 0.0,
    ) -> Stage:
        """``again``: prompt tokens that are sent beyond ``prompt``, which costs money only."""
        policy_flops = self.loader.policy_card(self.policy).flops(prompt + generated)
        prm_flops = self.loader.prm_card(prm).flops(scored) if prm else 0.0
        flops = policy_flops + prm_flops
        seconds = flops / self.flops_per_second
        if self.trial is not None:
            seconds = generated / self.trial.speed
            if prm and prm in self.trial.scorings:
                seconds += scored / self.trial.scorings[prm].speed
        costs = [
            self.prices[model].usd(prompt=math.ceil(sent), generated=math.ceil(written))
            for model, sent, written in ((self.policy, prompt + again, generated), (prm, scored, 0.0))
            if model in self.prices
        ]
        usd = math.fsum(costs) if costs else None
        return Stage(
            name=name,
            policy_tokens=prompt + generated,
            prm_tokens=scored,
            flops=flops,
            hours=seconds / 3600.0,
            usd=usd,
        )


def _rate(
    problems: Sequence[Problem],
    policy: str,
    log: SearchLog | None,
    trial: Measured | None,
    tokens_per_sample: float,
    assumptions: list[str],
) -> _Rate:
    prompt = sum(len(problem.question) for problem in problems) / (4.0 * max(1, len(problems)))
    measured = _measured(log, policy)
    if trial is not None:
        assumptions.append(
            f"{trial.speed:,.0f} tokens per second of {policy} "
            f"(measured on {trial.solutions} solutions in flight, {trial.tokens:,} tokens spent)"
        )
        if trial.cut > 0.05:
            assumptions.append(f"{100 * trial.cut:.0f}% of the solutions of {policy} reached max_tokens")
    if measured is None and trial is not None:
        assumptions.append(
            f"{trial.solution:.1f} tokens per sample of {policy} (measured on {trial.solutions} solutions)"
        )
        scoring = next(iter(trial.scorings.values()), None)
        return _Rate(
            trial.solution,
            trial.prompt,
            trial.solution if scoring is None else scoring.solution,
            trial.prompt if scoring is None else scoring.prompt,
        )
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
