r"""What an implicit reward is: two models, and how the ratio of what they find likely becomes a reward.

The name says all of it, so that a log's rows belong to one way of scoring:

    implicit:small/base:steps:beta0.05
             |     |    |     the ratio is multiplied by this
             |     |    what a reward is about
             |     the reference: what the policy was before it was trained, as a rule
             the policy, trained on solutions or outcomes

| scope | reward of a step |
|---|---|
| ``steps`` | logistic(beta x (log-likelihood of the step under the policy - under the reference)) |
| ``solution`` | the same of all steps up to it |

After Yuan et al. (arXiv 2412.01981): a model trained on outcomes alone, with its likelihood ratio to a
reference as the reward, is a process reward model by itself; q_t is the ratio up to step t, the reward of a
step is q_t - q_{t-1}. Knows nothing of engines.

    >>> spec = ImplicitSpec.parse("implicit:small/base")
    >>> spec.policy, spec.reference, spec.name
    ('small', 'base', 'implicit:small/base:steps:beta0.05')
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass

from search.cards import ModelCard
from search.errors import CheckpointError

__all__ = ["IMPLICIT_SCOPES", "ImplicitSpec", "is_implicit"]

IMPLICIT_SCOPES = ("steps", "solution")

_PREFIX = "implicit:"
_MODEL = r"[^\s|(),=/]+"
_NAME = re.compile(
    rf"{_PREFIX}(?P<policy>{_MODEL})/(?P<reference>{_MODEL}?)"
    rf"(?::(?P<scope>{'|'.join(IMPLICIT_SCOPES)}))?"
    r"(?::beta(?P<beta>[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?))?"
    r"(?::breaks(?P<breaks>[1-9]))?"
)


def is_implicit(name: str) -> bool:
    """Whether a PRM's name is that of an implicit reward."""
    return name.startswith(_PREFIX)


@dataclass(frozen=True, slots=True)
class ImplicitSpec:
    """Everything that decides an implicit reward. Raises CheckpointError for what breaks a rule.

    Parameters
    ----------
    policy, reference:
        The two models' names.
    beta:
        Multiplies the ratio; larger than 0.
    scope:
        One of ``IMPLICIT_SCOPES``.
    breaks:
        Line breaks that end a step: 1, or 2 for steps with an empty line between them.
    """

    policy: str
    reference: str
    beta: float = 0.05
    scope: str = "steps"
    breaks: int = 1

    def __post_init__(self) -> None:
        for model in (self.policy, self.reference):
            if not re.fullmatch(_MODEL, model):
                raise CheckpointError(
                    "the models of an implicit reward are names without spaces, commas, =, |, / and "
                    f"parentheses, got {model!r}"
                )
        if self.policy == self.reference:
            raise CheckpointError(f"an implicit reward compares two models, got {self.policy!r} for both")
        if not (math.isfinite(self.beta) and self.beta > 0.0):
            raise CheckpointError(f"beta must be a number above 0, got {self.beta!r}")
        if self.scope not in IMPLICIT_SCOPES:
            raise CheckpointError(f"scope must be one of {', '.join(IMPLICIT_SCOPES)}, got {self.scope!r}")
        if not 1 <= self.breaks <= 9:
            raise CheckpointError(f"breaks must be from 1 to 9, got {self.breaks!r}")

    @classmethod
    def parse(cls, name: str) -> ImplicitSpec:
        """The implicit reward that a name says; what it leaves out is the default's. Raises CheckpointError.

        >>> ImplicitSpec.parse("implicit:a:7b/b:1b:solution:beta0.1").reference
        'b:1b'
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise CheckpointError(
                f"an implicit reward is written implicit:POLICY/REFERENCE[:SCOPE][:betaNUMBER], got {name!r}"
            )
        said: dict[str, object] = {} if found["scope"] is None else {"scope": found["scope"]}
        if found["beta"] is not None:
            said["beta"] = float(found["beta"])
        if found["breaks"] is not None:
            said["breaks"] = int(found["breaks"])
        return cls(found["policy"], found["reference"], **said)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """What logs and planners call it."""
        ends = "" if self.breaks == 1 else f":breaks{self.breaks}"
        return f"{_PREFIX}{self.policy}/{self.reference}:{self.scope}:beta{self.beta:g}{ends}"

    @property
    def delimiter(self) -> str:
        """What ends a step."""
        return "\n" * self.breaks

    def card(self, policy: ModelCard, reference: ModelCard) -> ModelCard:
        """The card: each token of a solution is read by both models."""
        both = f"{policy.fingerprint}\0{reference.fingerprint}\0{self.name}"
        return ModelCard(
            name=self.name,
            parameters=policy.parameters + reference.parameters,
            fingerprint=hashlib.sha256(both.encode()).hexdigest(),
            context=min(policy.context, reference.context),
            flops_per_token=policy.flops(1.0) + reference.flops(1.0),
        )
