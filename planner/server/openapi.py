"""The OpenAPI document (``GET /openapi.json``): what each route takes and how it may answer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from planner.server.answers import ANSWERS, SCHEMAS
from planner.server.refusal import is_messages
from planner.server.schema import BudgetBody

__all__ = ["document"]

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}

_MESSAGES_ERROR = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"type": "string", "enum": ["error"]},
        "error": _ERROR["properties"]["error"],
        "request_id": {"type": ["string", "null"]},
    },
}

_STATUSES = {
    "400": "The request breaks a rule; the message says which and what it got.",
    "401": "The API key is unknown.",
    "403": "The API key lacks the scope.",
    "404": "No such model, decision or path.",
    "408": "The body did not arrive in time.",
    "409": "The artefact is refused; the old one stays.",
    "413": "The body is too large.",
    "421": "The request names a host that is not this server's.",
    "429": "Too many requests; Retry-After says when to try again.",
    "431": "The headers are too large.",
    "502": "The policy's or the PRM's backend failed.",
    "503": "Not now.",
    "504": "The deadline has passed and a backend did not end.",
}

#: what the operations are about, in the order of reading
_TAGS = {
    "Answers": (
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/models",
        "/v1/models/{name}",
    ),
    "Plans": ("/v1/plan", "/v1/strategies"),
    "Feedback and decisions": (
        "/v1/feedback",
        "/v1/decisions",
        "/v1/decisions.jsonl",
        "/v1/decisions/{decision_id}",
        "/v1/savings",
    ),
    "The server": ("/v1/now", "/healthz", "/readyz", "/metrics", "/admin/reload"),
}

_QUESTION = "What is (13+64)+80?"
_ID = "chatcmpl-0123456789abcdef01234567"

#: a body that each of these takes
_BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "planner",
        "messages": [{"role": "user", "content": _QUESTION}],
        "budget": {"tokens": 800},
    },
    "/v1/completions": {"model": "planner", "prompt": _QUESTION, "budget": {"tokens": 800}},
    "/v1/responses": {"model": "planner", "input": _QUESTION, "budget": {"tokens": 800}},
    "/v1/messages": {
        "model": "planner",
        "max_tokens": 224,
        "messages": [{"role": "user", "content": _QUESTION}],
        "budget": {"tokens": 800},
    },
    "/v1/messages/count_tokens": {
        "model": "planner",
        "messages": [{"role": "user", "content": _QUESTION}],
    },
    "/v1/plan": {"question": _QUESTION, "budget": {"tokens": 800}, "include": ["alternatives"]},
    "/v1/feedback": {"id": _ID, "correct": True},
}

#: a value of each parameter of a path
_PARAMETERS = {"name": "planner", "decision_id": _ID}

_STREAMED = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")

#: one event of a stream: a chunk or an event in JSON, an error in JSON, or [DONE]
_EVENT = {
    "type": "object",
    "title": "Event",
    "required": ["data"],
    "properties": {"data": {"type": "string"}},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schema["tags"] = [{"name": name} for name in _TAGS]
    tags = {path: name for name, paths in _TAGS.items() for path in paths}
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas |= {
        "Error": _ERROR,
        "MessagesError": _MESSAGES_ERROR,
        "BudgetBody": BudgetBody.model_json_schema(),
        **SCHEMAS,
    }
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    for path, methods in schema["paths"].items():
        error = "MessagesError" if is_messages(path) else "Error"
        for operation in methods.values():
            operation["tags"] = [tags[path]]
            operation["summary"] = operation["description"].partition(".")[0]
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["example"] = _PARAMETERS[parameter["name"]]
            if path in _BODIES:
                operation["requestBody"]["content"]["application/json"]["example"] = _BODIES[path]
            responses = operation["responses"]
            responses["200"]["description"] = "All is well."
            responses.pop("422", None)
            for status, words in _STATUSES.items():
                responses.setdefault(status, _answer(words, error))
            responses["200"]["content"] = _content(path)
            if path == "/readyz":
                responses["503"] = {**_answer("No policy answers."), "content": _json("NotReady")}
            if path not in ("/healthz", "/readyz"):
                operation["security"] = [{"key": []}, {"x-api-key": []}, {}]
    app.openapi_schema = schema
    return schema


def _content(path: str) -> dict[str, Any]:
    """What an endpoint answers when all is well."""
    if path == "/metrics":
        return {"text/plain": {"schema": {"type": "string"}}}
    if path == "/v1/decisions.jsonl":
        return {"application/x-ndjson": {"schema": {"type": "string"}}}
    content = _json(*ANSWERS[path])
    if path in _STREAMED:
        content["text/event-stream"] = {"schema": _EVENT}
    return content


def _answer(words: str, kind: str = "Error") -> dict[str, Any]:
    return {"description": words, "content": _json(kind)}


def _json(*names: str) -> dict[str, Any]:
    """JSON of one of these schemas."""
    every = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return {"application/json": {"schema": every[0] if len(every) == 1 else {"anyOf": every}}}
