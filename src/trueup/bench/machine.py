"""What this machine can do at best: bytes read a second, multiply-adds a second.

Measured in a process of its own, since how many threads a matrix product takes is settled when its library is loaded,
and without the settings that make an older library slower than it need be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
REPEATS = 7
READ_FLOATS = 1 << 26
SIDE = 1536
CHILD = "import json, sys; from trueup.bench.machine import measure; print(json.dumps(measure(int(sys.argv[1]))))"
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Limits:
    """The best of several tries, on so many threads."""

    threads: int
    bytes_per_second: float
    flops_per_second: float

    def tokens_by_bandwidth(self, weight_bytes: int, batch: int) -> float:
        """Tokens a second if a step for the whole batch did nothing but read the weights once."""
        return batch * self.bytes_per_second / weight_bytes

    def tokens_by_arithmetic(self, parameters: int) -> float:
        """Tokens a second if a token were nothing but a float32 multiply-add (2 FLOPs) a parameter."""
        return self.flops_per_second / (2.0 * parameters)


def limits(threads: int) -> Limits:
    """Measure this machine, in a few seconds."""
    kept = {name: value for name, value in os.environ.items() if name not in SLOWING}
    single = dict.fromkeys(THREADS, "1")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(threads)], capture_output=True, text=True, check=True, env=kept | single
    )
    return Limits(threads, *json.loads(done.stdout))


def measure(threads: int) -> tuple[float, float]:
    """Bytes read and FLOPs done a second, each thread at numbers of its own."""
    rows = [np.ones(READ_FLOATS, np.float32) for _ in range(threads)]
    read = _best_seconds(rows, lambda row: np.dot(row, row))
    squares = [np.ones((SIDE, SIDE), np.float32) for _ in range(threads)]
    multiplied = _best_seconds(squares, lambda square: np.matmul(square, square))
    return threads * 4 * READ_FLOATS / read, threads * 2 * SIDE**3 / multiplied


def _best_seconds(inputs: Sequence[Array], work: Callable[[Array], object]) -> float:
    """The shortest time in which so many threads, side by side, do the work once each."""
    times = []
    with ThreadPoolExecutor(len(inputs)) as pool:
        for _ in range(REPEATS):
            started = time.perf_counter()
            list(pool.map(work, inputs))
            times.append(time.perf_counter() - started)
    return min(times)
