"""What one request asks, whatever endpoint it came by: the conversation, its sampling, and who may answer.

A request that voting means nothing for, or that only the policy's own server can serve, says so in
``passthrough``: then the policy answers once and nothing is planned.

A conversation is turns in order, which the policy reads; its question is what the planner decides about.

>>> talk = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": " 1 + 1? "})
>>> question_of(talk), ending(talk, "2 + 2?")[-1]["content"]
('1 + 1?', '2 + 2?')
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from planner.server.refusal import Refusal
from planner.server.request.budget import Source
from planner.server.rules import Reading, Sizes
from planner.server.schema import ChatBody, CompletionBody, Message, PlanBody
from search.budget import Budget
from search.engines.protocol import Sampling
from search.plan import Plan

__all__ = [
    "JSON",
    "TOOL_CALL",
    "Ask",
    "Render",
    "Structured",
    "Turn",
    "Turns",
    "asking",
    "ending",
    "of_chat",
    "of_completion",
    "of_plan",
    "question_of",
]


#: one message: its role (``system``, ``user``, ``assistant``) and its content, a text
Turn = Mapping[str, str]
#: a conversation
Turns = tuple[Turn, ...]


def asking(question: str) -> Turns:
    """A question alone."""
    return ({"role": "user", "content": question},)


def question_of(turns: Turns) -> str:
    """The last thing that the user said, stripped. Raises Refusal (400) where no user says anything."""
    for turn in reversed(turns):
        if turn["role"] == "user" and (said := turn["content"].strip()):
            return said
    raise Refusal("a conversation needs a user's message with some text, got none", param="messages")


def ending(turns: Turns, text: str) -> Turns:
    """The same with another text as what the user said last.

    >>> ending(asking("1 + 1?"), "Is 2 right?")
    ({'role': 'user', 'content': 'Is 2 right?'},)
    """
    if text.strip() == question_of(turns):
        return turns
    last = max(at for at, turn in enumerate(turns) if turn["role"] == "user" and turn["content"].strip())
    return (*turns[:last], {"role": "user", "content": text}, *turns[last + 1 :])


#: turns of a conversation -> token ids, with the opening of the model's turn
Render = Callable[[Turns], tuple[int, ...]]


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
    turns: Turns
    question: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, read and checked.

    Parameters
    ----------
    turns, question:
        The conversation, and what it asks; None and "" where only the policy's server can read it (images,
        tool results).
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
    budget, source, plan, named:
        What it may spend, who said so, and the plan and the policy that its model's name forces.
    raw:
        The body as it came, for the policy's own server.
    structured:
        How it could be planned all the same, where several samples of it can be compared; None: not at all.
    """

    turns: Turns | None
    question: str
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
    budget: Budget
    source: Source
    plan: Plan | None
    named: str | None
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
        found = self.structured
        return replace(self, turns=found.turns, question=found.question, passthrough=None)


def of_chat(body: ChatBody, reading: Reading, *, header: str | None = None, effort: str | None = None) -> Ask:
    """Read ``POST /v1/chat/completions``. Raises Refusal.

    ``header``: the budget that a header says; ``effort``: where it is not the body's ``reasoning_effort``.
    """
    texts = [_text(message) for message in body.messages]
    characters = sum(len(text) for text, _ in texts)
    _check(body.n, _stops(body), reading.rules.sizes, messages=len(texts), characters=characters)
    reason = _foreign(body)
    if any(message.role in ("tool", "function") or _calls(message) for message in body.messages):
        reason = reason or "tools"
    if not all(is_text for _, is_text in texts):
        reason = "images"
    turns: Turns | None = None
    if reason is None:
        turns = tuple(
            {"role": _ROLES.get(message.role, message.role), "content": text}
            for message, (text, _) in zip(body.messages, texts, strict=True)
        )
    most = body.max_completion_tokens or body.max_tokens
    structured = None if reason is None else _structured(body, reason)
    return _ask(body, turns, reason, most, reading, header, effort or body.reasoning_effort, structured)


def _structured(body: ChatBody, reason: str) -> Structured | None:
    """How a request could be planned that asks for JSON or for calls of tools."""
    domain = TOOL_CALL if body.tools and body.tool_choice != "none" else JSON
    given = (body.response_format or {}).get("type")
    if domain == JSON and given not in ("json_schema", "json_object"):
        return None
    if reason == "images" or any(_FOREIGN[name](getattr(body, name, None)) for name in _LONE):
        return None
    turns = tuple(
        {"role": _ROLES.get(message.role, message.role), "content": _text(message)[0]}
        for message in body.messages
        if message.role not in ("tool", "function")
    )
    if not any(turn["role"] == "user" and turn["content"].strip() for turn in turns):
        return None
    return Structured(domain, turns, question_of(turns))


def of_completion(body: CompletionBody, prompt: str, reading: Reading, header: str | None = None) -> Ask:
    """Read one prompt of ``POST /v1/completions``. Raises Refusal."""
    _check(body.n, _stops(body), reading.rules.sizes, characters=len(prompt))
    reason = _foreign(body)
    turns = asking(prompt) if reason is None else None
    return _ask(body, turns, reason, body.max_tokens, reading, header, body.reasoning_effort)


def of_plan(body: PlanBody, reading: Reading, *, header: str | None = None) -> Ask:
    """Read ``POST /v1/plan``, for any of its questions: theirs is left to be filled in. Raises Refusal.

    ``header``: the budget that a header says.
    """
    return Ask(
        turns=None,
        question="",
        passthrough=None,
        model=body.model,
        n=1,
        sampling=None,
        max_tokens=None,
        stop=(),
        seed=0,
        stream=False,
        include_usage=False,
        domain=body.domain,
        policy=body.policy,
        prm=body.prm,
        abstain_below=body.abstain_below or 0.0,
        draw_all=False,
        include=frozenset(body.include or ()),
        effort=body.reasoning_effort,
        raw={},
        **reading.grant(body.model, header=header, body=body.budget, effort=body.reasoning_effort),
    )


def _ask(
    body: ChatBody | CompletionBody,
    turns: Turns | None,
    reason: str | None,
    most: int | None,
    reading: Reading,
    header: str | None,
    effort: str | None,
    structured: Structured | None = None,
) -> Ask:
    sampling = None
    if body.temperature is not None or body.top_p is not None or body.top_k is not None:
        temperature = 1.0 if body.temperature is None else body.temperature
        sampling = Sampling(temperature, 1.0 if body.top_p is None else body.top_p, max(0, body.top_k or 0))
    options, n = body.stream_options, body.n or 1
    return Ask(
        turns=turns,
        question="" if turns is None else question_of(turns),
        passthrough=reason,
        model=body.model,
        n=n,
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
        effort=effort,
        raw=body.model_dump(exclude_unset=True),
        structured=structured,
        **reading.grant(body.model, header=header, body=body.budget, effort=effort, answers=n),
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
