"""Names of PRMs: folders go by their own, rewards that ask policies by all that decides what they say.

judge:small:steps            ``search.rewards.judge_spec``
implicit:small/base          ``search.rewards.implicit_spec``

>>> whole_name("lab-prm-good"), whole_name("implicit:small/base")
('lab-prm-good', 'implicit:small/base:steps:beta0.05')
>>> models_of("judge:small"), models_of("implicit:small/base"), models_of("lab-prm-good")
(('small',), ('small', 'base'), ())
"""

from __future__ import annotations

from search.rewards.implicit_spec import ImplicitSpec, is_implicit
from search.rewards.judge_spec import JudgeSpec, is_judge

__all__ = ["asks_policies", "models_of", "whole_name"]


def asks_policies(name: str) -> bool:
    """Whether a PRM's name is that of a reward without weights of its own."""
    return is_judge(name) or is_implicit(name)


def models_of(name: str) -> tuple[str, ...]:
    """The policies that a PRM of this name asks; none for a folder. Raises CheckpointError."""
    if is_implicit(name):
        spec = ImplicitSpec.parse(name)
        return spec.policy, spec.reference
    return (JudgeSpec.parse(name).model,) if is_judge(name) else ()


def whole_name(name: str) -> str:
    """A PRM's name as logs have it. Raises CheckpointError for one that breaks a rule."""
    if is_implicit(name):
        return ImplicitSpec.parse(name).name
    return JudgeSpec.parse(name).name if is_judge(name) else name
