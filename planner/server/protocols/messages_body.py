"""The bodies of ``POST /v1/messages`` and of its token counter: Anthropic's fields, and ours.

The newest version of the API has no sampling fields any more. They are taken all the same.

Messages, blocks and tools are objects here: ``planner.server.protocols.messages_request`` reads them, and
says in plain words what is wrong with them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from planner.server.schema import MODEL, Body, Wishes

__all__ = ["CountBody", "MessagesBody", "OutputConfig", "Thinking"]

_INT64 = 2**63 - 1


class Thinking(Body):
    """How much may be thought, where neither a budget nor an effort says."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = Field(
        None,
        ge=1,
        le=_INT64,
        description="From 4096 on a high effort, from 2048 a medium one, else low.",
    )


class OutputConfig(Body):
    """What is written, and with how much effort."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="How much may be spent, where no budget says; max spends as xhigh."
    )
    format: dict[str, Any] | None = Field(None, description="A JSON schema, which is the policy's business.")


class CountBody(Wishes):
    """``POST /v1/messages/count_tokens``."""

    model: str = Field("planner", max_length=1024, description=MODEL)
    messages: list[dict[str, Any]] = Field(
        min_length=1, description="The last text that the user says is the question."
    )
    system: str | list[dict[str, Any]] | None = None
    thinking: Thinking | None = None
    tools: list[dict[str, Any]] | None = Field(
        None, description="Tools of the client's. With tools the policy answers once."
    )
    tool_choice: dict[str, Any] | None = None
    output_config: OutputConfig | None = None


class MessagesBody(CountBody):
    """``POST /v1/messages``."""

    max_tokens: int = Field(ge=1, le=_INT64, description="Of each solution, not of all.")
    temperature: float | None = Field(
        None, ge=0, le=1, description="Of single answers; a search draws as the planner was fitted."
    )
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, le=_INT64)
    seed: int | None = Field(None, ge=-_INT64 - 1, le=_INT64, description="Ours: as a chat has it.")
    stop_sequences: list[str] | None = None
    stream: bool | None = Field(
        None, description="Events as Anthropic names them; progress comes as SSE comments between them."
    )
    metadata: dict[str, Any] | None = None
