"""The application: routes, errors as OpenAI's API has them, and the middleware before all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from planner.server.access.exchange import Exchange
from planner.server.access.middleware import Middleware, RouteNames
from planner.server.console import mount
from planner.server.openapi import document
from planner.server.refusal import Refusal, error_body, invalid, refusal_of
from planner.server.request.beside import run_beside
from planner.server.request.shadow import HEADERS
from planner.server.routes import completions, decisions, models, operating, plan
from planner.server.routes.routing import handlers
from planner.server.service import Service
from planner.server.workers.questions import answer_peers
from planner.version import __version__
from search.errors import PlannerError

__all__ = ["create_app"]

_ROUTERS = (
    completions.router,
    models.router,
    plan.router,
    decisions.feedback_router,
    decisions.router,
    operating.router,
)


def create_app(service: Service) -> FastAPI:
    """The ASGI application of a service, which it starts and closes with its own life."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="Test-time planner",
        description="Plans each request under its budget, and answers through OpenAI's API.",
        version=__version__,
        lifespan=life,
        docs_url=None,  # they load scripts from other hosts; the console has a page of its own
        redoc_url=None,
    )
    app.state.service = service
    answer_peers(service)
    service.beside = partial(run_beside, service)
    routes: list[BaseRoute] = []
    for router in _ROUTERS:
        app.include_router(router)
        routes += router.routes
    mount(app)
    app.add_exception_handler(PlannerError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    direct = chain.from_iterable(handlers(router) for router in _ROUTERS)
    app.add_middleware(
        Middleware,
        sizes=service.rules.sizes,
        straight=dict(direct),
        origins=service.origins,
        names=RouteNames([*routes, *app.routes]),
        headers=() if service.rules.shadow is None else HEADERS,
        on_begin=service.tracing.begin,
        on_end=service.ended,
    )
    return app


def _respond(request: Request, refusal: Refusal) -> JSONResponse:
    exchange = Exchange.now()
    exchange.code = refusal.code
    body = error_body(refusal, request.url.path, exchange.request_id)
    return JSONResponse(body, refusal.status, headers=refusal.headers)


async def _refused(request: Request, error: Exception) -> Response:
    return _respond(request, refusal_of(error))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _respond(request, Refusal(str(error.detail), error.status_code))
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _respond(request, invalid(error.errors()))
