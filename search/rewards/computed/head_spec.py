"""A head's folder: what it says of itself, whose hidden states it reads, and where that policy lies.

    HEAD/head.json           what follows here; HEAD/card.json: how good it is (``training.heads.head_card``)
    HEAD/head.safetensors    its weights

A head has no weights of a language model: it reads the hidden states of one policy, which it names with its
fingerprint. Where that policy's folder lies is said relative to the head's own, so both may be moved
together. Knows nothing of torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.checkpoint import Checkpoint, read_checkpoint, tensor_sizes
from search.errors import CheckpointError, GridError
from search.prompts import Prompting

__all__ = ["HEAD_ARCHITECTURE", "HeadSpec", "is_head", "policy_of", "read_head", "stateless"]

#: what stands for an architecture where a head is asked for one
HEAD_ARCHITECTURE = "PlannerValueHead"

_FILE, _WEIGHTS = "head.json", "head.safetensors"
_KIND, _VERSION = "value head", 1


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """What ``head.json`` says.

    Parameters
    ----------
    policy, fingerprint:
        Whose hidden states it reads: the name, and the fingerprint of the folder.
    place:
        The policy's folder relative to the head's.
    prompting:
        How the policy was asked, and what ends a step.
    hidden:
        Size of a hidden state.
    inner:
        Units of the hidden layer; 0: the head is linear.
    slope, offset:
        Platt's calibration: the reward is the logistic function of ``slope * value + offset``.
    """

    policy: str
    fingerprint: str
    place: str
    prompting: Prompting
    hidden: int
    inner: int
    slope: float
    offset: float

    def to_json(self) -> dict[str, Any]:
        """As ``head.json`` holds it."""
        return {
            "kind": _KIND,
            "version": _VERSION,
            "policy": {"name": self.policy, "fingerprint": self.fingerprint, "folder": self.place},
            "prompt": {"template": self.prompting.template, "delimiter": self.prompting.delimiter},
            "hidden": self.hidden,
            "inner": self.inner,
            "calibration": {"kind": "platt", "slope": self.slope, "offset": self.offset},
        }

    @classmethod
    def read(cls, folder: Path) -> HeadSpec:
        """What a head's folder says. Raises CheckpointError."""
        file = folder / _FILE
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            if (said["kind"], said["version"]) != (_KIND, _VERSION):
                raise CheckpointError(
                    f"a head must be a {_KIND} of version {_VERSION}, got {said['kind']!r} of version "
                    f"{said['version']!r} in {str(file)!r}"
                )
            policy, prompt, calibration = said["policy"], said["prompt"], said["calibration"]
            return cls(
                policy=str(policy["name"]),
                fingerprint=str(policy["fingerprint"]),
                place=str(policy["folder"]),
                prompting=Prompting(str(prompt["template"]), str(prompt["delimiter"])),
                hidden=int(said["hidden"]),
                inner=int(said["inner"]),
                slope=float(calibration["slope"]),
                offset=float(calibration["offset"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, GridError) as error:
            raise CheckpointError(
                f"head.json must say what a head is, got {str(file)!r}: {error!r}"
            ) from error


def is_head(folder: Path) -> bool:
    """Whether a folder is a head's."""
    return (folder / _FILE).is_file()


def stateless(folder: Path, who: str) -> CheckpointError:
    """What is said where a head is to run elsewhere than in this process; `who`: what would run it."""
    return CheckpointError(
        f"{who} gives no hidden states of a policy, so a head is scored in this process (embedded), "
        f"got {who} for the head {str(folder)!r}"
    )


def policy_of(folder: Path, spec: HeadSpec, given: str | Path | None = None) -> Checkpoint:
    """The policy whose states a head reads: ``given``, else where the head says, else beside the head.

    Raises CheckpointError where there is none, or it is another one.
    """
    if given is not None:
        found = read_checkpoint(given, None)
        if found.fingerprint != spec.fingerprint:
            raise CheckpointError(
                f"a head reads the states of one policy, {spec.policy!r} with the fingerprint "
                f"{spec.fingerprint[:12]}, got {str(given)!r} with {found.fingerprint[:12]}"
            )
        return found
    home = folder.resolve()
    places = [home / spec.place, home.parent / spec.policy]
    for place in places:
        if place.is_dir():
            found = read_checkpoint(place, None)
            if found.fingerprint == spec.fingerprint:
                return found
    raise CheckpointError(
        f"a head needs the folder of {spec.policy!r} with the fingerprint {spec.fingerprint[:12]}, "
        f"got none in {' or '.join(str(place) for place in places)}: say where it is with policy=FOLDER"
    )


def read_head(folder: Path, given: str | Path | None = None) -> tuple[HeadSpec, Checkpoint, Checkpoint]:
    """What a head is, the head as a checkpoint, and its policy's.

    The checkpoint's ``config`` and ``context`` are the policy's; its ``parameters`` are all that scoring a
    token computes: the policy's without a language head of its own, and the head's. Raises CheckpointError.
    """
    spec = HeadSpec.read(folder)
    weights = folder / _WEIGHTS
    if not weights.is_file():
        raise CheckpointError(f"a head needs {_WEIGHTS}, got none in {str(folder)!r}")
    own = sum(tensor_sizes(weights).values())
    policy = policy_of(folder, spec, given)
    if policy.config["hidden_size"] != spec.hidden:
        raise CheckpointError(
            f"a head's hidden is its policy's hidden_size {policy.config['hidden_size']}, got {spec.hidden}"
        )
    unused = sum(tensor_sizes(file).get("lm_head.weight", 0) for file in policy.weights)
    digest = hashlib.sha256(f"{spec.fingerprint}\0{_meaning(spec)}\0".encode() + weights.read_bytes())
    made = replace(
        policy,
        path=folder,
        architecture=HEAD_ARCHITECTURE,
        parameters=policy.parameters - unused + own,
        fingerprint=digest.hexdigest(),
    )
    return spec, made, policy


def _meaning(spec: HeadSpec) -> str:
    """Everything of a head that decides its rewards, apart from weights: not where its policy lies."""
    said: Mapping[str, Any] = {name: value for name, value in spec.to_json().items() if name != "policy"}
    return json.dumps(said, sort_keys=True, ensure_ascii=False)
