"""The body of ``POST /v1/responses``, as OpenAI's reference has it, with the fields that are ours.

Nothing is stored, so what refers to something stored is refused. Items and tools are objects here:
``planner.server.protocols.responses_request`` reads them, and says in plain words what is wrong with them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from planner.server.schema import MODEL, Body, Effort, Wishes

__all__ = ["Reasoning", "ResponsesBody", "TextConfig"]

_INT64 = 2**63 - 1


class Reasoning(Body):
    """How much the model is to think."""

    effort: Effort | None = Field(None, description="As reasoning_effort of a chat.")


class TextConfig(Body):
    """What the text is to be."""

    format: dict[str, Any] | None = Field(
        None, description="text, json_object or json_schema; the last two are the policy's business."
    )
    verbosity: Literal["low", "medium", "high"] | None = None


class ResponsesBody(Wishes):
    """``POST /v1/responses``."""

    model: str = Field("planner", max_length=1024, description=MODEL)
    input: str | list[dict[str, Any]] = Field(
        description="A question, or items: messages, function calls and their outputs."
    )
    instructions: str | None = Field(None, description="A system message before all others.")
    max_output_tokens: int | None = Field(None, ge=1, le=_INT64, description="Of each solution, not of all.")
    temperature: float | None = Field(
        None, ge=0, le=2, description="Of single answers; a search draws as the planner was fitted."
    )
    top_p: float | None = Field(None, gt=0, le=1)
    top_logprobs: int | None = Field(None, ge=0, le=20, description="0: chat completions tell logprobs.")
    seed: int | None = Field(None, ge=-_INT64 - 1, le=_INT64, description="Not OpenAI's: as a chat has it.")
    stream: bool | None = Field(
        None, description="Events as OpenAI names them; progress comes as SSE comments between them."
    )
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    tools: list[dict[str, Any]] | None = Field(
        None, description="Functions only. With tools the policy answers once."
    )
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    store: bool | None = Field(None, description="Ignored: nothing is stored.")
    previous_response_id: str | None = Field(None, description="Refused: nothing is stored.")
    conversation: str | dict[str, Any] | None = Field(None, description="Refused: nothing is stored.")
    background: bool | None = Field(None, description="Refused if true.")
    prompt: dict[str, Any] | None = Field(None, description="Refused: no templates are kept.")
    metadata: dict[str, str] | None = Field(None, description="Comes back as it is.")
    user: str | None = None

    @field_validator("include", mode="before")
    @classmethod
    def _ours(cls, include: Any) -> Any:
        """OpenAI's own names, which all have a dot, ask for parts that these answers never have."""
        if not isinstance(include, list):
            return include
        return [name for name in include if not (isinstance(name, str) and "." in name)]
