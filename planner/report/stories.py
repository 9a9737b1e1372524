"""Ten decisions told from the question to the outcome: those that gained most over the best fixed choice, and
those that lost most.

The fixed choice is the most accurate one on this very log whose mean cost keeps the same mean budget: a hard
rival, since it has seen the answers. A story's outcome is the chance that the final answer is right, over
continuations of the probe that was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.deciding.decision import Menu, Rule
from planner.deciding.replay import Replay, replay
from planner.deciding.stages import Stage
from planner.evidence.labels import draw_probes
from planner.evidence.matrix import Matrices, Matrix
from planner.evidence.probe import Probe, feature_names
from planner.evidence.training_data import Tables
from planner.planner import Planner
from planner.report.findings import Step, Story
from planner.report.influence import probe_text
from planner.report.paired_comparison import effects, paired_comparison
from planner.report.words import ending, feature, plan_text

__all__ = ["probe_draws", "stories"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


#: gains smaller than this changed nothing
_LEVEL = 1e-6


@dataclass(frozen=True, slots=True)
class _Path:
    """Where a problem's first probe led: (stage, row, option) of every decision."""

    decisions: tuple[tuple[int, int, int], ...]


def probe_draws(matrices: Matrices, probe: Probe) -> Ints:
    """(P, probes, k) the pool draws that ``matrices`` shows at a probe; -1 is the greedy one."""
    pool, first = matrices.data.pools[probe.policy], int(probe.greedy)
    drawn = draw_probes(
        len(matrices.data),
        pool.draws + first,
        held=probe.samples,
        probes=matrices.probes,
        resamples=1,
        seed=matrices.seed,
        longest=probe.samples,
        greedy=probe.greedy,
    )
    return drawn.probe(probe.samples) - first


def stories(
    planner: Planner, matrices: Matrices, tables: Tables, price: float, budget: float, *, each: int = 5
) -> tuple[Story, ...]:
    """``each`` decisions that gained most at a price per FLOP and ``each`` that lost most, the best first.

    ``budget``: mean FLOPs that the fixed choice must keep; where none does, the cheapest is the rival.

    No family is told of twice on a side unless there are too few. A problem is told of once.
    """
    data = matrices.data
    done = replay(planner.stages, matrices, [Rule(price=price)])
    fixed = matrices.at(Probe(data.main, 0), data.choices)
    means = fixed.flops.mean(axis=0)
    fits = means <= budget * (1.0 + 1e-9)
    rival = int(np.where(fits, fixed.values.mean(axis=0), -1.0).argmax() if fits.any() else means.argmin())
    paths = [_follow(done, problem) for problem in range(len(data))]
    met, cost, _ = np.array([_outcome(done, path) for path in paths]).T
    gain = (met - price * cost) - (fixed.values[:, rival] - price * fixed.flops[:, rival])
    order = np.argsort(-gain, kind="stable")
    good = _spread([p for p in order if gain[p] > _LEVEL], data.families, each)
    bad = _spread([p for p in order[::-1] if gain[p] < -_LEVEL], data.families, each)
    # too few on one side: more of the other, and of those that changed nothing
    spare = sorted((p for p in map(int, order) if p not in {*good, *bad}), key=lambda p: -abs(gain[p]))
    picked = sorted([*good, *bad, *spare[: 2 * each - len(good) - len(bad)]], key=lambda p: -gain[p])
    answers = _answers(tables, [data.problem_ids[p] for p in picked])
    menus = [
        stage.menu(table.features, table.characters)
        for stage, table in zip(planner.stages, done.matrices, strict=True)
    ]
    references = _references(tables)
    policies = len(data.pools)
    return tuple(
        Story(
            question=data.questions[p],
            domain=data.domains[p],
            family=data.families[p],
            reference=references[data.problem_ids[p]],
            steps=_steps(planner, matrices, menus, paths[p], answers, price),
            ended=_ended(done, paths[p], policies),
            met=float(met[p]),
            cost=float(cost[p]) / planner.sample_flops,
            tokens=float(_outcome(done, paths[p])[2]),
            rival=plan_text(fixed.choices[rival], policies=policies),
            rival_met=float(fixed.values[p, rival]),
            rival_cost=float(fixed.flops[p, rival]) / planner.sample_flops,
            gain=float(gain[p]),
            reasons=_reasons(planner, done, menus, paths[p], price),
        )
        for p in picked
    )


def _follow(done: Replay, problem: int) -> _Path:
    """The decisions on a problem's first probe until one is a choice."""
    taken = []
    for place, (table, made) in enumerate(zip(done.matrices, done.made, strict=True)):
        row = problem * table.probes
        option = int(made[row, 0])
        taken.append((place, row, option))
        if option < len(table.choices):
            break
    return _Path(tuple(taken))


def _outcome(done: Replay, path: _Path) -> tuple[float, float, float]:
    """Chance to be right, FLOPs and tokens, the probes included."""
    place, row, option = path.decisions[-1]
    table = done.matrices[place]
    return (
        float(table.values[row, option]),
        float(table.paid_flops[row] + table.flops[row, option]),
        float(table.paid_tokens[row] + table.tokens[row, option]),
    )


def _ended(done: Replay, path: _Path, policies: int) -> str:
    place, _, option = path.decisions[-1]
    table: Matrix = done.matrices[place]
    return ending(table.choices[option], table.probe, policies=policies)


def _spread(order: Sequence[int] | Ints, families: Sequence[str], count: int) -> list[int]:
    """The first ``count`` in order, a family twice only once all others are told of."""
    first: list[int] = []
    again: list[int] = []
    for p in order:
        known = families[p] in {families[q] for q in first}
        (again if known else first).append(int(p))
    place = {int(p): at for at, p in enumerate(order)}
    return sorted([*first, *again][:count], key=place.__getitem__)


def _steps(
    planner: Planner,
    matrices: Matrices,
    menus: Sequence[Menu],
    path: _Path,
    answers: dict[tuple[str, str, int], str | None],
    price: float,
) -> tuple[Step, ...]:
    data = matrices.data
    steps = []
    for place, row, option in path.decisions:
        stage, menu = planner.stages[place], menus[place]
        problem = row // (matrices.probes if stage.probe.samples else 1)
        seen: dict[int, int] = {}
        spelled: dict[int, str | None] = {-1: None}
        if stage.probe.samples:
            name, policy = data.problem_ids[problem], stage.probe.policy
            codes = matrices.view(stage.probe).pools[policy].codes
            for draw in map(int, probe_draws(matrices, stage.probe)[problem, 0]):
                # equal by the domain's equality, however they are spelled
                code = max(int(codes[problem, draw + int(stage.probe.greedy)]), -1)
                seen[code] = seen.get(code, 0) + 1
                spelled.setdefault(code, answers[name, policy, draw])
        accuracy, cost = _expected(stage, menu, row, option, price)
        if option < len(stage.choices):
            decided = plan_text(stage.choices[option], policies=len(data.pools))
        else:
            following = stage.actions.next_probe
            assert following is not None
            decided = f"draw {probe_text(following)}, then decide again"
        ranked = tuple(
            (spelled[code], times) for code, times in sorted(seen.items(), key=lambda one: -one[1])
        )
        steps.append(
            Step(
                seen=probe_text(stage.probe),
                answers=ranked,
                decided=decided,
                expected=accuracy,
                cost=cost / planner.sample_flops,
            )
        )
    return tuple(steps)


def _expected(stage: Stage, menu: Menu, row: int, option: int, price: float) -> tuple[float, float]:
    """Calibrated accuracy and FLOPs that are still to come, of one option."""
    if option < len(stage.choices):
        accuracy = stage.calibration.apply(menu.level[row : row + 1] + menu.advantage[row, option])
        return float(accuracy[0]), float(menu.costs.flops[row, option])
    net = float(np.interp(price, menu.prices, menu.advance_net[row]))
    cost = float(np.interp(price, menu.prices, menu.advance_cost[row]))
    gained = menu.level[row : row + 1] + net + price * cost
    return float(stage.calibration.apply(gained)[0]), cost


def _reasons(
    planner: Planner, done: Replay, menus: Sequence[Menu], path: _Path, price: float, most: int = 3
) -> tuple[tuple[str, float, float], ...]:
    """The main factors of the last decision: name, value, points over the next best."""
    place, row, option = path.decisions[-1]
    stage, seen = planner.stages[place], done.matrices[place].features[row]
    effect = effects(stage, seen, paired_comparison(stage, menus[place], row, option, price))
    names = feature_names(stage.probe, planner.encoder.dimensions, stage.thoughts)
    main = np.argsort(-np.abs(effect), kind="stable")[:most]
    return tuple(
        (feature(names[f]), float(seen[f]), float(effect[f])) for f in main if abs(effect[f]) >= 5e-4
    )


def _answers(tables: Tables, problems: Sequence[str]) -> dict[tuple[str, str, int], str | None]:
    """(problem, policy, draw) -> the answer of each sample of these problems."""
    rows = (
        tables.scan("samples")
        .filter(pl.col("problem_id").is_in(list(problems)))
        .select("problem_id", "policy", "draw", "answer")
        .collect()
    )
    return {(problem, policy, draw): answer for problem, policy, draw, answer in rows.iter_rows()}


def _references(tables: Tables) -> dict[str, str | None]:
    rows = tables.scan("problems").select("problem_id", "answer").collect()
    return dict(rows.iter_rows())
