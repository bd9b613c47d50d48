"""Bodies of bounded size, clients that leave, streams that end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from trueup.serve.failure import Failure

BODY_BYTES = 4 << 20
DRAIN_BYTES = 16 * BODY_BYTES


async def read_body(request: Request) -> bytes:
    """The body of a JSON request.

    Raises Failure where it is another type, which also keeps other sites' pages from posting here through a
    browser, or too long; what is too long is read on for a while, so that the client is there for the answer.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Failure(415, "the body must be sent with 'content-type: application/json'")
    kept, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= BODY_BYTES:
            kept += chunk
        elif size > DRAIN_BYTES:
            break
    if size > BODY_BYTES:
        raise Failure(413, f"the body is over {BODY_BYTES >> 20} MiB; send less")
    return bytes(kept)


async def wait_for(work: asyncio.Task[Any], request: Request, seconds: float | None) -> bool:
    """Wait for work to be done, for so long; False as soon as the client has gone."""
    gone = asyncio.create_task(_leaves(request))
    try:
        await asyncio.wait({work, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return work.done() or not gone.done()
    finally:
        await stop(gone)


async def stop(work: asyncio.Task[Any]) -> None:
    """Cancel work and see it end."""
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


class EventStream(StreamingResponse):
    """Server-sent events about some work, which ends with the stream, however that ends."""

    def __init__(self, events: AsyncIterator[str], work: asyncio.Task[Any], headers: dict[str, str]) -> None:
        """Stream events with these headers."""
        super().__init__(events, headers=headers | {"cache-control": "no-cache"}, media_type="text/event-stream")
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; whoever leaves or fails, the work does not outlive it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await stop(self._work)


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
