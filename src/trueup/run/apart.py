"""Work in a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import json
import pickle
import resource
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from socket import socket, socketpair
from typing import Any

from trueup.core.errors import AskFailed, BadForm, BadInput, TrueupError

MOST_CHILDREN = 8
LENGTH_BYTES = 8
CHUNK_BYTES = 65_536
MAIN = "__main__"
READY = b"+"
START_SECONDS = 60.0
MOST_SECONDS = 60
"""Of a core for one work: whoever would kill it sooner may be gone."""
DIED = "the process of a check died"


@dataclass(frozen=True, slots=True)
class Child:
    """A process, and the line to it."""

    process: subprocess.Popen[bytes]
    line: socket

    def end(self) -> None:
        """Kill it, and wait for its end."""
        self.line.close()
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Apart:
    """Children that work, each on one call at a time; they are started as they are needed, kept, and end with it."""

    _idle: list[Child] = field(default_factory=list)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_CHILDREN))

    def __post_init__(self) -> None:
        """Have those end that nobody has closed."""
        weakref.finalize(self, _end, self._idle)

    async def call(self, seconds: float, work: bytes) -> tuple[Any, float]:
        """What packed work returns, and the core-seconds that it took.

        Raises what it raises of ours, TimeoutError where it takes longer, and AskFailed where its process dies, with
        the seconds since that was ready. The child of what does not end by itself is killed.
        """
        async with self._room:
            child = await self._ready()
            started = time.perf_counter()
            try:
                async with asyncio.timeout(seconds):
                    value, error, cause, spent = await _exchange(child, work)
            except ConnectionError as lost:
                child.end()
                raise _died(time.perf_counter() - started) from lost
            except BaseException:
                child.end()
                raise
            self._idle.append(child)
        if isinstance(error, AskFailed):
            error.seconds = spent
        if error is not None:
            raise error from cause
        return value, spent

    async def _ready(self) -> Child:
        """A child that waits for work; those that died meanwhile are left."""
        while self._idle:
            child = self._idle.pop()
            if child.process.poll() is None:
                return child
            child.end()
        child = _start()
        try:
            async with asyncio.timeout(START_SECONDS):
                await _read(asyncio.get_running_loop(), child.line, len(READY))
        except (ConnectionError, TimeoutError) as lost:
            child.end()
            raise _died(0.0) from lost
        except BaseException:
            child.end()
            raise
        return child

    def close(self) -> None:
        """Kill the children."""
        _end(self._idle)


def packed(work: Callable[..., Any], *args: Any) -> bytes | None:
    """A call as bytes for a child; None where something in it cannot be told to another process."""
    if any(type(arg).__module__ == MAIN for arg in args):
        return None
    try:
        return pickle.dumps((work, args))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def main(place: int, path: list[str]) -> None:
    """Do what comes over the line, until it is closed."""
    sys.path[:] = path
    with socket(fileno=place) as line, line.makefile("rwb") as stream:
        stream.write(READY)
        stream.flush()
        while length := stream.read(LENGTH_BYTES):
            told = _framed(pickle.dumps(_done(stream.read(int.from_bytes(length, "big")))))
            stream.write(told)
            stream.flush()


def _done(told: bytes) -> tuple[Any, TrueupError | None, BadInput | None, float]:
    work, args = pickle.loads(told)
    most = ceil(time.process_time()) + MOST_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    began, value, error, cause = time.process_time(), None, None, None
    try:
        value = work(*args)
    except TrueupError as failure:
        error = failure
        cause = _plain(failure.__cause__)
    return value, error, cause, time.process_time() - began


def _plain(cause: BaseException | None) -> BadInput | None:
    """What of a cause matters to a client, as another process can read it."""
    if not isinstance(cause, BadInput):
        return None
    return BadForm(str(cause)) if isinstance(cause, BadForm) else BadInput(str(cause))


def _end(children: list[Child]) -> None:
    while children:
        children.pop().end()


def _start() -> Child:
    ours, theirs = socketpair()
    ours.setblocking(False)
    with theirs:
        code = f"from trueup.run.apart import main; main({theirs.fileno()}, {json.dumps(sys.path)})"
        # In a session of its own, so that a Ctrl-C is ours to act on and not the child's.
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    return Child(process, ours)


async def _exchange(child: Child, work: bytes) -> Any:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(child.line, _framed(work))
    length = await _read(loop, child.line, LENGTH_BYTES)
    return pickle.loads(await _read(loop, child.line, int.from_bytes(length, "big")))


async def _read(loop: asyncio.AbstractEventLoop, line: socket, size: int) -> bytes:
    told = b""
    while len(told) < size:
        more = await loop.sock_recv(line, min(CHUNK_BYTES, size - len(told)))
        if not more:
            raise ConnectionResetError
        told += more
    return told


def _died(seconds: float) -> AskFailed:
    failure = AskFailed(DIED)
    failure.seconds = seconds
    return failure


def _framed(told: bytes) -> bytes:
    return len(told).to_bytes(LENGTH_BYTES, "big") + told
