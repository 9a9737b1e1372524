"""How many actors a model gets, and what each of them asks of its node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from search.errors import GridError

__all__ = ["Placement"]


@dataclass(frozen=True, slots=True)
class Placement:
    """``replicas`` actors; each asks for ``cpus``, ``gpus`` and ``resources`` (by the names that nodes have).

    A PRM that asks for neither gpus nor resources gets no actors: each policy's actor loads it beside the
    policy, as one machine does. Raises GridError.
    """

    replicas: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.replicas < 1:
            raise GridError(f"a model needs at least 1 actor, got {self.replicas}")
        amounts = {"cpus": self.cpus, "gpus": self.gpus, **self.resources}
        for name, amount in amounts.items():
            if not 0.0 <= amount < float("inf"):
                raise GridError(f"what an actor asks for cannot be negative, got {name} = {amount}")

    @property
    def is_apart(self) -> bool:
        """Whether a PRM has actors of its own."""
        return self.gpus > 0.0 or bool(self.resources)
