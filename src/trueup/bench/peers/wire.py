"""The least of HTTP/1.1 that chat clients need, served so that a client who has left is noticed at once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from socket import IPPROTO_TCP, TCP_NODELAY, create_server

from trueup.core.types import Json

HEAD_BYTES = 1 << 16
LEFT_SECONDS = 0.001
"""How often it is looked whether a client has hung up, where nothing else is to be done."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for; `target` is the path with its query."""

    method: str
    target: str
    body: bytes


class Line:
    """A connection to one client; `number` tells it from the others."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection over."""
        self.number = number
        self._reader, self._writer = reader, writer

    @property
    def has_left(self) -> bool:
        """Whether the client has hung up, be it by half; known as soon as the system knows."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def left(self) -> None:
        """Return once the client has hung up."""
        while not self.has_left:
            await asyncio.sleep(LEFT_SECONDS)

    async def request(self) -> Request | None:
        """The next request; None where the client has none."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        method, target, _ = first.split(" ")
        return Request(method, target, body)

    def send(self, status: int, told: Json, headers: Mapping[str, str] | None = None) -> None:
        """Answer in JSON."""
        body = json.dumps(told).encode()
        fields = {"content-type": "application/json", "content-length": str(len(body))} | dict(headers or {})
        self._head(status, fields)
        self._writer.write(body)

    def begin_events(self) -> None:
        """Answer as a stream of events."""
        self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})

    def send_event(self, text: str) -> None:
        """One event."""
        data = f"data: {text}\n\n".encode()
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end_events(self) -> None:
        """The end of the stream."""
        self._writer.write(b"0\r\n\r\n")

    def _head(self, status: int, fields: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in fields.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))


@contextmanager
def loopback(answer: Callable[[Request, Line], Awaitable[None]]) -> Iterator[str]:
    """Answer requests on a free port of 127.0.0.1, in a thread of its own; the root URL."""
    socket = create_server(("127.0.0.1", 0), backlog=512)
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    loop = asyncio.new_event_loop()
    stop, ready, numbers = asyncio.Event(), threading.Event(), count()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(next(numbers), reader, writer)
        try:
            while (request := await line.request()) is not None:
                await answer(request, line)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(talk, sock=socket, limit=HEAD_BYTES):
            ready.set()
            await stop.wait()
        talks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
