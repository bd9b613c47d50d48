"""Sixteen samples a prompt through trueup, against llama.cpp's server and transformers in the same run."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from trueup.bench.machine import Limits, limits
from trueup.bench.toy import Whole
from trueup.bench.transformers_rival import start_transformers
from trueup.bench.turns import in_turn
from trueup.core.cost import Prices
from trueup.core.errors import Unavailable
from trueup.core.ledger import Ledger
from trueup.core.outcome import Pool
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json, Message, Problem, Prompt, Sampling, chat_of
from trueup.models import SMOLLM2, LlamaCpp
from trueup.models.llamacpp import SLOTS, idle_cores, request_body, start_server
from trueup.run import Clerk, Job, run_job

ROUNDS = 6
PROMPTS_A_ROUND = 3
TOKENS = 32
OURS, ALIKE, SHIPPED = "trueup", "xllamacpp server, set up alike", "xllamacpp server, as shipped"
RIVAL = "transformers.generate, num_return_sequences"
SHOTS = "Q: 12 + 25\nA: 37\nQ: 41 + 36\nA: 77\nQ: 63 + 14\nA: 77\n"

Run = Callable[[Sequence[Problem]], Awaitable[int]]
"""Samples every problem and returns how many tokens that were."""


def engine(*, rounds: int = ROUNDS) -> list[dict[str, Json]]:
    """Tokens and samples a second, median of rounds, of trueup and of what it could be replaced by.

    All sample the same prompts from the same weights on the same threads; who goes first rotates. `ratio` is trueup
    against the server set up and asked alike, `ratio_to_shipped` what reproducible attempts cost besides (flash
    attention, prompt cache), `ratio_to_transformers` the gain over `generate` in float32. A row of limits says how far
    all are from reading the weights once a step, and from doing nothing but multiply-adds.
    """
    threads = idle_cores()
    bounds = limits(threads)
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        seconds, tokens, skipped = asyncio.run(_race(Path(folder) / "ledger.sqlite", threads, rounds))
    speeds = {name: [n / s for n, s in zip(tokens[name], seconds[name], strict=True)] for name in seconds}
    rows = [_row(name, speeds[name], seconds[name], threads) for name in speeds]
    rows[0] |= _ratios(speeds, bounds)
    rows += [{"system": name, "skipped": why} for name, why in skipped.items()]
    return [*rows, _limits_row(bounds)]


def _row(name: str, speeds: Sequence[float], seconds: Sequence[float], threads: int) -> dict[str, Json]:
    samples = SLOTS * PROMPTS_A_ROUND
    return {
        "system": name, "tokens_per_second": median(speeds),
        "samples_per_second": samples / median(seconds), "rounds": list(speeds), "threads": threads,
        "samples_per_prompt": SLOTS, "prompts": len(speeds) * PROMPTS_A_ROUND, "tokens_at_most": TOKENS,
    }  # fmt: skip


def _ratios(speeds: dict[str, list[float]], bounds: Limits) -> dict[str, Json]:
    ours = median(speeds[OURS])
    names = {"ratio": ALIKE, "ratio_to_shipped": SHIPPED, "ratio_to_transformers": RIVAL}
    ratios: dict[str, Json] = {key: ours / median(speeds[name]) for key, name in names.items() if name in speeds}
    return ratios | {
        "share_of_bandwidth_limit": ours / bounds.tokens_by_bandwidth(SMOLLM2.path().stat().st_size, SLOTS),
        "share_of_arithmetic_limit": ours / bounds.tokens_by_arithmetic(SMOLLM2.parameters),
    }


def _limits_row(bounds: Limits) -> dict[str, Json]:
    size = SMOLLM2.path().stat().st_size
    return {
        "system": "limits of this machine", "threads": bounds.threads,
        "read_bytes_per_second": bounds.bytes_per_second, "float32_flops_per_second": bounds.flops_per_second,
        "weight_bytes": size, "tokens_per_second_by_bandwidth": bounds.tokens_by_bandwidth(size, SLOTS),
        "tokens_per_second_by_arithmetic": bounds.tokens_by_arithmetic(SMOLLM2.parameters),
    }  # fmt: skip


async def _race(
    path: Path, threads: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[int]], dict[str, str]]:
    """Seconds and tokens of every round by system, the first round left out, and why a system was skipped."""
    weights = await asyncio.to_thread(SMOLLM2.fetch)
    skipped: dict[str, str] = {}
    with Ledger(path) as book:
        clerk = Clerk(LlamaCpp(SMOLLM2, threads=threads), book, Prices("bench", Decimal(0)))
        alike = start_server(weights, threads, SLOTS)
        shipped = start_server(weights, threads, SLOTS, reproducible=False)
        runs: dict[str, Run] = {
            OURS: lambda problems: _through_trueup(clerk, problems),
            ALIKE: lambda problems: _through_server(alike, problems, cache=False),
            SHIPPED: lambda problems: _through_server(shipped, problems, cache=True),
        }
        try:
            rival = await asyncio.to_thread(start_transformers, threads)
            runs[RIVAL] = lambda problems: asyncio.to_thread(rival, problems, SLOTS)
        except Unavailable as error:
            skipped[RIVAL] = str(error)
        seconds, tokens = await _rounds(runs, rounds)
        await clerk.close()
    return seconds, tokens, skipped


async def _rounds(runs: dict[str, Run], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[int]]]:
    names = list(runs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    tokens: dict[str, list[int]] = {name: [] for name in names}
    for number in range(-1, rounds):
        problems = _problems(number)
        for name in in_turn(names, number):
            started = time.perf_counter()
            tokens[name].append(await runs[name](problems))
            seconds[name].append(time.perf_counter() - started)
    return {name: s[1:] for name, s in seconds.items()}, {name: t[1:] for name, t in tokens.items()}


async def _through_trueup(clerk: Clerk, problems: Sequence[Problem]) -> int:
    tokens = 0
    stratum = Stratum("sums", (), Whole(), Whole())
    for problem in problems:
        pool = await run_job(Job(stratum, Item(problem, None, problem.id), SLOTS), clerk)
        assert isinstance(pool, Pool)
        tokens += sum(attempt.usage.completion_tokens or 0 for attempt in pool.attempts)
    return tokens


async def _through_server(server: Any, problems: Sequence[Problem], *, cache: bool) -> int:
    tokens = 0
    async with httpx.AsyncClient(base_url=server.listening_address, timeout=None, trust_env=False) as http:
        for problem in problems:
            asked = {"messages": chat_of(problem.prompt)}
            text = (await http.post("/apply-template", json=asked)).json()["prompt"]
            body = request_body(text, SLOTS, 0, problem.sampling) | {"cache_prompt": cache}
            choices = (await http.post("/completion", json=body)).json()
            tokens += sum(choice["tokens_predicted"] for choice in choices)
    return tokens


def _problems(number: int) -> list[Problem]:
    draw = random.Random(f"round {number}")
    sampling = Sampling(temperature=0.8, max_tokens=TOKENS)
    return [
        Problem(f"{number}-{place}", "sums", _prompt(draw.randint(10, 99), draw.randint(10, 99)), sampling)
        for place in range(PROMPTS_A_ROUND)
    ]


def _prompt(a: int, b: int) -> Prompt:
    return (Message("user", f"{SHOTS}Q: {a} + {b}\nA:"),)
