"""The planner study: from a search log to a planner, tuned by the utility of its decisions.

Optuna varies how advantages are modelled, which features and looks are used and how many choices are
decided between. A trial is judged by what its decisions meet on families that its models have not seen:
accuracy less the price of compute, averaged over prices (the area under accuracy against compute, seen from
above). The fit of the values is never judged. Everything is seeded and trials run in a fixed order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.boosting import Shape
from planner.experience import Experience, Tables, read_experience
from planner.features.models import within_problem_auroc
from planner.features.probe import AGREEMENT
from planner.features.question import SURFACE, NgramEncoder
from planner.labels import Look
from planner.matrix import Matrices, Matrix, open_choices
from planner.planner import Frontier, Planner
from search.cards import ModelCard
from search.choice import Choice
from search.errors import TooLittleDataError
from search.plan import Plan
from training.crossfit import Chain, Settings, crossfit, finish, folds_of, predict_lengths, reference_of
from training.shortlist import shortlist

__all__ = ["ENOUGH_FAMILIES", "ENOUGH_PROBLEMS", "fit", "fit_experience"]

Floats = NDArray[np.float64]

#: fewer than this say nothing about families that were left out
ENOUGH_PROBLEMS = 60
ENOUGH_FAMILIES = 3

_GROUPS = ("surface", "ngrams", "agreement", "logprobs", "rewards")
_PROBES = (1, 2, 4)


def fit(
    tables: Tables,
    policies: Mapping[str, ModelCard],
    prms: Mapping[str, ModelCard],
    *,
    trials: int = 20,
    seed: int = 0,
    threads: int = 1,
    storage: Any = None,
    name: str = "planner",
    date: str = "",
    progress: Callable[[int, int, float], None] | None = None,
) -> Planner:
    """Learn a planner from a search log.

    Parameters
    ----------
    tables, policies, prms:
        The log and the cards of its models (``log``, ``log.manifest.policies``, ``log.manifest.prms``).
    trials:
        Optuna trials; 0 fits the default settings. With ``storage`` (an Optuna storage or its URL) those that
        study ``name`` already holds count, and the study is continued.
    threads:
        Of LightGBM. Results depend on it in the last bits only where LightGBM says so.
    date:
        For the card; nothing reads the clock.
    progress:
        Called after each trial with (trials done, trials, best utility).

    Raises TooLittleDataError, saying how many problems would do.
    """
    experience = read_experience(tables, policies, prms)
    return fit_experience(
        experience,
        trials=trials,
        seed=seed,
        threads=threads,
        storage=storage,
        name=name,
        date=date,
        progress=progress,
    )


def fit_experience(
    experience: Experience,
    *,
    trials: int = 20,
    seed: int = 0,
    threads: int = 1,
    storage: Any = None,
    name: str = "planner",
    date: str = "",
    progress: Callable[[int, int, float], None] | None = None,
) -> Planner:
    """``fit`` on a log that has been read already."""
    families = len(set(experience.families))
    if len(experience) < ENOUGH_PROBLEMS or families < ENOUGH_FAMILIES:
        raise TooLittleDataError(
            f"a planner is learned from at least {ENOUGH_PROBLEMS} complete problems "
            f"of {ENOUGH_FAMILIES} families, "
            f"got {len(experience)} of {families}; a thousand would do well"
        )
    workshop = _Workshop(experience, seed, threads)
    best = _Design.default(workshop)
    tried = 0
    if trials:
        best, tried = _tune(workshop, trials, seed, storage, name, progress)
    return workshop.finished(best, tried, date)


@dataclass(frozen=True, slots=True)
class _Design:
    """Everything that a trial fixes."""

    policy: str
    probe: int
    scored: bool
    choices: int
    settings: Settings

    @classmethod
    def default(cls, workshop: _Workshop) -> _Design:
        return cls(workshop.main, max(workshop.probes), False, 8, Settings())


@dataclass(slots=True)
class _Workshop:
    """What trials share: matrices, length predictions, folds, shortlists. Built when first needed."""

    experience: Experience
    seed: int
    threads: int
    matrices: Matrices = field(init=False)
    tuning_folds: NDArray[np.int64] = field(init=False)
    folds: NDArray[np.int64] = field(init=False)
    main: str = field(init=False)
    sample_flops: float = field(init=False)
    prices: Floats = field(init=False)
    judged: NDArray[np.bool_] = field(init=False)
    auroc: dict[tuple[str, str], float] = field(init=False)
    _lengths: dict[tuple[Look, int], Any] = field(init=False, default_factory=dict)
    _lists: dict[tuple[Look, int, Choice], Matrix] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        experience = self.experience
        encoder = NgramEncoder.fit(experience.questions, seed=self.seed)
        self.matrices = Matrices(experience, encoder, seed=self.seed)
        self.tuning_folds = folds_of(experience.families, 3, self.seed)
        self.folds = folds_of(experience.families, 5, self.seed)
        self.main = experience.main
        pool = experience.pools[self.main]
        self.sample_flops = experience.policies[self.main].flops(
            float(pool.tokens.mean() + pool.prompt.mean())
        )
        relative = np.geomspace(3e-5, 3.0, 18)
        self.prices = relative / self.sample_flops
        self.judged = (relative >= 2e-4) & (relative <= 0.05)
        self.auroc = {
            (policy, prm): within_problem_auroc(experience, policy, prm)
            for policy, held in experience.pools.items()
            for prm in held.prms
        }

    @property
    def probes(self) -> tuple[int, ...]:
        """Probe sizes that leave something to continue with."""
        fewest = min(pool.draws for pool in self.experience.pools.values())
        return tuple(k for k in _PROBES if 2 * k <= fewest) or (1,)

    @property
    def scorable(self) -> bool:
        """Whether a PRM has scored any pool."""
        return bool(self.auroc)

    def prm(self, probing: str) -> str | None:
        """The PRM that tells right from wrong best for the policy that probes."""
        known = {prm: value for (policy, prm), value in self.auroc.items() if policy == probing}
        return max(known, key=lambda n: (known[n], n)) if known else None

    def looks(self, design: _Design) -> tuple[Look, ...]:
        seen = (Look(design.policy, 0), Look(design.policy, design.probe))
        prm = self.prm(design.policy)
        if design.scored and prm is not None:
            return (*seen, Look(design.policy, design.probe, prm))
        return seen

    def listed(self, look: Look, design: _Design) -> Matrix:
        most = design.choices
        # what a look leads to under a tight cap is answering from it: that stays in sight from the start
        stop = Choice(design.policy, None, Plan.of("majority", n=design.probe))
        key = (look, most, stop)
        if key not in self._lists:
            known = open_choices(self.experience, look)
            matrix = self.matrices.at(look, tuple(sorted({*known, stop}, key=str)))
            place = len(SURFACE) + self.matrices.encoder.dimensions + AGREEMENT.index("top_share")
            signal = matrix.features[:, place] if look.samples else matrix.characters
            always = sorted({matrix.choices[reference_of(matrix)], stop}, key=str)
            chosen = shortlist(
                matrix, self.experience.domains, signal, self.prices[self.judged], most, always=always
            )
            self._lists[key] = matrix.only(chosen)
        return self._lists[key]

    def lengths(self, look: Look, tuning: bool) -> Any:
        key = (look, int(tuning))
        if key not in self._lengths:
            folds = self.tuning_folds if tuning else self.folds
            self._lengths[key] = predict_lengths(
                self.matrices, look, folds, seed=self.seed, threads=self.threads
            )
        return self._lengths[key]

    def chain(self, design: _Design, tuning: bool) -> Chain:
        looks = self.looks(design)
        return crossfit(
            [self.listed(look, design) for look in looks],
            self.matrices,
            {look: self.lengths(look, tuning) for look in looks},
            self.tuning_folds if tuning else self.folds,
            self.prices,
            design.settings,
            seed=self.seed,
            threads=self.threads,
        )

    def utility(self, chain: Chain) -> float:
        return float(chain.utility[:, self.judged].mean())

    def finished(self, design: _Design, tried: int, date: str) -> Planner:
        chain = self.chain(design, tuning=False)
        looks = self.looks(design)
        stages = finish(
            chain,
            {look: self.lengths(look, False) for look in looks},
            self.folds,
            self.experience.families,
            design.settings,
            seed=self.seed,
            threads=self.threads,
        )
        experience = self.experience
        frontier = Frontier(
            self.prices, chain.accuracy.mean(axis=0), chain.tokens.mean(axis=0), chain.flops.mean(axis=0)
        )
        card = {
            "date": date,
            "seed": self.seed,
            "problems": len(experience),
            "left_out_problems": experience.left_out,
            "families": sorted(set(experience.families)),
            "questions_sha256": _digest(experience.questions),
            "choices": [str(choice) for choice in experience.choices],
            "trials": tried,
            "design": {
                "policy": design.policy,
                "probe": design.probe,
                "scored": design.scored,
                "choices": design.choices,
                "rank": design.settings.rank,
                "groups": list(design.settings.groups),
                "keep": design.settings.keep,
                "shape": design.settings.shape.to_json(),
            },
            "quality": {
                "what": "decisions on families left out of the fit; the design saw the same problems",
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
            stages,
            self.matrices.encoder,
            frontier,
            dict(experience.policies),
            dict(experience.prms),
            tuple(sorted(set(experience.domains))),
            self.sample_flops,
            card,
        )


def _tune(
    workshop: _Workshop,
    trials: int,
    seed: int,
    storage: Any,
    name: str,
    progress: Callable[[int, int, float], None] | None,
) -> tuple[_Design, int]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        study_name=name,
        storage=storage,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8),
    )
    identity = _digest([*workshop.experience.questions, *map(str, workshop.experience.choices)])
    if study.user_attrs.get("log", identity) != identity:
        raise TooLittleDataError(
            f"a study is continued on the log it began with, got another log for study {name!r}"
        )
    study.set_user_attr("log", identity)
    if not study.trials:
        study.enqueue_trial(_plain(workshop))

    def objective(trial: optuna.Trial) -> float:
        return workshop.utility(workshop.chain(_suggest(trial, workshop), tuning=True))

    finished = optuna.trial.TrialState.COMPLETE
    done = sum(trial.state == finished for trial in study.trials)
    while done < trials:
        # one trial at a time with a sampler of its own: a continued study goes the way of an unbroken one
        study.sampler = optuna.samplers.TPESampler(seed=seed + 7919 * done, n_startup_trials=8)
        study.optimize(objective, n_trials=1, n_jobs=1)
        done = sum(trial.state == finished for trial in study.trials)
        if progress is not None:
            progress(done, trials, study.best_value)
    return _suggest(optuna.trial.FixedTrial(study.best_params), workshop), done


def _plain(workshop: _Workshop) -> dict[str, Any]:
    return {
        "policy": workshop.main,
        "probe": max(workshop.probes),
        "scored": False,
        "choices": 8,
        "rank": 2,
        "keep": 1.0,
        "trees": 60,
        "leaves": 4,
        "rate": 0.06,
        "min_data": 40,
        "l2": 20.0,
        "share": 0.5,
        "ngrams": True,
        "logprobs": True,
    }


def _suggest(trial: Any, workshop: _Workshop) -> _Design:
    policy = trial.suggest_categorical("policy", list(workshop.experience.pools))
    probe = trial.suggest_categorical("probe", list(workshop.probes))
    scored = trial.suggest_categorical("scored", [False, True] if workshop.scorable else [False])
    choices = trial.suggest_int("choices", 3, 12)
    rank = trial.suggest_int("rank", 1, 4)
    keep = trial.suggest_float("keep", 0.6, 1.0)
    shape = Shape(
        trees=trial.suggest_int("trees", 30, 100, step=10),
        leaves=trial.suggest_int("leaves", 3, 8),
        rate=trial.suggest_float("rate", 0.03, 0.15, log=True),
        min_data=trial.suggest_int("min_data", 20, 160, log=True),
        l2=trial.suggest_float("l2", 1.0, 200.0, log=True),
        share=trial.suggest_float("share", 0.3, 1.0),
    )
    off = {group for group in ("ngrams", "logprobs") if not trial.suggest_categorical(group, [True, False])}
    groups = tuple(group for group in _GROUPS if group not in off)
    return _Design(policy, probe, scored, choices, Settings(rank, shape, groups, keep))


def _digest(lines: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()
