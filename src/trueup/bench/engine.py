"""Sixteen samples a prompt through trueup, against llama.cpp's own server in the same run."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from trueup.bench.toy import Whole
from trueup.core.cost import Prices
from trueup.core.ledger import Ledger
from trueup.core.outcome import Pool
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json, Message, Problem, Prompt, Sampling
from trueup.models import SMOLLM2, LlamaCpp
from trueup.models.llamacpp import CONTEXT_TOKENS, SLOTS, idle_cores
from trueup.run import Clerk, Job, run_job

ROUNDS = 4
PROMPTS_A_ROUND = 6
TOKENS = 32
SHOTS = "Q: 12 + 25\nA: 37\nQ: 41 + 36\nA: 77\nQ: 63 + 14\nA: 77\n"


def engine(*, rounds: int = ROUNDS) -> list[dict[str, Json]]:
    """A row for the bare server as shipped and one for trueup: tokens a second; ratio of medians of rounds.

    Both answer the same prompts in alternating rounds, with their own prompt caches, on the same threads.
    """
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        ours, bare = asyncio.run(_race(Path(folder) / "ledger.sqlite", rounds))
    ratio = _median(ours) / _median(bare)
    about = {"samples_per_prompt": SLOTS, "prompts": rounds * PROMPTS_A_ROUND, "tokens_at_most": TOKENS}
    return [
        {"system": "xllamacpp server, as shipped", "tokens_per_second": _median(bare), "rounds": bare, **about},
        {"system": "trueup", "tokens_per_second": _median(ours), "rounds": ours, "ratio": ratio, **about},
    ]


async def _race(path: Path, rounds: int) -> tuple[list[float], list[float]]:
    threads = idle_cores()
    weights = await asyncio.to_thread(SMOLLM2.fetch)
    server = _bare_server(weights, threads)
    ours: list[float] = []
    bare: list[float] = []
    with Ledger(path) as book:
        clerk = Clerk(LlamaCpp(SMOLLM2, threads=threads), book, Prices("bench", Decimal(0)))
        async with httpx.AsyncClient(base_url=server.listening_address, timeout=None, trust_env=False) as http:
            for number in range(-1, rounds):
                problems = _problems(number)
                ours.append(await _through_trueup(clerk, problems))
                bare.append(await _through_server(http, problems))
        await clerk.model.close()
    return ours[1:], bare[1:]


async def _through_trueup(clerk: Clerk, problems: Sequence[Problem]) -> float:
    started, tokens = time.perf_counter(), 0
    stratum = Stratum("sums", (), Whole(), Whole())
    for problem in problems:
        pool = await run_job(Job(stratum, Item(problem, None, problem.id), SLOTS), clerk)
        assert isinstance(pool, Pool)
        tokens += sum(attempt.usage.completion_tokens or 0 for attempt in pool.attempts)
    return tokens / (time.perf_counter() - started)


async def _through_server(http: httpx.AsyncClient, problems: Sequence[Problem]) -> float:
    started, tokens = time.perf_counter(), 0
    for problem in problems:
        messages = [{"role": m.role, "content": m.content} for m in problem.prompt]
        text = (await http.post("/apply-template", json={"messages": messages})).json()["prompt"]
        body = {"prompt": text, "n": SLOTS, "n_predict": TOKENS, "temperature": 0.8, "top_p": 1.0, "top_k": 0,
                "min_p": 0.0, "seed": 1}  # fmt: skip
        choices = (await http.post("/completion", json=body)).json()
        tokens += sum(choice["tokens_predicted"] for choice in choices)
    return tokens / (time.perf_counter() - started)


def _bare_server(weights: Path, threads: int) -> Any:
    """The server with nothing changed but its weights, threads, slots and context."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    return xllamacpp.Server(params)


def _problems(number: int) -> list[Problem]:
    draw = random.Random(f"round {number}")
    sampling = Sampling(temperature=0.8, max_tokens=TOKENS)
    return [
        Problem(f"{number}-{place}", "sums", _prompt(draw.randint(10, 99), draw.randint(10, 99)), sampling)
        for place in range(PROMPTS_A_ROUND)
    ]


def _prompt(a: int, b: int) -> Prompt:
    return (Message("user", f"{SHOTS}Q: {a} + {b}\nA:"),)


def _median(values: Sequence[float]) -> float:
    ranked = sorted(values)
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2
