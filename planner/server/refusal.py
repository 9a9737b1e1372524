"""A request that is refused, or that failed: status, kind and words as OpenAI's API has them.

    {"error": {"message": "...", "type": "invalid_request_error", "param": "budget", "code": "budget"}}

It knows no web framework.

On the paths of Anthropic's API errors are as that API has them.

>>> error_body(Refusal("a key must be known, got none", 401), "/v1/messages", "req_1")["error"]["type"]
'authentication_error'
>>> error_body(Refusal("n is at least 1, got 0"), "/v1/chat/completions", "req_1")["error"]["type"]
'invalid_request_error'
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from search.errors import (
    BudgetError,
    ContextError,
    DecisionLogError,
    EngineError,
    GradingError,
    PlanError,
    PlannerError,
    ProblemError,
    RewardError,
    ServeError,
)

__all__ = [
    "Refusal",
    "brief",
    "busy",
    "error_body",
    "invalid",
    "is_messages",
    "is_refused",
    "messages_error",
    "refusal_of",
]

#: codes of refusals that name none
_CODES = {
    400: "invalid_value",
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "content_type",
    429: "rate_limit_exceeded",
    431: "too_large",
    499: "client_left",
    501: "not_implemented",
    502: "upstream",
    503: "unavailable",
    504: "deadline",
}

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    421: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
    501: "not_implemented_error",
    502: "upstream_error",
    503: "service_unavailable_error",
    504: "timeout_error",
}


class Refusal(ServeError):
    """A request gets this instead of an answer.

    Parameters
    ----------
    message:
        The rule, then the value. No question text and no secret: it may be logged.
    status:
        HTTP status, 400 to 599.
    param:
        The field that broke the rule.
    code:
        A stable word for programs (``context_length_exceeded``); of its status by default.
    retry_after:
        Seconds after which trying again makes sense.
    is_final:
        Whether clients must not try again by themselves.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        is_final: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code or _CODES.get(status, "invalid_value" if status < 500 else "internal")
        self.retry_after = retry_after
        self.is_final = is_final or status == 504  # whoever has no time left has none for another try

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the response."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """What the response carries beside its body."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.is_final:  # clients try again by themselves
            headers["x-should-retry"] = "false"
        return headers


def busy(message: str, retry_after: float, code: str) -> Refusal:
    """429: there is more work than is taken in."""
    return Refusal(message, 429, code=code, retry_after=retry_after)


def brief(value: object) -> str:
    """A value for a message, cut: clients may send anything."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        text = "a number of very many digits"
    return text if len(text) <= 80 else text[:77] + "..."


#: what FastAPI puts before the names of fields
_PARTS = ("body", "query", "path")

#: the branches of a field that takes several kinds, as the reader of bodies calls them -> in words
_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "list[str]": "a list of texts",
    "list[Part]": "a list of parts",
    "list[dict[str,any]]": "a list of objects",
    "dict[str,any]": "an object",
}


def invalid(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """What breaks its schema: 400, as OpenAI's API has it, with the first field that does.

    >>> str(invalid([{"loc": ("n",), "msg": "Input should be a valid integer"}]))
    'n: Input should be a valid integer'
    >>> str(invalid([{"loc": ("stop", kind), "msg": "", "type": ""} for kind in ("str", "list[str]")]))
    'stop must be a text or a list of texts, got another'
    """
    first = errors[0]
    if first["loc"] and first["loc"][-1] in _KINDS:
        field = [*first["loc"][:-1]]
        beside = [error for error in errors if [*error["loc"][: len(field)]] == field]
        kinds = [str(error["loc"][-1]) for error in beside if len(error["loc"]) == len(field) + 1]
        if len(kinds) == len(beside) > 1 and all(kind in _KINDS for kind in kinds):
            words = " or ".join(_KINDS[kind] for kind in kinds)
            return Refusal(
                f"{_place(field)} must be {words}, got another"[:300],
                param=_place(field),
                code="invalid_type",
            )
        first = max(beside, key=lambda error: len(error["loc"]))  # the kind that came closest
    place = _place(first["loc"])
    return Refusal(
        f"{place or 'body'}: {first['msg']}"[:300], param=place or None, code=_code(str(first.get("type")))
    )


def _code(kind: str) -> str:
    """The code for what a reader of bodies calls an error, in OpenAI's words."""
    if kind == "missing":
        return "missing_required_parameter"
    return "invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value"


def _place(path: Sequence[object]) -> str:
    """A field's name, with those that it lies in."""
    return ".".join(str(part) for part in path if part not in (*_PARTS, *_KINDS))


def refusal_of(error: BaseException) -> Refusal:
    """How an error of ours is told to a client. Others become 500 without their text."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ContextError):
        return Refusal(str(error), 400, param="messages", code="context_length_exceeded")
    if isinstance(error, EngineError):
        return Refusal(f"the policy's backend must answer, got {error}", 502, code="policy_failed")
    if isinstance(error, RewardError):
        return Refusal(f"the PRM's backend must answer, got {error}", 502, code="prm_failed")
    if isinstance(error, DecisionLogError):
        return Refusal(str(error), 503, code="log", retry_after=1.0)
    if isinstance(error, BudgetError):
        return Refusal(str(error), 400, param="budget", code="budget")
    if isinstance(error, PlanError):
        return Refusal(str(error), 400, param="model", code="plan")
    if isinstance(error, GradingError):
        return Refusal(str(error), 400, param="domain", code="domain")
    if isinstance(error, ProblemError | PlannerError):
        return Refusal(str(error), 400)
    return Refusal("the server failed", 500, code="internal")


def is_refused(error: BaseException) -> bool:
    """Whether a request that ends in this error was refused (4xx); else it failed (5xx). None is both.

    >>> is_refused(Refusal("n is at least 1, got 0")), is_refused(Refusal("a place must be free", 504))
    (True, False)
    """
    return refusal_of(error).status < 500


_MESSAGES_PATH = "/v1/messages"

_MESSAGES_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def is_messages(path: str) -> bool:
    """Whether a path is of Anthropic's protocol."""
    return path == _MESSAGES_PATH or path.startswith(f"{_MESSAGES_PATH}/")


def error_body(refusal: Refusal, path: str, request_id: str | None = None) -> dict[str, Any]:
    """The JSON of a refusal on a path: Anthropic's there, else OpenAI's."""
    return messages_error(refusal, request_id) if is_messages(path) else refusal.body


def messages_error(refusal: Refusal, request_id: str | None = None) -> dict[str, Any]:
    """The JSON of a refusal. ``param`` and ``code`` are ours: they say what OpenAI's errors say."""
    default = "api_error" if refusal.status >= 500 else "invalid_request_error"
    told = refusal.body["error"]
    error = {**told, "type": _MESSAGES_TYPES.get(refusal.status, default)}
    return {"type": "error", "error": error, "request_id": request_id}
