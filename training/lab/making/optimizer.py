"""The optimizer of every training run: Muon for matrices, AdamW for the rest, one schedule.

Muon (Jordan et al. 2024; ``torch.optim.Muon``) orthogonalises the momentum of hidden matrices; with
``match_rms_adamw`` both parts share one learning rate (Liu et al., arXiv 2502.16982). The schedule is
warm-up, constant, linear decay (Hu et al., arXiv 2404.06395).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["Optimizer"]


class Optimizer:
    """Steps a model through a schedule. ``state_dict`` holds everything a restart needs.

    ``slow``: share of the learning rate for weights by name, 1 for the others.
    """

    def __init__(
        self,
        model: nn.Module,
        rate: float,
        steps: int,
        warmup: int = 100,
        decay: float = 0.4,
        slow: Mapping[str, float] | None = None,
    ) -> None:
        hidden: dict[float, list[nn.Parameter]] = {}
        other: dict[float, list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                matrix = parameter.dim() == 2 and "embed" not in name and "score" not in name
                share = (slow or {}).get(name, 1.0)
                (hidden if matrix else other).setdefault(share, []).append(parameter)
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.AdamW(_groups(other), lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
            torch.optim.Muon(_groups(hidden), lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        )
        self.parameters = [p for part in self.parts for group in part.param_groups for p in group["params"]]
        self.rate, self.steps, self.warmup, self.decay = rate, steps, warmup, decay

    def at(self, step: int) -> float:
        """The learning rate of a step."""
        down = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.rate * min(1.0, (step + 1) / self.warmup, max(down, 0.01))

    def step(self, step: int) -> None:
        """Clip, update and clear the gradients."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group["share"] * self.at(step)
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """Everything a restart needs."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Go on where ``state_dict`` was taken."""
        for part, saved in zip(self.parts, state, strict=True):
            part.load_state_dict(saved)


def _groups(parameters: Mapping[float, list[nn.Parameter]]) -> list[dict[str, Any]]:
    return [{"params": held, "share": share} for share, held in parameters.items()]
