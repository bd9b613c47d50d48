"""Peak memory of one SCoRe step on SmolLM2 with LoRA, in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json, Message, Problem, Sampling
from trueup.models import SMOLLM2
from trueup.models.llamacpp import idle_cores
from trueup.verifiers.exact import exact

LIMIT_GB = 3.0
N, BATCH, MAX_TOKENS = 8, 8, 32
SHOTS = "Q: 12 + 25\nA: 37\nQ: 41 + 36\nA: 77\nQ: 63 + 14\nA: 77\n"
SYSTEM = "trueup score, one step of SmolLM2-135M with LoRA"
CHILD = "import json; from trueup.bench.train_memory import measure; print(json.dumps(measure()))"


def memory_row() -> dict[str, Json]:
    """Peak resident memory and seconds, with the step's tokens; skipped where the weights are not in the cache."""
    if not SMOLLM2.path().exists():
        return {"system": SYSTEM, "skipped": f"{SMOLLM2.path()} is not there; any study with smollm2 fetches it"}
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    row: dict[str, Json] = {"system": SYSTEM, "limit_gb": LIMIT_GB, **json.loads(done.stdout)}
    return row


def measure() -> dict[str, Any]:
    """Make the step in this process."""
    from trueup.models.huggingface import converted
    from trueup.train.job import Job, Passes
    from trueup.train.profiles import PROFILES
    from trueup.train.real import score

    weights, booked, started = converted(SMOLLM2), list[Passes](), time.perf_counter()
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        place, threads = PROFILES["cpu"], idle_cores()
        job = Job(weights, _sums(), Path(folder), place, 0, booked.append, lambda told: None, threads=threads)
        trained = score(job, steps=1, n=N, batch=BATCH)
    return {
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "seconds": time.perf_counter() - started,
        "tokens": sum(one.prompt_tokens + one.completion_tokens for one in booked),
        "rollouts": BATCH, "turns": 2, "tokens_at_most": MAX_TOKENS, "threads": threads,
        "length": trained.figures["length"], "length2": trained.figures["length2"],
    }  # fmt: skip


def _sums() -> Stratum:
    problems = [
        Problem(str(number), "sums", (Message("user", f"{SHOTS}Q: {number} + {71 - number}\nA:"),),
                Sampling(max_tokens=MAX_TOKENS))
        for number in range(20, 28)
    ]  # fmt: skip
    return Stratum("sums", tuple(Item(one, "71", one.id) for one in problems), exact(pattern=r"(\d+)"))
