"""Resume: what is left to ask for when a backend broke off in the middle of a request.

Generation of each child resumes after the last token received. Drawing the child anew would make solutions
shorter than the policy's, since a child that was cut off is more likely a long one. What is drawn this way
has the policy's distribution, but other bits than an unbroken request would have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.engines import thinking
from search.engines.confidence import Confidence, merge
from search.engines.protocol import ChildFinished, Request
from search.engines.thinking import settled
from search.seeds import seed_of

__all__ = ["Resumption", "joined", "resumptions"]


@dataclass(frozen=True, slots=True)
class Resumption:
    """A request for what children that had come equally far still lack.

    ``parts[i]`` is what child i of ``request`` continues.
    """

    request: Request
    parts: tuple[ChildFinished, ...]

    def within(self, count: int, tokens: int) -> Resumption:
        """The first ``count`` of its children, with at most ``tokens`` each."""
        return Resumption(replace(self.request, n=count, max_tokens=tokens), self.parts[:count])


def resumptions(request: Request, partial: Sequence[ChildFinished]) -> list[Resumption]:
    """Requests that end the children in ``partial``; those without a token yet share one."""
    groups: dict[tuple[int, ...], list[ChildFinished]] = {}
    for part in partial:
        groups.setdefault(part.token_ids, []).append(part)
    found = []
    for tokens, parts in groups.items():
        rest = Request(
            prompt=request.prompt + tokens,
            n=len(parts),
            max_tokens=max(1, request.max_tokens - len(tokens)),
            sampling=request.sampling,
            seed=seed_of(request.seed, "mended", parts[0].child, len(tokens)),
            stop=request.stop,
            logprobs=request.logprobs,
            stream=request.stream,
            top_logprobs=request.top_logprobs,
        )
        found.append(Resumption(rest, tuple(parts)))
    return found


def joined(part: ChildFinished, rest: ChildFinished) -> ChildFinished:
    """A child of two pieces, its thought parted. Logprobs and confidence only where both pieces have them."""
    whole = bool(part.logprobs or not part.token_ids) and bool(rest.logprobs or not rest.token_ids)
    sure = merge(_sureness(part), len(part.token_ids), _sureness(rest), len(rest.token_ids))
    whole_child = replace(
        rest,
        child=part.child,
        text=part.text + rest.text,
        token_ids=part.token_ids + rest.token_ids,
        logprobs=part.logprobs + rest.logprobs if whole else (),
        mean_entropy=sure.mean_entropy,
        mean_confidence=sure.mean_confidence,
        lowest_confidence=sure.lowest_confidence,
    )
    if not rest.thought:
        return settled(whole_child)
    # the first piece broke off inside the thought that the second one ended
    thought = thinking.part(part.text, is_open=True).thought
    return replace(
        whole_child,
        text=rest.text,
        thought=thought + rest.thought,
        thought_tokens=len(part.token_ids) + rest.thought_tokens,
    )


def _sureness(child: ChildFinished) -> Confidence:
    return Confidence(child.mean_entropy, child.mean_confidence, child.lowest_confidence)
