"""The card of a model that runs elsewhere: from its server, its folder, its name, or a guess that is told."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

from search.cards import ModelCard
from search.checkpoint import read_checkpoint
from search.engines.openai.concessions import Concessions
from search.engines.openai.served import Served
from search.engines.openai.tokenizer import Tokenizer
from search.errors import EngineError

__all__ = ["card_of", "digest"]

#: a size in a model's name: the 1B of Llama-3.2-1B-Instruct
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([BbMm])(?![A-Za-z0-9])")
#: tokens of context where nobody tells
_CONTEXT = 8192


def card_of(
    served: Served,
    name: str | None,
    folder: str | Path | None,
    tokenizer: Tokenizer,
    parameters: int | None,
    assumed: int | None,
    context: int | None,
    conceded: Concessions,
) -> ModelCard:
    """What is known of a model; guesses are noted among the concessions.

    Raises EngineError where the number of weights is not known and none is to be assumed.
    """
    called = name or served.model.rstrip("/").rpartition("/")[2]
    limits = [limit for limit in (served.context, context) if limit is not None]
    if folder is not None and list(Path(folder).glob("*.safetensors")):
        card = read_checkpoint(folder, None).card
        return ModelCard(
            called, parameters or card.parameters, card.fingerprint, min([*limits, card.context])
        )
    if not limits:
        limits = [_CONTEXT]
        conceded.note(
            "context", f"context: not told by the server, so {_CONTEXT:,} tokens are assumed (context = N)"
        )
    size = parameters or served.parameters or _size(called) or _size(served.model)
    if size is None:
        size = assumed
        billions = f"{(assumed or 0) / 1e9:g} billion weights"
        conceded.note("parameters", f"parameters: not told by the server, so FLOPs are those of {billions}")
    if size is None:
        raise EngineError(
            f"the number of weights must be known for FLOPs (parameters=...), got none for {called!r}"
        )
    known = digest("openai", served.model, min(limits), size, tokenizer.fingerprint)
    return ModelCard(called, size, known, min(limits))


def digest(*known: object) -> str:
    """A fingerprint of values."""
    return hashlib.sha256(repr(known).encode()).hexdigest()


def _size(name: str) -> int | None:
    found = _SIZE.search(name)
    if found is None:
        return None
    size = float(found.group(1)) * (1e9 if found.group(2) in "Bb" else 1e6)
    return int(size) if math.isfinite(size) and size >= 1 else None
