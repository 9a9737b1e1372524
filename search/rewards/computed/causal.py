"""Causal reward models: a language model that is asked whether a step is good, read at two tokens.

``MathShepherdReward`` (arXiv 2312.08935, https://huggingface.co/peiyi9979/math-shepherd-mistral-7b-prm):
the text is ``{question} {step 1} ки\\n{step 2} ки\\n``; at each tag the reward is the softmax over the
logits of ``+`` and ``-``, the two tokens that ``"+ -"`` encodes to (648 and 387 there; the tag is 12902).
The model was trained on steps that begin with ``Step 1: ``; steps are scored as they are written.

``RlhflowReward`` (https://github.com/RLHFlow/RLHF-Reward-Modeling, math-rm/prm_evaluate.py): a chat in
which each step is the user's turn, the first one behind the question and a space, and the assistant
answers ``+``; the reward is the softmax over ``+`` and ``-`` at the token before that answer. The answer
``+`` stands in the chat whatever the reward was, as its authors have it.
"""

from __future__ import annotations

from search.checkpoint import Checkpoint
from search.errors import CheckpointError
from search.rewards.computed.cached import CachedReward
from search.rewards.computed.convention import Convention, Piece
from search.rewards.computed.embedded import open_backbone
from search.rewards.computed.heads import ChoiceHead
from search.rewards.computed.pieces import Pieces

__all__ = ["BAD", "GOOD", "TAG", "Chat", "MathShepherdReward", "RlhflowReward", "Tagged"]

GOOD, BAD = "+", "-"
#: Math-Shepherd's tag, one token; stands behind each step
TAG = "ки"
#: stand for contents while a chat template is taken apart
_ONE, _TWO = "QuestionStandsHere", "StepStandsHere"


class Tagged(Convention):
    """Math-Shepherd: plain text, a tag and a line break behind each step."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._tag = pieces.encode(TAG)[-1]
        pair = pieces.encode(f"{GOOD} {BAD}")
        if len(pair) != 2:
            raise CheckpointError(f"{GOOD!r} and {BAD!r} must be one token each, got {pair}")
        self.good, self.bad = pair
        self.step("1+1=2")

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._pieces.encode(question.rstrip(), special=True)

    def first(self, step: str) -> Piece:
        return self._piece(" " + step.lstrip() if step.strip() else step)

    def step(self, step: str) -> Piece:
        return self._piece(step)

    def _piece(self, text: str) -> Piece:
        tokens = self._pieces.after(f"{text} {TAG}\n")
        if self._tag not in tokens:
            raise CheckpointError(f"{TAG!r} behind a step must be one token, got {tokens}")
        return Piece(tokens, len(tokens) - 1 - tokens[::-1].index(self._tag))


class Chat(Convention):
    """RLHFlow: the pieces between the contents are taken from the chat template itself."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self.good, self.bad = (pieces.after(text)[-1] for text in (GOOD, BAD))
        turns = [("user", _ONE), ("assistant", GOOD), ("user", _TWO), ("assistant", GOOD)]
        text = pieces.render(turns)
        before, one, rest = text.partition(_ONE)
        between, two, self._end = rest.partition(_TWO)
        if not (one and two and between.startswith(self._end) and GOOD in self._end):
            raise CheckpointError(f"the chat template must spell every turn alike, got {text!r}")
        self._before = before
        self.opening = pieces.after(between.removeprefix(self._end))

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._pieces.encode(self._before + question.strip())

    def first(self, step: str) -> Piece:
        return self._piece((), f" {step.strip()}" if step.strip() else "")

    def step(self, step: str) -> Piece:
        return self._piece(self.opening, step.strip())

    def _piece(self, opening: tuple[int, ...], text: str) -> Piece:
        tokens = (*opening, *self._pieces.after(text + self._end))
        return Piece(tokens, len(tokens) - 2 - tokens[::-1].index(self.good))


class MathShepherdReward(CachedReward):
    """Scores steps with a causal language model that knows a step tag. Build it with ``load``."""

    @classmethod
    def load(
        cls, checkpoint: Checkpoint, *, threads: int = 1, prompt_bytes: int = 64 << 20, device: str = "cpu"
    ) -> MathShepherdReward:
        """Parameters as ``search.rewards.families.open_reward``. Raises CheckpointError."""
        _require_causal(checkpoint)
        convention = Tagged(Pieces(checkpoint))
        return cls(
            "math-shepherd",
            checkpoint.card,
            convention,
            open_backbone(checkpoint, device),
            ChoiceHead(checkpoint, convention.good, convention.bad),
            threads=threads,
            prompt_bytes=prompt_bytes,
        )


class RlhflowReward(CachedReward):
    """Scores steps with a causal language model that answers ``+`` or ``-``. Build it with ``load``."""

    @classmethod
    def load(
        cls, checkpoint: Checkpoint, *, threads: int = 1, prompt_bytes: int = 64 << 20, device: str = "cpu"
    ) -> RlhflowReward:
        """Parameters as ``search.rewards.families.open_reward``. Raises CheckpointError."""
        _require_causal(checkpoint)
        convention = Chat(Pieces(checkpoint))
        return cls(
            "rlhflow",
            checkpoint.card,
            convention,
            open_backbone(checkpoint, device),
            ChoiceHead(checkpoint, convention.good, convention.bad),
            threads=threads,
            prompt_bytes=prompt_bytes,
        )


def _require_causal(checkpoint: Checkpoint) -> None:
    if not checkpoint.architecture.endswith("ForCausalLM"):
        raise CheckpointError(
            f"a causal reward must be a causal language model, got {checkpoint.architecture}"
        )
