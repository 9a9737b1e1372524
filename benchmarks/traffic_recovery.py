"""Traffic that changes, replayed from a complete search log: does a planner that learns from it recover?

The problems of the log are parted: a campaign, from which planners are fitted, and problems that are asked. A
request draws one of these, by the mix of domains of its time, and has a cap in tokens. Three times follow
each other: the mix of the campaign's own kind; another mix; and the other mix with a PRM gone bad, whose
scores are those of other samples, drawn at random (so that their distribution stays as it was). What a choice
is worth in either world is known from the log's samples and counts for every curve, so that these have no
noise of answers.

- ``served`` explores, gets feedback on a share of its answers and is refitted by ``training.traffic.refit``
  on schedule, from the newest decisions; the refit may refuse.
- ``fixed`` is the planner that it began with.
- ``oracle`` is fitted on the campaign's problems as they are in the present world.
- ``rules`` is the largest plain vote of the cheapest policy within the cap.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu, Rule
from planner.deciding.stages import Stage
from planner.evaluation.baselines.rules import with_rules
from planner.evaluation.slices import only, rows_of
from planner.evidence.effects import Effects
from planner.evidence.matrix import Matrices
from planner.evidence.pools import PrmPool
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from planner.solving.exploration import Exploration
from planner.traffic.follow import decided, menu_rows
from planner.traffic.gather import Gathered, Ran
from planner.traffic.sources import ANYONE, Sources, Word
from search.choice import Choice
from search.errors import TooLittleDataError
from training.study import fit_training_data
from training.traffic import Traffic, refit

__all__ = ["Setting", "World", "broken", "met_by", "recover", "simplified"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Found = dict[str, Any]

#: planners of which a world remembers what they do
_KEPT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How traffic goes: ``batches`` in each of the three times, of ``size`` requests; a refit after every
    ``every`` of them, from the newest ``window`` decisions; shares that explore and that get feedback."""

    batches: tuple[int, int, int] = (2, 3, 5)
    size: int = 2000
    every: int = 1
    window: int = 4000
    explore: float = 0.3
    feedback: float = 0.2
    tokens: float = 0.0
    #: shares of domains, in alphabetical order, in the first time and after it
    mixes: tuple[tuple[float, ...], tuple[float, ...]] = ((0.4, 0.4, 0.1, 0.1), (0.1, 0.1, 0.4, 0.4))


def simplified(data: TrainingData, policies: Sequence[str], prm: str) -> TrainingData:
    """Votes and best-of-n of some policies, with one PRM: what can be told anew where its scores change."""
    kept = only(data, policies=policies, prms=[prm])
    choices = tuple(choice for choice in kept.choices if not choice.plan.must_run and choice.plan.n <= 16)
    return replace(kept, trees={}, choices=choices)


def broken(data: TrainingData, prm: str, seed: int) -> TrainingData:
    """The same log where a PRM scores nothing: each sample has the scores of another one, of any problem."""
    rng = np.random.default_rng(seed)
    pools = {}
    for name, pool in data.pools.items():
        held = pool.prms.get(prm)
        if held is None:
            pools[name] = pool
            continue
        problems, draws, width = held.summary.shape
        mixed = rng.permutation(held.summary.reshape(-1, width)).reshape(problems, draws, width)
        greedy = pool.greedy
        if greedy is not None and prm in greedy.prms:
            one = greedy.prms[prm]
            greedy = replace(
                greedy,
                prms={**greedy.prms, prm: PrmPool(one.prompt, one.tokens, rng.permutation(one.summary))},
            )
        prms = {**pool.prms, prm: PrmPool(held.prompt, held.tokens, mixed)}
        pools[name] = replace(pool, prms=prms, greedy=greedy)
    return replace(data, pools=pools)


@dataclass(slots=True, eq=False)
class _Stage:
    """One stage of a planner in a world, R rows: what it takes (C: further), expects (3, R), and what comes
    of each choice (R, C)."""

    probe: Probe
    choices: tuple[Choice, ...]
    menu: Menu
    options: Ints
    said: Floats
    accuracy: Floats
    value: Floats
    tokens: Floats
    flops: Floats
    paid: Floats
    paid_flops: Floats
    left: Floats


class World:
    """Problems that are asked, as they are at one time; planners see them through their own encoders."""

    def __init__(self, data: TrainingData, tokens: float) -> None:
        self.data = with_rules(data, seed=0)
        self.tokens = tokens
        self._matrices: list[Matrices] = []
        self._known: list[tuple[tuple[Stage, ...], list[_Stage]]] = []

    def stages(self, planner: Planner) -> list[_Stage]:
        """What a planner does at each of its stages, under the cap; that of the newest planners is kept."""
        for known, found in self._known:
            if known is planner.stages:
                return found
        self._known = [*self._known[-_KEPT:], (planner.stages, self._decided(planner))]
        return self._known[-1][1]

    def _decided(self, planner: Planner) -> list[_Stage]:
        matrices = self._seen(planner)
        found = []
        for stage in planner.stages:
            table = matrices.at(stage.probe, stage.choices)
            menu = stage.menu(table.features, table.characters)
            left = self.tokens - table.paid_tokens
            rule = Rule(price=float(planner.frontier.prices[0]))
            domains = [self.data.domains[problem] for problem in table.problem]
            free = np.full(len(left), np.inf)
            options, said = decided(stage, menu, [rule] * len(left), (left, free), domains)
            found.append(
                _Stage(
                    stage.probe, stage.choices, menu, options, said, stage.accuracy(menu), table.values,
                    table.tokens, table.flops, table.paid_tokens, table.paid_flops, left,
                )
            )  # fmt: skip
        return found

    def _seen(self, planner: Planner) -> Matrices:
        questions = self.data.questions[:8]
        for known in self._matrices:
            if all(np.array_equal(known.encoder.encode(q), planner.encoder.encode(q)) for q in questions):
                return known
        self._matrices.append(Matrices(self.data, planner.encoder, probes=4, resamples=8))
        return self._matrices[-1]


def met_by(stages: Sequence[_Stage]) -> Floats:
    """(P,) how often a planner is right on each problem."""
    after: Floats | None = None
    for stage in reversed(stages):
        rows, count = np.arange(len(stage.options)), len(stage.choices)
        met = stage.value[rows, np.clip(stage.options, 0, count - 1)]
        if after is not None:
            later = after if len(after) == len(rows) else after.reshape(len(rows), -1).mean(axis=1)
            met = np.where(stage.options == count, later, met)
        after = met
    assert after is not None
    return after


@dataclass(slots=True)
class _Decision:
    """A request: world and problem; (stage, row, choice, propensity) of each stage; what came of it."""

    world: int
    problem: int
    domain: str
    path: list[tuple[str, int, Choice | None, float]] = field(default_factory=list)
    spent: list[tuple[float, float]] = field(default_factory=list)
    promised: float = 0.0
    right: bool = False
    known: bool = False


def _serve(
    planner: Planner, stages: Sequence[_Stage], world: int, data: TrainingData, problems: Ints, setting:
    Setting, random: Random,
) -> list[_Decision]:  # fmt: skip
    exploring = Exploration(setting.explore, planner.most_decisions, random)
    rule = Rule(price=float(planner.frontier.prices[0]))
    out = []
    for problem in problems.tolist():
        made = _Decision(world, problem, data.domains[problem])
        probe, paid, paid_flops = random.randrange(4), 0.0, 0.0
        for place, (stage, fitted) in enumerate(zip(stages, planner.stages, strict=True)):
            per = len(stage.options) // len(data)
            row = problem * per + (probe if per > 1 else 0)
            option, chance = int(stage.options[row]), 1.0
            if option >= 0:
                capped = replace(rule, tokens_left=float(stage.left[row]))
                one = menu_rows(stage.menu, np.array([row]))
                option, chance = exploring.pick(fitted, one, capped, option)
            further = option == len(stage.choices) and place + 1 < len(stages)
            option = min(max(option, 0), len(stage.choices) - 1)
            choice = None if further else stage.choices[option]
            made.path.append((str(stage.probe), row, choice, chance))
            if further:
                then = stages[place + 1]
                per = len(then.options) // len(data)
                at = problem * per + (probe if per > 1 else 0)
                made.spent.append((then.paid[at] - paid, then.paid_flops[at] - paid_flops))
                paid, paid_flops = float(then.paid[at]), float(then.paid_flops[at])
                continue
            made.spent.append((float(stage.tokens[row, option]), float(stage.flops[row, option])))
            made.promised = float(stage.accuracy[row, option])
            made.right = random.random() < stage.value[row, option]
            break
        made.known = random.random() < setting.feedback
        out.append(made)
    return out


def gathered(decisions: Sequence[_Decision], planner: Planner, seen: Sequence[Sequence[_Stage]]) -> Gathered:
    """Decisions with a planner followed through them, as ``planner.traffic.gather`` has them from a log.

    ``seen``: what the planner does in each world.
    """
    count, most = len(decisions), max(len(one.path) for one in decisions)
    weights, expected = np.ones((count, most)), np.zeros((3, count, most))
    spent, last = np.zeros((2, count, most)), np.zeros(count, np.int64)
    logged, propensity = np.full(count, np.nan), np.ones(count)
    choices: dict[Ran, int] = {}
    domains: dict[str, int] = {}
    choice = np.zeros(count, np.int64)
    by_probe = [{str(stage.probe): stage for stage in stages} for stages in seen]
    for i, made in enumerate(decisions):
        weight = 1.0
        for place, (probe, row, took, chance) in enumerate(made.path):
            stage = by_probe[made.world].get(probe)
            spent[:, i, place] = made.spent[place]
            takes = False
            if stage is not None:
                option = int(stage.options[row])
                # where nothing fits, planners take the first choice here, as in ``met_by``
                mine = None if option == len(stage.choices) else stage.choices[max(option, 0)]
                takes = mine == took
                expected[:, i, place] = stage.said[:, row] if option >= 0 else 0.0
                if took is not None and took in stage.choices:
                    logged[i] = stage.accuracy[row, stage.choices.index(took)]
            weight *= takes / chance
            weights[i, place:] = weight
            propensity[i] *= chance
            last[i] = place
        ran = made.path[-1][2]
        assert ran is not None
        choice[i] = choices.setdefault((ran.policy, ran.prm, str(ran.plan)), len(choices))
        domains.setdefault(made.domain, len(domains))
    domain = np.array([domains[made.domain] for made in decisions])
    marks = (domain[:, None] == np.arange(1, len(domains))[None]).astype(float)
    names = np.unique([made.problem for made in decisions], return_inverse=True)[1]
    promised = np.array([made.promised for made in decisions])
    return Gathered(
        weights=weights,
        expected=expected,
        spent=spent,
        last=last,
        clusters=names,
        covariates=np.column_stack([np.log1p(spent[1].sum(axis=1)), last, promised, marks]),
        promised=promised,
        logged=logged,
        choice=choice,
        choices=tuple(choices),
        domain=domain,
        domains=tuple(domains),
        propensity=propensity,
        words={
            i: (Word(ANYONE, float(made.right), float(i)),) for i, made in enumerate(decisions) if made.known
        },
        left_out={},
        policies=frozenset(planner.policies),
    )


def _fit(data: TrainingData, effects: Effects | None = None) -> Planner:
    return fit_training_data(replace(data, effects=effects), trials=0, folds="problem")


def recover(
    data: TrainingData, prm: str, *, campaign: int, asked: int, setting: Setting, seed: int,
    log: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> Found:  # fmt: skip
    """One seed: curves of all planners over the batches, and what each refit did."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data))
    learned = rows_of(data, np.sort(order[:campaign]))
    problems = rows_of(data, np.sort(order[campaign : campaign + asked]))
    worlds = [World(problems, setting.tokens), World(broken(problems, prm, seed), setting.tokens)]
    base = _fit(learned)
    log(f"seed {seed}: fitted")
    oracle = _fit(broken(learned, prm, seed + 1000))
    kinds = sorted(set(problems.domains))
    served, at = base, [world.stages(base) for world in worlds]
    fixed = [met_by(stages) for stages in at]
    best = [fixed[0], met_by(worlds[1].stages(oracle))]
    rules = _rules(worlds[0].data, setting.tokens)
    random = Random(seed)
    kept: list[_Decision] = []
    fits: dict[str, Planner] = {}
    curves: dict[str, list[float]] = {name: [] for name in ("served", "fixed", "oracle", "rules")}
    refits: list[Found] = []
    now = [met_by(stages) for stages in at]
    for batch in range(sum(setting.batches)):
        world = int(batch >= sum(setting.batches[:2]))
        mix = setting.mixes[int(batch >= setting.batches[0])]
        weight = _weights(problems.domains, kinds, mix)
        for name, met in (
            ("served", now[world]),
            ("fixed", fixed[world]),
            ("oracle", best[world]),
            ("rules", rules),
        ):
            curves[name].append(float(met @ weight))
        asked_now = rng.choice(len(problems), setting.size, p=weight)
        kept += _serve(served, at[world], world, worlds[world].data, asked_now, setting, random)
        kept = kept[-setting.window :]
        if (batch + 1) % setting.every:
            continue
        served, told = _refitted(learned, base, served, kept, worlds, seed, fits)
        refits.append({"batch": batch + 1, **told})
        log(f"seed {seed}, batch {batch + 1}: {told['said']}")
        if told["taken"]:
            at = [one.stages(served) for one in worlds]
            now = [met_by(stages) for stages in at]
    return {"seed": seed, "curves": curves, "refits": refits}


def _refitted(
    learned: TrainingData, base: Planner, served: Planner, kept: Sequence[_Decision], worlds: Sequence[World],
    seed: int, fits: dict[str, Planner],
) -> tuple[Planner, Found]:  # fmt: skip
    """The planner after a refit, and what the refit did. ``fits``: planners by what they were fitted with."""
    there = sorted({made.world for made in kept})

    def follow(planner: Planner, name: str) -> Gathered:
        seen = [world.stages(planner) if place in there else [] for place, world in enumerate(worlds)]
        return gathered(kept, planner, seen)

    def fit(effects: Effects | None) -> Planner:
        if effects is None:
            return base
        key = json.dumps([dict(effects.shifts), dict(effects.lost)], sort_keys=True)
        if key not in fits:
            fits[key] = _fit(learned, effects)
        return fits[key]

    try:
        made = refit(
            fit, learned, Traffic(follow=follow, sources=Sources()), old=(served, "served"), seed=seed
        )
    except TooLittleDataError as error:
        return served, {"taken": False, "said": str(error), "shifts": {}, "lost": {}}
    refusal = "" if made.comparison is None else made.comparison.refusal
    told = {
        "taken": not refusal,
        "said": refusal or f"taken, from {made.learned.outcomes} outcomes",
        "shifts": made.learned.effects.to_json(4),
        "lost": dict(made.learned.effects.lost),
        "comparison": None if made.comparison is None else made.comparison.to_json(),
    }
    return (served if refusal else made.planner), told


def _weights(domains: Sequence[str], kinds: Sequence[str], mix: Sequence[float]) -> Floats:
    """(P,) the chance of each problem: domains by the mix, alike within one."""
    counts = Counter(domains)
    shares = dict(zip(kinds, mix, strict=True))
    weight = np.array([shares[domain] / counts[domain] for domain in domains])
    return weight / weight.sum()


def _rules(data: TrainingData, tokens: float) -> Floats:
    """(P,) how often the largest plain vote of the cheapest policy within the cap is right."""
    cheapest = min(data.policies, key=lambda name: data.policies[name].parameters)
    each = float(data.pools[cheapest].tokens.mean())
    votes = [c for c in data.choices if c.policy == cheapest and str(c.plan).startswith("majority(")]
    held = [c for c in votes if c.plan.n * each <= tokens] or [min(votes, key=lambda c: c.plan.n)]
    choice = max(held, key=lambda c: c.plan.n)
    from planner.features.question import NgramEncoder

    matrices = Matrices(data, NgramEncoder.fit(list(data.questions)), probes=4, resamples=8)
    return matrices.at(Probe(cheapest, 0), [choice]).values[:, 0]


def summary(found: Sequence[Found], setting: Setting) -> Mapping[str, Any]:
    """Means over seeds, with Student's 95% intervals of the difference to the planner that does not learn."""
    from scipy.special import stdtrit

    curves = {name: np.array([one["curves"][name] for one in found]) for name in found[0]["curves"]}
    begun = np.cumsum([0, *setting.batches])
    times = []
    for place, name in enumerate(("as learned", "another mix", "another mix, bad PRM")):
        rows = slice(begun[place], begun[place + 1])
        told: Found = {"time": name}
        for curve, values in curves.items():
            told[curve] = float(values[:, rows].mean())
            apart = (values[:, rows] - curves["fixed"][:, rows]).mean(axis=1)
            half = 0.0
            if len(apart) > 1:
                half = float(stdtrit(len(apart) - 1, 0.975) * apart.std(ddof=1) / np.sqrt(len(apart)))
            told[f"{curve} over fixed"] = [
                float(apart.mean()),
                float(apart.mean() - half),
                float(apart.mean() + half),
            ]
        told["last batch"] = {
            curve: float(values[:, begun[place + 1] - 1].mean()) for curve, values in curves.items()
        }
        times.append(told)
    return {"curves": {name: values.mean(axis=0).tolist() for name, values in curves.items()}, "times": times}
