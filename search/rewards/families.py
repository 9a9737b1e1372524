"""Reward families: which one a checkpoint belongs to, by its own config, and how to open it.

| family | chosen when | read |
|---|---|---|
| ``classifier`` | architecture ``Qwen2ForProcessRewardModel`` | at ``<extra_0>`` behind each step |
| ``value_head`` | architecture ``Qwen2ForPrmModel``, or a causal one with a ``v_head`` | at each line break |
| ``orm`` | a ``...ForSequenceClassification`` with one label | behind the closed chat |
| ``rlhflow`` | a causal language model with a chat template | before the answer ``+`` |
| ``math_shepherd`` | a causal language model without one | at ``ки`` behind each step |

A causal language model's config does not tell a reward model from a policy, so whoever opens one as a
reward has to mean it; ``family`` overrides the choice. No code of a checkpoint runs and nothing is
unpickled. Knows nothing of torch until a model is opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search import checkpoint as folders
from search.checkpoint import ARCHITECTURES, Checkpoint, read_checkpoint
from search.errors import CheckpointError, MissingExtraError

if TYPE_CHECKING:
    from search.rewards.protocol import Reward

__all__ = ["FAMILIES", "PRM_ARCHITECTURES", "family_of", "open_reward", "read_prm"]

#: what can be opened as a reward model
PRM_ARCHITECTURES = (
    "Qwen2ForProcessRewardModel",
    "Qwen2ForPrmModel",
    *(f"{base}ForCausalLM" for base in ("Llama", "Mistral", "Qwen2", "Qwen3")),
    *(f"{base}ForSequenceClassification" for base in ("Llama", "Mistral", "Qwen2", "Qwen3")),
)
#: the families, in the order of the table above
FAMILIES = ("classifier", "value_head", "orm", "rlhflow", "math_shepherd")

_VALUE_HEAD = "v_head.summary.weight"


def read_prm(path: str | Path) -> Checkpoint:
    """Check the folder of a reward model and say what it is, without loading weights.

    ``parameters`` leaves a language head out that the family does not use; ``context`` ends where a
    sliding window would begin to slide.

    Raises
    ------
    CheckpointError
        The folder or a needed file is missing or damaged, or no family takes its architecture.
    """
    found = _read(Path(path))
    window = found.config.get("sliding_window")
    slides = found.config.get("use_sliding_window", True)
    if isinstance(window, int) and slides and window < found.context:
        found = replace(found, context=window)
    return found


def family_of(checkpoint: Checkpoint) -> str:
    """One of ``FAMILIES``. Raises CheckpointError when none takes the checkpoint."""
    name = checkpoint.architecture
    if name == "Qwen2ForProcessRewardModel":
        return "classifier"
    if name == "Qwen2ForPrmModel" or (name.endswith("ForCausalLM") and _VALUE_HEAD in _tensors(checkpoint)):
        return "value_head"
    if name.endswith("ForSequenceClassification"):
        return "orm"
    if name.endswith("ForCausalLM"):
        return "rlhflow" if _has_template(checkpoint.path) else "math_shepherd"
    raise CheckpointError(f"a reward model must be one of {', '.join(PRM_ARCHITECTURES)}, got {name!r}")


def open_reward(
    path: str | Path,
    *,
    threads: int = 1,
    prompt_bytes: int = 64 << 20,
    family: str | None = None,
    device: str = "cpu",
    delimiter: str = "\n",
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
        One of ``FAMILIES``; by default what the checkpoint says.
    device:
        Where torch computes: ``cpu``, ``cuda``, ``cuda:1``.
    delimiter:
        What stands between the steps of a solution; only the family ``orm`` shows it to the model.

    Raises
    ------
    CheckpointError
        As ``read_prm``, and where weights or tokenizer do not fit the family.
    MissingExtraError
        torch or transformers is not installed.
    """
    checkpoint = read_prm(path)
    chosen = family_of(checkpoint) if family is None else family
    if chosen not in FAMILIES:
        raise CheckpointError(f"a reward family must be one of {', '.join(FAMILIES)}, got {chosen!r}")
    options: dict[str, Any] = {"threads": threads, "prompt_bytes": prompt_bytes, "device": device}
    if chosen == "orm":
        options["delimiter"] = delimiter
    try:
        return _loader(chosen)(checkpoint, **options)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"reward models need the lab extra, got no {error.name}: pip install 'test-time-planner[lab]'"
        ) from error


def _loader(family: str) -> Callable[..., Reward]:
    """The family's ``load``, its libraries imported only now."""
    if family == "classifier":
        from search.rewards.classifier import ClassifierReward

        return lambda checkpoint, **options: ClassifierReward.load(checkpoint.path, **options)
    if family == "value_head":
        from search.rewards.value_head import ValueHeadReward

        return ValueHeadReward.load
    if family == "orm":
        from search.rewards.orm import OutcomeReward

        return OutcomeReward.load
    from search.rewards.causal import MathShepherdReward, RlhflowReward

    return RlhflowReward.load if family == "rlhflow" else MathShepherdReward.load


def _read(folder: Path) -> Checkpoint:
    """As ``read_checkpoint``, for the architectures that only reward models have."""
    if not folder.is_dir():
        raise CheckpointError(f"a checkpoint is a folder, got {str(folder)!r}, which is none")
    config = folders._read_config(folder)
    named = (config.get("architectures") or [None])[0]
    if named in ARCHITECTURES:
        return read_checkpoint(folder)
    if named not in PRM_ARCHITECTURES:
        raise CheckpointError(
            f"a reward model must be one of {', '.join(PRM_ARCHITECTURES)}, got {named!r} in {str(folder)!r}"
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise CheckpointError(f"a checkpoint needs *.safetensors weights, got none in {str(folder)!r}")
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(f"a checkpoint needs tokenizer.json, got none in {str(folder)!r}")
    counts: dict[str, int] = {}
    for file in weights:
        counts.update(folders._tensor_sizes(file))
    unused = () if named.endswith("ForCausalLM") else ("lm_head.weight",)
    parameters = sum(size for name, size in counts.items() if name not in unused)
    tokenizer = [folder / name for name in folders._TOKENIZER_FILES if (folder / name).is_file()]
    fingerprint = folders._fingerprint([folder / "config.json", *weights, *tokenizer])
    return Checkpoint(
        folder, config, str(named), parameters, fingerprint, int(config["max_position_embeddings"])
    )


def _tensors(checkpoint: Checkpoint) -> frozenset[str]:
    return frozenset(name for file in checkpoint.weights for name in folders._tensor_sizes(file))


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    file = folder / "tokenizer_config.json"
    try:
        return bool(file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("chat_template"))
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"tokenizer_config.json must be a JSON object, got {str(file)!r}") from error
