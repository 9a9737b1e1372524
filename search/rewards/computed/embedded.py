"""The project's own decoder as a backbone, and which checkpoints it computes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from search.checkpoint import Checkpoint
from search.engines.cache import Prefix, extend
from search.engines.decoder import Decoder, Shape, load_tensors
from search.errors import CheckpointError
from search.rewards.computed.backbone import Backbone

__all__ = ["EmbeddedBackbone", "open_backbone"]

#: model types whose layers the embedded decoder computes
_EMBEDDED = ("llama", "mistral", "qwen2")


class EmbeddedBackbone(Backbone):
    """The embedded engine's decoder without its language head."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        shape = Shape.of(checkpoint.config)
        self.decoder = Decoder(shape, load_tensors(checkpoint), head=False)

    def extend(
        self, prefixes: Sequence[Prefix | None], tokens: Sequence[Sequence[int]]
    ) -> tuple[list[Prefix], list[Tensor]]:
        return extend(self.decoder, prefixes, tokens)

    def final(self, states: Tensor) -> Tensor:
        return self.decoder.final(states)


def open_backbone(checkpoint: Checkpoint, device: str = "cpu", dtype: str | None = None) -> Backbone:
    """The embedded decoder where it computes this checkpoint, transformers' model where it does not.

    ``dtype``: as ``TransformerBackbone`` takes it; the embedded decoder computes in float32 alone.

    Raises CheckpointError when the weights do not fit the config.
    """
    if device == "cpu" and dtype in (None, "float32") and _is_embedded(checkpoint):
        return EmbeddedBackbone(checkpoint)
    from search.rewards.computed.transformer import TransformerBackbone

    return TransformerBackbone(checkpoint, device, dtype)


def _is_embedded(checkpoint: Checkpoint) -> bool:
    if checkpoint.config.get("model_type") not in _EMBEDDED or checkpoint.config.get("mlp_bias"):
        return False
    try:
        Shape.of(checkpoint.config)
    except CheckpointError:
        return False
    return True
