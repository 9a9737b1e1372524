"""A plain decoder for training (Llama with biases, which is Qwen2): small, fast on a CPU.

Weights have the names of ``transformers``' classes, so that a state dict is a checkpoint. Query, key and
value stay separate tensors on disk and are joined when the forward pass begins. Inference lives
in ``search.engines``; this module knows no tokenizer and no data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Backbone", "Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a decoder. ``hidden`` must be ``heads`` x 32 or x 64 (what vLLM takes on CPUs)."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    feedforward: int
    context: int = 512
    theta: float = 10000.0

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.hidden // self.heads not in (32, 64):
            raise ValueError(
                f"hidden must be heads times 32 or 64, got hidden={self.hidden}, heads={self.heads}"
            )

    def config(self, architecture: str, end: int, pad: int) -> dict[str, object]:
        """The ``config.json`` of a checkpoint of this shape, as a Llama or a Qwen2 architecture.

        Llama with ``attention_bias`` computes the same as Qwen2 when the output's bias is zero.
        """
        llama = architecture.startswith("Llama")
        kind = {"attention_bias": True, "mlp_bias": False} if llama else {"use_sliding_window": False}
        return {
            "architectures": [architecture],
            "model_type": "llama" if llama else "qwen2",
            **kind,
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
            "intermediate_size": self.feedforward,
            "max_position_embeddings": self.context,
            "rope_theta": self.theta,
            "rms_norm_eps": 1e-6,
            "hidden_act": "silu",
            "tie_word_embeddings": True,
            "attention_dropout": 0.0,
            "torch_dtype": "float32",
            "bos_token_id": None,
            "eos_token_id": end,
            "pad_token_id": pad,
        }


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.q_proj = nn.Linear(shape.hidden, shape.hidden)
        self.k_proj = nn.Linear(shape.hidden, shape.hidden)
        self.v_proj = nn.Linear(shape.hidden, shape.hidden)
        self.o_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, hide: Tensor) -> Tensor:
        batch, length, hidden = x.shape
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        bias = torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias])
        joined = functional.linear(x, weight, bias).view(batch, length, 3, self.heads, -1)
        turned, value = joined[:, :, :2], joined[:, :, 2].transpose(1, 2)
        first, second = turned.chunk(2, -1)
        turned = turned * cos + torch.cat([-second, first], -1) * sin
        query, key = turned[:, :, 0].transpose(1, 2), turned[:, :, 1].transpose(1, 2)
        # spelled out: on a CPU the backward pass of the fused attention takes half of a step
        scores = query @ (key * key.shape[-1] ** -0.5).transpose(-1, -2) + hide
        seen = scores.softmax(-1) @ value
        out: Tensor = self.o_proj(seen.transpose(1, 2).reshape(batch, length, hidden))
        return out


class _Feedforward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.feedforward, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.feedforward, bias=False)
        self.down_proj = nn.Linear(shape.feedforward, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        both = functional.linear(x, torch.cat([self.gate_proj.weight, self.up_proj.weight]))
        gate, up = both.chunk(2, -1)
        out: Tensor = self.down_proj(functional.silu(gate) * up)
        return out


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.hidden, eps=1e-6)
        self.self_attn = _Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden, eps=1e-6)
        self.mlp = _Feedforward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, hide: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, hide)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Backbone(nn.Module):
    """Token ids (batch, length) to hidden states (batch, length, hidden). Causal, right-padded."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, eps=1e-6)
        size = shape.hidden // shape.heads
        rates = shape.theta ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
        angles = torch.arange(shape.context, dtype=torch.float32)[:, None] * rates
        angles = torch.cat([angles, angles], -1)[None, :, None, None, :]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        scale = 0.02 if shape.hidden >= 256 else 0.04
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=scale)
        for name, parameter in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.normal_(parameter, std=scale / (2 * shape.layers) ** 0.5)
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed_tokens(tokens)
        length = tokens.shape[1]
        kind = torch.bfloat16 if torch.is_autocast_enabled(tokens.device.type) else x.dtype
        cos = self.get_buffer("cos")[:, :length].to(kind)
        sin = self.get_buffer("sin")[:, :length].to(kind)
        hide = torch.full((length, length), -1e4, dtype=kind, device=x.device).triu(1)
        for layer in self.layers:
            x = layer(x, cos, sin, hide)
        out: Tensor = self.norm(x)
        return out
