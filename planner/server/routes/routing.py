"""What routes share: the service of a request, the key that it brings, and how its body is read.

FastAPI documents direct routes like any other, but its own handler solves every dependency anew, opens two
exit stacks and reads the body's type as an e-mail's for each request, which takes longer than deciding does.
The middleware asks ``handlers`` straight.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from fastapi import APIRouter, Depends, Request
from fastapi.params import Depends as DependsOn
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from planner.server.access.exchange import Exchange
from planner.server.access.keys import ANYONE, Key, Scope
from planner.server.access.middleware import JSON, Handler
from planner.server.protocols.reading import kind_of
from planner.server.refusal import Refusal, brief, invalid
from planner.server.service import Service

__all__ = [
    "Admin",
    "Direct",
    "Feedbacker",
    "Here",
    "Inferrer",
    "handlers",
    "key_of",
    "service_of",
]


def service_of(request: Request) -> Service:
    """What the application was made with."""
    return cast(Service, request.app.state.service)


async def key_of(service: Service, request: Request, scope: Scope) -> Key:
    """The key of a request, which Anthropic's clients may bring as ``x-api-key``.

    Raises Refusal for one that may not do this.
    """
    address = "" if request.client is None else request.client.host
    said, secret = request.headers.get("authorization"), request.headers.get("x-api-key")
    if secret and not (said or "").lower().startswith("bearer "):
        said = f"Bearer {secret}"
    key = await service.let_in(said, scope, address)
    Exchange.now().key = None if key is ANYONE else key.name
    return key


# async, though they wait for nothing: FastAPI sends what is not through a thread, twice per request
async def _here(request: Request) -> Service:
    return service_of(request)


def _allowed(scope: Scope) -> Callable[[Request], Awaitable[Key]]:
    async def allow(request: Request) -> Key:
        return await key_of(service_of(request), request, scope)

    return allow


Here = Annotated[Service, Depends(_here)]
Inferrer = Annotated[Key, Depends(_allowed(Scope.INFER))]
Feedbacker = Annotated[Key, Depends(_allowed(Scope.FEEDBACK))]
Admin = Annotated[Key, Depends(_allowed(Scope.ADMIN))]


_Part = Callable[[Request], Awaitable[Any]]


class Direct(APIRoute):
    """A route whose endpoint takes a body, and perhaps the request and async dependencies of a request.

    Dependencies come first, in the order of the parameters, then the body: a client without a key hears of
    that only. Raises TypeError, as the route is made, for a parameter that it cannot fill.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint
        parts = _parts(endpoint)

        async def handle(request: Request) -> Response:
            found = await endpoint(**{name: await part(request) for name, part in parts.items()})
            return found if isinstance(found, Response) else JSONResponse(found)

        return handle


def handlers(router: APIRouter) -> Iterator[tuple[tuple[str, str], Handler]]:
    """(method, path) of a router's direct routes whose paths are fixed, and what answers there."""
    for route in router.routes:
        if isinstance(route, Direct) and not route.param_convertors:
            for method in route.methods or ():
                yield (method, route.path), route.get_route_handler()


def _parts(endpoint: Callable[..., Any]) -> dict[str, _Part]:
    """What fills each parameter, the body last."""
    hints = get_type_hints(endpoint, include_extras=True)
    parts: dict[str, _Part] = {}
    bodies: dict[str, _Part] = {}
    for name in inspect.signature(endpoint).parameters:
        hint = hints[name]
        needs = [each for each in get_args(hint) if isinstance(each, DependsOn)]
        if hint is Request:
            parts[name] = _request
        elif get_origin(hint) is Annotated and needs and needs[0].dependency is not None:
            parts[name] = needs[0].dependency
        elif isinstance(hint, type) and issubclass(hint, BaseModel):
            bodies[name] = _body(hint)
        else:
            raise TypeError(f"a direct route fills bodies, requests and dependencies, got {name}: {hint}")
    return parts | bodies


async def _request(request: Request) -> Request:
    return request


def _body(model: type[BaseModel]) -> _Part:
    async def read(request: Request) -> BaseModel:
        content = _content(request)
        if not isinstance(content, Mapping):
            raise Refusal(f"a body must be an object, got {kind_of(content)}", code="invalid_type")
        try:
            return model.model_validate(content)
        except ValidationError as error:
            raise invalid(error.errors(include_url=False)) from None

    return read


def _content(request: Request) -> Any:
    """What the middleware read, where its type says that it is JSON. Raises Refusal for another type.

    Pages of other sites may send other types without asking first, so these are refused.
    """
    said = request.headers.get("content-type", "")
    kind = said.partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return request.scope.get(JSON)
    raise Refusal(
        f"a body's content-type is application/json, got {brief(said) if said else 'none'}",
        param="content-type",
        code="content_type",
    )
