"""What has been seen when a decision is made, the question and perhaps samples of it, as features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from planner.features.probe import AGREEMENT, REWARDS, ProbeSamples, agreement, rewards
from planner.features.question import SURFACE, NgramEncoder, surface
from planner.features.thoughts import THOUGHTS, thoughts
from search.bounded import Remembered
from search.choice import Choice

__all__ = ["Probe", "feature_groups", "feature_names", "probe_features", "question_features"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class Probe:
    """What has been seen when a decision is made: ``samples`` of ``policy``, scored by ``prm`` if not None.

    ``samples=0`` sees the question only. ``greedy``: the first of the samples is the greedy answer.
    """

    policy: str
    samples: int
    prm: str | None = None
    greedy: bool = False

    def __post_init__(self) -> None:
        if self.greedy and not self.samples:
            raise ValueError("a greedy answer is one of a probe's samples, got a probe without any")
        if self.samples < 0:
            raise ValueError(f"samples cannot be negative but got {self.samples}")
        if self.prm is not None and not self.samples:
            raise ValueError(f"a PRM scores samples, got {self.prm!r} without any")

    def __str__(self) -> str:
        if not self.samples:
            return "question"
        seen = f"{self.samples} samples of {self.policy}"
        if self.greedy:
            more = f" and {self.samples - 1} samples" if self.samples > 1 else ""
            seen = f"the greedy answer{more} of {self.policy}"
        return seen + (f" scored by {self.prm}" if self.prm else "")

    def to_dict(self) -> dict[str, str | int | bool | None]:
        """Plain values; ``greedy`` only where it is so."""
        found: dict[str, str | int | bool | None]
        found = {"policy": self.policy, "samples": self.samples, "prm": self.prm}
        return {**found, "greedy": True} if self.greedy else found

    def holds(self, choice: Choice) -> bool:
        """Whether all that ``choice`` draws has been seen: the greedy answer."""
        return self.greedy and choice.policy == self.policy and choice.plan.is_greedy

    def joins(self, choice: Choice) -> bool:
        """Whether the probe's samples stay candidates under ``choice``."""
        return bool(self.samples) and choice.policy == self.policy and choice.plan.described.joins_probe

    def allows(self, choice: Choice) -> bool:
        """Whether ``choice`` can follow: a vote cannot take fewer samples than were drawn."""
        if not self.samples or choice.policy != self.policy or self.holds(choice):
            return True
        described = choice.plan.described
        fits = described.most_prior is None or described.most_prior >= self.samples
        return described.joins_probe and fits


def feature_names(probe: Probe, ngrams: int, thoughts: bool = False) -> tuple[str, ...]:
    """Names of the features that a probe gives, in order. ``thoughts``: those of thoughts too."""
    question = (*SURFACE, *(f"ngram_{i}" for i in range(ngrams)))
    sampled = AGREEMENT if probe.samples else ()
    scored = REWARDS if probe.prm else ()
    return (*question, *sampled, *scored, *(THOUGHTS if thoughts and probe.samples else ()))


def feature_groups(probe: Probe, ngrams: int, thoughts: bool = False) -> tuple[str, ...]:
    """The group of each feature: ``surface``, ``ngrams``, ``agreement``, ``logprobs`` or ``rewards``.

    Thoughts are of ``agreement``: samples alone tell them.
    """
    sampled = tuple("logprobs" if "logprob" in name else "agreement" for name in AGREEMENT)
    return (
        *("surface" for _ in SURFACE),
        *("ngrams" for _ in range(ngrams)),
        *(sampled if probe.samples else ()),
        *("rewards" for _ in (REWARDS if probe.prm else ())),
        *("agreement" for _ in (THOUGHTS if thoughts and probe.samples else ())),
    )


def question_features(question: str, encoder: NgramEncoder) -> Floats:
    """(features,) of one question, to be read only. Those of the newest questions are kept."""
    return _remembering(encoder)(question)


@lru_cache(maxsize=4)  # a planner, and the one that takes its place
def _remembering(encoder: NgramEncoder) -> Remembered[Floats]:
    """Every stage of a request sees its question again, and questions come as long as a server lets them."""
    return Remembered(partial(_features, encoder), entries=256, characters=1 << 20)


def _features(encoder: NgramEncoder, question: str) -> Floats:
    found = np.concatenate([surface(question), encoder.encode(question)])
    found.flags.writeable = False
    return found


def probe_features(samples: ProbeSamples, scored: bool, thinks: bool = False) -> Floats:
    """(probes, features) of probes, rewards included where ``scored``, and thoughts where asked for."""
    found = [agreement(samples)]
    if scored:
        found.append(rewards(samples))
    if thinks:
        unknown = np.full(samples.tokens.shape, np.nan)
        cut = np.zeros(unknown.shape) if samples.thought_cut is None else samples.thought_cut
        found.append(thoughts(samples.tokens, unknown if samples.thought is None else samples.thought, cut))
    return np.concatenate(found, axis=1)
