"""What work took, told where it is done.

Whoever samples, rates, trains or asks a reference says so here, and whoever keeps books opens a meter around it all;
nobody in between carries anything. Without an open meter nothing is counted. Work inside other work is the inner's
alone, its seconds too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens read and written, FLOPs, and the seconds of all cores that were used; on a GPU those of its process."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    flops: int = 0
    seconds: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.flops + other.flops,
            self.seconds + other.seconds,
        )

    def __sub__(self, other: Work) -> Work:
        return Work(
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
            self.flops - other.flops,
            self.seconds - other.seconds,
        )


ByKind = Mapping[str, Work]
"""By the ledger's kinds: sampled, judge, trained, reference, prefill."""
Clock = Callable[[], float]
Tell = Callable[[Callable[[], Work]], None]
"""Takes what says how much was done; it is asked only where somebody counts."""


@dataclass(slots=True)
class _Meter:
    keep: Callable[[ByKind], None]
    found: dict[str, Work] = field(default_factory=dict)
    inside: float = 0.0


_OPEN: ContextVar[_Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(keep: Callable[[ByKind], None]) -> Iterator[None]:
    """Count what is told inside, which no outer meter then does.

    `keep` gets all that was told so far, at each `settle` and at the end, come what may.
    """
    meter = _Meter(keep)
    token = _OPEN.set(meter)
    try:
        yield
    finally:
        _OPEN.reset(token)
        keep(meter.found)


def settle() -> None:
    """Have what was told so far kept, for what comes next cannot be undone."""
    meter = _OPEN.get()
    if meter is not None:
        meter.keep(meter.found)


@contextmanager
def working(kind: str, clock: Clock = time.perf_counter) -> Iterator[Tell]:
    """Time work of a kind by a clock and have it told how much it was; broken off, it counts as far as it was told."""
    meter = _OPEN.get()
    if meter is None:
        yield lambda work: None
        return
    told: list[Callable[[], Work]] = []
    began, outside, meter.inside = clock(), meter.inside, 0.0
    try:
        yield told.append
    finally:
        whole = clock() - began
        done = sum((work() for work in told), Work(seconds=whole - meter.inside))
        meter.found[kind] = meter.found.get(kind, Work()) + done
        meter.inside = outside + whole
