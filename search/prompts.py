r"""Prompts: how a policy is asked to reason in steps, and what ends a step, by the family of the model.

The tokenizer's own chat template stays what it is; a prompting says what stands in the user's turn. Which one
a policy gets is told by its chat template (``MARKS``), and a campaign's grid file can name another, or give
a ``template`` and a ``delimiter`` of its own:

| prompting | chosen for | ends a step |
|---|---|---|
| ``plain`` | everything else, the lab's models first: the question alone | a line break |
| ``llama-3`` | templates with ``<\|start_header_id\|>`` | an empty line |
| ``qwen-2.5`` | templates with ``<\|im_start\|>`` (ChatML) | an empty line |
| ``generic`` | nothing by itself | an empty line |

A policy under another prompting than ``plain`` is another policy to a log and to a planner: its fingerprint
covers the prompting. Knows nothing of engines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from search.cards import ModelCard
from search.errors import CheckpointError, GridError

__all__ = ["AUTO", "MARKS", "PROMPTINGS", "Prompting", "chat_template", "choose"]

#: stands for the choice by the chat template
AUTO = "auto"
_QUESTION = "{question}"
_ENDING = (
    "End with the final answer: within \\boxed{} where it is a number or an expression, "
    "in one block of code where it is a program."
)


@dataclass(frozen=True, slots=True)
class Prompting:
    """What stands in the user's turn, and what ends a step of the answer.

    Parameters
    ----------
    template:
        Holds ``{question}`` once; other braces are text.
    delimiter:
        Ends a step; is a stop string of tree searches.

    >>> Prompting("{question} Think.").ask("1+1?")
    '1+1? Think.'
    """

    template: str = _QUESTION
    delimiter: str = "\n"

    def __post_init__(self) -> None:
        if self.template.count(_QUESTION) != 1:
            raise GridError(f"template must hold {_QUESTION} once, got {self.template!r}")
        if not self.delimiter:
            raise GridError("delimiter must be a text that is not empty, got ''")

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing: the question alone, a line a step."""
        return self == Prompting()

    def ask(self, question: str) -> str:
        """The user's turn."""
        return self.template.replace(_QUESTION, question)

    def card(self, card: ModelCard) -> ModelCard:
        """The card of a policy under this prompting: the same for ``plain``, else another fingerprint."""
        if self.is_plain:
            return card
        both = f"{card.fingerprint}\0{self}".encode()
        return replace(card, fingerprint=hashlib.sha256(both).hexdigest())

    @classmethod
    def parse(cls, text: str) -> Prompting:
        """The prompting that ``str`` wrote. Raises GridError.

        >>> Prompting.parse(str(PROMPTINGS["generic"])) == PROMPTINGS["generic"]
        True
        """
        try:
            said = json.loads(text)
            return cls(**{name: said[name] for name in ("template", "delimiter")})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GridError(f"a prompting has a template and a delimiter, got {text[:200]!r}") from error

    def __str__(self) -> str:
        return json.dumps({"delimiter": self.delimiter, "template": self.template}, ensure_ascii=False)


#: name -> prompting
PROMPTINGS: Mapping[str, Prompting] = MappingProxyType(
    {
        "plain": Prompting(),
        "llama-3": Prompting(
            f"{_QUESTION}\n\nSolve this step by step. Begin each step with a line '## Step 1: ...' that "
            f"names it, and part the steps by an empty line. {_ENDING}",
            "\n\n",
        ),
        "qwen-2.5": Prompting(
            f"{_QUESTION}\n\nPlease reason step by step, one paragraph a step. {_ENDING}", "\n\n"
        ),
        "generic": Prompting(
            f"{_QUESTION}\n\nReason step by step and part the steps by an empty line. {_ENDING}", "\n\n"
        ),
    }
)
#: what a chat template holds -> the prompting of its family
MARKS: Mapping[str, str] = MappingProxyType({"<|start_header_id|>": "llama-3", "<|im_start|>": "qwen-2.5"})


def choose(
    name: str = AUTO, chat: str = "", *, template: str | None = None, delimiter: str | None = None
) -> Prompting:
    """The prompting of a policy.

    Parameters
    ----------
    name:
        One of ``PROMPTINGS``, or ``auto``: by the chat template.
    chat:
        The policy's chat template; "" where it is not known, which is plain.
    template, delimiter:
        Replace those of the prompting.

    Raises GridError for an unknown name and for a template without its place.
    """
    if name != AUTO and name not in PROMPTINGS:
        raise GridError(f"prompt must be one of {AUTO}, {', '.join(PROMPTINGS)}, got {name!r}")
    if name == AUTO:
        name = next((family for mark, family in MARKS.items() if mark in chat), "plain")
    found = PROMPTINGS[name]
    return Prompting(
        found.template if template is None else template,
        found.delimiter if delimiter is None else delimiter,
    )


def chat_template(folder: str | Path) -> str:
    """The chat template of a checkpoint's tokenizer; "" where there is none. Raises CheckpointError."""
    folder = Path(folder)
    own = folder / "chat_template.jinja"
    try:
        if own.is_file():
            return own.read_text(encoding="utf-8")
        file = folder / "tokenizer_config.json"
        found = json.loads(file.read_text(encoding="utf-8")).get("chat_template") if file.is_file() else ""
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"a tokenizer's files must be whole, got {str(folder)!r}: {error}") from error
    if isinstance(found, list):  # several, by name
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default") or next(iter(named.values()), "")
    return str(found or "")
