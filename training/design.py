"""What a trial of the planner study decides: probes, features, and how advantages are modelled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from planner.evidence.probe import Probe
from planner.predicting.boosting import Shape
from training.crossfit import Settings

__all__ = ["ENOUGH_PROBLEMS", "Design", "plain", "possible", "starts", "without_looks"]

_GROUPS = ("surface", "ngrams", "agreement", "logprobs", "rewards")
#: numbers of samples after which a planner may decide again
_PROBES = ("1", "2", "4", "1,4", "2,8", "1,2,4", "2,4,8", "1,2,4,8", "1,4,16", "1,2,4,8,16")
#: fewer problems than this say too little of questions: a rule decides
ENOUGH_PROBLEMS = 60
#: from so many problems on a planner may choose freely
_MANY = 300

#: probes and where a PRM is first asked
_STARTS = (("1,4", 1), ("1,4,16", 4))


@dataclass(frozen=True, slots=True)
class Design:
    """Everything that a trial fixes.

    Parameters
    ----------
    policy:
        Which one probes.
    probes:
        Samples after which it decides again, ascending.
    scored:
        From so many samples on a PRM may be asked; 0: never.
    choices:
        How many are decided between at each probe.
    greedy:
        Whether the first sample of every probe is the greedy answer.
    """

    policy: str
    probes: tuple[int, ...]
    scored: int
    choices: int
    settings: Settings
    greedy: bool = False

    def probe_sequence(self, prm: str | None) -> tuple[Probe, ...]:
        """The question, then each probe: first as it is, and where a PRM is asked, scored by it too."""
        out = [Probe(self.policy, 0)]
        asked = False
        for samples in self.probes:
            if not asked:
                out.append(Probe(self.policy, samples, greedy=self.greedy))
            if self.scored and prm is not None and samples >= self.scored:
                out.append(Probe(self.policy, samples, prm, self.greedy))
                asked = True
        return tuple(out)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the card."""
        return {
            "policy": self.policy,
            "probes": list(self.probes),
            "scored": self.scored,
            "choices": self.choices,
            "greedy": self.greedy,
            "rank": self.settings.rank,
            "groups": list(self.settings.groups),
            "keep": self.settings.keep,
            "shape": self.settings.shape.to_json(),
        }

    @classmethod
    def suggested(
        cls, trial: Any, largest: Mapping[str, int], *, scorable: bool, greedy: Collection[str] = ()
    ) -> Design:
        """The design of an Optuna trial.

        Parameters
        ----------
        largest:
            Policy -> its largest probe: something must be left to continue with. Of a sequence that is
            longer, the probes up to there are taken.
        scorable:
            Whether a PRM has scored any pool.
        greedy:
            Policies whose greedy answers can be looked at first.
        """
        policy = trial.suggest_categorical("policy", list(largest))
        known = possible(max(largest.values()))
        chosen = _numbers(trial.suggest_categorical("probes", known))
        probes = tuple(size for size in chosen if size <= largest[policy]) or (1,)
        sizes = [0, *sorted({size for text in known for size in _numbers(text)})]
        scored = trial.suggest_categorical("scored", sizes if scorable else [0])
        choices = trial.suggest_int("choices", 3, 16)
        rank = trial.suggest_int("rank", 1, 6)
        keep = trial.suggest_float("keep", 0.6, 1.0)
        shape = Shape(
            trees=trial.suggest_int("trees", 30, 100, step=10),
            leaves=trial.suggest_int("leaves", 3, 8),
            rate=trial.suggest_float("rate", 0.03, 0.15, log=True),
            min_data=trial.suggest_int("min_data", 20, 160, log=True),
            l2=trial.suggest_float("l2", 1.0, 200.0, log=True),
            share=trial.suggest_float("share", 0.3, 1.0),
        )
        looks = bool(greedy) and trial.suggest_categorical("greedy", [False, True])
        off = {name for name in ("ngrams", "logprobs") if not trial.suggest_categorical(name, [True, False])}
        groups = tuple(group for group in _GROUPS if group not in off)
        return cls(
            policy=policy,
            probes=probes,
            scored=scored,
            choices=choices,
            settings=Settings(rank=rank, shape=shape, groups=groups, keep=keep),
            greedy=looks and policy in greedy,
        )


def plain(policy: str, largest: int, problems: int) -> dict[str, Any]:
    """The parameters of the first trial, which are also what is fitted without a study.

    So few ``problems`` that little can be told apart are shrunk hard: with a hundred of them, and a PRM that
    is noise, more freedom lost to the plain vote.
    """
    found = {
        "policy": policy,
        "probes": "1,2,4,8" if largest >= 8 else possible(largest)[-1],
        "scored": 0,
        "choices": 12,
        "rank": 4,
        "keep": 1.0,
        "trees": 60,
        "leaves": 4,
        "rate": 0.06,
        "min_data": 40,
        "l2": 20.0,
        "share": 0.5,
        "ngrams": True,
        "logprobs": True,
        "greedy": False,
    }
    few = {"choices": 5, "rank": 2, "keep": 0.6, "min_data": 80}
    return found | few if problems < _MANY else found


def without_looks(policy: str) -> Design:
    """Decides once, at the question, and by averages: what questions tell is shrunk to nothing."""
    shape = Shape(trees=1, leaves=2, rate=0.01)
    return Design(policy, (), 0, 1, Settings(rank=1, shape=shape, groups=("surface",), keep=0.0))


def starts(
    main: str, largest: Mapping[str, int], problems: int, *, scorable: bool, greedy: Collection[str] = ()
) -> list[dict[str, Any]]:
    """What a study tries first: the plain design, the same with a greedy answer as the first sample where
    there is one (``greedy``: the policies that have them), then for each policy, ``main`` first, few long
    probes and many short ones, with a PRM where there is one. From there on the sampler goes its own way."""
    out = [plain(main, largest[main], problems)]
    if main in greedy:
        out.append(out[0] | {"greedy": True})
    for policy in sorted(largest, key=lambda name: (name != main, name)):
        fitting = possible(largest[policy])
        for probes, scored in _STARTS:
            if probes in fitting:
                asked = {"probes": probes, "scored": scored if scorable else 0, "choices": 16, "rank": 6}
                out.append(plain(policy, largest[policy], problems) | asked)
    return out


def possible(largest: int) -> list[str]:
    """The probe sequences that stay within ``largest`` samples."""
    return [text for text in _PROBES if _numbers(text)[-1] <= max(largest, 1)]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))
