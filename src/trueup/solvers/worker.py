"""A child process that solves, with limits of time and memory, and can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from trueup import __version__
from trueup.core.errors import BadInput
from trueup.core.types import Json

START_SECONDS = 60.0
GRACE_SECONDS = 1.0
CHUNK_BYTES = 65_536
MOST_SECONDS, MOST_MEGABYTES = 7 * 24 * 3600, 1 << 26
LIBRARIES = ("ortools", "scipy", "z3-solver", "wordfreq", "symspellpy")
Reply = dict[str, Any]
"""What the child says of a job: its `status`, the `text` of a solution, the `seconds` that it took, and more."""


class Worker:
    """One child, started when it is needed and again after it had to be killed; jobs wait their turn."""

    def __init__(self, *, limit_seconds: float, memory_megabytes: int) -> None:
        """Give every job so much wall-clock time, and the child so much address space."""
        self._limit_seconds = limit_seconds
        self._memory_megabytes = memory_megabytes
        self._child: subprocess.Popen[bytes] | None = None
        # A thread of its own: a wait for the child may not use up the threads that everything else shares.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="solver")
        self._is_closed = False

    async def run(self, job: Mapping[str, Json]) -> Reply:
        """The child's reply to a job; its status is `timeout` or `crashed` where there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, job)

    def fingerprint(self, name: str) -> str:
        """What tells a solver of this name from others: the libraries beneath it, and its limits, where it gives up."""
        limits = f"{float(self._limit_seconds)}s:{self._memory_megabytes}MB"
        return f"{name}:{limits}:{solver_version()}"

    async def close(self) -> None:
        """Kill the child and wait for its end."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._child is not None:
            self._child.kill()
        await asyncio.to_thread(self._thread.shutdown)
        self._drop()

    def _run(self, job: Mapping[str, Json]) -> Reply:
        started = time.monotonic()
        try:
            child = self._ready_child()
            if child is None:
                return _without_reply("crashed", started)
            started = time.monotonic()
            reply = self._exchange(child, job)
        except TimeoutError:
            self._drop()
            return _without_reply("timeout", started)
        if reply is None:
            self._drop()
            return _without_reply("crashed", started)
        return reply

    def _ready_child(self) -> subprocess.Popen[bytes] | None:
        """A child that has loaded its solvers; None where it died of that."""
        if self._is_closed:
            return None
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._drop()
        # -P: a file in the working folder may not stand in for a module.
        limits = [str(self._memory_megabytes), str(self._limit_seconds)]
        command = [sys.executable, "-P", "-m", "trueup.solvers.child", *limits]
        # In a session of its own, so that a Ctrl-C is ours to act on and not the child's.
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        if _read_line(self._child, START_SECONDS) is None:
            self._drop()
        return self._child

    def _exchange(self, child: subprocess.Popen[bytes], job: Mapping[str, Json]) -> Reply | None:
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(job).encode() + b"\n")
            child.stdin.flush()
        except OSError:
            return None
        line = _read_line(child, self._limit_seconds + GRACE_SECONDS)
        return None if line is None else json.loads(line)

    def _drop(self) -> None:
        """Kill the child if there is one, reap it and close its pipes."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with child:
                child.wait()


def open_worker(limit_seconds: float, memory_megabytes: int) -> Worker:
    """A worker with these limits.

    Raises BadInput where one of them is nothing, or more than a clock or a machine can count.
    """
    if not 0 < limit_seconds <= MOST_SECONDS or not 0 < memory_megabytes <= MOST_MEGABYTES:
        most = f"at most {MOST_SECONDS:,} s and {MOST_MEGABYTES:,} MB"
        raise BadInput(f"solver limits are {limit_seconds} s and {memory_megabytes} MB; both must be above 0, {most}")
    return Worker(limit_seconds=limit_seconds, memory_megabytes=memory_megabytes)


def solver_version() -> str:
    """What a solver's fingerprint says of the libraries beneath it, as far as they are installed."""
    known = [f"{name}-{found}" for name in LIBRARIES if (found := _version(name))]
    return " ".join([*known, f"trueup-{__version__}"])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _without_reply(status: str, started: float) -> Reply:
    return {"status": status, "text": "", "seconds": time.monotonic() - started}


def _read_line(child: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """A whole line from the child, None where it ended before that.

    Raises TimeoutError where neither happens in time.
    """
    assert child.stdout is not None
    deadline = time.monotonic() + seconds
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            chunk = os.read(child.stdout.fileno(), CHUNK_BYTES)
            if not chunk:
                return None
            line += chunk
    return line
