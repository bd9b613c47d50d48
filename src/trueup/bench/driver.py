"""What the driver itself costs: a toy model, best_of_n 4 on very many problems, ledger included."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from trueup.bench.toy import Whole, toy_item
from trueup.core.cost import Prices
from trueup.core.ledger import Ledger, verify
from trueup.core.outcome import Outcome
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Json
from trueup.methods import best_of_n
from trueup.models import Toy
from trueup.run import Clerk, Job, run_jobs

PROBLEMS = 100_000
ATTEMPTS = 4
LANES = 256
P = 0.3
CHILD = "import json, sys; from trueup.bench.driver import measure; print(json.dumps(measure(int(sys.argv[1]))))"
ASKS = ATTEMPTS + 2
"""Asks a problem, a ledger row each: the attempts, the check of them all, the evaluation of the answer."""


def driver(*, problems: int = PROBLEMS) -> list[dict[str, Json]]:
    """One row: asks a second, overhead an ask behind the toy's own time, peak memory of a fresh process."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(problems)], capture_output=True, text=True, check=True)
    row: dict[str, Json] = json.loads(done.stdout)
    return [row]


def measure(problems: int) -> dict[str, Json]:
    """Run it in this process."""
    toy_seconds = asyncio.run(_toy_alone(problems))
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        path = Path(folder) / "ledger.sqlite"
        seconds, right = asyncio.run(_drive(path, problems))
        verdict = verify(path)
    asks = problems * ASKS
    return {
        "system": f"best_of_n {ATTEMPTS}",
        "problems": problems,
        "asks": asks,
        "asks_per_second": asks / seconds,
        "overhead_us_per_ask": (seconds - toy_seconds) / asks * 1e6,
        "overhead_us_per_problem": (seconds - toy_seconds) / problems * 1e6,
        "seconds": seconds,
        "toy_seconds": toy_seconds,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "ledger_rows": verdict.charges,
        "discrepancies": len(verdict.discrepancies),
        "accuracy": right / problems,
        "closed_form_accuracy": 1 - (1 - P) ** ATTEMPTS,
    }


async def _drive(path: Path, problems: int) -> tuple[float, int]:
    stratum = Stratum("toy", (), Whole(), Whole())
    arm = Arm("best_of_n", {"n": ATTEMPTS}, lambda problem: best_of_n(problem, n=ATTEMPTS))
    right, started = 0, time.perf_counter()
    with Ledger(path) as book:
        clerk = Clerk(Toy(P), book, Prices("toy", Decimal("0.05")))
        jobs = (Job(stratum, toy_item(number), arm) for number in range(problems))
        async for outcome in run_jobs(jobs, clerk, lanes=LANES):
            right += isinstance(outcome, Outcome) and outcome.grade.is_right
    return time.perf_counter() - started, right


async def _toy_alone(problems: int) -> float:
    """The time that the toy model and the making of its problems take without us."""
    model, started = Toy(P), time.perf_counter()
    for number in range(problems):
        problem = toy_item(number).problem
        await model.sample(problem.prompt, ATTEMPTS, 0, problem.sampling)
    return time.perf_counter() - started
