"""What traffic shows that a campaign did not: how far models say less, and how far means of choices moved.

What a planner that was fitted on the campaign expects of the choices that ran is compared with what came of
them. The differences are regressed on

- how much of each model's worth is lost. What a choice loses where a PRM says nothing, or where a policy's
  answers are none, is known from the campaign (``planner.evidence.noise``), for every choice and domain. So
  this is one number for a model, and few outcomes show it;
- shifts of domains, policies, PRMs, strategies and single choices, finer ones held closer to 0.

It is a Bayesian linear regression with stated prior spreads. Which models lost something, how far the
spreads of shifts are stretched, and since when this holds is chosen by the evidence, the probability of the
differences under each explanation (MacKay 1992, doi.org/10.1162/neco.1992.4.3.415): a richer one must pay
for its freedom. What the planner that serves was fitted with is the first explanation, and nothing at all
the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.evidence.effects import Effects, labels_of
from planner.evidence.matrix import Matrices
from planner.evidence.noise import with_noise
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData, replayable
from planner.features.question import NgramEncoder
from planner.traffic.estimates import effective_size
from planner.traffic.gather import Gathered, Outcomes, Ran
from planner.traffic.missing import chances
from search.choice import Choice
from search.errors import PlanError, TooLittleDataError
from search.plan import Plan

__all__ = ["ENOUGH", "Evidence", "Learned", "Losses", "Model", "learn_effects", "losses_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: outcomes, by effective size, that traffic must bring
ENOUGH = 50
#: prior spreads of shifts, in accuracy, in the order of ``labels_of``: the domain, the policy, it in the
#: domain, the PRM, it in the domain, the strategy, the choice
_SPREADS = (0.10, 0.07, 0.05, 0.05, 0.04, 0.04, 0.03)
#: prior spread of the share that a model lost
_LOST = 1.0
#: of an outcome about what was expected of it
_NOISE = 0.45
#: what the spreads of shifts are multiplied by; 0 learns none
_SCALES = (0.0, 0.25, 0.5, 1.0, 2.0)
#: the part of the decisions, by age, before which nothing had changed
_BEGINS = (0.0, 0.5, 0.75)
#: what more another explanation must bring than the one that is in use, and a richer one than a simpler
#: one: the logarithm of how many times as probable it makes the outcomes
_LIKELY = 1.0
#: a model's loss is believed from so many standard errors on
_SURE = 2.0
_FOLDS = 5
#: an inverse propensity counts so much at most. What is learned is a difference for each group of choices and
#: domains, given what was expected of the question, so weights are needed for what groups do not tell only,
#: and a few explored decisions of weight 1,000 would leave nothing of all others (Cole and Hernan 2008,
#: doi.org/10.1093/aje/kwn164). The comparison of planners keeps the weights whole.
_MOST = 4.0

#: (model, choice that ran, domain) -> what its mean accuracy changes by where the model says nothing
Losses = Mapping[tuple[str, Ran, str], float]


@dataclass(frozen=True, slots=True)
class Model:
    """An explanation of differences: the models that ``lost`` something, by how much the prior spreads of
    shifts are stretched (0: there are none), and since which part of the decisions. ``kept``: what is in
    use already."""

    lost: tuple[str, ...] = ()
    scale: float = 0.0
    begin: float = 0.0
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Learned:
    """What traffic shows, from how many outcomes (effectively), and the explanation that was chosen.

    ``gain`` is by how much it brings the mean squared error of left-out outcomes down; ``errors`` are
    standard errors of the shares that models lost."""

    effects: Effects
    outcomes: int
    effective: float
    model: Model
    gain: float
    errors: Mapping[str, float]


def losses_of(data: TrainingData, ran: Sequence[Ran], *, seed: int = 0) -> Losses:
    """What the choices that ran lose in each domain of a campaign where one of its models says nothing.

    Choices that the campaign cannot replay are left out. What was computed is remembered in ``data.memo``.
    """
    names = [*data.pools, *data.prms]
    kept: dict[Choice, dict[str, dict[str, float]]] = data.memo.setdefault(("losses", seed), {})
    wanted = {
        choice: said
        for said in ran
        if (choice := _choice(*said)) is not None and replayable(choice, data.pools, data.trees)
    }
    fresh = [choice for choice in wanted if choice not in kept]
    if fresh:
        plain = _means(data, fresh, seed)
        without = {name: _means(with_noise(data, {name: 1.0}, seed=seed), fresh, seed) for name in names}
        for place, choice in enumerate(fresh):
            kept[choice] = {
                name: {
                    domain: float(means[place] - plain[domain][place])
                    for domain, means in without[name].items()
                }
                for name in names
            }
    return {
        (name, said, domain): lost
        for choice, said in wanted.items()
        for name, by_domain in kept[choice].items()
        for domain, lost in by_domain.items()
    }


def _means(data: TrainingData, choices: Sequence[Choice], seed: int) -> dict[str, Floats]:
    """Domain -> (C,) mean accuracies of choices."""
    encoder = NgramEncoder.fit(list(data.questions))
    matrices = Matrices(data, encoder, probes=1, resamples=8, seed=seed)
    values, homes = matrices.at(Probe(data.main, 0), choices).values, np.asarray(data.domains)
    return {domain: values[homes == domain].mean(axis=0) for domain in dict.fromkeys(data.domains)}


def _choice(policy: str, prm: str | None, plan: str) -> Choice | None:
    try:
        return Choice(policy, prm, Plan.parse(plan))
    except PlanError:
        return None


def learn_effects(
    gathered: Gathered,
    found: Outcomes,
    rows: Bools,
    *,
    losses: Losses | None = None,
    kept: Effects | None = None,
    also: Floats | None = None,
) -> Learned:
    """What the decisions that ``rows`` (N,) marks show.

    Parameters
    ----------
    gathered:
        With the planner that was fitted on the campaign followed through the log, the oldest decision first.
    found:
        The outcomes that count.
    losses:
        As ``losses_of`` tells them; None: no model can have lost anything.
    kept:
        What the planner that serves was fitted with: it stays unless something else is more probable.
    also:
        (N,) what the planner that serves expects of the choices that ran, for those that the planner of the
        campaign does not know.

    Raises TooLittleDataError for fewer than ``ENOUGH`` effective outcomes.
    """
    evidence = Evidence.of(gathered, found, rows, losses=losses, kept=kept, also=also)
    if evidence.effective < ENOUGH:
        raise TooLittleDataError(
            f"a refit takes outcomes of an effective size of at least {ENOUGH}, "
            f"got {evidence.effective:.0f} of {evidence.outcomes:,}"
        )
    return evidence.learned(evidence.chosen())


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Differences (n,) between what came and what was expected, and what each of K cells is made of: a cell
    is a choice in a domain in a part of the decisions by age.

    ``design`` (K, G + L): groups, then what models can lose; ``spreads`` (G + L,) of the prior; ``age``
    (K,) where the cell's part begins; ``known`` (K,) what is in use says of each cell; ``cell`` (n,)."""

    names: tuple[str, ...]
    models: tuple[str, ...]
    design: Floats
    spreads: Floats
    age: Floats
    known: Floats
    cell: Ints
    off: Floats
    weight: Floats
    fold: Ints
    kept: Effects
    outcomes: int
    effective: float

    @classmethod
    def of(
        cls,
        gathered: Gathered,
        found: Outcomes,
        rows: Bools,
        *,
        losses: Losses | None = None,
        kept: Effects | None = None,
        also: Floats | None = None,
    ) -> Evidence:
        """As ``learn_effects`` takes them."""
        could, old = losses or {}, kept or Effects()
        inverse = 1.0 / np.maximum(chances(gathered.covariates, found.known, gathered.clusters), 1e-12)
        own_planner = np.isfinite(gathered.logged)
        expected = gathered.logged if also is None else np.where(own_planner, gathered.logged, also)
        used = rows & found.known & np.isfinite(expected)
        own = (np.minimum(1.0 / gathered.propensity, _MOST) * inverse)[used]
        off, clusters = (found.values - expected)[used], gathered.clusters[used]
        place = np.flatnonzero(used) / max(1, len(used))
        part = np.searchsorted(np.array(_BEGINS), place, side="right") - 1
        keys = list(
            zip(gathered.choice[used].tolist(), gathered.domain[used].tolist(), part.tolist(), strict=True)
        )
        cells = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        models = tuple(dict.fromkeys(name for name, _, _ in could))
        known: dict[str, int] = {}
        spreads: list[float] = []
        groups: list[list[int]] = []
        lost = np.zeros((len(cells), len(models)))
        said = np.zeros(len(cells))
        for (choice, domain, _), number in cells.items():
            ran, home = gathered.choices[choice], gathered.domains[domain]
            policy, prm, plan = ran
            labels = labels_of(policy, prm, plan, home)
            for label, spread in zip(labels, _SPREADS, strict=True):
                if label not in known:
                    known[label] = len(known)
                    spreads.append(spread)
            groups.append([known[label] for label in labels])
            lost[number] = [could.get((name, ran, home), 0.0) for name in models]
            said[number] = sum(old.shifts.get(label, 0.0) for label in labels)
            said[number] += float(lost[number] @ [old.lost.get(name, 0.0) for name in models])
        cell = np.array([cells[key] for key in keys], np.int64)
        # the planner that serves expects what is in use already
        off = off + np.where(own_planner[used], 0.0, said[cell])
        design = np.zeros((len(cells), len(known)))
        for number, mine in enumerate(groups):
            design[number, mine] = 1.0
        return cls(
            names=tuple(known),
            models=models,
            design=np.concatenate([design, lost], axis=1),
            spreads=np.array([*spreads, *[_LOST] * len(models)]),
            age=np.array([_BEGINS[part] for _, _, part in cells]),
            known=said,
            cell=cell,
            off=off,
            weight=own * (_worth(own, off, clusters) / own.sum()) if len(own) else own,
            fold=clusters % _FOLDS,
            kept=old,
            outcomes=int(used.sum()),
            effective=effective_size(own, clusters) if len(own) else 0.0,
        )

    def chosen(self) -> Model:
        """The first explanation, the simplest first, that none of the richer ones beats clearly."""
        best = Model(kept=True) if self.kept else Model()
        if self.kept and self.log_evidence(Model()) > self.log_evidence(best) + _LIKELY:
            best = Model()
        grown = Model()
        while True:
            found = max(self._richer(grown), key=self.log_evidence, default=grown)
            if self.log_evidence(found) <= self.log_evidence(grown) + _LIKELY:
                break
            grown = found
        return grown if self.log_evidence(grown) > self.log_evidence(best) + _LIKELY else best

    def _richer(self, model: Model) -> list[Model]:
        """Explanations with one thing more: another model that lost something, or wider shifts."""
        begins = _BEGINS if model == Model() else (model.begin,)
        more = [(*model.lost, name) for name in self.models if name not in model.lost]
        found = [replace(model, lost=lost, begin=begin) for lost in more for begin in begins]
        wider = [scale for scale in _SCALES if scale > model.scale]
        return found + [replace(model, scale=scale, begin=begin) for scale in wider for begin in begins]

    def learned(self, model: Model, *, sure: float = _SURE) -> Learned:
        """What an explanation says; ``sure``: of losses those that are so many standard errors above 0."""
        effects, errors = self.kept, {}
        if not model.kept:
            mean, spread = self._solved(np.ones(len(self.fold), bool), model)
            count = len(self.names)
            shifts = {n: float(np.clip(s, -1.0, 1.0)) for n, s in zip(self.names, mean, strict=False) if s}
            shares = dict(zip(self.models, mean[count:].tolist(), strict=True))
            spreads = dict(zip(self.models, spread[count:].tolist(), strict=True))
            errors = {name: spreads[name] for name in model.lost}
            lost = {
                name: min(1.0, shares[name]) for name in model.lost if shares[name] > sure * spreads[name]
            }
            effects = Effects(shifts, lost)
        nothing = self._left_out(Model())
        return Learned(
            effects=effects,
            outcomes=self.outcomes,
            effective=self.effective,
            model=model,
            gain=1.0 - self._left_out(model) / nothing if nothing > 0.0 else 0.0,
            errors=errors,
        )

    def log_evidence(self, model: Model) -> float:
        """The log probability of all differences under a model, less that under none."""
        if model.kept:
            said = self.known[self.cell]
            return float(self.weight @ (said * self.off - 0.5 * said**2)) / _NOISE**2
        free, spreads, design = self._free(model)
        if not free.any():
            return 0.0
        precision, right = self._normal(np.ones(len(self.fold), bool), design)
        posterior = precision + np.diag(1.0 / spreads**2)
        size = float(np.linalg.slogdet(posterior)[1]) + 2.0 * float(np.log(spreads).sum())
        return 0.5 * (float(right @ np.linalg.solve(posterior, right)) - size)

    def _free(self, model: Model) -> tuple[Bools, Floats, Floats]:
        """(G + L,) what a model leaves free; spreads (F,) and the design (K, F) of that."""
        spreads = self.spreads.copy()
        count = len(self.names)
        spreads[:count] *= model.scale
        spreads[count:] *= [name in model.lost for name in self.models]
        free = spreads > 0.0
        return free, spreads[free], self.design[:, free] * (self.age >= model.begin)[:, None]

    def _normal(self, rows: Bools, design: Floats) -> tuple[Floats, Floats]:
        """Precision (F, F) and right side (F,) of some rows, without the prior."""
        cells = len(self.design)
        weight = np.bincount(self.cell[rows], weights=self.weight[rows], minlength=cells)
        total = np.bincount(self.cell[rows], weights=self.weight[rows] * self.off[rows], minlength=cells)
        return (design.T * weight) @ design / _NOISE**2, (design.T @ total) / _NOISE**2

    def _solved(self, rows: Bools, model: Model) -> tuple[Floats, Floats]:
        """(G + L,) means and spreads of the posterior, from some rows."""
        free, spreads, design = self._free(model)
        mean, error = np.zeros(len(self.spreads)), np.zeros(len(self.spreads))
        if free.any():
            precision, right = self._normal(rows, design)
            covariance = np.linalg.inv(precision + np.diag(1.0 / spreads**2))
            mean[free], error[free] = covariance @ right, np.sqrt(np.diag(covariance))
        return mean, error

    def _left_out(self, model: Model) -> float:
        """The weighted mean squared error on questions that were left out."""
        total = 0.0
        for fold in range(_FOLDS):
            out = self.fold == fold
            if not out.any():
                continue
            if model.kept:
                said = self.known
            else:
                _, _, design = self._free(Model((*self.models,), 1.0, model.begin))
                said = design @ self._solved(~out, model)[0]
            total += float(self.weight[out] @ (self.off[out] - said[self.cell[out]]) ** 2)
        return total


def _worth(weight: Floats, off: Floats, clusters: Ints) -> float:
    """How many independent outcomes say as much as these of weights (n,): those on one question are alike.

    By how much the variance of a weighted mean grows through that (the design effect, Kish 1965).
    """
    apart = weight * (off - float(weight @ off) / float(weight.sum()))
    together = np.bincount(np.unique(clusters, return_inverse=True)[1], weights=apart)
    growth = float((together**2).sum()) / max(float((apart**2).sum()), 1e-300)
    return float(weight.sum()) ** 2 / float((weight**2).sum()) / max(1.0, growth)
