"""So many requests at a time, so many more waiting, the rest sent away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trueup.serve.failure import overloaded

MEMORY = 0.8


class Gate:
    """Lets requests through; knows how many are inside and how many wait."""

    def __init__(self, lanes: int, max_queue: int) -> None:
        """Let `lanes` through at once and `max_queue` wait."""
        self.active = 0
        self.waiting = 0
        self._free = asyncio.Semaphore(lanes)
        self.lanes, self._max_queue = lanes, max_queue
        self._usual_seconds = 1.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Wait for a lane and hold it.

        Raises Failure, with the time that the queue should take, where too many wait already.
        """
        if self._free.locked() and self.waiting >= self._max_queue:
            wait = self._usual_seconds * (self.waiting + 1) / self.lanes
            raise overloaded(f"{self.waiting} requests are waiting; try again later", wait)
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.active += 1
        began = time.perf_counter()
        try:
            yield
        finally:
            self.active -= 1
            self._free.release()
            taken = time.perf_counter() - began
            self._usual_seconds = MEMORY * self._usual_seconds + (1 - MEMORY) * taken
