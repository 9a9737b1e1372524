"""The decoder: Qwen2 and Llama layers in plain torch, float32, for inference only.

It turns token ids and positions into hidden states and logits. It knows nothing of sequences,
batches or caches: who calls it passes an ``Attend`` that stores keys and values and attends.
Used by the embedded engine and, as a backbone, by the classifier reward.

Norm weights are folded into the matrices that follow them, the softmax scale into the query's;
queries, keys and values are one matrix, gate and up projection another. Agrees with transformers'
logits within 1e-4. Sources: RoFormer (arXiv 2104.09864), GLU variants (arXiv 2002.05202), GQA
(arXiv 2305.13245).

Every matrix product here has at least ``LEAST_ROWS`` rows: MKL computes fewer by other kernels, and
with that many a row's bits do not depend on what shares its batch (measured with AVX-512 on an Intel
and an AMD machine; a test holds it on the machine at hand).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from search.checkpoint import Checkpoint
from search.errors import CheckpointError

__all__ = ["LEAST_ROWS", "Attend", "Decoder", "Shape", "load_tensors"]

#: fewest rows with which MKL's products take the kernel that all larger ones take
LEAST_ROWS = 4

#: (layer, queries [T, heads, d], keys [T, kv_heads, d], values [T, kv_heads, d]) -> [T, heads * d]
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a decoder, from ``config.json``."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context: int
    epsilon: float
    theta: float
    tied: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Raises CheckpointError for variants this decoder does not compute."""
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default":
            raise CheckpointError(f"rope_type must be default, got {kind!r}")
        activation = config.get("hidden_act", "silu")
        if activation != "silu":
            raise CheckpointError(f"hidden_act must be silu, got {activation!r}")
        if config.get("use_sliding_window"):
            raise CheckpointError("use_sliding_window must be false, got true")
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        return cls(
            hidden=hidden,
            inner=int(config["intermediate_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or hidden // heads),
            vocabulary=int(config["vocab_size"]),
            context=int(config["max_position_embeddings"]),
            epsilon=float(config.get("rms_norm_eps", 1e-6)),
            theta=float(rope.get("rope_theta", config.get("rope_theta", 10000.0))),
            tied=bool(config.get("tie_word_embeddings", False)),
        )


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of one layer, each [in, out] and contiguous."""

    qkv: Tensor
    qkv_bias: Tensor
    out: Tensor
    out_bias: Tensor
    gate_up: Tensor
    down: Tensor


class Decoder:
    """Weights and the forward pass.

    Parameters
    ----------
    shape:
        The sizes.
    tensors:
        name -> tensor, named as transformers saves them. CheckpointError when one is missing or
        has another size, named by its key.
    head:
        Whether logits are wanted; a PRM's backbone has none.
    """

    def __init__(self, shape: Shape, tensors: Mapping[str, Tensor], *, head: bool = True) -> None:
        self.shape = shape
        self._tensors = tensors
        s = shape
        queries, keys = s.heads * s.head_size, s.kv_heads * s.head_size
        self._embedding = self._take("model.embed_tokens.weight", s.vocabulary, s.hidden)
        self._layers: list[_Layer] = []
        for i in range(s.layers):
            block = f"model.layers.{i}."
            attention = block + "self_attn."
            norm = self._take(block + "input_layernorm.weight", s.hidden)
            scale = s.head_size**-0.5
            q = self._take(attention + "q_proj.weight", queries, s.hidden) * scale
            k = self._take(attention + "k_proj.weight", keys, s.hidden)
            v = self._take(attention + "v_proj.weight", keys, s.hidden)
            biases = [
                self._take(attention + "q_proj.bias", queries, optional=True) * scale,
                self._take(attention + "k_proj.bias", keys, optional=True),
                self._take(attention + "v_proj.bias", keys, optional=True),
            ]
            second = self._take(block + "post_attention_layernorm.weight", s.hidden)
            gate = self._take(block + "mlp.gate_proj.weight", s.inner, s.hidden)
            up = self._take(block + "mlp.up_proj.weight", s.inner, s.hidden)
            down = self._take(block + "mlp.down_proj.weight", s.hidden, s.inner)
            out = self._take(attention + "o_proj.weight", s.hidden, queries)
            self._layers.append(
                _Layer(
                    qkv=(torch.cat([q, k, v]) * norm).t().contiguous(),
                    qkv_bias=torch.cat(biases),
                    out=out.t().contiguous(),
                    out_bias=self._take(attention + "o_proj.bias", s.hidden, optional=True),
                    gate_up=(torch.cat([gate, up]) * second).t().contiguous(),
                    down=down.t().contiguous(),
                )
            )
        self._norm = self._take("model.norm.weight", s.hidden)
        self._head: Tensor | None = None
        if head:
            name = "model.embed_tokens.weight" if s.tied else "lm_head.weight"
            self._head = (self._take(name, s.vocabulary, s.hidden) * self._norm).t().contiguous()
        del self._tensors
        self._cos, self._sin = _rotary(shape)

    @classmethod
    def load(cls, checkpoint: Checkpoint, *, head: bool = True) -> Decoder:
        """Read the weights of a checked folder. Raises CheckpointError."""
        return cls(Shape.of(checkpoint.config), load_tensors(checkpoint), head=head)

    def forward(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Hidden states [T, hidden] before the final norm, of tokens [T] at positions [T]."""
        s = self.shape
        width, rotated = s.head_size, s.heads + s.kv_heads
        x = self._embedding[tokens]
        cos, sin = self._cos[positions], self._sin[positions]  # [T, 1, d]
        for i, layer in enumerate(self._layers):
            qkv = _affine(layer.qkv_bias, self._normed(x), layer.qkv).view(x.shape[0], -1, width)
            qk = qkv[:, :rotated]
            qk = torch.addcmul(qk * cos, torch.roll(qk, width // 2, -1), sin)
            attended = attend(i, qk[:, : s.heads], qk[:, s.heads :], qkv[:, rotated:])
            x = x + _affine(layer.out_bias, attended, layer.out)
            gate_up = _product(self._normed(x), layer.gate_up)
            gated = functional.silu(gate_up[:, : s.inner]).mul_(gate_up[:, s.inner :])
            x = x + _product(gated, layer.down)
        return x

    def final(self, x: Tensor) -> Tensor:
        """What transformers calls the last hidden state: normed, [T, hidden]."""
        return self._normed(x) * self._norm

    def logits(self, x: Tensor) -> Tensor:
        """Logits [T, vocabulary] from what ``forward`` returned."""
        if self._head is None:
            raise CheckpointError("a decoder loaded without its head gives no logits, got a call")
        return _product(self._normed(x), self._head)

    def _normed(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (self.shape.hidden,), eps=self.shape.epsilon)

    def _take(self, name: str, *size: int, optional: bool = False) -> Tensor:
        tensor = self._tensors.get(name)
        if tensor is None:
            if optional:
                return torch.zeros(size)
            raise CheckpointError(f"the weights must hold {name}, got none")
        if tuple(tensor.shape) != size:
            raise CheckpointError(f"{name} must have shape {size}, got {tuple(tensor.shape)}")
        return tensor.float()


def load_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name, on the CPU."""
    tensors: dict[str, Tensor] = {}
    for file in checkpoint.weights:
        try:
            tensors.update(load_file(file))
        except Exception as error:  # safetensors raises a type of its own that has no stable name
            raise CheckpointError(
                f"weights must be whole safetensors files, got {str(file)!r}: {error}"
            ) from error
    return tensors


def _rotary(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines, [context, 1, d]; the sign spares negating half of what is rolled."""
    half = shape.head_size // 2
    # written as transformers writes it: another form of the same power is off by 1e-4 at 200 tokens
    frequencies = 1.0 / shape.theta ** (torch.arange(0, 2 * half, 2).float() / (2 * half))
    angles = torch.outer(torch.arange(shape.context, dtype=torch.float32), frequencies)
    cos = torch.cat([angles.cos(), angles.cos()], -1)
    sin = torch.cat([-angles.sin(), angles.sin()], -1)
    return cos[:, None], sin[:, None]


def _product(x: Tensor, weight: Tensor) -> Tensor:
    rows = x.shape[0]
    return x @ weight if rows >= LEAST_ROWS else (_filled(x) @ weight)[:rows]


def _affine(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    rows = x.shape[0]
    return torch.addmm(bias, x if rows >= LEAST_ROWS else _filled(x), weight)[:rows]


def _filled(x: Tensor) -> Tensor:
    """Fewer rows than ``LEAST_ROWS``, the last one repeated."""
    return torch.cat([x, x[-1:].expand(LEAST_ROWS - x.shape[0], -1)])
