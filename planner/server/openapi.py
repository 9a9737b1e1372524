"""The OpenAPI document (``GET /openapi.json``): what each route takes and how it may answer.

Each route says by what models it answers (``answered``); the document is made of them.
"""

from __future__ import annotations

from typing import Any, Union

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from planner.server.answers import Error, Event, MessagesError
from planner.server.refusal import is_messages
from planner.server.schema import BudgetBody

__all__ = ["answered", "document", "streamed"]

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
_TAGS = ("Answers", "Plans", "Feedback and decisions", "The server")

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


def answered(tag: str, *models: type[BaseModel], kind: str = "application/json") -> dict[str, Any]:
    """How a route answers when all is well, as its decorator takes it: a body of one of these models.

    The models describe it: the route makes what it sends, which nothing checks or copies. Without a model it
    is a text of this ``kind``.
    """
    assert tag in _TAGS
    well: dict[str, Any] = {"description": "All is well."}
    if models:
        well["model"] = Union[models]  # noqa: UP007 (of a tuple)
    else:
        well["content"] = {kind: {"schema": {"type": "string"}}}
    return {"tags": [tag], "response_model": None, "responses": {200: well}}


def streamed(*models: type[BaseModel]) -> dict[str, Any]:
    """``answered`` of a route that may also answer as a stream of events."""
    route = answered("Answers", *models)
    route["responses"][200]["content"] = {"text/event-stream": {"schema": Event.model_json_schema()}}
    return route


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schema["tags"] = [{"name": name} for name in _TAGS]
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    _, more = models_json_schema(
        [(model, "serialization") for model in (Error, MessagesError, BudgetBody)],
        ref_template="#/components/schemas/{model}",
    )
    schemas |= more["$defs"]
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    for path, methods in schema["paths"].items():
        error = "MessagesError" if is_messages(path) else "Error"
        for operation in methods.values():
            operation["summary"] = operation["description"].partition(".")[0]
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["example"] = _PARAMETERS[parameter["name"]]
            if path in _BODIES:
                operation["requestBody"]["content"]["application/json"]["example"] = _BODIES[path]
            responses = operation["responses"]
            responses.pop("422", None)
            for status, words in _STATUSES.items():
                responses.setdefault(status, _answer(words, error))
            _without_json(responses["200"]["content"])
            if path not in ("/healthz", "/readyz"):
                operation["security"] = [{"key": []}, {"x-api-key": []}, {}]
    app.openapi_schema = schema
    return schema


def _answer(words: str, kind: str) -> dict[str, Any]:
    return {
        "description": words,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind}"}}},
    }


def _without_json(content: dict[str, Any]) -> None:
    """A route that answers with a text has no JSON, which FastAPI adds."""
    if any(kind not in ("application/json", "text/event-stream") for kind in content):
        content.pop("application/json", None)
