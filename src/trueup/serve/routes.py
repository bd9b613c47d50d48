"""The routes of the endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from trueup.serve import reply
from trueup.serve.failure import Failure, to_failure
from trueup.serve.order import Order, model_names, read_order, unknown_model
from trueup.serve.server import is_key
from trueup.serve.service import Served, Service, shutting_down
from trueup.serve.transport import EventStream, read_body, stop, wait_for
from trueup.serve.wire import ModelEntry, ModelList

CLIENT_GONE = 499

Work = Callable[[Request], Awaitable[Response]]


def build_app(service: Service, key: str | None, heartbeat_seconds: float) -> Starlette:
    """The app of a service; with a key every route but /health asks for it."""
    routes = Routes(service, key, heartbeat_seconds)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.close()

    app = Starlette(
        routes=[
            Route("/health", _health),
            Route("/metrics", routes.guard(routes.metrics)),
            Route("/v1/models", routes.guard(routes.models)),
            Route("/v1/models/{name:path}", routes.guard(routes.model)),
            Route("/v1/chat/completions", routes.guard(routes.chat), methods=["POST"]),
        ],
        exception_handlers={HTTPException: _no_such_route},
        lifespan=lifespan,
    )
    app.state.key, app.state.service = key, service
    return app


class Routes:
    """One method per route, all with one service."""

    def __init__(self, service: Service, key: str | None, heartbeat_seconds: float) -> None:
        """Answer from a service."""
        self._service = service
        self._key = key
        self._heartbeat_seconds = heartbeat_seconds
        self._created = int(time.time())

    def guard(self, work: Work) -> Work:
        """A route that asks for the key, and turns whatever goes wrong into an error in OpenAI's shape."""

        async def guarded(request: Request) -> Response:
            try:
                if self._key is not None and not is_key(request.headers.get("authorization"), self._key):
                    told = "no valid API key; send it as 'Authorization: Bearer KEY'"
                    raise Failure(401, told, code="invalid_api_key")
                response = await work(request)
            except Exception as error:
                response = to_failure(error).response()
            response.headers["x-request-id"] = uuid4().hex
            return response

        return guarded

    async def metrics(self, _: Request) -> Response:
        """The meter."""
        gate = self._service.gate
        gauges = {"trueup_active_requests": gate.active, "trueup_waiting_requests": gate.waiting}
        return PlainTextResponse(self._service.meter.text(gauges))

    async def models(self, _: Request) -> Response:
        """Every name that `model` may be."""
        data = [ModelEntry(id=name, created=self._created) for name in model_names(self._service.policy)]
        return _json(ModelList(data=data).model_dump_json())

    async def model(self, request: Request) -> Response:
        """One of these names."""
        name = request.path_params["name"]
        if name not in model_names(self._service.policy):
            raise unknown_model(name, self._service.policy)
        return _json(ModelEntry(id=name, created=self._created).model_dump_json())

    async def chat(self, request: Request) -> Response:
        """Read an order, work on it while the client is there, answer whole or as a stream."""
        stratum, has_own_form = "", False
        try:
            body = await read_body(request)
            order = read_order(body, self._service.policy, self._service.desks, self._service.seeds)
            stratum, has_own_form = order.desk.stratum.name, order.has_own_form
            response = await self._serve(request, order)
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
        except (Exception, asyncio.CancelledError) as error:
            response = _failure(error, has_own_form=has_own_form).response()
        self._service.meter.request(stratum, response.status_code)
        return response

    async def _serve(self, request: Request, order: Order) -> Response:
        """Wait for the answer; a stream begins after one heartbeat at the latest.

        What fails before is told by its status; what is done by then has all its headers.
        """
        work = self._service.begin(order)
        try:
            is_here = await wait_for(work, request, self._heartbeat_seconds if order.is_streamed else None)
            served = work.result() if work.done() and is_here else None
        except BaseException:
            await stop(work)
            raise
        if not is_here:
            await stop(work)
            return Response(status_code=CLIENT_GONE)
        head = reply.Letterhead.of(order, self._service.clerk.model.card.fingerprint)
        if order.is_streamed:
            return EventStream(self._events(head, order, work), work, reply.headers(order, served))
        assert served is not None
        return _json(reply.completion(head, served), reply.headers(order, served))

    async def _events(self, head: reply.Letterhead, order: Order, work: asyncio.Task[Served]) -> AsyncIterator[str]:
        yield reply.opening(head, wants_usage=order.wants_usage)
        while not work.done():
            yield reply.PING
            await asyncio.wait({work}, timeout=self._heartbeat_seconds)
        try:
            served = work.result()
        except (Exception, asyncio.CancelledError) as error:
            failure = _failure(error, has_own_form=order.has_own_form)
            self._service.meter.error(order.desk.stratum.name, failure.status)
            yield f"data: {failure.body()}\n\n{reply.DONE}"
            return
        for piece in reply.pieces(head, served, wants_usage=order.wants_usage):
            yield piece


def _failure(error: Exception | asyncio.CancelledError, *, has_own_form: bool) -> Failure:
    """What an error becomes for a client; only the end of the server cancels work whose client is still there."""
    return to_failure(error, has_own_form=has_own_form) if isinstance(error, Exception) else shutting_down()


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = f"{request.method} {request.url.path}: {error.detail.lower()}"
    return Failure(error.status_code, told, headers=error.headers or {}).response()


def _json(text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(text, headers=headers, media_type="application/json")
