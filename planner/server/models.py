"""The models that a server asks: engines and PRMs by name, their chat templates, and which of them are up.

A PRM that failed is left out for a while that doubles with each failure in a row, then tried again by the
next request that wants it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from planner.server.request.ask import Render
from search.cards import ModelCard
from search.drawing import Drawing
from search.engines.protocol import Engine
from search.errors import ServeError
from search.rewards.protocol import Reward
from search.strategies.protocol import Limits, Setting

__all__ = ["MadeSettings", "Model", "Models"]

#: a policy and a PRM
Pair = tuple[str, str | None]

_FIRST, _LONGEST = 1.0, 60.0


@dataclass(slots=True)
class Model:
    """A policy or a PRM, and how it is. ``kind`` is ``policy`` or ``prm``."""

    card: ModelCard
    kind: str
    failures: int = 0
    retry_at: float = 0.0  # not asked before

    def failed(self, now: float) -> None:
        """It did not answer."""
        self.failures += 1
        self.retry_at = now + min(_LONGEST, _FIRST * 2.0 ** (self.failures - 1))

    def answered(self) -> None:
        """It did."""
        self.failures, self.retry_at = 0, 0.0


@dataclass(slots=True)
class Models:
    """Everything that can be asked.

    Parameters
    ----------
    engines, rewards:
        By the names that the planner uses.
    renders:
        Chat templates by policy; a policy without one takes plain questions only.
    limits:
        Per solution, where neither ``chosen`` nor the planner's log says.
    chosen, defaults:
        Policy -> sampling and ``max_tokens``: what the operator chose, and what the model's own
        ``generation_config.json`` says, for planners that do not know how their log was drawn.
    created:
        Seconds since the epoch, told by ``/v1/models``.
    """

    engines: Mapping[str, Engine]
    rewards: Mapping[str, Reward]
    renders: Mapping[str, Render] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    chosen: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))
    clock: Callable[[], float] = time.monotonic
    known: dict[str, Model] = field(init=False)

    def __post_init__(self) -> None:
        if not self.engines:
            raise ServeError("a server needs a policy, got none")
        both = self.engines.keys() & self.rewards.keys()
        if both:
            raise ServeError(f"a model is a policy or a PRM, got both: {', '.join(sorted(both))}")
        self.known = {name: Model(engine.card, "policy") for name, engine in self.engines.items()}
        self.known |= {name: Model(reward.card, "prm") for name, reward in self.rewards.items()}

    @property
    def policies(self) -> tuple[str, ...]:
        """Names."""
        return tuple(self.engines)

    @property
    def prms(self) -> tuple[str, ...]:
        """Names."""
        return tuple(self.rewards)

    @property
    def down(self) -> tuple[str, ...]:
        """PRMs that are not asked now."""
        now = self.clock()
        return tuple(name for name in self.rewards if self.known[name].retry_at > now)

    @property
    def resting(self) -> tuple[str, ...]:
        """Policies that failed and are not asked now where another one can answer; () where none can."""
        now = self.clock()
        found = tuple(name for name in self.engines if self.known[name].retry_at > now)
        return found if len(found) < len(self.engines) else ()

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Of all."""
        return tuple(model.card for model in self.known.values())

    def is_up(self, name: str) -> bool:
        """Whether it answered when it was last asked."""
        return self.known[name].failures == 0

    def failed(self, name: str) -> None:
        """A model did not answer."""
        self.known[name].failed(self.clock())

    def answered(self, name: str) -> None:
        """A model answered."""
        self.known[name].answered()

    def limit(self, max_tokens: int) -> None:
        """No solution is longer, whatever a planner's log says."""
        self.limits = replace(self.limits, max_tokens=max_tokens)
        self.chosen = {name: {**self.chosen.get(name, {}), "max_tokens": max_tokens} for name in self.engines}

    def drawing(self, policy: str, drawn: Drawing | None = None) -> Drawing:
        """How a policy's solutions are drawn; ``drawn``: as they were for the planner's log."""
        chosen = self.chosen.get(policy, {})
        if drawn is not None:
            return Drawing.of(chosen, drawn=drawn) if chosen else drawn
        return Drawing.of(chosen, self.defaults.get(policy, {}), drawn=Drawing(limits=self.limits))

    async def close(self) -> None:
        """Close all of them."""
        for engine in self.engines.values():
            await engine.close()
        for reward in self.rewards.values():
            await reward.close()


class MadeSettings(Mapping[Pair, Setting]):
    """What runs each pair of a policy and a PRM, made when it is first asked for: a request asks for few.

    Parameters
    ----------
    policies, prms:
        Every policy goes with every PRM, and with None.
    make:
        Makes one.
    """

    def __init__(
        self, policies: Iterable[str], prms: Iterable[str], make: Callable[[str, str | None], Setting]
    ) -> None:
        self._pairs: tuple[Pair, ...] = tuple(product(policies, (None, *prms)))
        self._make = make
        self._made: dict[Pair, Setting] = {}

    def __getitem__(self, pair: Pair) -> Setting:
        found = self._made.get(pair)
        if found is None:
            if pair not in self._pairs:
                raise KeyError(pair)
            found = self._made[pair] = self._make(*pair)
        return found

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)
