"""The head reward: a small head on the hidden states of the policy itself, read where each step ends.

The text is what the policy would have written: its prompt with the question, then each step and what ends a
step; the state is the last hidden state at the end of that. ``planner train head`` makes one from a log.

What is charged: the forward pass of the policy over the new steps, as for any PRM of the policy's size. In a
process where the policy's own embedded engine runs, its weights are used and not loaded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from search.engines.cache import Prefix, extend
from search.engines.embedded import EmbeddedEngine
from search.engines.named import NamedEngine
from search.engines.prompted import PromptedEngine
from search.engines.protocol import Engine
from search.prompts import Prompting
from search.rewards.computed.backbone import Backbone
from search.rewards.computed.cached import CachedReward
from search.rewards.computed.convention import Convention, Piece
from search.rewards.computed.embedded import open_backbone
from search.rewards.computed.head_spec import read_head
from search.rewards.computed.pieces import Pieces
from search.rewards.computed.state_head import StateHead

__all__ = ["HeadReward", "Written"]


class Written(Convention):
    """A solution as the policy writes it: its chat, each step, and what ends one."""

    def __init__(self, pieces: Pieces, prompting: Prompting) -> None:
        self._pieces = pieces
        self._prompting = prompting
        pieces.render([("user", "")], generation=True)  # says so when there is no template

    def prompt(self, question: str) -> tuple[int, ...]:
        turns = [("user", self._prompting.ask(question))]
        return self._pieces.encode(self._pieces.render(turns, generation=True))

    def step(self, step: str) -> Piece:
        tokens = self._pieces.after(step + self._prompting.delimiter)
        return Piece(tokens, len(tokens) - 1)


class HeadReward(CachedReward):
    """Scores steps by the policy's own hidden states. Build it with ``load``."""

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        policy: str | Path | None = None,
        engine: Engine | None = None,
        threads: int = 1,
        prompt_bytes: int = 64 << 20,
        device: str = "cpu",
    ) -> HeadReward:
        """Load a head and, where no engine has them, the weights of its policy.

        Parameters
        ----------
        policy:
            The policy's folder; by default where the head says, or beside it.
        engine:
            The policy, loaded: an embedded engine lends its weights; any other is left alone.
        threads, prompt_bytes, device:
            As ``search.rewards.families.open_reward``.

        Raises CheckpointError.
        """
        path = Path(folder)
        spec, checkpoint, source = read_head(path, policy)
        lent = None if engine is None or device != "cpu" else _lent(engine, spec.fingerprint)
        return cls(
            "head",
            checkpoint.card,
            Written(Pieces(source), spec.prompting),
            open_backbone(source, device) if lent is None else lent,
            StateHead.load(path, spec),
            threads=threads,
            prompt_bytes=prompt_bytes,
        )


class _Lent(Backbone):
    """The decoder of an embedded engine, which is read and never written to."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._decoder = engine.decoder

    def extend(
        self, prefixes: Sequence[Prefix | None], tokens: Sequence[Sequence[int]]
    ) -> tuple[list[Prefix], list[Tensor]]:
        return extend(self._decoder, prefixes, tokens)

    def final(self, states: Tensor) -> Tensor:
        return self._decoder.final(states)


def _lent(engine: Engine, fingerprint: str) -> Backbone | None:
    while isinstance(engine, NamedEngine | PromptedEngine):
        engine = engine.engine
    if isinstance(engine, EmbeddedEngine) and engine.card.fingerprint == fingerprint:
        return _Lent(engine)
    return None
