"""Observers follow a run, and may stop its drawing early or let it conclude without a policy that failed.

``Setting.observer`` carries one; None costs nothing. An observer changes nothing else: what it does not end
runs as without it. Its methods are called on the event loop's thread and never raise. ``drawn`` and
``grown`` may wait, for graders' processes say, and are told in the order in which things happened; the
others return at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.errors import EngineError
from search.result import Candidate

__all__ = ["BeamEvent", "Observer"]


@dataclass(frozen=True, slots=True)
class BeamEvent:
    """A beam that was written and scored.

    Parameters
    ----------
    node, parent:
        Numbers of the beam and of the one that it goes on after; a tree's first beams have a parent that
        is no beam.
    steps:
        How many steps it has in all.
    text:
        What was added.
    reward:
        Of its last step; None where nothing was scored yet.
    tokens:
        Generated for what was added.
    finish_reason:
        "" while it can go on.
    """

    node: int
    parent: int
    steps: int
    text: str
    reward: float | None
    tokens: int
    finish_reason: str


class Observer:
    """Hears nothing and ends nothing. Override what matters."""

    async def drawn(self, draw: int, candidate: Candidate, missing: int) -> bool:
        """A whole solution is there, scored where the plan asks a PRM.

        Parameters
        ----------
        draw:
            Its place among this run's candidates, prior ones counted in.
        missing:
            How many more the run waits for.

        True ends the drawing: what is still being written is cancelled at the engine and charged as far
        as it was generated.
        """
        return False

    def cut(self, missing: int) -> None:
        """Drawing was ended by ``drawn``; so many children were cancelled or never sent for it, 0 perhaps.

        Told once, when no more are written; not told where all were written before ``drawn`` ended it.
        """

    def failed(self, error: EngineError) -> bool:
        """The policy has failed for good. True: no more is drawn, and the run concludes from what there is
        (it raises the error all the same where no answer can be read). False: it raises the error.
        """
        return False

    async def grown(self, event: BeamEvent) -> None:
        """A tree has grown by one beam."""

    def pruned(self, kept: Sequence[int], dropped: Sequence[int]) -> None:
        """Of a tree's unfinished beams these survive and those (equal ones among them) do not."""
