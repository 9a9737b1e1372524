"""A conversation: what the policy reads, and the question in it that the planner decides about.

>>> talk = Conversation((Turn("system", "Be brief."), Turn("user", " 1 + 1? ")))
>>> talk.question, talk.is_plain
('1 + 1?', False)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planner.server.refusal import Refusal
from search.checkpoint import read_checkpoint
from search.errors import CheckpointError
from search.prompts import Prompting

__all__ = ["Conversation", "Render", "Turn", "chat_template"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: its role (``system``, ``user``, ``assistant``) and its text."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order. Raises Refusal (400) when no user says anything."""

    turns: tuple[Turn, ...]
    #: the last thing that the user said, stripped: what answers are to
    question: str = field(init=False)

    def __post_init__(self) -> None:
        for turn in reversed(self.turns):
            if turn.role == "user" and (said := turn.text.strip()):
                object.__setattr__(self, "question", said)
                return
        raise Refusal("a conversation needs a user's message with some text, got none", param="messages")

    @classmethod
    def of(cls, question: str) -> Conversation:
        """A question alone."""
        return cls((Turn("user", question),))

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but the question."""
        return len(self.turns) == 1

    def asked(self, prompting: Prompting) -> Conversation:
        """The same with the question in the words of a prompting.

        >>> Conversation.of("1 + 1?").asked(Prompting("{question} Think.")).turns[0].text
        '1 + 1? Think.'
        """
        return self if prompting.is_plain else self.ending(prompting.ask(self.question))

    def ending(self, text: str) -> Conversation:
        """The same with another text as what the user said last.

        >>> Conversation.of("1 + 1?").ending("Is 2 right?").question
        'Is 2 right?'
        """
        if text.strip() == self.question:
            return self
        last = max(at for at, turn in enumerate(self.turns) if turn.role == "user" and turn.text.strip())
        return Conversation((*self.turns[:last], Turn("user", text), *self.turns[last + 1 :]))


#: turns of a conversation -> token ids, with the opening of the model's turn
Render = Callable[[Sequence[Turn]], tuple[int, ...]]


def chat_template(folder: str | Path) -> Render:
    """The chat template of a model's folder, which is read without running any code of it.

    Raises CheckpointError for a folder that is damaged or has no template. What is returned raises Refusal
    (400) for a conversation that the template does not take.
    """
    from transformers import PreTrainedTokenizerFast

    path = read_checkpoint(folder).path
    try:
        fast = PreTrainedTokenizerFast.from_pretrained(str(path), local_files_only=True)
    except Exception as error:  # whatever the libraries raise on a damaged file
        raise CheckpointError(f"the tokenizer must load, got {str(path)!r}: {error}") from error
    if not fast.chat_template:
        raise CheckpointError(f"the tokenizer needs a chat template, got none in {str(path)!r}")

    def render(turns: Sequence[Turn]) -> tuple[int, ...]:
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        try:
            text = fast.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # templates raise what they like (jinja2.TemplateError first)
            raise Refusal(
                f"the policy's chat template must take the conversation, got {type(error).__name__}",
                param="messages",
            ) from error
        return tuple(fast.backend_tokenizer.encode(str(text), add_special_tokens=False).ids)

    return render
