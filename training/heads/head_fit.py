"""A head: fitted to hidden states, always with families left out, and calibrated.

The loss is the cross-entropy of a step end's value (a share counts as that share of right and wrong ones). In
most of it right and wrong samples of a problem weigh the same (``training.heads.head_data.mixed``): a reward
that knows which problems are hard orders no samples of one problem. In the rest of it each sample weighs the
same, so that a reward also says how likely a solution is to be right. Training stops where families that are
held out of it are predicted best; the head that is kept is fitted on everything for as long as its folds
were.

Calibration is Platt's (1999): a logistic function of the head's value, fitted to what heads of other folds
say, every sample counting the same. Not isotonic regression: that is flat in places, so that samples which
the head tells apart would have equal rewards and best-of-n would draw lots among them; and its steps take
more data than a log of a few hundred problems has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from search.errors import TooLittleDataError
from training.crossfit import folds_of
from training.heads.head_data import Targets, mixed

__all__ = ["FittedHead", "HeadRecipe", "Platt", "fit_head"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: one in so many of the families that are trained on is held out to stop by
_HELD_OUT = 8
#: epochs without a better loss after which training stops
_PATIENCE = 8


@dataclass(frozen=True, slots=True)
class HeadRecipe:
    """What determines a head, given the states.

    Parameters
    ----------
    inner:
        Units of the hidden layer; 0: a linear head.
    rate, decay:
        Of AdamW.
    epochs:
        Most passes over the step ends.
    rows:
        Step ends in one update.
    folds:
        Parts of the families that are left out in turn.
    natural:
        Share of the loss in which each sample weighs the same.
    """

    inner: int = 64
    rate: float = 2e-3
    decay: float = 0.1
    epochs: int = 60
    rows: int = 256
    folds: int = 5
    natural: float = 0.25
    seed: int = 1

    def __post_init__(self) -> None:
        if self.inner < 0:
            raise ValueError(f"inner cannot be negative but got {self.inner}")
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, got {self.folds}")
        if not 0.0 <= self.natural <= 1.0:
            raise ValueError(f"natural must be from 0 to 1, got {self.natural}")


@dataclass(frozen=True, slots=True)
class Platt:
    """The reward is the logistic function of ``slope * value + offset``."""

    slope: float
    offset: float

    @classmethod
    def fit(cls, values: Floats, targets: Targets) -> Platt:
        """By Newton's method. Raises TooLittleDataError where higher values are not right more often."""
        known = targets.weights > 0
        rows = np.stack([values[known], np.ones(int(known.sum()))])
        weights = targets.weights[known] / targets.weights[known].sum()
        found = np.zeros(2)
        for _ in range(100):
            chance = 1.0 / (1.0 + np.exp(-np.clip(found @ rows, -40.0, 40.0)))
            slope = rows @ (weights * (chance - targets.values[known]))
            curve = (rows * (weights * chance * (1.0 - chance))) @ rows.T + 1e-9 * np.eye(2)
            step = np.linalg.solve(curve, slope)
            found -= step / max(1.0, float(np.abs(step).max()))
            if float(np.abs(step).max()) < 1e-9:
                break
        if not found[0] > 0.0:
            raise TooLittleDataError(
                "a head must tell right from wrong on families that it was not trained on, got the opposite "
                f"(slope {found[0]:.3g}): take more problems"
            )
        return cls(float(found[0]), float(found[1]))

    def apply(self, values: Floats) -> Floats:
        """Rewards."""
        return 1.0 / (1.0 + np.exp(-np.clip(self.slope * values + self.offset, -40.0, 40.0)))


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A head, and what heads of other folds said.

    Parameters
    ----------
    tensors:
        As ``search.rewards.computed.state_head.StateHead`` takes them.
    platt:
        The calibration.
    left_out:
        Per problem the calibrated rewards of its step ends, by a head that has not seen its family.
    fold:
        (P,) the fold of each problem.
    by_family:
        Whether folds are of families; of problems where there is one family only.
    epochs:
        Passes that the kept head took.
    """

    tensors: dict[str, Tensor]
    platt: Platt
    left_out: list[Floats]
    fold: Ints
    by_family: bool
    epochs: int


def fit_head(
    states: Sequence[Tensor],
    balanced: Sequence[Targets],
    natural: Sequence[Targets],
    families: Sequence[str],
    recipe: HeadRecipe,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FittedHead:
    """Fit, cross-fit and calibrate.

    Parameters
    ----------
    states:
        Per problem [step ends, hidden].
    balanced, natural:
        Per problem the values with right and wrong samples of equal weight, and with samples of equal weight;
        to the latter rewards are calibrated.
    families:
        Of each problem.

    Raises TooLittleDataError.
    """
    learned = [mixed(one, other, recipe.natural) for one, other in zip(balanced, natural, strict=True)]
    rows = _Rows(states, learned)
    by_family = len(set(families)) > 1
    groups = list(families) if by_family else [str(place) for place in range(len(states))]
    fold = folds_of(groups, recipe.folds, recipe.seed)
    count = int(fold.max()) + 1
    values, lengths = np.zeros(len(rows.values)), []
    for number in range(count):
        outside = np.flatnonzero(fold != number)
        stop = folds_of([groups[place] for place in outside], _HELD_OUT, recipe.seed)
        net, epochs = _fit(rows, outside[stop != 0], outside[stop == 0], recipe, recipe.epochs)
        inside = rows.of(np.flatnonzero(fold == number))
        values[inside] = net.values(rows.states[inside])
        lengths.append(epochs)
        progress(number + 1, count + 1)
    epochs = max(1, round(float(np.mean(lengths))))
    kept, _ = _fit(rows, np.arange(len(states)), np.zeros(0, np.int64), recipe, epochs)
    progress(count + 1, count + 1)
    joined = Targets(
        np.concatenate([one.values for one in natural]), np.concatenate([one.weights for one in natural])
    )
    platt = Platt.fit(values, joined)
    ends = np.cumsum([len(one.values) for one in natural])[:-1]
    return FittedHead(
        tensors=kept.tensors(),
        platt=platt,
        left_out=np.split(platt.apply(values), ends),
        fold=fold,
        by_family=by_family,
        epochs=epochs,
    )


class _Rows:
    """The step ends of all problems, one after another."""

    def __init__(self, states: Sequence[Tensor], targets: Sequence[Targets]) -> None:
        self.states = torch.cat(list(states))
        self.values = torch.from_numpy(np.concatenate([one.values for one in targets])).float()
        self.weights = torch.from_numpy(np.concatenate([one.weights for one in targets])).float()
        self._problem = np.repeat(np.arange(len(states)), [len(one.values) for one in targets])

    def of(self, problems: Ints) -> Ints:
        """The rows of some problems."""
        return np.flatnonzero(np.isin(self._problem, problems))


class _Net(nn.Module):
    """The head before its calibration."""

    def __init__(self, states: Tensor, inner: int) -> None:
        super().__init__()
        spread = states.std(0, unbiased=False)
        self.mean = states.mean(0)
        # a unit that never moves tells nothing
        self.scale = torch.where(spread > 1e-6, 1.0 / spread.clamp_min(1e-6), torch.zeros_like(spread))
        self.first = nn.Linear(states.shape[1], inner) if inner else None
        self.last = nn.Linear(inner or states.shape[1], 1)

    def forward(self, states: Tensor) -> Tensor:
        rows = (states - self.mean) * self.scale
        if self.first is not None:
            rows = functional.relu(self.first(rows))
        out: Tensor = self.last(rows)[:, 0]
        return out

    @torch.inference_mode()
    def values(self, states: Tensor) -> Floats:
        """(R,) before calibration."""
        return np.concatenate(
            [self(part).double().numpy() for part in torch.split(states, 65536)] or [np.zeros(0)]
        )

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "scale": self.scale, **self.state_dict()}


def _fit(rows: _Rows, inside: Ints, held_out: Ints, recipe: HeadRecipe, epochs: int) -> tuple[_Net, int]:
    """A net, and the passes it took; the best on the problems held out, where there are any."""
    places = rows.of(inside)
    places = places[rows.weights[places].numpy() > 0]
    check = rows.of(held_out)
    check = check[rows.weights[check].numpy() > 0]
    if not len(places):
        raise TooLittleDataError(
            "each part of the families needs problems with right and wrong samples, got none in one"
        )
    torch.manual_seed(recipe.seed)
    net = _Net(rows.states[places], recipe.inner)
    optimizer = torch.optim.AdamW(net.parameters(), recipe.rate, weight_decay=recipe.decay)
    generator = torch.Generator().manual_seed(recipe.seed)
    best, kept, taken = float("inf"), net.state_dict(), epochs
    scale = float(rows.weights[places].mean())
    for epoch in range(epochs):
        order = torch.from_numpy(places)[torch.randperm(len(places), generator=generator)]
        for batch in torch.split(order, recipe.rows):
            optimizer.zero_grad()
            loss = _loss(net, rows, batch).sum() / (len(batch) * scale)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if not len(check):
            continue
        with torch.inference_mode():
            met = float(_loss(net, rows, torch.from_numpy(check)).sum() / rows.weights[check].sum())
        if met < best:
            best, taken = met, epoch + 1
            kept = {name: value.clone() for name, value in net.state_dict().items()}
        elif epoch + 1 - taken >= _PATIENCE:
            break
    if len(check):
        net.load_state_dict(kept)
    return net, taken


def _loss(net: _Net, rows: _Rows, batch: Tensor) -> Tensor:
    """(B,) weighted cross-entropies."""
    found = functional.binary_cross_entropy_with_logits(
        net(rows.states[batch]), rows.values[batch], reduction="none"
    )
    return found * rows.weights[batch]
