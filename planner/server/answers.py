"""What the server answers, as models for the OpenAPI document. Tests hold every answer to it.

They describe: the routes build plain objects, which nothing copies or checks on their way. Objects may grow:
a field that is not named here may come with a later version, a named one is always there unless it is
``MAYBE``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

__all__ = [
    "Advice",
    "Alternative",
    "AnswerMessage",
    "AnthropicMessage",
    "Assignment",
    "CachedTokens",
    "Cause",
    "ChallengeNow",
    "ChatChoice",
    "ChatCompletion",
    "Comparison",
    "Completion",
    "CompletionChoice",
    "Decision",
    "Decisions",
    "DriftNow",
    "Error",
    "ErrorDetail",
    "Errors",
    "Event",
    "Expectation",
    "Exploration",
    "Explored",
    "Feedback",
    "Figure",
    "GrantedBudget",
    "Health",
    "InFlight",
    "IncompleteDetails",
    "Known",
    "KnownModel",
    "Latency",
    "MainFactor",
    "MessageBlock",
    "MessageUsage",
    "MessagesError",
    "Model",
    "ModelNow",
    "Models",
    "NotReady",
    "Now",
    "Plan",
    "PlanShare",
    "Plans",
    "ProbeShown",
    "Promised",
    "PromptReceipts",
    "Ready",
    "ReasoningTokens",
    "Receipt",
    "ReceiptCandidate",
    "ReceiptExpectation",
    "Receipts",
    "Recorded",
    "RecordedCandidate",
    "Reloaded",
    "Requests",
    "Response",
    "ResponseItem",
    "ResponseUsage",
    "RunnerUp",
    "Savings",
    "Signals",
    "Slice",
    "Spend",
    "Stage",
    "Step",
    "Strategies",
    "Strategy",
    "Summary",
    "Target",
    "TokenCount",
    "Usage",
    "WindowSpend",
]


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


#: a field that may be missing
MAYBE: Any = Field(default=None, json_schema_extra=_without_default)

Count = Annotated[int, Field(ge=0)]
Cost = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Json = dict[str, Any]


class _Choice(BaseModel):
    policy: str
    prm: str | None
    plan: str


class _Expected(BaseModel):
    accuracy: Share | None
    tokens: Cost | None
    flops: Cost | None


# ---- errors


class ErrorDetail(BaseModel):
    """What went wrong: the rule, then the value."""

    message: str
    type: str
    param: str | None
    code: str


class Error(BaseModel):
    """An error as OpenAI's API has it."""

    error: ErrorDetail


class MessagesError(BaseModel):
    """An error as Anthropic's API has it."""

    type: Literal["error"]
    error: ErrorDetail
    request_id: str | None = MAYBE


class Event(BaseModel):
    """One event of a stream: a chunk or an event in JSON, an error in JSON, or [DONE]."""

    data: str


# ---- receipts


class Spend(BaseModel):
    """Logical cost, measured seconds, and money where there are prices."""

    tokens: Count
    policy_tokens: Count
    prm_tokens: Count
    flops: Cost
    seconds: Cost
    usd: Cost | None


class Usage(BaseModel):
    """Tokens, as OpenAI's API has them."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count


class ProbeShown(BaseModel):
    """What has been or will be seen."""

    policy: str
    samples: Count
    prm: str | None


class Target(BaseModel):
    """An accuracy that was asked for, and what it takes."""

    asked: Share
    confidence: Share | None
    reached: bool
    prices: list[Cost]
    share: Share
    accuracy: Share
    low: Share | None
    tokens: Cost
    flops: Cost


class RunnerUp(_Choice, _Expected):
    """The next best choice."""


class Advice(_Choice, _Expected):
    """A recommendation."""

    look: ProbeShown | None
    interval: list[Share]
    tokens_p90: Cost | None
    flops_p90: Cost | None
    seconds: Cost | None
    abstain: bool
    by_rule: bool
    neighbours: Count
    runner_up: RunnerUp | None
    warnings: list[str]
    propensity: Share
    target: Target = MAYBE


class Expectation(_Choice, _Expected):
    """A choice and what the planner's model expects of it."""

    usd: Cost | None


class Comparison(BaseModel):
    """What the planner would have done for a request, and what was done instead."""

    plain: Expectation
    planned: Expectation | None
    vote: Expectation | None
    reason: str | None
    plain_answer: str | None


class GrantedBudget(BaseModel):
    """What was asked for and by whom, and what was granted."""

    asked: Json
    source: Literal["header", "body", "effort", "model", "default"]
    granted: Json
    share: Share


class _Candidate(BaseModel):
    draw: int
    text: str
    answer: str | None
    tokens: Count
    finish_reason: str
    chosen: bool


class ReceiptCandidate(_Candidate):
    """A candidate of an answer."""

    score: float | None


class Explored(BaseModel):
    """What exploring is expected to have cost."""

    accuracy: float
    tokens: float
    flops: float


class Stage(_Choice, _Expected):
    """One decision: what was known, what was advised, and what following it took."""

    look: ProbeShown | None
    next_look: ProbeShown | None
    propensity: Share
    spend: Spend
    explored: Explored = MAYBE


class ReceiptExpectation(_Expected):
    """What was expected of an answer."""

    interval: list[Share] | None
    seconds: Cost | None


class _ReceiptHead(BaseModel):
    id: str
    reason: str | None
    detail: str | None
    budget: GrantedBudget


class Receipt(_ReceiptHead, _Choice):
    """How an answer came about, and what it took."""

    stages: list[Stage]
    expected: ReceiptExpectation
    spend: Spend
    answer: str | None
    outcome: str
    agreement: Share | None
    abstained: bool
    escalated: bool
    ended: Literal["settled", "price", "deadline", "policy_failed"] | None
    without: list[str]
    warnings: list[str]
    candidates: list[ReceiptCandidate] = MAYBE
    sampling: str = MAYBE
    shadow: Comparison | None = MAYBE
    target: Target = MAYBE


class Receipts(_ReceiptHead):
    """The receipt of several answers to one request."""

    spend: Spend
    choices: list[Receipt]


class PromptReceipts(BaseModel):
    """The receipts of several prompts."""

    id: str
    choices: list[Receipt]


# ---- answers


class AnswerMessage(BaseModel):
    """What an assistant says."""

    role: Literal["assistant"]
    content: str | None


class ChatChoice(BaseModel):
    """One answer."""

    index: Count
    message: AnswerMessage
    finish_reason: str


class CompletionChoice(BaseModel):
    """One answer."""

    index: Count
    text: str
    finish_reason: str


class _Completion(BaseModel):
    id: str
    object: str
    model: str
    #: the policy's own server's, where it answered
    usage: Usage | None = MAYBE
    created: int = MAYBE
    planner: Receipt | Receipts | PromptReceipts


class ChatCompletion(_Completion):
    """A chat completion of OpenAI's with the receipt in it."""

    choices: list[ChatChoice]


class Completion(_Completion):
    """A completion of OpenAI's with the receipt in it."""

    choices: list[CompletionChoice]


class CachedTokens(BaseModel):
    """Of the input."""

    cached_tokens: Count


class ReasoningTokens(BaseModel):
    """Of the output."""

    reasoning_tokens: Count


class ResponseUsage(BaseModel):
    """Tokens, as OpenAI's Responses have them."""

    input_tokens: Count
    input_tokens_details: CachedTokens
    output_tokens: Count
    output_tokens_details: ReasoningTokens
    total_tokens: Count


class IncompleteDetails(BaseModel):
    """Why a response is not complete."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseItem(BaseModel):
    """One item of the output."""

    type: Literal["message", "function_call", "reasoning"]
    id: str
    status: str


class Response(BaseModel):
    """A response of OpenAI's with the receipt in it."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    error: Json | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    metadata: Json
    model: str
    output: list[ResponseItem]
    parallel_tool_calls: bool
    tool_choice: str | Json
    tools: list[Json]
    store: bool
    planner: Receipt
    usage: ResponseUsage | None = MAYBE


class MessageBlock(BaseModel):
    """One block of a message."""

    type: Literal["text", "tool_use", "thinking"]


class MessageUsage(BaseModel):
    """Tokens, as Anthropic's API has them."""

    input_tokens: Count
    cache_creation_input_tokens: Count
    cache_read_input_tokens: Count
    output_tokens: Count


class AnthropicMessage(BaseModel):
    """A message of Anthropic's with the receipt in it."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[MessageBlock]
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]
    stop_sequence: str | None
    usage: MessageUsage
    planner: Receipt


class TokenCount(BaseModel):
    """Tokens of a prompt."""

    input_tokens: Count


# ---- plans, and what there is to choose from


class Alternative(_Choice, _Expected):
    """Another choice."""

    tokens_p90: Cost | None
    flops_p90: Cost | None
    seconds: Cost | None
    fits: bool
    over: bool


class MainFactor(BaseModel):
    """A main factor of a decision."""

    feature: str
    value: float | None
    effect: float | None


class Plan(BaseModel):
    """Which plan would be run."""

    object: Literal["plan"]
    domain: str | None
    reason: str | None
    detail: str | None
    budget: GrantedBudget
    advice: Advice
    alternatives: list[Alternative] = MAYBE
    why: list[MainFactor] = MAYBE


class Plans(BaseModel):
    """A plan, or an error, for each of several questions."""

    object: Literal["list"]
    data: list[Plan | Error]


class Model(BaseModel):
    """A name that a request's ``model`` may have."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    kind: Literal["planner", "preset", "policy", "plan"]


class KnownModel(BaseModel):
    """A policy or a PRM, and whether it answered when it was last asked."""

    name: str
    parameters: int
    up: bool


class Known(BaseModel):
    """What else there is to choose from."""

    policies: list[KnownModel]
    prms: list[KnownModel]
    domains: list[str]
    plans: list[str]
    budget: Json
    ceiling: Json | None
    presets: Json
    prices: bool


class Models(BaseModel):
    """The names that a request's ``model`` may have."""

    object: Literal["list"]
    data: list[Model]
    planner: Known


class Strategy(BaseModel):
    """What a plan may be made of."""

    name: str
    caption: str
    parameters: list[str]
    vote: str | None
    joins_probe: bool | None


class Strategies(BaseModel):
    """All strategies, those of plug-ins too."""

    object: Literal["list"]
    data: list[Strategy]


# ---- decisions


class Feedback(BaseModel):
    """What came of a decision."""

    created: float
    correct: bool | None
    score: Share | None
    candidate: Count | None
    key: str | None


class Recorded(BaseModel):
    """Feedback is durable."""

    object: Literal["feedback"]
    id: str
    recorded: bool


class Summary(_Choice):
    """A decision in a list."""

    id: str
    created: float
    endpoint: str
    question: str
    domain: str
    answer: str | None
    outcome: str
    reason: str | None
    accuracy: Share | None
    tokens: Cost | None
    spend: Spend
    feedback: list[Feedback]


class Decisions(BaseModel):
    """Past decisions, newest first."""

    object: Literal["list"]
    data: list[Summary]
    next: str | None


class Assignment(BaseModel):
    """Which of two planners a request was given to."""

    champion: str
    challenger: str
    arm: Literal["champion", "challenger"]
    chance: Share


class Step(_Choice, _Expected):
    """One stage of a decision."""

    look: str
    next_look: str | None
    propensity: Share
    spend: Spend


class RecordedCandidate(_Candidate):
    """A candidate with its step rewards."""

    step_rewards: list[float]


class Decision(Summary):
    """Everything about a decision."""

    key: str | None
    planner: str | None
    budget: Json
    budget_source: str
    flops: Cost | None
    propensity: Share
    error: str | None
    comparison: Comparison | None
    chosen: Count | None
    steps: list[Step]
    candidates: list[RecordedCandidate]
    assignment: Assignment = MAYBE


class Figure(BaseModel):
    """A figure with its interval."""

    value: float | None
    low: float | None
    high: float | None
    requests: Count
    questions: Count
    is_known: bool


class Savings(BaseModel):
    """What planning would have saved or gained."""

    object: Literal["savings"]
    shadow: bool
    share: Share
    ran: Count
    dropped: Count
    newest: Count
    requests: Count
    planned: Count
    reasons: Json
    unit: Literal["usd", "flops", "tokens"]
    plain_cost: Cost | None
    planned_cost: Cost | None
    pairs: Count
    beside: Json
    rule: str
    accuracy: Figure
    cost: Figure
    vote_cost: Figure
    agreement: Figure
    measured_accuracy: Figure
    measured_cost: Figure
    cost_check: Figure
    planned_cost_check: Figure
    accuracy_check: Figure


# ---- the server


class Requests(BaseModel):
    """Requests, since the start and now."""

    per_second: Cost
    running: Count
    waiting: Count
    total: Count
    answered: Count
    failed: Count
    cancelled: Count
    refused: Count


class Slice(BaseModel):
    """A slice of time."""

    t: float
    requests: Count
    failed: Count
    cancelled: Count
    refused: Count
    refusals: Json
    failures: Json
    tokens: Count
    flops: Cost
    usd: Cost | None
    p50: Cost | None
    p95: Cost | None
    p99: Cost | None


class Latency(BaseModel):
    """Seconds that answers took."""

    p50: Cost | None
    p90: Cost | None
    p95: Cost | None
    p99: Cost | None


class Errors(BaseModel):
    """Requests that failed."""

    requests: Count
    failed: Count
    cancelled: Count
    rate: Share | None


class Cause(BaseModel):
    """Why requests were turned away, or failed."""

    cause: str
    requests: Count


class WindowSpend(BaseModel):
    """What requests took; ``usd`` of those ``priced``."""

    tokens: Count
    flops: Cost
    usd: Cost | None
    priced: Count


class InFlight(BaseModel):
    """Samples of a policy, or requests of a model in this process."""

    policy: str
    load: Count
    limit: Count


class PlanShare(_Choice):
    """A plan that answered."""

    requests: Count
    share: Share


class Promised(BaseModel):
    """Expected against actual values."""

    accuracy: Json
    tokens: Json
    seconds: Json


class DriftNow(BaseModel):
    """What has drifted."""

    drifted: Count
    shifts: list[Json]


class ModelNow(BaseModel):
    """Whether a model is up."""

    name: str
    kind: Literal["policy", "prm"]
    up: bool


class ChallengeNow(BaseModel):
    """The challenger beside the planner."""

    champion: str
    challenger: str
    share: Share
    promotes: bool
    promoted: Json | None
    state: Json | None


class Exploration(BaseModel):
    """What exploring has cost."""

    decisions: Count
    accuracy: float
    flops: float


class Signals(BaseModel):
    """Signals of drift."""

    planner: str
    raised: list[str]
    signals: list[Json]
    widening: list[float]
    problems: Count
    words: Count


class Now(BaseModel):
    """What is going on."""

    time: float
    uptime: Cost
    window: Cost
    requests: Requests
    windows: list[Count]
    series: list[Slice]
    latency: Latency
    errors: Errors
    refusals: list[Cause]
    failures: list[Cause]
    spend: WindowSpend
    in_flight: list[InFlight]
    workers: Count
    plans: list[PlanShare]
    promised: Promised
    majority: Json
    share: Share
    explore: Share
    drift: DriftNow | None
    log: Json
    models: list[ModelNow]
    planner: str
    version: str
    challenge: ChallengeNow = MAYBE
    exploration: Exploration = MAYBE
    signals: Signals = MAYBE


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"]


class Ready(BaseModel):
    """Requests can be answered."""

    status: Literal["ready"]
    policies_up: bool


class NotReady(BaseModel):
    """No policy answers."""

    status: Literal["not ready"]
    policies_up: bool


class Reloaded(BaseModel):
    """What is in use now."""

    object: Literal["planner"]
    planner: str
    changed: bool
    keys: Count
    workers: Count
