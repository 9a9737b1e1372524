"""What a fitted planner consists of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from planner.deciding.stages import Stage
from planner.evidence.probe import feature_names
from planner.features.familiarity import DomainModel
from planner.features.question import NgramEncoder
from planner.predicting.frontier import Frontier
from search.cards import ModelCard
from search.drawing import Drawing
from search.errors import ArtefactError
from search.prompts import Prompting

__all__ = ["Fitted"]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A planner's numbers, checked to fit together. ``planner.planner.Planner`` decides with them.

    Parameters
    ----------
    stages:
        Question first, then each probe in turn.
    encoder:
        Of the question's n-grams.
    frontier:
        Calibrates mean budgets.
    policies, prms:
        Cards of the models it was learned from.
    domains:
        Domains it was learned from.
    sample_flops:
        One sample-equivalent.
    card:
        What it was learned from and how good it was on left-out families.
    promptings:
        Policy -> how it was asked, of those that were not asked plainly. Their cards are those under it.
    domain_model:
        Tells its questions from others, and its domains from each other. Planners from before there was one
        have None.
    drawings:
        Policy -> how its solutions were drawn, where the log said so.
    words:
        Templates in which strategies asked about earlier answers (``search.strategies.words``), by name.

    Raises ArtefactError where they do not fit together.
    """

    stages: tuple[Stage, ...]
    encoder: NgramEncoder
    frontier: Frontier
    policies: Mapping[str, ModelCard]
    prms: Mapping[str, ModelCard]
    domains: tuple[str, ...]
    sample_flops: float
    card: Mapping[str, Any] = field(default_factory=dict)
    promptings: Mapping[str, Prompting] = field(default_factory=dict)
    domain_model: DomainModel | None = None
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.stages or self.stages[0].probe.samples:
            raise ArtefactError("a planner's first stage sees the question only, got another")
        if not (np.isfinite(self.sample_flops) and self.sample_flops > 0):
            raise ArtefactError(f"a sample-equivalent must be above 0 FLOPs, got {self.sample_flops}")
        if not self.promptings.keys() <= self.policies.keys():
            raise ArtefactError(
                f"a prompting is of a policy that has a card ({', '.join(self.policies)}), "
                f"got {', '.join(sorted(self.promptings.keys() - self.policies.keys()))}"
            )
        if not self.drawings.keys() <= self.policies.keys():
            raise ArtefactError(
                f"a drawing is of a policy that has a card ({', '.join(self.policies)}), "
                f"got {', '.join(sorted(self.drawings.keys() - self.policies.keys()))}"
            )
        if self.domain_model is not None and self.domain_model.domains != self.domains:
            raise ArtefactError(
                f"a domain model must know the planner's domains ({', '.join(self.domains)}), "
                f"got {', '.join(self.domain_model.domains)}"
            )
        for stage, following in zip(self.stages, (*self.stages[1:], None), strict=True):
            if stage.actions.next_probe != (following.probe if following else None):
                raise ArtefactError(
                    f"stages must follow one another, got {stage.actions.next_probe} after {stage.probe}"
                )
            names = feature_names(stage.probe, self.encoder.dimensions, stage.thoughts)
            if stage.forest.features != len(names):
                raise ArtefactError(
                    f"the stage at {stage.probe} takes {len(names)} features, got {stage.forest.features}"
                )
            for choice in stage.choices:
                known = choice.policy in self.policies and (choice.prm is None or choice.prm in self.prms)
                if not known:
                    raise ArtefactError(f"a choice names models that have a card, got {choice}")
            if not set(stage.actions.policies) <= set(self.policies):
                raise ArtefactError(f"policies must have a card, got {stage.actions.policies}")

    def prompting(self, policy: str) -> Prompting:
        """How a policy was asked when this was learned, and is asked where this decides."""
        return self.promptings.get(policy, Prompting())

    def asked(self, models: Iterable[ModelCard]) -> tuple[ModelCard, ...]:
        """The cards of models that are there, policies as they are under the promptings of this planner."""
        return tuple(self.prompting(card.name).card(card) for card in models)
