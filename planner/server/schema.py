"""Bodies of requests, as OpenAI's reference has them, with the fields that are ours.

Fields that nobody knows are ignored, as vLLM's server does (its request models allow extras and name
them in a debug line). Types are strict: a number in quotes is not a number. Bounds that OpenAI and
vLLM set are kept.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

__all__ = [
    "MODEL",
    "Body",
    "BudgetBody",
    "ChatBody",
    "CompletionBody",
    "Effort",
    "FeedbackBody",
    "Message",
    "Part",
    "PlanBody",
    "StreamOptions",
    "Wishes",
]

_INT64 = 2**63 - 1
MODEL = "``planner`` or ``planner-low|medium|high`` decides, ``planner/<plan>`` forces a plan; or a policy."


#: how much a model is to think, in OpenAI's words
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Body(BaseModel):
    """A body, or a part of one: unknown fields are kept, types are strict."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class BudgetBody(BaseModel):
    """What a request may spend, for the document: caps, perhaps an accuracy to reach at the least cost."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    samples: Annotated[int, Field(ge=1, le=10**18)] | None = Field(
        None, description="As much compute as so many samples of the main policy take."
    )
    tokens: Annotated[int, Field(ge=1, le=10**18)] | None = Field(
        None, description="Tokens of policy and PRM, prompts included."
    )
    flops: Annotated[float, Field(gt=0, le=1e18)] | None = Field(
        None, description="Forward FLOPs of all models."
    )
    seconds: Annotated[float, Field(gt=0, le=1e18)] | None = Field(
        None, description="From the arrival to the answer; at the end the best answer so far."
    )
    usd: Annotated[float, Field(gt=0, le=1e18)] | None = Field(
        None, description="Money, at the server's prices."
    )
    accuracy: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Be right this often, on average over requests, at the least cost."
    )
    target_accuracy: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="An older name of accuracy."
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(
        None, description="With an accuracy: how surely the mean over requests is to reach it."
    )
    mean_flops: Annotated[float, Field(gt=0, le=1e18)] | None = Field(
        None, description="The most accuracy over requests that take so many FLOPs on average."
    )
    mean_tokens: Annotated[float, Field(gt=0, le=1e18)] | None = Field(
        None, description="The most accuracy over requests that take so many tokens on average."
    )
    price: Annotated[float, Field(ge=0, le=1e18)] | None = Field(
        None, description="Accuracy that a FLOP (or a token, by price_unit) must add to be spent."
    )
    price_unit: Literal["flops", "tokens"] | None = Field(None, description="What the price is per.")


#: how a document shows a budget
_BUDGET = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 10**18},
        {"$ref": "#/components/schemas/BudgetBody"},
        {"type": "null"},
    ]
}


class Part(Body):
    """A part of a message. Parts other than text go to the policy's server untouched."""

    type: str
    text: str | None = None


class Message(Body):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class StreamOptions(Body):
    """``include_usage``: a last chunk with the usage and no choices."""

    include_usage: bool | None = None


class Wishes(Body):
    """What a request may say about the search, beside OpenAI's fields (``extra_body``)."""

    # whatever it is: the header's reader reads it (planner.server.request.budget), and says the same of it
    budget: Annotated[Any, WithJsonSchema(_BUDGET)] = Field(
        None,
        description="What may be spent: samples, or caps. Default: the model's name's, else the server's.",
    )
    reasoning_effort: Effort | None = Field(
        None, description="How much may be spent, where no budget says; for a forced plan, the policy's knob."
    )
    domain: str | None = Field(
        None,
        max_length=64,
        description="What reads and compares answers; default: the server's, else the planner says it.",
    )
    policy: str | None = Field(None, max_length=256, description="The only policy that may answer.")
    prm: str | None = Field(
        None, max_length=256, description="The only PRM that may be asked; none: no PRM at all."
    )
    abstain_below: float | None = Field(
        None, ge=0, le=1, description="Abstain where no plan is expected to be right this often."
    )
    draw_all: bool | None = Field(
        None, description="Draw on where what is missing cannot change the vote any more."
    )
    include: list[Literal["candidates", "steps", "alternatives", "why", "progress"]] | None = Field(
        None,
        max_length=5,
        description="More for the receipt, or for the plan; progress: a stream begins at once.",
    )


class _Sampling(Wishes):
    """Fields that chat and completions share."""

    model: str = Field("planner", max_length=1024, description=MODEL)
    n: int | None = Field(
        None, ge=1, description="Answers, worked on at the same time, each under an equal part of the budget."
    )
    temperature: float | None = Field(
        None, ge=0, le=2, description="Of single answers; a search draws as the planner was fitted."
    )
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=_INT64)
    max_tokens: int | None = Field(None, ge=1, le=_INT64, description="Of each solution, not of all.")
    stop: str | list[str] | None = None
    seed: int | None = Field(None, ge=-_INT64 - 1, le=_INT64)
    stream: bool | None = Field(
        None, description="Progress as SSE comments, then the answer as chunks, the receipt in the last."
    )
    stream_options: StreamOptions | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None
    user: str | None = None


class ChatBody(_Sampling):
    """``POST /v1/chat/completions``."""

    messages: list[Message] = Field(
        min_length=1, description="The last thing that the user says is the question."
    )
    max_completion_tokens: int | None = Field(None, ge=1, le=_INT64)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[dict[str, Any]] | None = Field(None, description="With tools the policy answers once.")
    tool_choice: str | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None


class CompletionBody(_Sampling):
    """``POST /v1/completions``. The prompt is a question: the policy sees it as a user's turn."""

    prompt: str | list[str] = Field(description="A question, or several, each with a budget of its own.")
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = Field(None, ge=1)


class PlanBody(Wishes):
    """``POST /v1/plan``: one question or several; no token is spent."""

    model: str = Field("planner", max_length=1024, description=MODEL)
    question: str | None = Field(None, description="One question, or else questions.")
    questions: list[str] | None = Field(None, description="Several: a plan each, in order.")


class FeedbackBody(Body):
    """``POST /v1/feedback``: what came of the answered request ``id``. At least one outcome is given."""

    id: str = Field(min_length=1, max_length=128, description="Of the response.")
    correct: bool | None = Field(None, description="Whether its answer was right.")
    score: float | None = Field(None, ge=0, le=1, description="How good it was.")
    candidate: int | None = Field(
        None, ge=0, le=_INT64, description="Which of its candidates was right, counted from 0."
    )
