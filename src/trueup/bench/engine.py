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
from trueup.models.llamacpp import SLOTS, idle_cores, request_body, start_server
from trueup.run import Clerk, Job, run_job

ROUNDS = 6
SHIPPED, ALIKE = "xllamacpp server, as shipped", "xllamacpp server, set up alike"
PROMPTS_A_ROUND = 3
TOKENS = 32
SHOTS = "Q: 12 + 25\nA: 37\nQ: 41 + 36\nA: 77\nQ: 63 + 14\nA: 77\n"


def engine(*, rounds: int = ROUNDS) -> list[dict[str, Json]]:
    """Tokens a second, median of rounds: the bare server as shipped, the same set up as ours, and trueup.

    All answer the same requests on the same threads; who goes first rotates. `ratio` is trueup against the server set
    up and asked alike, `ratio_to_shipped` what reproducible attempts cost besides: flash attention, prompt cache.
    """
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        speeds = asyncio.run(_race(Path(folder) / "ledger.sqlite", rounds))
    ours, alike, shipped = (_median(speeds[name]) for name in ("trueup", ALIKE, SHIPPED))
    about = {"samples_per_prompt": SLOTS, "prompts": rounds * PROMPTS_A_ROUND, "tokens_at_most": TOKENS}
    rows = [{"system": n, "tokens_per_second": _median(r), "rounds": r, **about} for n, r in speeds.items()]
    return [row | {"ratio": ours / alike, "ratio_to_shipped": ours / shipped} if row["system"] == "trueup" else row
            for row in rows]  # fmt: skip


async def _race(path: Path, rounds: int) -> dict[str, list[float]]:
    threads = idle_cores()
    weights = await asyncio.to_thread(SMOLLM2.fetch)
    speeds: dict[str, list[float]] = {SHIPPED: [], ALIKE: [], "trueup": []}
    with Ledger(path) as book:
        clerk = Clerk(LlamaCpp(SMOLLM2, threads=threads), book, Prices("bench", Decimal(0)))
        servers = {n: start_server(weights, threads, SLOTS, reproducible=n == ALIKE) for n in (SHIPPED, ALIKE)}
        for number in range(-1, rounds):
            problems, names = _problems(number), list(speeds)
            for name in names[number % 3 :] + names[: number % 3]:
                server = servers.get(name)
                run = (
                    _through_trueup(clerk, problems)
                    if server is None
                    else _through_server(server, problems, name == SHIPPED)
                )
                speeds[name].append(await run)
        await clerk.model.close()
    return {name: figures[1:] for name, figures in speeds.items()}


async def _through_trueup(clerk: Clerk, problems: Sequence[Problem]) -> float:
    started, tokens = time.perf_counter(), 0
    stratum = Stratum("sums", (), Whole(), Whole())
    for problem in problems:
        pool = await run_job(Job(stratum, Item(problem, None, problem.id), SLOTS), clerk)
        assert isinstance(pool, Pool)
        tokens += sum(attempt.usage.completion_tokens or 0 for attempt in pool.attempts)
    return tokens / (time.perf_counter() - started)


async def _through_server(server: Any, problems: Sequence[Problem], cache: bool) -> float:
    started, tokens = time.perf_counter(), 0
    async with httpx.AsyncClient(base_url=server.listening_address, timeout=None, trust_env=False) as http:
        for problem in problems:
            messages = [{"role": m.role, "content": m.content} for m in problem.prompt]
            text = (await http.post("/apply-template", json={"messages": messages})).json()["prompt"]
            body = request_body(text, SLOTS, 0, problem.sampling) | {"cache_prompt": cache}
            choices = (await http.post("/completion", json=body)).json()
            tokens += sum(choice["tokens_predicted"] for choice in choices)
    return tokens / (time.perf_counter() - started)


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
