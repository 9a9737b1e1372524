"""The value-head reward: a scalar read at the line break behind each step (Skywork-o1-Open-PRM).

Source: https://github.com/SkyworkAI/skywork-o1-prm-inference (model_utils/io_utils.py, prm_model.py) and
https://huggingface.co/Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B. The tokens of the beginning-of-sequence
text (where the tokenizer has one), the problem and a line break; then the tokens of each step and one
line break, tokenised apart; the reward is sigmoid(v_head.summary(hidden)) at the line break. A step that
itself holds line breaks is read at the last one only.

The published folders hold ``pytorch_model.bin``. It is never unpickled here: convert it to safetensors
first.
"""

from __future__ import annotations

from search.checkpoint import Checkpoint
from search.rewards.computed.cached import CachedReward
from search.rewards.computed.convention import Convention, Piece
from search.rewards.computed.embedded import open_backbone
from search.rewards.computed.heads import ValueHead
from search.rewards.computed.pieces import Pieces

__all__ = ["BREAK", "ValueHeadReward"]

#: stands behind each step; the reward is read there
BREAK = "\n"


class _Lines(Convention):
    """A line per step."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._break = pieces.encode(BREAK)[-1]

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._pieces.encode(self._pieces.beginning + question + BREAK)

    def step(self, step: str) -> Piece:
        tokens = self._pieces.encode(step)
        return Piece((*tokens, self._break), len(tokens))


class ValueHeadReward(CachedReward):
    """Scores steps with a decoder under a value head. Build it with ``load``."""

    @classmethod
    def load(
        cls, checkpoint: Checkpoint, *, threads: int = 1, prompt_bytes: int = 64 << 20, device: str = "cpu"
    ) -> ValueHeadReward:
        """Parameters as ``search.rewards.families.open_reward``. Raises CheckpointError."""
        return cls(
            "value-head",
            checkpoint.card,
            _Lines(Pieces(checkpoint)),
            open_backbone(checkpoint, device),
            ValueHead(checkpoint, "v_head.summary.weight", "v_head.summary.bias"),
            threads=threads,
            prompt_bytes=prompt_bytes,
        )
