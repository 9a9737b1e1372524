"""The classifier reward: a token-classification PRM read at a separator token after each step.

The family is Qwen2.5-Math-PRM (``Qwen2ForProcessRewardModel``, arXiv 2501.07301): the chat template
applied to the question, then the tokens of each step followed by the separator ``<extra_0>``; the
reward is the probability of the second class, softmax(score(hidden))[1], at the separator. Models whose
template is ChatML (all of Qwen's) get the system prompt of their card
(https://huggingface.co/Qwen/Qwen2.5-Math-PRM-7B); the lab's own template has no system turn.

How prefixes are kept and batched is in ``search.rewards.computed.cached``.
"""

from __future__ import annotations

from pathlib import Path

from search.checkpoint import read_checkpoint
from search.errors import CheckpointError
from search.rewards.computed.cached import CachedReward
from search.rewards.computed.convention import Convention, Piece
from search.rewards.computed.embedded import open_backbone
from search.rewards.computed.heads import ClassifierHead
from search.rewards.computed.pieces import Pieces

__all__ = ["SEPARATOR", "SYSTEM", "ClassifierReward", "Separated"]

#: stands after each step; the reward is read there
SEPARATOR = "<extra_0>"
#: the system turn under ChatML
SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


class Separated(Convention):
    """The chat, then each step and the separator."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._separator = pieces.token(SEPARATOR)
        self._before = [("system", SYSTEM)] if pieces.holds("<|im_start|>") else []
        pieces.render([*self._before, ("user", "")], generation=True)  # says so when there is no template

    def prompt(self, question: str) -> tuple[int, ...]:
        turns = [*self._before, ("user", question)]
        return self._pieces.encode(self._pieces.render(turns, generation=True))

    def step(self, step: str) -> Piece:
        tokens = self._pieces.encode(step)
        return Piece((*tokens, self._separator), len(tokens))


class ClassifierReward(CachedReward):
    """Scores steps with a PRM checkpoint, in this process. Build it with ``load``."""

    @classmethod
    def load(
        cls, path: str | Path, *, threads: int = 1, prompt_bytes: int = 64 << 20, device: str = "cpu"
    ) -> ClassifierReward:
        """Load a PRM's folder.

        Parameters
        ----------
        threads:
            Threads torch computes with.
        prompt_bytes:
            Most memory for keys and values of prompts. Those of steps live in the handles alone.
        device:
            Where torch computes.

        Raises
        ------
        CheckpointError
            The folder is missing, damaged, of another family, or its tokenizer lacks the separator.
        """
        checkpoint = read_checkpoint(path)
        if checkpoint.architecture != "Qwen2ForProcessRewardModel":
            raise CheckpointError(
                f"a classifier reward must be a Qwen2ForProcessRewardModel, got {checkpoint.architecture}"
            )
        return cls(
            "classifier",
            checkpoint.card,
            Separated(Pieces(checkpoint)),
            open_backbone(checkpoint, device),
            ClassifierHead(checkpoint),
            threads=threads,
            prompt_bytes=prompt_bytes,
        )
