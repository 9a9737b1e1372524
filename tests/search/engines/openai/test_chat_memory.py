"""What a chat remembers of conversations has a bound, and what requests in flight need is kept."""

from __future__ import annotations

import pytest

from search.engines.openai.chat import ChatCompletions
from search.engines.protocol import ChildFinished, FinishReason, Request, Sampling
from search.errors import EngineError


def asked(prompt: tuple[int, ...]) -> Request:
    return Request(prompt, 1, 8, Sampling(), 0)


def body(chat: ChatCompletions, prompt: tuple[int, ...]) -> list[dict[str, str]]:
    """The messages that go out for a prompt."""
    found: list[dict[str, str]] = chat.body(asked(prompt), 1, 8, 0)["messages"]
    return found


def step(text: str, token: int) -> ChildFinished:
    """One that may be gone on with."""
    return ChildFinished(0, text, (token,), (), FinishReason.STOP)


def test_long_conversations_are_forgotten_by_their_size() -> None:
    chat = ChatCompletions("m")
    text = "x" * (1 << 16)
    for number in range(2000):
        chat.remember((number,), f"{number} {text}")
    kept = chat.remembered
    assert kept.conversations == 1024
    assert kept.characters < 1025 * (len(text) + 20)
    assert body(chat, (1999,))[0]["content"].startswith("1999 ")
    with pytest.raises(EngineError, match="that is no question's"):
        body(chat, (3,))


def test_short_ones_are_forgotten_by_their_number() -> None:
    chat = ChatCompletions("m")
    for number in range(70_000):
        chat.remember((number,), "hi")
    assert chat.remembered.conversations == 65_536


def test_steps_are_forgotten_by_their_size() -> None:
    chat = ChatCompletions("m")
    text = "y" * (1 << 16)
    chat.remember((1,), "a question")
    for number in range(2000):
        chat.kept(asked((1,)), step(f"{number}{text}", number + 2))
    assert chat.remembered.steps == 1024
    messages = body(chat, (1, 2001))
    assert messages[0]["content"] == "a question"
    assert messages[1]["content"].startswith("1999")
    with pytest.raises(EngineError, match="that is no question's"):
        body(chat, (1, 2))


def test_what_is_asked_for_again_is_not_forgotten() -> None:
    chat = ChatCompletions("m")
    chat.remember((-1,), "the first")
    for thousand in range(70):
        assert body(chat, (-1,)) == [{"role": "user", "content": "the first"}]
        for number in range(1000):
            chat.remember((1000 * thousand + number,), "hi")


def test_a_step_is_gone_on_with_though_others_came_between() -> None:
    chat = ChatCompletions("m")
    chat.remember((1, 2), "a question")
    found = chat.kept(asked((1, 2)), step("first\n", 7))
    for number in range(500):
        chat.remember((9, number), "another")
    messages = body(chat, (1, 2, *found.token_ids))
    assert [one["role"] for one in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == "first\n"
