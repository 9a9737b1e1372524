"""One child from the pieces of a stream, however many tokens a piece has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.engines.openai.dialect import Piece
from search.engines.openai.draft import Counts, Draft, Sheet
from search.engines.openai.logprobs import Logprobs
from search.engines.protocol import FinishReason, Request, Sampling
from search.errors import GarbledError

TOKENS = ["<think>", "one", "\n\n", "two", "</think>", "\n\n", "It ", "is", " 3.", "\n\n", "So", " yes."]


def sheet(*, stop: tuple[str, ...] = (), tells_ids: bool = True, is_open: bool = False) -> Sheet:
    request = Request((1,), 1, 50, Sampling(), 1, stop, logprobs=True, top_logprobs=20)
    return Sheet(request, 50, None, tells_ids, True, is_open, None, lambda: tells_ids)


def pieces(cuts: list[int], *, tells_ids: bool = True) -> list[Piece]:
    """The tokens in pieces that end at the cuts."""
    ends = [*sorted({cut % len(TOKENS) for cut in cuts} - {0}), len(TOKENS)]
    found = []
    for begin, end in zip([0, *ends], ends, strict=False):
        texts = tuple(TOKENS[begin:end])
        ids = tuple(range(begin, end))
        logprobs = Logprobs((-0.5,) * len(ids), ((-0.5, -1.0),) * len(ids), ids, texts)
        last = FinishReason.END if end == len(TOKENS) else None
        found.append(Piece(0, "".join(texts), ids if tells_ids else None, last, logprobs))
    return found


def written(draft: Draft, parts: list[Piece]) -> str:
    for piece in parts:
        _, reason = draft.add(piece)
        if reason is not None:
            return reason
    raise AssertionError("a stream must end")


@given(st.lists(st.integers(0, 99)))
def test_a_step_ends_after_the_thought_whatever_the_pieces(cuts: list[int]) -> None:
    draft = Draft(0, sheet(stop=("\n\n",)))
    reason = written(draft, pieces(cuts))
    child = draft.ended(reason)
    assert reason == FinishReason.STOP
    assert child.text == "It is 3.\n\n"
    assert child.token_ids == tuple(range(10))  # nothing that was drawn after the stop string
    assert len(child.logprobs) == 10
    assert child.mean_entropy is not None
    assert child.thought == "one\n\ntwo"


@given(st.lists(st.integers(0, 99)))
def test_without_a_stop_all_is_there(cuts: list[int]) -> None:
    draft = Draft(0, sheet())
    child = draft.ended(written(draft, pieces(cuts)))
    assert child.text == "It is 3.\n\nSo yes."
    assert child.token_ids == tuple(range(len(TOKENS)))


def test_untold_tokens_are_counted_by_the_usage() -> None:
    draft = Draft(0, sheet(tells_ids=False))
    reason = written(draft, pieces([], tells_ids=False))
    child = draft.ended(reason, Counts(40, 30))
    assert child.token_ids == (-1,) * 40
    assert (child.thought_tokens, child.logprobs) == (30, ())
    one_more = draft.ended(reason, Counts(len(TOKENS) + 1))
    assert (len(one_more.token_ids), one_more.lost_tokens) == (len(TOKENS), 1)
    assert len(one_more.logprobs) == len(TOKENS)


def test_a_token_without_its_logprob_is_garbled() -> None:
    draft = Draft(0, sheet())
    with pytest.raises(GarbledError, match="a token must have one logprob, got 1 for 2 tokens"):
        draft.add(Piece(0, "ab", (1, 2), None, Logprobs((-0.5,))))
    with pytest.raises(GarbledError, match="a token must have one logprob, got none for 1 tokens"):
        draft.add(Piece(0, "a", (1,), None))
