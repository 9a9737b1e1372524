"""Who may come in: the service of a request, and the key that it brings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Annotated, cast

from fastapi import Depends, Request

from planner.server.access.exchange import Notes
from planner.server.access.keys import ANYONE, Key, Scope
from planner.server.access.middleware import ASKING
from planner.server.service import Service

__all__ = ["Admin", "Feedbacker", "Here", "Inferrer", "key_of", "service_of"]


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
    Notes.of(request.scope).key = None if key is ANYONE else key.name
    return key


# async, though they wait for nothing: FastAPI sends what is not through a thread, twice per request
async def _here(request: Request) -> Service:
    return service_of(request)


def _allowed(scope: Scope) -> Callable[[Request], Awaitable[Key]]:
    async def allow(request: Request) -> Key:
        service = service_of(request)
        with service.rolling.refusing() if request.scope["path"] in ASKING else nullcontext():
            return await key_of(service, request, scope)

    return allow


Here = Annotated[Service, Depends(_here)]
Inferrer = Annotated[Key, Depends(_allowed(Scope.INFER))]
Feedbacker = Annotated[Key, Depends(_allowed(Scope.FEEDBACK))]
Admin = Annotated[Key, Depends(_allowed(Scope.ADMIN))]
