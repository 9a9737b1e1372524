"""A draft: one child while a server writes it, from the pieces of a stream to the finished child."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from search.engines.confidence import of_token, reduce
from search.engines.openai.dialect import Piece
from search.engines.openai.estimate import estimated
from search.engines.openai.tokenizer import Tokenizer
from search.engines.protocol import ChildFinished, FinishReason, Request, Tokens
from search.engines.thinking import Shown, part, settled
from search.errors import GarbledError

__all__ = ["Counts", "Draft", "Sheet", "unicode_of"]

#: stands for a token that a server counted and did not tell
_UNTOLD = -1


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the drafts of one request share.

    Parameters
    ----------
    request:
        What was asked for.
    most:
        Most tokens of a child.
    tokenizer:
        Where the server tells no token ids; None where nobody can spell a text.
    tells_ids:
        Whether the server tells them.
    cuts_stops:
        Whether stop strings are found here.
    is_open:
        Whether the prompt ends inside a thought.
    speller:
        Where some of the ids that the server tells are missing: who spells a text again.
    wants_logprobs:
        Whether each token must come with its logprob.
    """

    request: Request
    most: int
    tokenizer: Tokenizer | None
    tells_ids: bool
    cuts_stops: bool
    is_open: bool
    speller: Tokenizer | None
    wants_logprobs: Callable[[], bool]

    @property
    def counts_late(self) -> bool:
        """Whether only the usage at the end of a stream tells how many tokens a child has."""
        return self.tokenizer is None and not self.tells_ids


@dataclass(frozen=True, slots=True)
class Counts:
    """What the usage of a stream says of one child: tokens, and those of its thought where that is told."""

    tokens: int
    thought_tokens: int | None = None


class Draft:
    """Of one child. ``is_sent``: whether a server may be at work on it."""

    def __init__(self, number: int, sheet: Sheet) -> None:
        self.number = number
        self.is_sent = False
        self.is_cut = False  # whether it ended here while the server goes on
        self._sheet = sheet
        self._text = ""  # all that the server sent as content
        self._half = ""  # of a character, whose other half comes with the next piece
        self._thought = ""  # what it sent as a thought
        self._token_ids: list[int] = []
        self._logprobs: list[float] = []
        self._sureness: list[tuple[float, float] | None] = []
        self._count: int | None = None  # of the whole child, as the server tells it
        self._shown = Shown(sheet.is_open)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come."""
        return not (self._text or self._thought or self._token_ids)

    @property
    def counted(self) -> int | None:
        """Tokens as the server has told them one by one; None where it has not."""
        if self._sheet.tells_ids:
            return len(self._token_ids)
        return len(self._logprobs) or None

    @property
    def estimate(self) -> int:
        """Tokens by the length of the text."""
        return min(self._sheet.most, estimated(self._text + self._thought))

    def add(self, piece: Piece) -> tuple[Tokens | None, str | None]:
        """What a piece lets be shown, and why the child ended, None while it goes on. Raises GarbledError."""
        told = piece.token_ids
        if told is not None and piece.logprobs.values and len(piece.logprobs.values) != len(told):
            raise GarbledError(
                f"a token must have one logprob, got {len(piece.logprobs.values)} for {len(told)} tokens"
            )
        if told and not piece.logprobs.values and self._sheet.wants_logprobs():
            raise GarbledError(f"a token must have one logprob, got none for {len(told)} tokens")
        reason, logprobs = piece.finish_reason, piece.logprobs
        text, self._half = unicode_of(self._half + piece.text, is_last=reason is not None)
        cut = self._cut(text)
        if cut is not None:
            reason, self.is_cut = FinishReason.STOP, True
            if not told:
                text = text[:cut]
            else:  # the token that the stop string ends in stays whole: text and ids are of one piece
                count = _tokens_to(cut, logprobs.texts, text)
                if count < len(told):
                    text, told = "".join(logprobs.texts[:count]), told[:count]
                    logprobs = logprobs.first(count)
        self._text += text
        self._thought += unicode_of(piece.thought, is_last=True)[0]
        self._token_ids += told or ()
        self._count = piece.count
        self._logprobs += logprobs.values
        if self._sheet.request.top_logprobs:
            most = self._sheet.request.top_logprobs
            self._sureness += [of_token(row, most) for row in logprobs.candidates]
        return self._show(text, told, reason is not None), reason

    def _show(self, text: str, told: tuple[int, ...] | None, is_last: bool) -> Tokens | None:
        if not self._sheet.request.stream:
            return None
        new = self._shown.new(self._text, is_last)
        if not new and not told:
            return None
        return Tokens(self.number, new, self._encode(new) if told is None else told)

    def _cut(self, new: str) -> int | None:
        """How much of ``new`` belongs to a child that its first stop string ends; None without one."""
        stop = self._sheet.request.stop
        if not stop or not new or not self._sheet.cuts_stops:
            return None
        before, text = self._text, self._text + new
        parted = part(text, self._sheet.is_open)
        if parted.is_open:  # a thought's blank lines end nothing
            return None
        first = len(text) - len(parted.answer) if text.endswith(parted.answer) else 0
        ends = []
        for wanted in stop:
            found = text.find(wanted, max(first, len(before) - len(wanted) + 1, 0))
            if found >= 0:
                ends.append(found + len(wanted))
        return min(ends) - len(before) if ends else None

    def ended(self, reason: str, counts: Counts | None = None, lost: int = 0) -> ChildFinished:
        """The child as it is now. ``counts``: what the usage says, where that is how tokens are counted."""
        sheet = self._sheet
        ids, logprobs = tuple(self._token_ids), tuple(self._logprobs)
        thought_tokens = None
        if sheet.tokenizer is not None:
            thought = self._encode(self._thought)
            ids = thought + self._encode(self._text)
            end = sheet.tokenizer.end
            if reason == FinishReason.END and end is not None and len(logprobs) != len(ids):
                ids += (end,)
            thought_tokens = len(thought) if self._thought else None
        elif not sheet.tells_ids:
            count = counts or Counts(self.counted or self.estimate)
            if count.tokens == len(logprobs) + 1 and reason == FinishReason.END and logprobs:
                lost += 1  # the end of the sequence, of which no logprob is told
                count = Counts(len(logprobs), count.thought_tokens)
            ids = (_UNTOLD,) * count.tokens
            thought_tokens = count.thought_tokens
        elif self._is_incomplete and sheet.speller is not None:
            ids = sheet.speller.encode(self._text)
            ids += (_UNTOLD,) * ((self._count or 0) - len(ids))
        ids = ids[: sheet.most]  # a text may be drawn by fewer tokens than it is parted into here
        if len(logprobs) != len(ids):
            logprobs = ()  # the server counts other tokens: whose probabilities these are is unknown
        sure = reduce(self._sureness)
        child = ChildFinished(
            self.number,
            self._text,
            ids,
            logprobs if sheet.request.logprobs else (),
            reason,
            min(lost, sheet.most - len(ids)),
            mean_entropy=sure.mean_entropy,
            mean_confidence=sure.mean_confidence,
            lowest_confidence=sure.lowest_confidence,
        )
        return self._parted(child, thought_tokens)

    @property
    def _is_incomplete(self) -> bool:
        """Whether ids are missing: by the count, and where there is none, perhaps."""
        if self._sheet.speller is None or self._text.isascii():
            return False
        return self._count is None or self._count != len(self._token_ids)

    def _parted(self, child: ChildFinished, thought_tokens: int | None) -> ChildFinished:
        """The thought apart: by its tags, or as the server sent it."""
        if not self._thought:
            found = settled(child, self._sheet.is_open)
        else:
            found = settled(child)
            share = len(self._thought) / (len(self._thought) + len(self._text))
            reason = child.finish_reason
            if not found.text.strip() and reason == FinishReason.LENGTH:
                reason = FinishReason.THOUGHT
            found = replace(
                found,
                finish_reason=reason,
                thought=self._thought + found.thought,
                thought_tokens=max(found.thought_tokens, round(share * len(child.token_ids))),
            )
        if thought_tokens is not None:
            found = replace(found, thought_tokens=min(thought_tokens, len(found.token_ids)))
            if thought_tokens and not found.text.strip() and found.finish_reason == FinishReason.LENGTH:
                found = replace(found, finish_reason=FinishReason.THOUGHT)
        return found

    def lost(self, lag: int, goes_on: bool) -> ChildFinished:
        """As far as it came when the connection broke.

        Where the server cannot go on with a solution, nothing of it is kept: what had been written is lost
        and charged, and it is written anew.
        """
        waste = min(lag, self._sheet.most) if self.is_sent else 0
        if goes_on:
            raw = self._raw()
            return replace(raw, lost_tokens=min(waste, self._sheet.most - len(raw.token_ids)))
        had = self.counted if self.counted is not None else (0 if self.is_empty else self.estimate)
        return ChildFinished(self.number, "", (), (), FinishReason.LOST, min(self._sheet.most, had + waste))

    def _raw(self) -> ChildFinished:
        """What has come, its thought not parted: it may be gone on with."""
        found = self.ended(FinishReason.LOST)
        return replace(found, text=self._text, thought="", thought_tokens=0)

    def _encode(self, text: str) -> tuple[int, ...]:
        tokenizer = self._sheet.tokenizer
        return () if tokenizer is None or not text else tokenizer.encode(text)


def _tokens_to(end: int, texts: tuple[str, ...], text: str) -> int:
    """How many tokens write the first ``end`` characters; all of them where what they write is not told."""
    if "".join(texts) != text:
        return max(1, len(texts), len(text))
    count = length = 0
    while length < end:
        length += len(texts[count])
        count += 1
    return count


def unicode_of(text: str, *, is_last: bool) -> tuple[str, str]:
    r"""(text, half of a character at its end that is held back), since JSON may cut a character in halves.

    A half whose other half does not come is U+FFFD: nothing that is written or sent on could hold it.

    >>> unicode_of("a\ud83d", is_last=False) == ("a", "\ud83d")
    True
    >>> unicode_of("\ud83d\ude00", is_last=False) == ("\U0001f600", "")
    True
    >>> unicode_of("a\ud83d", is_last=True) == ("a\ufffd", "")
    True
    """
    if text.isascii():
        return text, ""
    half = text[-1] if not is_last and "\ud800" <= text[-1] <= "\udbff" else ""
    whole = text.removesuffix(half)
    try:
        whole.encode()
    except UnicodeEncodeError:
        whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole, half
