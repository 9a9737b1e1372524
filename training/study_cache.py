"""What the trials of a planner study share: matrices, folds, length predictions, shortlists.

Built when first needed and kept, so that a trial only fits what it varies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from planner.features.models import within_problem_auroc
from planner.features.probe import AGREEMENT
from planner.features.question import SURFACE, NgramEncoder
from planner.frontier import Frontier
from planner.labels import Probe
from planner.matrix import Matrices, Matrix, open_choices
from planner.planner import Planner
from planner.training_data import TrainingData
from search.choice import Choice
from search.plan import Plan
from training.bins import Bins
from training.crossfit import Chain, crossfit, finish, folds_of, predict_lengths, reference_of
from training.design import Design
from training.shortlist import shortlist

__all__ = ["FoldsBy", "StudyCache", "digest"]

#: what is left out together: a family (requests will be of new kinds) or a problem (of the logged kinds)
FoldsBy = Literal["family", "problem"]

Floats = NDArray[np.float64]


#: rows of a probe that are enough: a log of fewer problems is looked at by several probes of each
_ENOUGH_ROWS = 32_768
_PROBES = 4


@dataclass(slots=True)
class StudyCache:
    """What trials share: matrices, length predictions, folds, shortlists. Built when first needed.

    ``chosen_by``: another study cache, of a part of the log, whose shortlists and best PRMs are taken.
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
    _lists: dict[tuple[Probe, int, Choice], Matrix] = field(init=False, default_factory=dict)

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
        relative = np.geomspace(3e-5, 3.0, 18)
        self.prices = relative / self.sample_flops
        self.judged = (relative >= 2e-4) & (relative <= 0.05)
        if self.chosen_by is not None:
            self.auroc = self.chosen_by.auroc
        else:
            self.auroc = {
                (policy, prm): within_problem_auroc(data, policy, prm, unknown=self.reliability.get(prm, 0.5))
                for policy, held in data.pools.items()
                for prm in held.prms
            }

    @property
    def largest(self) -> int:
        """The largest probe that leaves something to continue with."""
        return max(1, min(pool.draws for pool in self.data.pools.values()) // 2)

    @property
    def scorable(self) -> bool:
        """Whether a PRM has scored any pool."""
        return bool(self.auroc)

    def prm(self, probing: str) -> str | None:
        """The PRM that tells right from wrong best for the policy that probes."""
        known = {prm: value for (policy, prm), value in self.auroc.items() if policy == probing}
        return max(known, key=lambda n: (known[n], n)) if known else None

    def probe_sequence(self, design: Design) -> tuple[Probe, ...]:
        """The probes of a design, the question first."""
        return design.probe_sequence(self.prm(design.policy))

    def listed(self, probe: Probe, following: Probe | None, design: Design) -> Matrix:
        """The matrix of a probe with the choices that it decides between."""
        # what the next probe leads to under a tight cap is answering from it: that stays in sight
        after = probe if following is None else following
        stop = Choice(after.policy, None, Plan.of("majority", n=max(after.samples, 1)))
        key = (probe, design.choices, stop)
        if key not in self._lists and self.chosen_by is not None:
            chosen = self.chosen_by.listed(probe, following, design).choices
            self._lists[key] = self.matrices.at(probe, chosen)
        if key not in self._lists:
            known = open_choices(self.data, probe)
            matrix = self.matrices.at(probe, tuple(sorted({*known, stop}, key=str)))
            place = len(SURFACE) + self.matrices.encoder.dimensions + AGREEMENT.index("top_share")
            signal = matrix.features[:, place] if probe.samples else matrix.characters
            always = sorted({matrix.choices[reference_of(matrix)], stop}, key=str)
            prices = self.prices[self.judged]
            chosen = shortlist(matrix, self.data.domains, signal, prices, design.choices, always=always)
            self._lists[key] = matrix.only(chosen)
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

    def utility(self, chain: Chain) -> float:
        return float(chain.utility[:, self.judged].mean())

    def finished(self, design: Design, tried: Mapping[str, int], date: str) -> Planner:
        """The planner of a design; ``tried`` are counts of trials, for the card."""
        chain = self.chain(design, tuning=False)
        stages = finish(
            chain,
            {fit.matrix.probe: self.lengths(fit.matrix, False) for fit in chain.fits},
            self.bins,
            self.data.families,
            design.settings,
            seed=self.seed,
        )
        data = self.data
        frontier = Frontier(
            prices=self.prices,
            accuracy=chain.accuracy.mean(axis=0),
            tokens=chain.tokens.mean(axis=0),
            flops=chain.flops.mean(axis=0),
        )
        card = {
            "date": date,
            "seed": self.seed,
            "problems": len(data),
            "left_out_problems": data.left_out,
            "families": sorted(set(data.families)),
            "questions_sha256": digest(data.questions),
            "choices": [str(choice) for choice in data.choices],
            **tried,
            "design": design.to_json(),
            "quality": {
                "what": f"decisions where a {self.folds_by} was left out; the design saw the same problems",
                "folds": self.folds_by,
                "utility": self.utility(chain),
                "shrinkage": [[float(s) for s in fit.shrink] for fit in chain.fits],
                "prices": [float(p) for p in self.prices],
                "accuracy": [float(a) for a in frontier.accuracy],
                "sample_equivalents": [float(f) for f in frontier.flops / self.sample_flops],
            },
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


def digest(lines: Sequence[str]) -> str:
    """What tells one log from another."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()
