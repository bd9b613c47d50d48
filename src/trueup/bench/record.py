"""Records the embedded model on a task: python -m trueup.bench.record TASK FILE

A run that was stopped goes on where it was, from its ledger.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from trueup.bench.recorded import SAMPLES, VERSION
from trueup.catalog import open_task
from trueup.core.cost import Prices
from trueup.core.errors import BadInput, TrueupError
from trueup.core.ledger import Ledger
from trueup.core.outcome import Pool
from trueup.core.roles import Model
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json
from trueup.models import SMOLLM2, LlamaCpp
from trueup.run import Clerk, Job, run_job

LEDGER = Path("out/recorded/ledger.sqlite")
NUMBER = r"(-?[0-9]+)[^0-9]*$"
WORD = r"answer is ([A-Za-z]+)"
DECIMALS = 6


async def record(
    model: Model, task: str, path: Path, *, ledger: Path = LEDGER, samples: int = SAMPLES, limit: int | None = None
) -> None:
    """Sample a model so often on every item of a task, and once at temperature 0, into a file; the model is closed."""
    opened = open_task(task, limit=limit, seed=None, sets={})
    for folder in (path.parent, ledger.parent):
        folder.mkdir(parents=True, exist_ok=True)
    strata = []
    with Ledger(ledger) as book:
        clerk = Clerk(model, book, Prices("recorded", Decimal(0)))
        try:
            for stratum in opened.strata:
                warmth = stratum.items[0].problem.sampling.temperature
                pools = [await _pool(stratum, item, warmth, samples, clerk) for item in stratum.items]
                sure = [await _pool(stratum, item, 0.0, 1, clerk) for item in stratum.items]
                rows = [_row(pool, greedy) for pool, greedy in zip(pools, sure, strict=True)]
                pattern = NUMBER if stratum.verifier.name.startswith("number") else WORD
                strata.append({"name": stratum.name, "pattern": pattern, "temperature": warmth, "items": rows})
        finally:
            await model.close()
    kept = {"version": VERSION, "model": model.card.name, "fingerprint": model.card.fingerprint,
            "task": opened.name, "samples": samples, "strata": strata}  # fmt: skip
    path.write_bytes(gzip.compress(json.dumps(kept, separators=(",", ":")).encode(), mtime=0))


async def _pool(stratum: Stratum, item: Item, temperature: float, samples: int, clerk: Clerk) -> Pool:
    """So many attempts at an item, of which the engine tells how likely they are."""
    problem = item.problem
    told = replace(problem.sampling, temperature=temperature, logprobs=True)
    pool = await run_job(Job(stratum, replace(item, problem=replace(problem, sampling=told)), samples), clerk)
    assert isinstance(pool, Pool)
    if pool.failure is not None:
        raise BadInput(f"item {problem.id!r} could not be sampled: {pool.failure}; run it again")
    return pool


def _row(pool: Pool, greedy: Pool) -> dict[str, Json]:
    return {
        "id": pool.item.problem.id,
        "cluster": pool.item.cluster,
        "prompt": [[message.role, message.content] for message in pool.item.problem.prompt],
        "prompt_tokens": pool.attempts[0].usage.prompt_tokens,
        "attempts": _cells(pool),
        "greedy": _cells(greedy)[0],
    }


def _cells(pool: Pool) -> list[list[Json]]:
    return [
        [a.text, a.answer, a.usage.completion_tokens, int(grade.is_right), a.finish,
         _rounded(a.logprob), _rounded(a.drawn_logprob)]
        for a, grade in zip(pool.attempts, pool.grades, strict=True)
    ]  # fmt: skip


def _rounded(logprob: float | None) -> float | None:
    return None if logprob is None else round(logprob, DECIMALS)


def main(words: Sequence[str] | None = None) -> None:
    """Record a task."""
    arguments = argparse.ArgumentParser(prog="python -m trueup.bench.record")
    arguments.add_argument("task", metavar="TASK")
    arguments.add_argument("path", metavar="FILE", type=Path)
    arguments.add_argument("--ledger", type=Path, default=LEDGER)
    arguments.add_argument("--samples", type=int, default=SAMPLES)
    arguments.add_argument("--limit", type=int)
    given = arguments.parse_args(words)
    try:
        asyncio.run(record(LlamaCpp(SMOLLM2), **vars(given)))
    except TrueupError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
