"""The matrix of one probe: what the planner sees there, what every choice is worth and what it costs.

One row per problem (question only) or per problem x probe. Fitting learns from these, evaluation
replays decisions on them; both read them through the same features. It knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.evidence.labels import Draws, costs_of, draw_probes, paid_for, values_of_all
from planner.evidence.probe import Probe, probe_features, question_features
from planner.evidence.training_data import TrainingData
from planner.features.probe import ProbeSamples
from planner.features.question import NgramEncoder
from search.choice import Choice
from search.plan import Plan

__all__ = [
    "Matrices",
    "Matrix",
    "open_choices",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: orders of a policy's own pool that are larger than this are drawn again when they are needed again
_KEPT_BYTES = 2**28


def open_choices(data: TrainingData, probe: Probe) -> tuple[Choice, ...]:
    """Choices that can follow a probe: the log's, and answering from the probe as it is (by vote, or by
    any PRM of the log, with the scores that the log's plans use). After a greedy answer none that asks a PRM
    which has not scored it."""
    known = {choice for choice in data.choices if probe.allows(choice)}
    if probe.samples:
        known.add(Choice(probe.policy, None, Plan.of("majority", n=probe.samples)))
        for choice in data.choices:
            if choice.policy == probe.policy and choice.plan.is_pooled and choice.plan.needs_prm:
                known.add(replace(choice, plan=choice.plan.with_(n=probe.samples)))
    if probe.greedy:
        scored = data.pools[probe.policy].greedy_first().prms
        known = {choice for choice in known if not probe.joins(choice) or choice.prm in (None, *scored)}
    return tuple(sorted(known, key=str))


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """What is known at one probe. N rows, C choices, F features.

    ``problem`` (N,) is each row's problem; ``features`` (N, F); ``values``, ``tokens``, ``flops`` (N, C):
    expected correctness, and cost beyond what has been paid; ``paid_tokens``, ``paid_flops`` (N,).
    ``thoughts``: whether features of thoughts are among them.
    """

    probe: Probe
    choices: tuple[Choice, ...]
    problem: Ints
    features: Floats
    characters: Floats
    values: Floats
    tokens: Floats
    flops: Floats
    paid_tokens: Floats
    paid_flops: Floats
    probes: int
    thoughts: bool = False

    def only(self, chosen: Sequence[Choice]) -> Matrix:
        """The same with these choices alone, in this order."""
        columns = [self.choices.index(choice) for choice in chosen]
        return replace(
            self,
            choices=tuple(chosen),
            values=self.values[:, columns],
            tokens=self.tokens[:, columns],
            flops=self.flops[:, columns],
        )

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Matrix:
        """The same with these rows alone: places, or a mask (N,)."""
        return replace(
            self,
            problem=self.problem[rows],
            features=self.features[rows],
            characters=self.characters[rows],
            values=self.values[rows],
            tokens=self.tokens[rows],
            flops=self.flops[rows],
            paid_tokens=self.paid_tokens[rows],
            paid_flops=self.paid_flops[rows],
        )

    def per_problem(self, rows: Floats) -> Floats:
        """Means over the probes of each problem: (N, ...) -> (P, ...)."""
        return np.asarray(rows.reshape(-1, self.probes, *rows.shape[1:]).mean(axis=1))


class Matrices:
    """Builds and keeps the matrices of a log's data. The same seed gives the same draws.

    Parameters
    ----------
    encoder:
        Fitted on training questions.
    probes, resamples:
        Random probes per problem, and continuations of each.
    """

    def __init__(
        self,
        data: TrainingData,
        encoder: NgramEncoder,
        *,
        probes: int = 4,
        resamples: int = 16,
        seed: int = 0,
    ) -> None:
        self.data = data
        self.encoder = encoder
        self.probes = probes
        self.resamples = resamples
        self.seed = seed
        self._matrices: dict[tuple[Probe, bool], Matrix] = {}
        self._values: dict[tuple[Choice, Probe], Floats] = {}
        self._draws: dict[tuple[str, int, bool], Draws] = {}
        self._views: dict[str, TrainingData] = {}
        self._questions = np.stack([question_features(q, encoder) for q in data.questions])
        self._characters = np.array([len(q) for q in data.questions], np.float64)

    def at(
        self, probe: Probe, choices: Sequence[Choice] | None = None, *, thoughts: bool | None = None
    ) -> Matrix:
        """The matrix of one probe, with these choices or all that are open.

        ``thoughts``: whether there are features of thoughts, missing or not; None: where the log has some.
        """
        pool = self.data.pools.get(probe.policy)  # None: refused below
        has_thoughts = pool is not None and pool.thinks
        thinks = bool(probe.samples) and (has_thoughts if thoughts is None else thoughts)
        wanted = open_choices(self.data, probe) if choices is None else tuple(choices)
        known = self._matrices.get((probe, thinks))
        if known is None or not set(wanted) <= set(known.choices):
            known = self._matrices[probe, thinks] = self._build(probe, wanted, thinks)
        return known.only(wanted)

    def _build(self, probe: Probe, choices: tuple[Choice, ...], thinks: bool) -> Matrix:
        data, seen = self.data, self.view(probe)
        for choice in choices:
            (seen if probe.joins(choice) else data).require(choice)
        if probe.samples:
            seen.require(Choice(probe.policy, None, Plan.of("majority", n=probe.samples)))
        draws = self.orders(probe, probe.samples)
        problems = len(data)
        problem = np.repeat(np.arange(problems), draws.probes)
        features = self._questions[problem]
        if probe.samples:
            looked = probe_features(self._probe(probe, draws), probe.prm is not None, thinks)
            features = np.concatenate([features, looked], axis=1)
        values = np.stack(self._values_at(choices, probe), axis=-1)
        if data.effects is not None:
            values = data.effects.apply(values, choices, data.domains)
        spent = [costs_of(seen if probe.joins(choice) else data, choice, probe, draws) for choice in choices]
        tokens, flops = paid_for(seen, probe, draws)
        # orders are the largest arrays of all; later probes of as many samples ask for the probe alone
        self._draws = {key: held.probes_alone() for key, held in self._draws.items() if key[1]} | {
            key: held for key, held in self._draws.items() if not key[1] and held.order.nbytes <= _KEPT_BYTES
        }
        flat = (problems * draws.probes, len(choices))
        return Matrix(
            probe=probe,
            choices=choices,
            problem=problem,
            features=features,
            characters=self._characters[problem],
            values=values.reshape(flat),
            tokens=np.stack([t for t, _ in spent], axis=-1).reshape(flat),
            flops=np.stack([f for _, f in spent], axis=-1).reshape(flat),
            paid_tokens=tokens.ravel(),
            paid_flops=flops.ravel(),
            probes=draws.probes,
            thoughts=thinks,
        )

    def _values_at(self, choices: Sequence[Choice], probe: Probe) -> list[Floats]:
        """(P, probes) of each choice; what does not depend on the probe is computed once."""
        probes = self.probes if probe.samples else 1
        keys = []
        missing: dict[Probe, list[Choice]] = {}
        for choice in choices:
            # the policy's own pool in fresh orders: this probe has not seen it, or its samples are not taken
            seen = replace(probe, prm=None) if probe.joins(choice) else Probe(choice.policy, 0)
            keys.append((choice, seen))
            if keys[-1] not in self._values:
                missing.setdefault(seen, []).append(choice)
        for seen, wanted in missing.items():
            orders = self.orders(seen, max(choice.plan.n for choice in wanted))
            at = probe if seen.samples else seen
            for choice, value in values_of_all(self.view(seen), wanted, at, orders).items():
                self._values[choice, seen] = value
        return [
            self._values[key] if key[1].samples else np.repeat(self._values[key], probes, axis=1)
            for key in keys
        ]

    def view(self, probe: Probe) -> TrainingData:
        """The data as a probe sees it: with the greedy answer as the first draw, where that is seen first."""
        if not probe.greedy:
            return self.data
        if probe.policy not in self._views:
            self._views[probe.policy] = self.data.greedy_first(probe.policy)
        return self._views[probe.policy]

    def orders(self, probe: Probe, n: int) -> Draws:
        """Orders of at least ``n`` draws; longer ones begin with the same draws."""
        policy, held = probe.policy, probe.samples
        known = self._draws.get((policy, held, probe.greedy))
        if known is None or known.length < n:
            logged = max([c.plan.n for c in self.data.choices if c.policy == policy], default=1)
            known = self._draws[policy, held, probe.greedy] = draw_probes(
                len(self.data),
                self.view(probe).pools[policy].draws,
                held=held,
                probes=self.probes if held else 1,
                resamples=self.resamples if held else 4 * self.resamples,
                seed=self.seed,
                longest=max(logged, n),
                greedy=probe.greedy,
            )
        return known

    def _probe(self, probe: Probe, draws: Draws) -> ProbeSamples:
        pool = self.view(probe).pools[probe.policy]
        at, shown = np.arange(len(self.data))[:, None, None], draws.probe(probe.samples)

        def rows(values: NDArray[np.generic]) -> Floats:
            picked = values[at, shown]
            return picked.reshape(-1, *picked.shape[2:]).astype(np.float64)

        summary = rows(pool.prms[probe.prm].summary) if probe.prm else None
        return ProbeSamples(
            # an online probe does not know what a record judged
            codes=np.maximum(rows(pool.codes).astype(np.int64), -1),
            tokens=rows(pool.tokens),
            steps=rows(pool.steps),
            mean_logprob=rows(pool.mean_logprob),
            min_logprob=rows(pool.min_logprob),
            truncated=rows(pool.truncated),
            summary=summary,
            thought=None if pool.thought is None else rows(pool.thought),
            thought_cut=None if pool.thought_cut is None else rows(pool.thought_cut),
        )
