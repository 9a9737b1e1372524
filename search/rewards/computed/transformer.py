"""A backbone of transformers: its decoder models, with prefixes kept as keys and values of their own.

Rows of one batch have prefixes and new tokens of different lengths: prefixes are padded on the left and
new tokens on the right, so each row is one unbroken stretch and its positions count from its own start.
Weights come from safetensors alone and no code of the folder runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoModel, DynamicCache
from transformers.utils import logging

from search.checkpoint import Checkpoint
from search.engines.cache import Prefix
from search.errors import CheckpointError
from search.rewards.computed.backbone import Backbone

__all__ = ["TransformerBackbone"]

#: most columns of keys, padding included, in one batch
_COLUMNS = 1 << 17
#: new tokens with which a batch is large enough, and the share of padding above which it then takes no more
_ENOUGH, _PADDING = 1024, 0.125


class TransformerBackbone(Backbone):
    """Parameters
    ----------
    device:
        Where torch computes: ``cpu``, ``cuda``, ``cuda:1``.
    dtype:
        The type of floats: ``float32``, ``bfloat16``, ``float16``. By default float32 on the CPU, elsewhere
        the one that the config names.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", dtype: str | None = None) -> None:
        self._device = torch.device(device)
        values = {k: v for k, v in checkpoint.config.items() if k not in ("auto_map", "architectures")}
        kind = str(values.pop("model_type", ""))
        if kind not in CONFIG_MAPPING:
            raise CheckpointError(f"model_type must be one that transformers has, got {kind!r}")
        config = CONFIG_MAPPING[kind].from_dict(values)
        if getattr(config, "sliding_window", None) is not None:
            config.sliding_window = None  # the context ends where the window would begin to slide
        chosen: Any = dtype or ("float32" if self._device.type == "cpu" else "auto")
        with _quiet():
            try:
                model, info = AutoModel.from_pretrained(
                    str(checkpoint.path),
                    config=config,
                    dtype=chosen,
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=True,
                    output_loading_info=True,
                )
            except Exception as error:  # the libraries raise many types on weights that do not fit
                raise CheckpointError(
                    f"the weights must fit config.json, got {str(checkpoint.path)!r}: {error}"
                ) from error
        if info["missing_keys"]:  # transformers would go on with random numbers
            raise CheckpointError(f"the weights must hold {min(info['missing_keys'])}, got none")
        self._model: Any = model.eval().to(self._device)

    def extend(
        self, prefixes: Sequence[Prefix | None], tokens: Sequence[Sequence[int]]
    ) -> tuple[list[Prefix], list[Tensor]]:
        before = [0 if prefix is None else prefix.length for prefix in prefixes]
        order = sorted(range(len(tokens)), key=lambda i: (before[i] + len(tokens[i]), len(tokens[i])))
        longer: dict[int, Prefix] = {}
        states: dict[int, Tensor] = {}
        while order:
            chosen = _like(order, before, tokens)
            order = order[: -len(chosen)]
            self._run(chosen, prefixes, before, tokens, longer, states)
        return [longer[i] for i in range(len(tokens))], [states[i] for i in range(len(tokens))]

    def final(self, states: Tensor) -> Tensor:
        return states.float().cpu()

    def _run(
        self,
        chosen: Sequence[int],
        prefixes: Sequence[Prefix | None],
        before: Sequence[int],
        tokens: Sequence[Sequence[int]],
        longer: dict[int, Prefix],
        states: dict[int, Tensor],
    ) -> None:
        old, new = max(before[i] for i in chosen), max(len(tokens[i]) for i in chosen)
        fed = torch.zeros(len(chosen), new, dtype=torch.long)
        seen = torch.zeros(len(chosen), old + new, dtype=torch.long)
        starts = torch.tensor([before[i] for i in chosen])
        for row, i in enumerate(chosen):
            fed[row, : len(tokens[i])] = torch.tensor(tokens[i])
            seen[row, old - before[i] : old + len(tokens[i])] = 1
        out = self._model(
            input_ids=fed.to(self._device),
            attention_mask=seen.to(self._device),
            position_ids=(starts[:, None] + torch.arange(new)).to(self._device),
            past_key_values=_cache([prefixes[i] for i in chosen], old),
            use_cache=True,
        )
        layers = out.past_key_values.layers
        for row, i in enumerate(chosen):
            span = slice(old - before[i], old + len(tokens[i]))
            longer[i] = Prefix(
                torch.stack([layer.keys[row, :, span] for layer in layers]),
                torch.stack([layer.values[row, :, span] for layer in layers]),
            )
            states[i] = out.last_hidden_state[row, : len(tokens[i])]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar and its report on the heads that are left out on purpose."""
    hub: Any = logging  # in part without types
    verbosity, bar = hub.get_verbosity(), hub.is_progress_bar_enabled()
    hub.set_verbosity_error()
    hub.disable_progress_bar()
    try:
        yield
    finally:
        hub.set_verbosity(verbosity)
        if bar:
            hub.enable_progress_bar()


def _cache(prefixes: Sequence[Prefix | None], columns: int) -> DynamicCache:
    """The prefixes side by side, padded on the left to ``columns``."""
    known = next((prefix for prefix in prefixes if prefix is not None), None)
    if known is None:
        return DynamicCache()
    layers, heads, _, size = known.keys.shape
    keys = known.keys.new_zeros(layers, len(prefixes), heads, columns, size)
    values = torch.zeros_like(keys)
    for row, prefix in enumerate(prefixes):
        if prefix is not None:
            keys[:, row, :, columns - prefix.length :] = prefix.keys
            values[:, row, :, columns - prefix.length :] = prefix.values
    return DynamicCache(list(zip(keys, values, strict=True)))


def _like(order: Sequence[int], before: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[int]:
    """As many of the last in ``order`` as one batch holds, the longest first.

    A batch that is large enough takes no sequences much shorter than its longest: padding is computed too.
    """
    old = new = fed = 0
    chosen: list[int] = []
    for i in reversed(order):
        old, new = max(old, before[i]), max(new, len(tokens[i]))
        rows, held = len(chosen) + 1, fed + len(tokens[i])
        if chosen and rows * (old + new) > _COLUMNS:
            break
        if fed >= _ENOUGH and rows * new > (1.0 + _PADDING) * held:
            break
        chosen.append(i)
        fed = held
    return chosen
