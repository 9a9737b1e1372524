"""What one request asks, whatever endpoint it came by: the conversation, its sampling, and who may answer.

A request that voting means nothing for, or that only the policy's own server can serve, says so in
``passthrough``: then the policy answers once and nothing is planned.

A conversation is what the policy reads, and the question in it is what the planner decides about.

>>> talk = Conversation(({"role": "system", "content": "Be brief."}, {"role": "user", "content": " 1 + 1? "}))
>>> talk.question, talk.is_plain
('1 + 1?', False)
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from planner.server.refusal import Refusal
from planner.server.rules import Sizes
from planner.server.schema import ChatBody, CompletionBody, Message
from search.checkpoint import read_checkpoint
from search.engines.protocol import Sampling
from search.errors import CheckpointError
from search.prompts import Prompting

__all__ = [
    "JSON",
    "TOOL_CALL",
    "Ask",
    "Conversation",
    "Render",
    "Structured",
    "Turn",
    "chat_template",
    "of_chat",
    "of_completion",
]


#: one message: its role (``system``, ``user``, ``assistant``) and its content, a text
Turn = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order. Raises Refusal (400) when no user says anything."""

    turns: tuple[Turn, ...]
    #: the last thing that the user said, stripped: what answers are to
    question: str = field(init=False)

    def __post_init__(self) -> None:
        for turn in reversed(self.turns):
            if turn["role"] == "user" and (said := turn["content"].strip()):
                object.__setattr__(self, "question", said)
                return
        raise Refusal("a conversation needs a user's message with some text, got none", param="messages")

    @classmethod
    def of(cls, question: str) -> Conversation:
        """A question alone."""
        return cls(({"role": "user", "content": question},))

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but the question."""
        return len(self.turns) == 1

    def asked(self, prompting: Prompting) -> Conversation:
        """The same with the question in the words of a prompting.

        >>> Conversation.of("1 + 1?").asked(Prompting("{question} Think.")).turns[0]["content"]
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
        last = max(
            at for at, turn in enumerate(self.turns) if turn["role"] == "user" and turn["content"].strip()
        )
        return Conversation((*self.turns[:last], {"role": "user", "content": text}, *self.turns[last + 1 :]))


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
        try:
            text = fast.apply_chat_template([*turns], add_generation_prompt=True, tokenize=False)
        except Exception as error:  # templates raise what they like (jinja2.TemplateError first)
            raise Refusal(
                f"the policy's chat template must take the conversation, got {type(error).__name__}",
                param="messages",
            ) from error
        return tuple(fast.backend_tokenizer.encode(str(text), add_special_tokens=False).ids)

    return render


_ROLES = {"developer": "system"}

#: the domains that read structured answers
JSON, TOOL_CALL = "json", "tool_call"

#: foreign fields that no sample of several can answer
_LONE = ("functions", "logprobs", "audio")

#: fields of OpenAI's that change the answer and that no plan knows; value -> whether it asks for anything
_FOREIGN: Mapping[str, Callable[[Any], bool]] = {
    "tools": bool,
    "functions": bool,
    "response_format": lambda value: bool(value) and value.get("type") != "text",
    "logprobs": bool,
    "logit_bias": bool,
    "presence_penalty": bool,
    "frequency_penalty": bool,
    "suffix": bool,
    "echo": bool,
    "best_of": lambda value: value is not None and value > 1,
    "audio": bool,
}


@dataclass(frozen=True, slots=True)
class Structured:
    """How a request for JSON, or one that may call a tool, is planned: the domain that reads its answers, and
    what of its conversation is text."""

    domain: str
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, read and checked.

    Parameters
    ----------
    conversation:
        None where only the policy's server can read it (images, tool results).
    passthrough:
        Which field keeps the planner out (``tools``, ``images``, ...); None where it may plan.
    sampling:
        What a single answer is drawn with where the client chose; None: greedy.
    max_tokens, n, seed, stop:
        The client's, or None / 1 / drawn at random / none.
    domain, policy, prm, abstain_below, draw_all, include:
        As ``Wishes`` has them.
    effort:
        OpenAI's ``reasoning_effort``, or None.
    raw:
        The body as it came, for the policy's own server.
    structured:
        How it could be planned all the same, where several samples of it can be compared; None: not at all.
    """

    conversation: Conversation | None
    passthrough: str | None
    model: str
    n: int
    sampling: Sampling | None
    max_tokens: int | None
    stop: tuple[str, ...]
    seed: int
    stream: bool
    include_usage: bool
    domain: str | None
    policy: str | None
    prm: str | None
    abstain_below: float
    draw_all: bool
    include: frozenset[str]
    effort: str | None
    budget: Any
    raw: dict[str, Any]
    structured: Structured | None = None

    @property
    def is_structured(self) -> bool:
        """Whether it is planned as a structured one."""
        return self.structured is not None and self.passthrough is None

    def as_structured(self) -> Ask:
        """The same, to be planned; itself where it cannot be."""
        if self.structured is None:
            return self
        return replace(self, conversation=self.structured.conversation, passthrough=None)

    @property
    def question(self) -> str:
        """What is asked; empty where it cannot be read."""
        return "" if self.conversation is None else self.conversation.question


def of_chat(body: ChatBody, sizes: Sizes) -> Ask:
    """Read ``POST /v1/chat/completions``. Raises Refusal."""
    texts = [_text(message) for message in body.messages]
    characters = sum(len(text) for text, _ in texts)
    _check(body.n, _stops(body), sizes, messages=len(texts), characters=characters)
    reason = _foreign(body)
    if any(message.role in ("tool", "function") or _calls(message) for message in body.messages):
        reason = reason or "tools"
    if not all(is_text for _, is_text in texts):
        reason = "images"
    conversation = None
    if reason is None:
        turns = [
            {"role": _ROLES.get(message.role, message.role), "content": text}
            for message, (text, _) in zip(body.messages, texts, strict=True)
        ]
        conversation = Conversation(tuple(turns))
    ask = _ask(body, conversation, reason, body.max_completion_tokens or body.max_tokens)
    return ask if reason is None else replace(ask, structured=_structured(body, reason))


def _structured(body: ChatBody, reason: str) -> Structured | None:
    """How a request could be planned that asks for JSON or for calls of tools."""
    domain = TOOL_CALL if body.tools and body.tool_choice != "none" else JSON
    given = (body.response_format or {}).get("type")
    if domain == JSON and given not in ("json_schema", "json_object"):
        return None
    if reason == "images" or any(_FOREIGN[name](getattr(body, name, None)) for name in _LONE):
        return None
    turns = [
        {"role": _ROLES.get(message.role, message.role), "content": _text(message)[0]}
        for message in body.messages
        if message.role not in ("tool", "function")
    ]
    if not any(turn["role"] == "user" and turn["content"].strip() for turn in turns):
        return None
    return Structured(domain, Conversation(tuple(turns)))


def of_completion(body: CompletionBody, prompt: str, sizes: Sizes) -> Ask:
    """Read one prompt of ``POST /v1/completions``. Raises Refusal."""
    _check(body.n, _stops(body), sizes, characters=len(prompt))
    reason = _foreign(body)
    return _ask(body, Conversation.of(prompt) if reason is None else None, reason, body.max_tokens)


def _ask(
    body: ChatBody | CompletionBody, conversation: Conversation | None, reason: str | None, most: int | None
) -> Ask:
    sampling = None
    if body.temperature is not None or body.top_p is not None or body.top_k is not None:
        temperature = 1.0 if body.temperature is None else body.temperature
        sampling = Sampling(temperature, 1.0 if body.top_p is None else body.top_p, max(0, body.top_k or 0))
    options = body.stream_options
    return Ask(
        conversation=conversation,
        passthrough=reason,
        model=body.model,
        n=body.n or 1,
        sampling=sampling,
        max_tokens=most,
        stop=_stops(body),
        seed=secrets.randbits(63) if body.seed is None else body.seed & (2**63 - 1),
        stream=bool(body.stream),
        include_usage=bool(options is not None and options.include_usage),
        domain=body.domain,
        policy=body.policy,
        prm=body.prm,
        abstain_below=body.abstain_below or 0.0,
        draw_all=bool(body.draw_all),
        include=frozenset(body.include or ()),
        effort=body.reasoning_effort,
        budget=body.budget,
        raw=body.model_dump(exclude_unset=True),
    )


def _check(
    n: int | None, stops: Sequence[str], sizes: Sizes, *, messages: int = 0, characters: int = 0
) -> None:
    sizes.check(messages=messages, characters=characters, choices=n or 1, stops=stops)


def _stops(body: ChatBody | CompletionBody) -> tuple[str, ...]:
    """Stop strings; empty ones stop nothing."""
    given = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return tuple(text for text in given if text)


def _foreign(body: ChatBody | CompletionBody) -> str | None:
    said = body.model_fields_set  # those that no schema knows too
    for name, asks in _FOREIGN.items():
        if name in said and asks(getattr(body, name)):
            return name
    return None


def _calls(message: Message) -> bool:
    """Whether a message is a call of a tool."""
    more = message.model_extra or {}
    return bool(more.get("tool_calls") or more.get("function_call"))


def _text(message: Message) -> tuple[str, bool]:
    """The text of a message, and whether that is all there is in it."""
    if message.content is None:
        return "", True
    if isinstance(message.content, str):
        return message.content, True
    pieces = [part.text or "" for part in message.content if part.type == "text"]
    return "".join(pieces), len(pieces) == len(message.content)
