"""Reward families: which one a checkpoint belongs to, by its own config, and how to open it.

| family | chosen when | read |
|---|---|---|
| ``head`` | a folder with ``head.json`` (``search.rewards.computed.head_spec``) | at the end of each step |
| ``classifier`` | architecture ``Qwen2ForProcessRewardModel`` | at ``<extra_0>`` behind each step |
| ``value_head`` | architecture ``Qwen2ForPrmModel``, or a causal one with a ``v_head`` | at each line break |
| ``orm`` | a ``...ForSequenceClassification`` with one label | behind the closed chat |
| ``rlhflow`` | a causal language model with a chat template | before the answer ``+`` |
| ``math_shepherd`` | a causal language model without one | at ``ки`` behind each step |

A causal language model's config does not tell a reward model from a policy, so whoever opens one as a
reward has to mean it; ``family`` overrides the choice. Families of plug-ins (``planner.prm_families``) are
asked first: they know one model, ours know kinds. No code of a checkpoint runs and nothing is unpickled.
Knows nothing of torch until a model is opened.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from search.checkpoint import Checkpoint, read_checkpoint, read_config, tensor_sizes
from search.errors import CheckpointError, MissingExtraError
from search.registry import is_path
from search.rewards.computed.head_spec import HEAD_ARCHITECTURE, is_head, read_head
from search.rewards.family import PRM_FAMILIES, Opening, PrmFamily

if TYPE_CHECKING:
    from search.engines.protocol import Engine
    from search.rewards.protocol import Reward

__all__ = [
    "FAMILIES",
    "PRM_ARCHITECTURES",
    "Classifier",
    "MathShepherd",
    "Outcome",
    "Rlhflow",
    "StatesHead",
    "ValueHead",
    "family_of",
    "open_reward",
    "read_prm",
]

_BASES = ("Llama", "Mistral", "Qwen2", "Qwen3")
_CAUSAL = tuple(f"{base}ForCausalLM" for base in _BASES)
_SEQUENCE = tuple(f"{base}ForSequenceClassification" for base in _BASES)
#: what our own families open as a reward model
PRM_ARCHITECTURES = (
    "Qwen2ForProcessRewardModel",
    "Qwen2ForPrmModel",
    *_CAUSAL,
    *_SEQUENCE,
)
#: our own families, in the order of the table above
FAMILIES = ("head", "classifier", "value_head", "orm", "rlhflow", "math_shepherd")

_VALUE_HEAD = "v_head.summary.weight"


class StatesHead(PrmFamily):
    """Heads on a policy's own hidden states, as ``planner train head`` makes them."""

    name = "head"
    caption = "a folder of planner train head, read from the policy's own states at the end of each step"
    architectures = (HEAD_ARCHITECTURE,)

    @classmethod
    def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
        from search.rewards.computed.head import HeadReward

        return HeadReward.load(
            checkpoint.path,
            policy=opening.policy,
            engine=opening.engine,
            threads=opening.threads,
            prompt_bytes=opening.prompt_bytes,
            device=opening.device,
        )


class Classifier(PrmFamily):
    """Qwen's process reward models and the lab's."""

    name = "classifier"
    caption = "Qwen2ForProcessRewardModel, read at <extra_0> behind each step"
    architectures = ("Qwen2ForProcessRewardModel",)

    @classmethod
    def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
        from search.rewards.computed.classifier import ClassifierReward

        return ClassifierReward.load(
            checkpoint.path,
            threads=opening.threads,
            prompt_bytes=opening.prompt_bytes,
            device=opening.device,
        )


class ValueHead(PrmFamily):
    """Skywork's, and causal language models with a head of one value."""

    name = "value_head"
    caption = "Qwen2ForPrmModel or a causal model with a v_head, read at each line break"
    architectures = ("Qwen2ForPrmModel", *_CAUSAL)

    @classmethod
    def takes(cls, checkpoint: Checkpoint) -> bool:
        if checkpoint.architecture == "Qwen2ForPrmModel":
            return True
        return super().takes(checkpoint) and _VALUE_HEAD in _tensors(checkpoint)

    @classmethod
    def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
        from search.rewards.computed.value_head import ValueHeadReward

        return ValueHeadReward.load(
            checkpoint, threads=opening.threads, prompt_bytes=opening.prompt_bytes, device=opening.device
        )


class Outcome(PrmFamily):
    """Outcome reward models."""

    name = "orm"
    caption = "a sequence classifier with one label, read behind the closed chat"
    architectures = _SEQUENCE

    @classmethod
    def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
        from search.rewards.computed.orm import OutcomeReward

        return OutcomeReward.load(
            checkpoint,
            threads=opening.threads,
            prompt_bytes=opening.prompt_bytes,
            device=opening.device,
            delimiter=opening.delimiter,
        )


class Rlhflow(PrmFamily):
    """RLHFlow's causal reward models."""

    name = "rlhflow"
    caption = "a causal model with a chat template, read before the answer +"
    architectures = _CAUSAL

    @classmethod
    def takes(cls, checkpoint: Checkpoint) -> bool:
        return super().takes(checkpoint) and _has_template(checkpoint.path)

    @classmethod
    def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
        from search.rewards.computed.causal import RlhflowReward

        return RlhflowReward.load(
            checkpoint, threads=opening.threads, prompt_bytes=opening.prompt_bytes, device=opening.device
        )


class MathShepherd(PrmFamily):
    """Math-Shepherd's causal reward models."""

    name = "math_shepherd"
    caption = "a causal model without a chat template, read at ки behind each step"
    architectures = _CAUSAL

    @classmethod
    def open(cls, checkpoint: Checkpoint, opening: Opening) -> Reward:
        from search.rewards.computed.causal import MathShepherdReward

        return MathShepherdReward.load(
            checkpoint, threads=opening.threads, prompt_bytes=opening.prompt_bytes, device=opening.device
        )


def read_prm(path: str | Path, policy: str | Path | None = None) -> Checkpoint:
    """Check the folder of a reward model and say what it is, without loading weights.

    ``parameters`` leaves a language head out that the family does not use; ``context`` ends where a
    sliding window would begin to slide. ``policy``: the folder of the policy whose states a head reads, where
    the head does not say it.

    Raises
    ------
    CheckpointError
        The folder or a needed file is missing or damaged, or no family takes its architecture.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise CheckpointError(f"a checkpoint is a folder, got {str(folder)!r}, which is none")
    if is_head(folder):
        return _unslid(read_head(folder, policy)[1])
    if policy is not None:
        raise CheckpointError(f"policy is for a head, got {str(policy)!r} for {str(folder)!r}")
    named = (read_config(folder).get("architectures") or [None])[0]
    if named not in (known := _architectures()):
        raise CheckpointError(
            f"a reward model must be one of {', '.join(known)}, got {named!r} in {str(folder)!r}"
        )
    return _unslid(read_checkpoint(folder, None))


def _unslid(found: Checkpoint) -> Checkpoint:
    """A checkpoint whose context ends where a sliding window would begin to slide."""
    window = found.config.get("sliding_window")
    slides = found.config.get("use_sliding_window", True)
    if isinstance(window, int) and slides and window < found.context:
        found = replace(found, context=window)
    return found


def family_of(checkpoint: Checkpoint) -> str:
    """The name of the family that takes a checkpoint. Raises CheckpointError when none does."""
    for name, family in _asked():
        if family.takes(checkpoint):
            return name
    raise CheckpointError(
        f"a reward model must be one of {', '.join(_architectures())}, got {checkpoint.architecture!r}"
    )


def open_reward(
    path: str | Path,
    *,
    threads: int = 1,
    prompt_bytes: int = 64 << 20,
    family: str | None = None,
    device: str = "cpu",
    delimiter: str = "\n",
    policy: str | Path | None = None,
    engine: Engine | None = None,
) -> Reward:
    """Open a reward model's folder.

    Parameters
    ----------
    path:
        A folder with ``config.json``, ``*.safetensors`` and ``tokenizer.json``.
    threads:
        Threads torch computes with.
    prompt_bytes:
        Most memory for keys and values of prompts.
    family:
        A name of ``PRM_FAMILIES`` or a dotted path; by default what the checkpoint says.
    device:
        Where torch computes: ``cpu``, ``cuda``, ``cuda:1``.
    delimiter:
        What stands between the steps of a solution; only the family ``orm`` shows it to the model.
    policy:
        The folder of the policy whose states a head reads; by default where the head says.
    engine:
        That policy, loaded; the family ``head`` takes the weights of an embedded engine.

    Raises
    ------
    CheckpointError
        As ``read_prm``, and where weights or tokenizer do not fit the family.
    MissingExtraError
        torch or transformers is not installed.
    """
    checkpoint = read_prm(path, policy)
    chosen = family_of(checkpoint) if family is None else family
    if chosen not in PRM_FAMILIES and not is_path(chosen):
        raise CheckpointError(f"a reward family must be one of {', '.join(PRM_FAMILIES)}, got {chosen!r}")
    opening = Opening(threads, prompt_bytes, device, delimiter, policy, engine)
    try:
        return PRM_FAMILIES.get(chosen).open(checkpoint, opening)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"reward models need the lab extra, got no {error.name}: pip install 'test-time-planner[lab]'"
        ) from error


def _asked() -> list[tuple[str, type[PrmFamily]]]:
    """Families in the order in which they are asked: plug-ins first, what they know is more special."""
    return sorted(PRM_FAMILIES.items(), key=lambda one: PRM_FAMILIES.is_builtin(one[0]))


def _architectures() -> tuple[str, ...]:
    """Every architecture of a checkpoint that some family may take."""
    others = [name for _, family in PRM_FAMILIES.items() for name in family.architectures]
    others.remove(HEAD_ARCHITECTURE)  # no config.json says it
    return tuple(dict.fromkeys((*PRM_ARCHITECTURES, *others)))


def _tensors(checkpoint: Checkpoint) -> frozenset[str]:
    return frozenset(name for file in checkpoint.weights for name in tensor_sizes(file))


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    file = folder / "tokenizer_config.json"
    try:
        return bool(file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("chat_template"))
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"tokenizer_config.json must be a JSON object, got {str(file)!r}") from error
