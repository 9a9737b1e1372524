"""One stage of the planner: a probe, the choices that may follow, and what it predicts of them.

Advantages over answering at once are predicted in a few common factors (reduced-rank regression:
every choice is a fixed mix of factors that boosted models predict from the features), each factor shrunk
by how well it was predicted on left-out folds. Without signal every factor shrinks to nothing and what
remains are the mean advantages: then the decision is that of the best fixed plan. It knows nothing of
objectives (``planner.deciding.decision``) or of how it was fitted (``training.crossfit``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.deciding.cost import ChoiceCost, CostTable, cost_table, costs
from planner.deciding.decision import Menu, Trust
from planner.evidence.probe import Probe
from planner.predicting.added import Added
from planner.predicting.calibration import Calibration, Promises, Reliability
from planner.predicting.lightgbm_text import parse
from planner.predicting.neighbours import Neighbours
from planner.predicting.trees import Forest
from search.choice import Choice
from search.errors import ArtefactError

__all__ = ["ActionSpec", "Stage"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ActionSpec:
    """What a decision at a probe is between, and what it costs: all of a stage but its predictions.

    Parameters
    ----------
    probe, choices, reference:
        What has been seen; what may follow; the index of the choice that advantages are over.
    policies:
        Names, in the order of predicted lengths.
    choice_costs, probe_costs, next_probe:
        One per choice; the next probe and what it costs, None where this is the last one.
    prices, advance_cost:
        (J,) accuracy per FLOP, and the mean FLOPs that follow probing further at each of them.
    mean_length:
        Tokens of a sample of the probing policy on the training problems.
    thoughts:
        Whether features of thoughts are seen.
    allows:
        (C,) choices that can still follow the next probe.
    """

    probe: Probe
    choices: tuple[Choice, ...]
    reference: int
    policies: tuple[str, ...]
    choice_costs: tuple[ChoiceCost, ...]
    probe_costs: ChoiceCost | None
    next_probe: Probe | None
    prices: Floats
    advance_cost: Floats
    mean_length: float
    thoughts: bool = False
    _table: CostTable = field(init=False)
    _keeps: NDArray[np.bool_] = field(init=False)
    allows: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        count, prices = len(self.choices), len(self.prices)
        if not count or len(self.choice_costs) != count or not 0 <= self.reference < count:
            raise ArtefactError(
                f"a stage needs a cost for each of its choices, got {count}, {len(self.choice_costs)}"
            )
        if self.prices.shape != (prices,) or self.advance_cost.shape != (prices,):
            raise ArtefactError(
                f"a further probe needs costs at {prices} prices, got {self.advance_cost.shape}"
            )
        if (self.probe_costs is None) != (self.next_probe is None) or (self.probe_costs is None) != (
            prices == 0
        ):
            raise ArtefactError(
                f"prices, next probe and its cost come together, got {prices} prices, {self.next_probe}"
            )
        finite = np.isfinite(self.prices).all() and np.isfinite(self.advance_cost).all()
        if not (finite and np.isfinite(self.mean_length) and self.mean_length > 0):
            raise ArtefactError("prices, costs and lengths must be finite and lengths above 0, got others")
        if prices and ((np.diff(self.prices) <= 0).any() or self.prices[0] <= 0):
            raise ArtefactError(f"prices must ascend from above 0, got {self.prices}")
        every = (*self.choice_costs, *(() if self.probe_costs is None else (self.probe_costs,)))
        if any(cost.policy >= len(self.policies) for cost in every):
            raise ArtefactError(f"a cost names one of {len(self.policies)} policies, got another")
        if not all(self.probe.allows(choice) for choice in self.choices):
            raise ArtefactError(f"a stage's choices must be able to follow {self.probe}, got others")
        following = self.next_probe or self.probe
        object.__setattr__(self, "_table", cost_table(every))
        keeps = [following.holds(c) or (following.joins(c) and not c.plan.must_run) for c in self.choices]
        object.__setattr__(self, "_keeps", np.array(keeps))
        object.__setattr__(self, "allows", np.array([following.allows(c) for c in self.choices]))

    def menu(self, *, level: Floats, columns: Floats, lengths: Floats, characters: Floats) -> Menu:
        """The menu from predictions, wherever they come from.

        ``level`` (rows,) of the reference, ``columns`` (rows, C + J), ``lengths`` (rows, policies) in tokens,
        ``characters`` (rows,) of the question.
        """
        count = len(self.choices)
        # the probe's are the last column, where there is one
        paid, probe = costs(self._table, lengths, characters).parted(count)
        probing = 0 if self.probe_costs is None else self.probe_costs.policy
        return Menu(
            advantage=columns[:, :count] - columns[:, self.reference, None],
            level=level,
            costs=paid,
            prices=self.prices,
            advance_net=columns[:, count:] - columns[:, self.reference, None],
            advance_cost=self.advance_cost * (lengths[:, probing, None] / self.mean_length),
            probe=None if self.probe_costs is None else probe,
            keeps=self._keeps,
            allows=self.allows,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stage:
    """A fitted stage.

    Parameters
    ----------
    actions:
        What there is to decide between, C choices and J prices.
    centre, loadings:
        (K,) and (R, K) with K = C + J: advantages of the choices, then net advantages of looking
        further at each price. ``loadings`` are shrunk already.
    models:
        LightGBM texts: the reference's level (a logit), R factors, one log length per policy.
    lowest, highest:
        (F,) range of each feature in training.
    calibration, reliability:
        Of the accuracies that are expected.
    trust:
        At which prices the predictions decide; None: at all of them.
    neighbours:
        By which a rule decides where ``trust`` says so; None: nowhere.
    promises:
        Corrects what is expected of decisions; None: nothing does.
    added:
        What is predicted of the last choices, which were learned after the others. ``centre`` and
        ``loadings`` are without them.
    """

    actions: ActionSpec
    centre: Floats
    loadings: Floats
    models: tuple[str, ...]
    lowest: Floats
    highest: Floats
    calibration: Calibration
    reliability: Reliability
    trust: Trust | None = None
    neighbours: Neighbours | None = None
    promises: Promises | None = None
    added: Added | None = None
    forest: Forest = field(init=False)

    def __post_init__(self) -> None:
        columns, rank = self.fitted + len(self.actions.prices), len(self.loadings)
        if self.centre.shape != (columns,) or self.loadings.shape != (rank, columns):
            raise ArtefactError(
                f"centre and loadings must hold {columns} columns, "
                f"got {self.centre.shape}, {self.loadings.shape}"
            )
        if len(self.models) != 1 + rank + len(self.actions.policies):
            raise ArtefactError(
                f"a stage holds {1 + rank + len(self.actions.policies)} models, got {len(self.models)}"
            )
        if not all(np.isfinite(n).all() for n in (self.centre, self.loadings, self.lowest, self.highest)):
            raise ArtefactError("the numbers of a stage must be finite, got NaN or infinity")
        trees = [_parsed(text) for text in self.models]
        if [t.logit for t in trees] != [True] + [False] * (len(trees) - 1):
            raise ArtefactError(
                "a stage's first model is a probability and the others are not, got another order"
            )
        if not 0 <= self.actions.reference < self.fitted:
            raise ArtefactError(f"a reference is none of the added choices, got {self.actions.reference}")
        if self.added is not None and self.added.weights.shape[1] != 2 + rank:
            raise ArtefactError(
                f"added choices have {2 + rank} weights each, got {self.added.weights.shape[1]}"
            )
        forest = Forest(trees)
        if self.lowest.shape != (forest.features,) or self.highest.shape != (forest.features,):
            raise ArtefactError(f"feature ranges must hold {forest.features} values, got {self.lowest.shape}")
        near = self.neighbours
        if near is not None and (
            near.values.shape[1] != self.fitted or near.likeness.known.shape[1] != forest.features
        ):
            raise ArtefactError(
                f"neighbours have {forest.features} features and {self.fitted} values, "
                f"got {near.likeness.known.shape[1]}, {near.values.shape[1]}"
            )
        if near is None and self.trust is not None and self.trust.near.any():
            raise ArtefactError("where neighbours decide a stage holds them, got none")
        object.__setattr__(self, "forest", forest)

    @property
    def probe(self) -> Probe:
        """What has been seen."""
        return self.actions.probe

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What may follow."""
        return self.actions.choices

    @property
    def thoughts(self) -> bool:
        """Whether features of thoughts are seen."""
        return self.actions.thoughts

    @property
    def fitted(self) -> int:
        """How many choices, the first ones, were learned in the fit itself."""
        return len(self.actions.choices) - (0 if self.added is None else len(self.added))

    @property
    def average(self) -> Floats:
        """(C,) the mean advantage of each choice over the reference."""
        own = self.centre[: self.fitted] - self.centre[self.actions.reference]
        return own if self.added is None else np.concatenate([own, self.added.average])

    def factors(self, features: Floats) -> tuple[Floats, Floats]:
        """(rows,) level of the reference and (rows, R) factors, for rows of features (rows, F)."""
        out = self.forest.predict(features)
        return _level(out), out[:, 1 : 1 + len(self.loadings)]

    def menu(self, features: Floats, characters: Floats) -> Menu:
        """What there is to decide between, for rows of features (rows, F) and question lengths (rows,)."""
        out = self.forest.predict(features)
        rank = len(self.loadings)
        level = _level(out)
        columns = self.centre[None]
        for factor in range(rank):  # one after the other: equal bits for one row and for many
            columns = columns + out[:, 1 + factor, None] * self.loadings[factor]
        if len(columns) < len(out):
            columns = np.repeat(columns, len(out), axis=0)
        if self.added is not None:
            own = self.added.accuracy(level, out[:, 1 : 1 + rank]) - level[:, None]
            own = own + columns[:, self.actions.reference, None]
            columns = np.concatenate([columns[:, : self.fitted], own, columns[:, self.fitted :]], axis=1)
        lengths = np.exp(_within(out[:, 1 + rank :], 0.0, 14.0))
        menu = self.actions.menu(level=level, columns=columns, lengths=lengths, characters=characters)
        if self.trust is None:
            return menu
        return replace(menu, average=self.average, near=self._near(features), trust=self.trust)

    def _near(self, features: Floats) -> Floats | None:
        """(rows, C) mean advantages over the neighbours; choices that were added have their average."""
        if self.neighbours is None:
            return None
        near = self.neighbours.mean(features)
        near -= near[:, self.actions.reference, None]
        if self.added is None:
            return near
        return np.concatenate([near, np.tile(self.added.average, (len(near), 1))], axis=1)

    def accuracy(self, menu: Menu) -> Floats:
        """(rows, C) calibrated accuracy of every choice."""
        return self.calibration.apply(menu.level[:, None] + menu.advantage)

    def contributions(self, features: Floats) -> Floats:
        """(C + J, F) what each feature (F,) adds to each column; path attribution."""
        credited = self.forest.contributions(features)[: 1 + len(self.loadings)]
        columns = np.asarray(self.loadings.T @ credited[1:])
        if self.added is None:
            return columns
        level, factors = self.factors(features[None])
        own = self.added.credit(float(level[0]), factors[0], credited)
        own = own + columns[self.actions.reference]
        return np.concatenate([columns[: self.fitted], own, columns[self.fitted :]])

    def strange(self, features: Floats) -> float:
        """The share of features (F,) outside the range seen in training, a tenth of it allowed beyond."""
        slack = 0.1 * (self.highest - self.lowest) + 1e-9
        return float(((features < self.lowest - slack) | (features > self.highest + slack)).mean())


#: a stage that changes a little keeps its models
_parsed = lru_cache(maxsize=256)(parse)


def _level(out: Floats) -> Floats:
    """(rows,) level of the reference, from the outputs of a stage's models."""
    return np.asarray(1.0 / (1.0 + np.exp(-_within(out[:, 0], -40.0, 40.0))))


def _within(values: Floats, low: float, high: float) -> Floats:
    """``np.clip`` without its checks, which cost more than the work on one row."""
    return np.minimum(np.maximum(values, low), high)
