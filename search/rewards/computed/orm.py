"""The outcome reward: a sequence classifier with one label, one reward for a whole solution.

``AutoModelForSequenceClassification`` with ``num_labels`` 1, as transformers computes it: the chat of
question and solution under the model's template, the score at its last token; the reward is the
logistic function of it.

How the per-step protocol maps to it: the reward of a step is the reward of the solution that ends there.
So the reward of the last step is the model's reward of the whole solution, and the score ``last`` is the
one to use; ``min``, ``mean`` and ``prod`` mix in what the model says of unfinished solutions, which it
was not trained on. What closes the chat is fed behind each step to read the reward and then taken back,
so prefixes are kept here too.

Steps are joined by ``delimiter``, which the model sees.
"""

from __future__ import annotations

from search.checkpoint import Checkpoint
from search.errors import CheckpointError
from search.rewards.computed.cached import CachedReward
from search.rewards.computed.convention import Convention, Piece
from search.rewards.computed.embedded import open_backbone
from search.rewards.computed.heads import ValueHead
from search.rewards.computed.pieces import Pieces

__all__ = ["OutcomeReward", "labels"]

#: stand for contents while a chat template is taken apart
_QUESTION, _SOLUTION = "QuestionStandsHere", "SolutionStandsHere"


class _Solution(Convention):
    """The chat up to the solution, steps joined by the delimiter, what closes the chat as the tail."""

    def __init__(self, pieces: Pieces, delimiter: str) -> None:
        self._pieces = pieces
        self._delimiter = delimiter
        text = pieces.render([("user", _QUESTION), ("assistant", _SOLUTION)])
        self._before, one, rest = text.partition(_QUESTION)
        self._between, two, end = rest.partition(_SOLUTION)
        if not (one and two and end):
            raise CheckpointError(f"the chat template must close a solution, got {text!r}")
        self.tail = pieces.after(end)
        self.opening = pieces.after(delimiter)

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._pieces.encode(self._before + question + self._between)

    def first(self, step: str) -> Piece:
        return self._piece((), step)

    def step(self, step: str) -> Piece:
        return self._piece(self.opening, step)

    def _piece(self, opening: tuple[int, ...], step: str) -> Piece:
        tokens = (*opening, *self._pieces.after(step))
        return Piece(tokens, len(tokens) - 1)


class OutcomeReward(CachedReward):
    """Scores solutions with a sequence classifier. Build it with ``load``."""

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        *,
        threads: int = 1,
        prompt_bytes: int = 64 << 20,
        device: str = "cpu",
        delimiter: str = "\n",
    ) -> OutcomeReward:
        """Parameters as ``search.rewards.families.open_reward``. Raises CheckpointError."""
        if labels(checkpoint) != 1:
            raise CheckpointError(f"an outcome reward must have num_labels 1, got {labels(checkpoint)}")
        return cls(
            "outcome",
            checkpoint.card,
            _Solution(Pieces(checkpoint), delimiter),
            open_backbone(checkpoint, device),
            ValueHead(checkpoint, "score.weight", None),
            threads=threads,
            prompt_bytes=prompt_bytes,
        )


def labels(checkpoint: Checkpoint) -> int:
    """How many labels a classifier's config gives: ``num_labels``, else the entries of ``id2label``."""
    config = checkpoint.config
    return int(config.get("num_labels") or len(config.get("id2label") or {}) or 2)
