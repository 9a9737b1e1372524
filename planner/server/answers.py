"""What the server answers, as JSON Schema for the OpenAPI document. Tests hold every answer to it.

Objects may grow: a field that is not named here may come with a later version, a named one is always there.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ANSWERS", "SCHEMAS"]

_Schema = dict[str, Any]

_TEXT: _Schema = {"type": "string"}
_NUMBER: _Schema = {"type": "number"}
_WHOLE: _Schema = {"type": "integer"}
_TRUTH: _Schema = {"type": "boolean"}
_ANY: _Schema = {"type": "object"}


def _null(schema: _Schema) -> _Schema:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: _Schema) -> _Schema:
    return {"type": "array", "items": schema}


def _word(*words: str) -> _Schema:
    return {"type": "string", "enum": list(words)}


def _the(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _of(optional: dict[str, _Schema] | None = None, /, **fields: _Schema) -> _Schema:
    """An object with all of these fields, and perhaps the optional ones."""
    return {"type": "object", "required": sorted(fields), "properties": {**fields, **(optional or {})}}


_COUNT: _Schema = {"type": "integer", "minimum": 0}
_COST: _Schema = {"type": "number", "minimum": 0}
_SHARE: _Schema = {"type": "number", "minimum": 0, "maximum": 1}
_CHOICE = {"policy": _TEXT, "prm": _null(_TEXT), "plan": _TEXT}
_EXPECTED = {"accuracy": _null(_SHARE), "tokens": _null(_COST), "flops": _null(_COST)}
_EXPECTATION = _of(**_CHOICE, **_EXPECTED, usd=_null(_COST))
_FIGURE = _of(
    value=_null(_NUMBER),
    low=_null(_NUMBER),
    high=_null(_NUMBER),
    requests=_COUNT,
    questions=_COUNT,
    is_known=_TRUTH,
)
_FIGURES = (
    *("accuracy", "cost", "vote_cost", "agreement", "measured_accuracy", "measured_cost"),
    *("cost_check", "planned_cost_check", "accuracy_check"),
)
_BUDGET = _of(
    asked=_ANY, source=_word("header", "body", "effort", "model", "default"), granted=_ANY, share=_SHARE
)
_RECEIPT_HEAD = {"id": _TEXT, "reason": _null(_TEXT), "detail": _null(_TEXT), "budget": _BUDGET}
_CANDIDATE = {
    "draw": _WHOLE,
    "text": _TEXT,
    "answer": _null(_TEXT),
    "tokens": _COUNT,
    "finish_reason": _TEXT,
    "chosen": _TRUTH,
}
_MODEL = {
    "id": _TEXT,
    "object": _word("model"),
    "created": _WHOLE,
    "owned_by": _TEXT,
    "kind": _word("planner", "preset", "policy", "plan"),
}
_KNOWN_MODEL = _of(name=_TEXT, parameters=_WHOLE, up=_TRUTH)
_SUMMARY = {
    "id": _TEXT,
    "created": _NUMBER,
    "endpoint": _TEXT,
    "question": _TEXT,
    "domain": _TEXT,
    "answer": _null(_TEXT),
    "outcome": _TEXT,
    "reason": _null(_TEXT),
    **_CHOICE,
    "accuracy": _null(_SHARE),
    "tokens": _null(_COST),
    "spend": _the("Spend"),
    "feedback": _list(
        _of(
            created=_NUMBER,
            correct=_null(_TRUTH),
            score=_null(_SHARE),
            candidate=_null(_COUNT),
            key=_null(_TEXT),
        )
    ),
}


def _completion(choice: _Schema) -> _Schema:
    """A body of OpenAI's with the receipt in it. ``usage`` is the policy's own server's where it answered."""
    return _of(
        {"usage": _null(_the("Usage")), "created": _WHOLE},
        id=_TEXT,
        object=_TEXT,
        model=_TEXT,
        choices=_list(choice),
        planner={"anyOf": [_the("Receipt"), _the("Receipts"), _the("PromptReceipts")]},
    )


SCHEMAS: dict[str, _Schema] = {
    "Spend": _of(
        tokens=_COUNT,
        policy_tokens=_COUNT,
        prm_tokens=_COUNT,
        flops=_COST,
        seconds=_COST,
        usd=_null(_COST),
    ),
    "Usage": _of(prompt_tokens=_COUNT, completion_tokens=_COUNT, total_tokens=_COUNT),
    "Look": _of(policy=_TEXT, samples=_COUNT, prm=_null(_TEXT)),
    "Target": _of(
        asked=_SHARE,
        confidence=_null(_SHARE),
        reached=_TRUTH,
        prices=_list(_COST),
        share=_SHARE,
        accuracy=_SHARE,
        low=_null(_SHARE),
        tokens=_COST,
        flops=_COST,
    ),
    "Advice": _of(
        {"target": _the("Target")},
        **_CHOICE,
        **_EXPECTED,
        look=_null(_the("Look")),
        interval=_list(_SHARE),
        tokens_p90=_null(_COST),
        flops_p90=_null(_COST),
        seconds=_null(_COST),
        abstain=_TRUTH,
        by_rule=_TRUTH,
        neighbours=_COUNT,
        runner_up=_null(_of(**_CHOICE, **_EXPECTED)),
        warnings=_list(_TEXT),
        propensity=_SHARE,
    ),
    "Comparison": _of(
        plain=_EXPECTATION,
        planned=_null(_EXPECTATION),
        vote=_null(_EXPECTATION),
        reason=_null(_TEXT),
        plain_answer=_null(_TEXT),
    ),
    "Receipt": _of(
        {
            "candidates": _list(_of(**_CANDIDATE, score=_null(_NUMBER))),
            "sampling": _TEXT,
            "shadow": _null(_the("Comparison")),
            "target": _the("Target"),
        },
        **_RECEIPT_HEAD,
        **_CHOICE,
        stages=_list(
            _of(
                {"explored": _of(accuracy=_NUMBER, tokens=_NUMBER, flops=_NUMBER)},
                **_CHOICE,
                **_EXPECTED,
                look=_null(_the("Look")),
                next_look=_null(_the("Look")),
                propensity=_SHARE,
                spend=_the("Spend"),
            )
        ),
        expected=_of(**_EXPECTED, interval=_null(_list(_SHARE)), seconds=_null(_COST)),
        spend=_the("Spend"),
        answer=_null(_TEXT),
        outcome=_TEXT,
        agreement=_null(_SHARE),
        abstained=_TRUTH,
        escalated=_TRUTH,
        ended=_null(_word("settled", "price", "deadline", "policy_failed")),
        without=_list(_TEXT),
        warnings=_list(_TEXT),
    ),
    "Receipts": _of(**_RECEIPT_HEAD, spend=_the("Spend"), choices=_list(_the("Receipt"))),
    "PromptReceipts": _of(id=_TEXT, choices=_list(_the("Receipt"))),
    "ChatCompletion": _completion(
        _of(index=_COUNT, message=_of(role=_word("assistant"), content=_null(_TEXT)), finish_reason=_TEXT)
    ),
    "Completion": _completion(_of(index=_COUNT, text=_TEXT, finish_reason=_TEXT)),
    "Response": _of(
        {"usage": _null(_the("ResponseUsage"))},
        id=_TEXT,
        object=_word("response"),
        created_at=_WHOLE,
        status=_word("completed", "incomplete"),
        error=_null(_ANY),
        incomplete_details=_null(_of(reason=_word("max_output_tokens", "content_filter"))),
        instructions=_null(_TEXT),
        metadata=_ANY,
        model=_TEXT,
        output=_list(_of(type=_word("message", "function_call", "reasoning"), id=_TEXT, status=_TEXT)),
        parallel_tool_calls=_TRUTH,
        tool_choice={"anyOf": [_TEXT, _ANY]},
        tools=_list(_ANY),
        store=_TRUTH,
        planner=_the("Receipt"),
    ),
    "AnthropicMessage": _of(
        id=_TEXT,
        type=_word("message"),
        role=_word("assistant"),
        model=_TEXT,
        content=_list(_of(type=_word("text", "tool_use", "thinking"))),
        stop_reason=_word("end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"),
        stop_sequence=_null(_TEXT),
        usage=_of(
            input_tokens=_COUNT,
            cache_creation_input_tokens=_COUNT,
            cache_read_input_tokens=_COUNT,
            output_tokens=_COUNT,
        ),
        planner=_the("Receipt"),
    ),
    "TokenCount": _of(input_tokens=_COUNT),
    "ResponseUsage": _of(
        input_tokens=_COUNT,
        input_tokens_details=_of(cached_tokens=_COUNT),
        output_tokens=_COUNT,
        output_tokens_details=_of(reasoning_tokens=_COUNT),
        total_tokens=_COUNT,
    ),
    "Plan": _of(
        {
            "alternatives": _list(
                _of(
                    **_CHOICE,
                    **_EXPECTED,
                    tokens_p90=_null(_COST),
                    flops_p90=_null(_COST),
                    seconds=_null(_COST),
                    fits=_TRUTH,
                    over=_TRUTH,
                )
            ),
            "why": _list(_of(feature=_TEXT, value=_null(_NUMBER), effect=_null(_NUMBER))),
        },
        object=_word("plan"),
        domain=_null(_TEXT),
        reason=_null(_TEXT),
        detail=_null(_TEXT),
        budget=_BUDGET,
        advice=_the("Advice"),
    ),
    "Plans": _of(object=_word("list"), data=_list({"anyOf": [_the("Plan"), _the("Error")]})),
    "Model": _of(**_MODEL),
    "Strategies": _of(
        object=_word("list"),
        data=_list(
            _of(
                name=_TEXT,
                caption=_TEXT,
                parameters=_list(_TEXT),
                vote=_null(_TEXT),
                joins_probe=_null(_TRUTH),
            )
        ),
    ),
    "Models": _of(
        object=_word("list"),
        data=_list(_the("Model")),
        planner=_of(
            policies=_list(_KNOWN_MODEL),
            prms=_list(_KNOWN_MODEL),
            domains=_list(_TEXT),
            plans=_list(_TEXT),
            budget=_ANY,
            ceiling=_null(_ANY),
            presets=_ANY,
            prices=_TRUTH,
        ),
    ),
    "Recorded": _of(object=_word("feedback"), id=_TEXT, recorded=_TRUTH),
    "Decisions": _of(object=_word("list"), data=_list(_of(**_SUMMARY)), next=_null(_TEXT)),
    "Decision": _of(
        {
            "assignment": _of(
                champion=_TEXT, challenger=_TEXT, arm=_word("champion", "challenger"), chance=_SHARE
            )
        },
        **_SUMMARY,
        key=_null(_TEXT),
        planner=_null(_TEXT),
        budget=_ANY,
        budget_source=_TEXT,
        flops=_null(_COST),
        propensity=_SHARE,
        error=_null(_TEXT),
        comparison=_null(_the("Comparison")),
        chosen=_null(_COUNT),
        steps=_list(
            _of(
                **_CHOICE,
                **_EXPECTED,
                look=_TEXT,
                next_look=_null(_TEXT),
                propensity=_SHARE,
                spend=_the("Spend"),
            )
        ),
        candidates=_list(_of(**_CANDIDATE, step_rewards=_list(_NUMBER))),
    ),
    "Savings": _of(
        object=_word("savings"),
        shadow=_TRUTH,
        share=_SHARE,
        ran=_COUNT,
        dropped=_COUNT,
        newest=_COUNT,
        requests=_COUNT,
        planned=_COUNT,
        reasons=_ANY,
        unit=_word("usd", "flops", "tokens"),
        plain_cost=_null(_COST),
        planned_cost=_null(_COST),
        pairs=_COUNT,
        beside=_ANY,
        rule=_TEXT,
        **dict.fromkeys(_FIGURES, _FIGURE),
    ),
    "Now": _of(
        {
            "challenge": _of(
                champion=_TEXT,
                challenger=_TEXT,
                share=_SHARE,
                promotes=_TRUTH,
                promoted=_ANY,
                state=_ANY,
            ),
            "exploration": _of(decisions=_COUNT, accuracy=_NUMBER, flops=_NUMBER),
            "signals": _of(
                planner=_TEXT,
                raised=_list(_TEXT),
                signals=_list(_ANY),
                widening=_list(_NUMBER),
                problems=_COUNT,
                words=_COUNT,
            ),
        },
        time=_NUMBER,
        uptime=_COST,
        window=_COST,
        requests=_of(
            per_second=_COST,
            running=_COUNT,
            waiting=_COUNT,
            total=_COUNT,
            answered=_COUNT,
            failed=_COUNT,
            cancelled=_COUNT,
            refused=_COUNT,
        ),
        windows=_list(_COUNT),
        series=_list(
            _of(
                t=_NUMBER,
                requests=_COUNT,
                failed=_COUNT,
                cancelled=_COUNT,
                refused=_COUNT,
                refusals=_ANY,
                failures=_ANY,
                tokens=_COUNT,
                flops=_COST,
                usd=_null(_COST),
                p50=_null(_COST),
                p95=_null(_COST),
                p99=_null(_COST),
            )
        ),
        latency=_of(p50=_null(_COST), p90=_null(_COST), p95=_null(_COST), p99=_null(_COST)),
        errors=_of(requests=_COUNT, failed=_COUNT, cancelled=_COUNT, rate=_null(_SHARE)),
        refusals=_list(_of(cause=_TEXT, requests=_COUNT)),
        failures=_list(_of(cause=_TEXT, requests=_COUNT)),
        spend=_of(tokens=_COUNT, flops=_COST, usd=_null(_COST), priced=_COUNT),
        in_flight=_list(_of(policy=_TEXT, load=_COUNT, limit=_COUNT)),
        workers=_COUNT,
        plans=_list(_of(**_CHOICE, requests=_COUNT, share=_SHARE)),
        promised=_of(accuracy=_ANY, tokens=_ANY, seconds=_ANY),
        majority=_ANY,
        share=_SHARE,
        explore=_SHARE,
        drift=_null(_of(drifted=_COUNT, shifts=_list(_ANY))),
        log=_ANY,
        models=_list(_of(name=_TEXT, kind=_word("policy", "prm"), up=_TRUTH)),
        planner=_TEXT,
        version=_TEXT,
    ),
    "Health": _of(status=_word("ok")),
    "Ready": _of(status=_word("ready"), policies_up=_TRUTH),
    "NotReady": _of(status=_word("not ready"), policies_up=_TRUTH),
    "Reloaded": _of(object=_word("planner"), planner=_TEXT, changed=_TRUTH, keys=_COUNT, workers=_COUNT),
}

#: path -> the schemas of its answer with status 200
ANSWERS: dict[str, tuple[str, ...]] = {
    "/v1/chat/completions": ("ChatCompletion",),
    "/v1/completions": ("Completion",),
    "/v1/responses": ("Response",),
    "/v1/messages": ("AnthropicMessage",),
    "/v1/messages/count_tokens": ("TokenCount",),
    "/v1/models": ("Models",),
    "/v1/models/{name}": ("Model",),
    "/v1/plan": ("Plan", "Plans"),
    "/v1/strategies": ("Strategies",),
    "/v1/feedback": ("Recorded",),
    "/v1/decisions": ("Decisions",),
    "/v1/decisions/{decision_id}": ("Decision",),
    "/v1/savings": ("Savings",),
    "/v1/now": ("Now",),
    "/healthz": ("Health",),
    "/readyz": ("Ready",),
    "/admin/reload": ("Reloaded",),
}
