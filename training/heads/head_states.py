"""The hidden states of a policy at the step ends of its samples: computed a part at a time, kept on disk.

A part is the states of ``_PART`` problems and one file, written whole or not at all, so a run that is stopped
goes on with the part it was in. Within a part as many solutions run together as some thousands of tokens
hold; what is kept of a forward pass are the states at step ends alone. The states of all parts together
stand in memory while the head is trained: 4 bytes x hidden size per step end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from search.errors import CheckpointError
from search.rewards.computed.backbone import Backbone
from training.checkpoint import write_json, write_weights
from training.heads.head_data import Tried, digest_of

__all__ = ["read_states"]

#: problems in one file
_PART = 32
#: most tokens of solutions that run together
_TOKENS = 8192


def read_states(
    tried: Sequence[Tried],
    backbone: Backbone,
    work: Path,
    *,
    fingerprint: str,
    hidden: int,
    first: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Tensor]:
    """Per problem the states [step ends, hidden], float32.

    Parameters
    ----------
    work:
        Where parts are kept. What is there is not computed again.
    fingerprint:
        Of the policy that computes.
    hidden:
        Size of its states.
    first:
        Of so many of the problems alone, from the first on; the rest can be computed later.
    progress:
        Told (problems done, problems in all).

    Raises CheckpointError for a folder with the states of another log or policy.
    """
    _claim(work, digest_of(tried, policy=fingerprint))
    found: list[Tensor] = []
    wanted = len(tried) if first is None else min(first, len(tried))
    for number, begin in enumerate(range(0, wanted, _PART)):
        part = list(tried[begin : begin + _PART])
        file = work / f"states-{number:05d}.safetensors"
        if file.exists():
            rows = load_file(file)["states"]
        else:
            with torch.inference_mode():
                rows = torch.cat(
                    [states for chunk in _chunks(part) for states in _run(chunk, backbone, hidden)]
                )
            write_weights(file, {"states": rows})
        found += torch.split(rows, [one.size for one in part])
        progress(min(len(found), wanted), wanted)
    return found[:wanted]


def _claim(work: Path, digest: str) -> None:
    file = work / "states.txt"
    if not file.exists():
        work.mkdir(parents=True, exist_ok=True)
        write_json(file, digest)
    elif file.read_text().strip().strip('"') != digest:
        raise CheckpointError(
            f"kept states are those of one log and policy, got others in {str(work)!r}: "
            "delete it to begin anew"
        )


def _chunks(part: Sequence[Tried]) -> Iterator[list[Tried]]:
    """As many problems on end as ``_TOKENS`` hold, one at least."""
    chunk: list[Tried] = []
    tokens = 0
    for one in part:
        size = len(one.prompt) + sum(len(piece.tokens) for pieces in one.pieces for piece in pieces)
        if chunk and tokens + size > _TOKENS:
            yield chunk
            chunk, tokens = [], 0
        chunk.append(one)
        tokens += size
    if chunk:
        yield chunk


def _run(chunk: Sequence[Tried], backbone: Backbone, hidden: int) -> list[Tensor]:
    """The states of some problems: their prompts once, then every solution that no longer one holds."""
    solved = [one for one in chunk if one.solutions]
    prompts, _ = backbone.extend([None] * len(solved), [one.prompt for one in solved]) if solved else ([], [])
    jobs = [(at, solution) for at, one in enumerate(solved) for solution in _longest(one)]
    if not jobs:
        return [torch.zeros(one.size, hidden) for one in chunk]
    tokens = [[token for piece in solved[at].pieces[s] for token in piece.tokens] for at, s in jobs]
    _, states = backbone.extend([prompts[at] for at, _ in jobs], tokens)
    reads = [_reads(solved[at], s) for at, s in jobs]
    rows = backbone.final(torch.cat([state[read] for state, read in zip(states, reads, strict=True)]))
    found = {id(one): torch.zeros(one.size, hidden) for one in chunk}
    for (at, s), part in zip(jobs, torch.split(rows, [len(read) for read in reads]), strict=True):
        found[id(solved[at])][list(solved[at].nodes[s])] = part
    return [found[id(one)] for one in chunk]


def _longest(one: Tried) -> list[int]:
    """The solutions that are not the beginning of another one."""
    inner = {places[length] for places in one.nodes for length in range(len(places) - 1)}
    return [number for number, places in enumerate(one.nodes) if places[-1] not in inner]


def _reads(one: Tried, solution: int) -> list[int]:
    """Where in a solution's tokens its step ends are read."""
    reads, start = [], 0
    for piece in one.pieces[solution]:
        reads.append(start + piece.read)
        start += len(piece.tokens)
    return reads
