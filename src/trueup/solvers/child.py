"""The child process: reads jobs as JSON lines, solves them, writes one line each.

Started as `python -m trueup.solvers.child MEGABYTES SECONDS`; the only process that loads
OR-Tools, HiGHS or Z3.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import svd

from trueup.solvers.decide import decide
from trueup.solvers.decodings import decode_puzzle
from trueup.solvers.puzzle import solve_puzzle


def main(memory_megabytes: int, limit_seconds: float) -> None:
    """Answer jobs until the parent closes the pipe; past the memory limit this process dies, and only this one.

    The limit is counted from the address space that its libraries take.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a solver prints must not pass for a reply
    _take_buffers()
    limit_bytes = _loaded_bytes() + (memory_megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    gc.freeze()  # the libraries live as long as the process; no collection has to walk them
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        started = time.process_time()
        job = json.loads(line)
        reply = _reply(job, limit_seconds)
        print(json.dumps(reply | {"seconds": time.process_time() - started}), file=replies, flush=True)


def _take_buffers() -> None:
    """Have the linear algebra of NumPy and SciPy take its buffers: where it finds no room later, it never returns."""
    square = np.ones((2, 2))
    svd((square @ square)[:, :1])


def _loaded_bytes() -> int:
    """The address space of this process; 0 on a system that does not tell."""
    told = Path("/proc/self/statm")
    return int(told.read_text().split()[0]) * resource.getpagesize() if told.exists() else 0


def _reply(job: dict[str, Any], limit_seconds: float) -> dict[str, Any]:
    if "puzzle" not in job:
        return decide(job, limit_seconds)
    found = decode_puzzle(job["puzzle"], int(job.get("decodings", 1)))
    return solve_puzzle(job["puzzle"], limit_seconds) if found is None else found


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
