r"""Thoughts: what a thinking model writes before its answer, parted from the answer.

Whatever is read, graded, scored or compared is the answer alone. What counts as a thought:

| form | written by |
|---|---|
| ``<think>...</think>`` and its like (``TAGS``) | DeepSeek-R1, Qwen3, Magistral, Kimi, Seed |
| the same without the opening tag | templates that end in ``<think>`` |
| the same without the closing tag | a thought that was cut off: there is no answer |
| ``<\|channel\|>analysis<\|message\|>...<\|channel\|>final<\|message\|>...`` | gpt-oss (harmony) |
| ``analysis...assistantfinal...`` | the same from servers that leave special tokens out |

Servers that part thoughts themselves send them in a field of their own (``REASONING``).

    >>> part("<think>3 more than 4</think>\n\nIt is 7.")
    Parted(thought='3 more than 4', answer='It is 7.', is_open=False)
    >>> part("3 more than 4</think>It is 7.").answer
    'It is 7.'
    >>> part("<think>3 more").is_open
    True
    >>> part("It is 7.")
    Parted(thought='', answer='It is 7.', is_open=False)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from search.engines.protocol import ChildFinished, FinishReason

__all__ = ["REASONING", "TAGS", "Parted", "Shown", "opens", "part", "settled"]

#: opening and closing tags
TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
#: fields of a message in which servers send thoughts: vLLM, SGLang, llama.cpp and DeepSeek sent the first,
#: vLLM from 0.12, Ollama, LM Studio and OpenRouter the second
REASONING = ("reasoning_content", "reasoning")

_CHANNEL = "<|channel|>"
#: harmony's marks
_MARKS = (_CHANNEL, "<|start|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")
_MESSAGE = re.compile(
    r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(.*?)(?=<\|end\|>|<\|return\|>|<\|call\|>|<\|start\|>|<\|channel\|>|\Z)",
    re.DOTALL,
)
_BARE = re.compile(r"analysis(.*?)assistant(?:commentary.*?assistant)?final(.*)\Z", re.DOTALL)
#: a harmony thought without its marks, unfinished: no other text begins like this
_BARE_OPEN = re.compile(r"analysis[A-Z]")
#: the first characters of all tags
_FIRST = ("<", "[", "◁")


@dataclass(frozen=True, slots=True)
class Parted:
    """A text in its two parts. ``is_open``: the thought has not ended, so there is no answer."""

    thought: str
    answer: str
    is_open: bool = False


def opens(prompt: str) -> bool:
    """Whether a rendered prompt ends inside a thought, as templates that write the opening tag do."""
    end = prompt.rstrip()
    return any(end.endswith(opening) for opening, _ in TAGS)


def part(text: str, is_open: bool = False) -> Parted:
    """A text in its thought and its answer.

    Parameters
    ----------
    text:
        What a model has written, special tokens written out or not.
    is_open:
        Whether the prompt ended inside a thought (``opens``).
    """
    if not is_open and not _may_hold_one(text):
        return Parted("", text)
    if _CHANNEL in text:
        return _harmony(text)
    bare = _BARE.match(text)
    if bare:
        return Parted(bare.group(1).strip(), bare.group(2).lstrip())
    if not is_open and _BARE_OPEN.match(text):
        return Parted(text[len("analysis") :], "", True)
    return _tagged(text, is_open)


def _may_hold_one(text: str) -> bool:
    return any(first in text for first in _FIRST) or text.startswith("analysis")


def _harmony(text: str) -> Parted:
    messages = [(match.group(1), match.group(2)) for match in _MESSAGE.finditer(text)]
    thought = "\n".join(words.strip() for channel, words in messages if channel != "final")
    answers = [words for channel, words in messages if channel == "final"]
    return Parted(thought, "".join(answers).lstrip(), not answers)


def _tagged(text: str, is_open: bool) -> Parted:
    thoughts: list[str] = []
    answer, rest = "", text
    found_any = is_open
    while True:
        opening, closing = _first(rest, 0), _first(rest, 1)
        if closing is not None and (is_open or opening is None or closing[0] < opening[0]):
            # an end without a beginning: all before it was thought
            thoughts.append(answer + rest[: closing[0]])
            answer, rest, is_open = "", rest[closing[1] :], False
            found_any = True
        elif is_open:
            return Parted(_joined([*thoughts, answer + rest]), "", True)
        elif opening is None:
            break
        elif closing is not None:
            end = rest.find(opening[2], opening[1])
            if end < 0:  # closed by another kind of tag: plain text
                break
            answer += rest[: opening[0]]
            thoughts.append(rest[opening[1] : end])
            rest = rest[end + len(opening[2]) :]
            found_any = True
        elif (answer + rest[: opening[0]]).rpartition("\n")[2].strip():
            break  # in the middle of a line, and never closed: a word about tags
        else:
            answer += rest[: opening[0]]
            thoughts.append(rest[opening[1] :])
            return Parted(_joined(thoughts), answer.strip(), not answer.strip())
    answer += rest
    return Parted(_joined(thoughts), answer.lstrip() if found_any else answer)


def _first(text: str, side: int) -> tuple[int, int, str] | None:
    """(beginning, end, closing tag) of the first opening (0) or closing (1) tag."""
    found = [(text.find(pair[side]), pair) for pair in TAGS]
    found = [(at, pair) for at, pair in found if at >= 0]
    if not found:
        return None
    at, pair = min(found)
    return at, at + len(pair[side]), pair[1]


def _joined(thoughts: Sequence[str]) -> str:
    return "\n".join(filter(None, (thought.strip() for thought in thoughts)))


class Shown:
    """What of a growing text may be shown to whoever watches: the answer alone, as it comes.

    What might be the beginning of a tag is held back until it is known. A thought whose opening tag is
    missing, from a prompt of which that is not known, cannot be told from an answer until it ends.
    """

    __slots__ = ("_given", "_is_open")

    def __init__(self, is_open: bool = False) -> None:
        self._given = ""
        self._is_open = is_open

    def new(self, text: str, is_last: bool = False) -> str:
        """What may be shown beyond what was; ``text`` is all that has been written."""
        answer = part(text, self._is_open).answer
        if not is_last:
            answer = _settled_part(text, answer)
        if not answer.startswith(self._given):
            if self._given.startswith(answer):
                return ""
            self._given = ""
        new, self._given = answer[len(self._given) :], answer
        return new


def _settled_part(text: str, answer: str) -> str:
    """The answer without what may turn out to be a tag."""
    bare = text.lstrip()
    if len(bare) < len("analysisX") and "analysisX".startswith(bare[: len("analysis")]) and bare:
        return ""
    for length in range(min(24, len(answer)), 0, -1):
        end = answer[-length:]
        if any(tag.startswith(end) for pair in TAGS for tag in pair) or any(
            mark.startswith(end) for mark in _MARKS
        ):
            return answer[:-length]
    return answer


def settled(
    child: ChildFinished, is_open: bool = False, decode: Callable[[Sequence[int]], str] | None = None
) -> ChildFinished:
    """A child that has ended, its thought parted from its answer.

    Parameters
    ----------
    child:
        Its ``text`` is all that was written.
    is_open:
        Whether its prompt ended inside a thought.
    decode:
        Token ids to text as the child's has it: then ``thought_tokens`` is exact, else the share of its
        characters.

    A child that a stop string ended inside its thought is a step of it, and stays as it is. One that ran
    into its limit there ends with the reason ``thought``.
    """
    parted = part(child.text, is_open)
    if not parted.thought and not parted.is_open and parted.answer == child.text:
        return child
    if parted.is_open and child.finish_reason == FinishReason.STOP:
        return child
    reason = child.finish_reason
    if parted.is_open and reason == FinishReason.LENGTH:
        reason = FinishReason.THOUGHT
    return replace(
        child,
        text=parted.answer,
        finish_reason=reason,
        thought=parted.thought,
        thought_tokens=_thought_tokens(child, parted, decode),
    )


def _thought_tokens(
    child: ChildFinished, parted: Parted, decode: Callable[[Sequence[int]], str] | None
) -> int:
    ids = child.token_ids
    if not parted.answer or not child.text:
        return len(ids)
    if not parted.thought:
        return 0
    end = max(0, child.text.rfind(parted.answer))
    if decode is None:
        return min(len(ids), round(len(ids) * end / len(child.text)))
    low, high = 0, len(ids)
    while low < high:  # the fewest tokens whose text reaches the answer
        middle = (low + high) // 2
        if len(decode(ids[:middle])) < end:
            low = middle + 1
        else:
            high = middle
    return low
