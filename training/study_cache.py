"""What the trials of a planner study share: matrices, folds, length predictions, shortlists.

Built when first needed and kept, so that a trial only fits what it varies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from planner.evidence.matrix import Matrices, Matrix, open_choices
from planner.evidence.model_features import within_problem_auroc
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from planner.features.probe import AGREEMENT
from planner.features.question import SURFACE, NgramEncoder
from planner.planner import Planner
from planner.predicting.bounds import Bounds
from planner.predicting.frontier import Frontier
from search.choice import Choice
from search.plan import Plan
from training.bins import Bins
from training.crossfit import Chain, crossfit, finish, folds_of, predict_lengths, reference_of
from training.design import Design
from training.neighbour_picks import neighbour_picks
from training.portfolio import portfolio
from training.promises import fit_promises
from training.shortlist import shortlist
from training.verdict import verdict

__all__ = ["FoldsBy", "StudyCache", "digest", "price_grid"]

#: what is left out together: a family (requests will be of new kinds) or a problem (of the logged kinds)
FoldsBy = Literal["family", "problem"]

Floats = NDArray[np.float64]


#: rows of a probe that are enough: a log of fewer problems is looked at by several probes of each
_ENOUGH_ROWS = 32_768
_PROBES = 4
#: choices that a shortlist takes from nearest neighbours at most, beyond its own
_NEAR = 4


@dataclass(slots=True)
class StudyCache:
    """What trials share: matrices, length predictions, folds, shortlists. Built when first needed.

    Of adaptive votes and cascades, those are decided between that are best of a policy's choices at some
    price. ``chosen_by``: another study cache, of a part of the log, whose shortlists and best PRMs are taken.
    ``reliability``: PRM -> how well it ranks the samples of one problem, for PRMs that the log cannot judge.
    """

    data: TrainingData
    seed: int
    threads: int
    folds_by: FoldsBy = "family"
    chosen_by: StudyCache | None = None
    reliability: Mapping[str, float] = field(default_factory=dict)
    matrices: Matrices = field(init=False)
    tuning_bins: Bins = field(init=False)
    bins: Bins = field(init=False)
    main: str = field(init=False)
    sample_flops: float = field(init=False)
    prices: Floats = field(init=False)
    judged: NDArray[np.bool_] = field(init=False)
    auroc: dict[tuple[str, str], float] = field(init=False)
    _lengths: dict[tuple[Probe, int], Any] = field(init=False, default_factory=dict)
    _lists: dict[tuple[Probe, int, Choice, bool], Matrix] = field(init=False, default_factory=dict)
    _near: tuple[Choice, ...] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        data = self.data
        encoder = NgramEncoder.fit(data.questions, seed=self.seed)
        probes = min(_PROBES, max(1, _ENOUGH_ROWS // len(data)))
        self.matrices = Matrices(data, encoder, probes=probes, seed=self.seed)
        left_out_together = data.families if self.folds_by == "family" else data.problem_ids
        self.tuning_bins = Bins(folds_of(left_out_together, 3, self.seed), self.threads)
        self.bins = Bins(folds_of(left_out_together, 5, self.seed), self.threads)
        self.main = data.main
        pool = data.pools[self.main]
        self.sample_flops = data.policies[self.main].flops(float(pool.tokens.mean() + pool.prompt.mean()))
        fixed = self.matrices.at(Probe(self.main, 0), data.choices)
        self.prices, self.judged = price_grid(fixed.values.mean(axis=0), fixed.flops.mean(axis=0))
        kept = {choice for choice in data.choices if not choice.plan.is_ordered}
        for policy in data.pools:
            mine = [choice for choice in fixed.choices if choice.policy == policy]
            kept |= set(_best_alone(fixed.only(mine), self.prices)) if mine else set()
        self.data = replace(data, choices=tuple(choice for choice in data.choices if choice in kept))
        if self.chosen_by is not None:
            self.auroc = self.chosen_by.auroc
        else:
            self.auroc = {
                (policy, prm): within_problem_auroc(data, policy, prm, unknown=self.reliability.get(prm, 0.5))
                for policy, held in data.pools.items()
                for prm in held.prms
            }

    @property
    def largest(self) -> dict[str, int]:
        """Policy -> the largest probe of it that leaves something to continue with."""
        return {name: max(1, pool.draws // 2) for name, pool in self.data.pools.items() if pool.draws}

    @property
    def scorable(self) -> bool:
        """Whether a PRM has scored any pool."""
        return bool(self.auroc)

    @property
    def greedy(self) -> tuple[str, ...]:
        """The policies whose greedy answers can be looked at first, and by every PRM that saw the samples.

        A look that no PRM may follow gives up more than the greedy answer brings, and a study of few trials
        does not always notice.
        """
        return tuple(
            name
            for name, pool in self.data.pools.items()
            if pool.greedy is not None and set(pool.prms) <= set(pool.greedy.prms)
        )

    def prm(self, probing: str, *, greedy: bool = False) -> str | None:
        """The PRM that tells right from wrong best for the policy that probes; with ``greedy`` of those that
        scored its greedy answers too."""
        known = {prm: value for (policy, prm), value in self.auroc.items() if policy == probing}
        first = self.data.pools[probing].greedy
        if greedy and first is not None:
            known = {prm: value for prm, value in known.items() if prm in first.prms}
        return max(known, key=lambda n: (known[n], n)) if known else None

    def probe_sequence(self, design: Design) -> tuple[Probe, ...]:
        """The probes of a design, the question first."""
        return design.probe_sequence(self.prm(design.policy, greedy=design.greedy))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the log did not let the study try."""
        pools = {name: pool for name, pool in self.data.pools.items() if pool.draws}
        missing = ", ".join(name for name, pool in pools.items() if pool.greedy is None)
        found = []
        if missing:
            found.append(
                f"first looks at greedy answers of {missing}, which the log does not have of every problem"
            )
        for name, pool in pools.items():
            unscored = set(pool.prms) - set(pool.prms if pool.greedy is None else pool.greedy.prms)
            if unscored:
                told = ", ".join(sorted(unscored))
                found.append(f"first looks at greedy answers of {name}, since {told} scored none")
        return tuple(found)

    @property
    def near(self) -> tuple[Choice, ...]:
        """The choices that nearest neighbours pick by the question, the most picked first."""
        if self._near is None:
            data = self.data
            left_out_together = data.families if self.folds_by == "family" else data.problem_ids
            matrix = self.matrices.at(Probe(self.main, 0), data.choices)
            self._near = neighbour_picks(matrix, self.prices, left_out_together, data.families)
        return self._near

    def listed(self, probe: Probe, following: Probe | None, design: Design) -> Matrix:
        """The matrix of a probe with the choices that it decides between."""
        # what the next probe leads to under a tight cap is answering from it: that stays in sight
        after = probe if following is None else following
        stop = Choice(after.policy, None, Plan.of("majority", n=max(after.samples, 1)))
        key = (probe, design.choices, stop, after.greedy)
        if key not in self._lists and self.chosen_by is not None:
            chosen = self.chosen_by.listed(probe, following, design).choices
            self._lists[key] = self.matrices.at(probe, chosen)
        if key not in self._lists:
            known = open_choices(self.data, probe)
            matrix = self.matrices.at(probe, tuple(sorted({*known, stop}, key=str)))
            place = len(SURFACE) + self.matrices.encoder.dimensions + AGREEMENT.index("top_share")
            signal = matrix.features[:, place] if probe.samples else matrix.characters
            prices = self.prices[self.judged]
            rules = [] if probe.samples else _best_alone(matrix, prices)
            held = [choice for choice in matrix.choices if after.holds(choice)]
            always = sorted({matrix.choices[reference_of(matrix)], stop, *rules, *held}, key=str)
            chosen = shortlist(matrix, self.data.domains, signal, prices, design.choices, always=always)
            if not probe.samples:
                chosen = (*chosen, *[choice for choice in self.near if choice not in chosen][:_NEAR])
            self._lists[key] = matrix.only(sorted(chosen, key=str))
        return self._lists[key]

    def lengths(self, matrix: Matrix, tuning: bool) -> Any:
        key = (matrix.probe, int(tuning))
        if key not in self._lengths:
            bins = self.tuning_bins if tuning else self.bins
            self._lengths[key] = predict_lengths(matrix, self.data, bins, seed=self.seed)
        return self._lengths[key]

    def chain(self, design: Design, tuning: bool) -> Chain:
        probe_sequence = self.probe_sequence(design)
        listed = [
            self.listed(a, b, design)
            for a, b in zip(probe_sequence, (*probe_sequence[1:], None), strict=True)
        ]
        return crossfit(
            listed,
            self.data,
            {matrix.probe: self.lengths(matrix, tuning) for matrix in listed},
            self.tuning_bins if tuning else self.bins,
            self.prices,
            design.settings,
            seed=self.seed,
        )

    def fixed(self, first: Matrix) -> Matrix:
        """The question's matrix with every choice of the log and every rule."""
        return self.matrices.at(first.probe, self.data.choices)

    def utility(self, chain: Chain) -> float:
        return float(chain.utility[:, self.judged].mean())

    def finished(self, design: Design, tried: Mapping[str, int], date: str) -> Planner:
        """The planner of a design; ``tried`` are counts of trials, for the card."""
        chain = self.chain(design, tuning=False)
        first = chain.fits[0].matrix
        safe = portfolio(chain, self.lengths(first, False)[0], self.bins, self.data.families)
        finished = finish(
            chain,
            {fit.matrix.probe: self.lengths(fit.matrix, False) for fit in chain.fits},
            self.bins,
            self.data.families,
            design.settings,
            seed=self.seed,
        )
        stages = tuple(stage for stage, _ in finished)
        menus = [menu for _, menu in finished]
        promises = fit_promises(chain, stages, menus, safe, self.data.domains)
        stages = tuple(replace(stage, promises=kept) for stage, kept in zip(stages, promises, strict=True))
        stages = (replace(stages[0], trust=safe.trust, neighbours=safe.neighbours), *stages[1:])
        data = self.data
        frontier = Frontier(
            prices=self.prices,
            accuracy=safe.met.accuracy.mean(axis=0),
            tokens=safe.met.tokens.mean(axis=0),
            flops=safe.met.flops.mean(axis=0),
            bounds=Bounds.of(safe.met.accuracy, data.families),
        )
        card = {
            "date": date,
            "seed": self.seed,
            "problems": len(data),
            "left_out_problems": data.left_out,
            **({"gaps": list(data.gaps)} if data.gaps else {}),
            "families": sorted(set(data.families)),
            "questions_sha256": digest(data.questions),
            "choices": [str(choice) for choice in data.choices],
            **tried,
            "design": design.to_json(),
            "notes": list(self.notes),
            "quality": {
                "what": f"decisions where a {self.folds_by} was left out; the design saw the same problems",
                "folds": self.folds_by,
                "utility": float((safe.met.accuracy - self.prices * safe.met.flops)[:, self.judged].mean()),
                "shrinkage": [[float(s) for s in fit.shrink] for fit in chain.fits],
                "prices": [float(p) for p in self.prices],
                "accuracy": [float(a) for a in frontier.accuracy],
                "sample_equivalents": [float(f) for f in frontier.flops / self.sample_flops],
            },
            "verdict": verdict(
                safe, fixed=self.fixed(first), folds=self.bins.folds, families=data.families, seed=self.seed
            ),
            "prm_auroc_within_problems": {
                f"{policy} x {prm}": value for (policy, prm), value in self.auroc.items()
            },
        }
        return Planner(
            stages=stages,
            encoder=self.matrices.encoder,
            frontier=frontier,
            policies=dict(data.policies),
            prms=dict(data.prms),
            domains=tuple(sorted(set(data.domains))),
            sample_flops=self.sample_flops,
            card=card,
        )


def price_grid(accuracy: Floats, flops: Floats, count: int = 18) -> tuple[Floats, NDArray[np.bool_]]:
    """(J,) prices per FLOP, ascending, and which of them lie where the best fixed choice changes.

    Those are the slopes of the upper concave hull of ``accuracy`` (C,) against ``flops`` (C,). Left aside are
    slopes so small that the dearest choice would gain less than a fifth of a point, and those so large that
    the cheapest choice would cost all of an accuracy.

    >>> prices, judged = price_grid(np.array([0.2, 0.5, 0.6]), np.array([1.0, 2.0, 4.0]))
    >>> bool(prices[judged].min() >= 0.05 / 1.5), bool(prices[judged].max() <= 0.3 * 1.5)
    (True, True)
    """
    slopes, here = [], int(np.lexsort((-accuracy, flops))[0])
    while True:
        dearer = np.flatnonzero((flops > flops[here]) & (accuracy > accuracy[here]))
        if not len(dearer):
            break
        rise = (accuracy[dearer] - accuracy[here]) / (flops[dearer] - flops[here])
        slopes.append(float(rise.max()))
        here = int(dearer[rise.argmax()])
    least, most = 0.002 / max(float(flops.max()), 1e-300), 1.0 / max(float(flops.min()), 1e-300)
    inside = [slope for slope in slopes if least <= slope <= most] or [0.01 / max(float(flops.max()), 1e-300)]
    low, high = min(inside) / 1.5, max(inside) * 1.5
    prices = np.geomspace(low / 4.0, high * 4.0, count)
    return prices, (prices >= low) & (prices <= high)


def _best_alone(matrix: Matrix, prices: Floats) -> list[Choice]:
    """The choices that are best on average at some price."""
    net = matrix.values.mean(axis=0) - prices[:, None] * matrix.flops.mean(axis=0)
    return [matrix.choices[at] for at in np.unique(net.argmax(axis=1))]


def digest(lines: Sequence[str]) -> str:
    """What tells one log from another."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()
