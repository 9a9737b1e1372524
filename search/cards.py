"""What is known of a model before it runs: its name, its size, what identifies it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ModelCard"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A policy or a PRM as budgets, logs and planners know it.

    Parameters
    ----------
    name:
        The name people use: ``lab-policy-m``.
    parameters:
        Number of weights.
    fingerprint:
        Changes whenever the weights, the tokenizer or the prompt template change.
    context:
        Longest sequence in tokens.
    flops_per_token:
        Forward FLOPs per token; ``None`` means 2 x parameters (Kaplan et al., arXiv 2001.08361).
    """

    name: str
    parameters: int
    fingerprint: str
    context: int
    flops_per_token: float | None = None

    def flops(self, tokens: float) -> float:
        """Forward FLOPs of ``tokens`` tokens."""
        per_token = self.flops_per_token if self.flops_per_token is not None else 2.0 * self.parameters
        return per_token * tokens
