"""Hostile bodies on the new endpoints: whatever a client sends, the fault is said to be its own.

``PLANNER_FUZZ_CASES`` says how many requests each endpoint gets.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
from houses import QUESTION, House
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("PLANNER_FUZZ_CASES", "60"))

#: names and words that the readers of these bodies look for
NAMES = [
    "type",
    "role",
    "content",
    "text",
    "input",
    "output",
    "call_id",
    "id",
    "name",
    "arguments",
    "tool_use_id",
    "source",
    "data",
    "url",
    "media_type",
    "image_url",
    "file_data",
    "input_audio",
    "refusal",
    "input_schema",
    "parameters",
    "strict",
    "detail",
    "mode",
    "tools",
    "budget_tokens",
    "effort",
    "format",
    "schema",
]
WORDS = [
    "user",
    "assistant",
    "system",
    "developer",
    "tool",
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "input_text",
    "output_text",
    "input_image",
    "input_file",
    "input_audio",
    "text",
    "image",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "base64",
    "url",
    "function",
    "custom",
    "auto",
    "any",
    "none",
    "required",
    "allowed_tools",
    "json_schema",
    "json_object",
    "enabled",
    "disabled",
    "adaptive",
]

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*WORDS, QUESTION, "", "\x00", "\u2028"])
    | st.text(max_size=5)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=14,
)
#: a list of objects whose kinds are known is looked into further than any value
blocks = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(WORDS)},
        optional={"role": st.sampled_from(WORDS), **dict.fromkeys(NAMES[2:], values)},
    ),
    max_size=4,
)
turns = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(WORDS[:5]), "content": blocks | values}), max_size=4
)
COMMON: dict[str, Any] = {
    "stream": st.booleans(),
    "tools": blocks | values,
    "tool_choice": values,
    "model": st.sampled_from(["planner", "small", "planner/majority(n=2)", "nobody"]),
    "budget": values,
    "temperature": st.floats(0, 1),
}
BODIES: dict[str, Any] = {
    "/v1/responses": st.fixed_dictionaries(
        {"input": blocks | turns | values},
        optional={
            **COMMON,
            "instructions": values,
            "text": values,
            "reasoning": values,
            "include": values,
            "metadata": values,
        },
    ),
    "/v1/messages": st.fixed_dictionaries(
        {"messages": turns | values, "max_tokens": st.integers(1, 9)},
        optional={
            **COMMON,
            "system": blocks | values,
            "thinking": values,
            "output_config": values,
            "stop_sequences": values,
        },
    ),
    "/v1/messages/count_tokens": st.fixed_dictionaries(
        {"messages": turns | values},
        optional={"system": blocks | values, "tools": blocks, "tool_choice": values},
    ),
}


@pytest.mark.parametrize("path", BODIES)
def test_no_body_breaks_the_server(behind: House, path: str) -> None:
    with httpx.Client(base_url=behind.url, timeout=60.0) as client:

        @given(BODIES[path])
        @settings(
            max_examples=CASES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        def play(body: Any) -> None:
            found = client.post(path, json=body)
            assert found.status_code < 500, (body, found.text)
            if found.status_code >= 400:
                assert found.json()["error"]["message"]
            assert found.headers["x-request-id"]
            if found.headers["content-type"].startswith("text/event-stream"):
                assert "message_stop" in found.text or "response.completed" in found.text

        play()
    assert httpx.get(f"{behind.url}/healthz").status_code == 200
    assert behind.service.admission.running == 0
