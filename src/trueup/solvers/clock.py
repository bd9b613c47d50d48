"""How much of a time limit is left."""

from __future__ import annotations

import time


class Clock:
    """How many seconds are left."""

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until the end, never below 0."""
        return max(0.0, self._end - time.monotonic())
