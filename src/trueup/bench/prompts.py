"""One attempt at each of eight prompts through `hf:` and `proxy:`, alone, together, and beside transformers' batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from trueup.bench.transformers_rival import PADDED, start_padded
from trueup.bench.turns import in_turn
from trueup.core.roles import Model, Sampled
from trueup.core.types import Json, Message, Problem, Sampling
from trueup.models import SMOLLM2, HuggingFace, proxy
from trueup.models.llamacpp import idle_cores

ROUNDS = 4
PROMPTS = 8
TOKENS = 32
SHIPPED, BARE, TOGETHER = "hf:", "hf: rows=1", f"hf: prompts={PROMPTS}"
STEERED, STEERED_TOGETHER = "proxy: rows=1", f"proxy: prompts={PROMPTS}"
BESIDE = {
    "ratio_to_shipped": (TOGETHER, SHIPPED), "ratio_to_rows_1": (TOGETHER, BARE),
    "ratio_to_transformers": (TOGETHER, PADDED), "ratio_of_proxy": (STEERED_TOGETHER, STEERED),
    "share_of_hf": (STEERED_TOGETHER, TOGETHER),
}  # fmt: skip
"""Which is told beside which; the last is what three passes a token leave of the speed of one."""
QUESTIONS = (
    "What is {} plus {}?", "Is {} more than {}? Say why in one sentence.", "Name {} cities, then {} rivers.",
    "A train runs {} km in {} minutes. How fast is it, in km an hour, and how far does it come in two hours?",
)  # fmt: skip

Run = Callable[[Sequence[Problem]], int]
"""Answers every problem once and returns how many tokens that were."""


def prompts(*, rounds: int = ROUNDS) -> list[dict[str, Json]]:
    """Tokens a second, median of rounds, where each prompt is asked once, and they are of several lengths.

    All run the same weights in float32 on the same threads; who goes first rotates, and a first round is left out. The
    three models of `proxy:` are one and the same, which costs what three do. `rows=1` is the fastest that one attempt
    at a time can be; as shipped an attempt runs in a batch of fixed shape, so that it is the same bytes in any.
    """
    threads = idle_cores()
    runs: dict[str, Run] = {name: partial(_ask_all, model) for name, model in _models(threads).items()}
    runs[PADDED] = start_padded(threads)
    speeds = _race(runs, rounds)
    rows: list[dict[str, Json]] = [
        {"system": name, "tokens_per_second": median(own), "rounds": own, "threads": threads, "prompts": PROMPTS,
         "tokens_at_most": TOKENS}
        for name, own in speeds.items()
    ]  # fmt: skip
    told = {key: median(speeds[one]) / median(speeds[other]) for key, (one, other) in BESIDE.items()}
    return [*rows, {"system": "ratios", **told}]


def _models(threads: int) -> dict[str, Model]:
    three = (SMOLLM2, SMOLLM2, SMOLLM2)
    return {
        SHIPPED: HuggingFace(SMOLLM2, threads=threads),
        BARE: HuggingFace(SMOLLM2, threads=threads, rows=1),
        TOGETHER: HuggingFace(SMOLLM2, threads=threads, prompts=PROMPTS),
        STEERED: proxy(*three, threads=threads, rows=1),
        STEERED_TOGETHER: proxy(*three, threads=threads, prompts=PROMPTS),
    }


def _race(runs: dict[str, Run], rounds: int) -> dict[str, list[float]]:
    names = list(runs)
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-1, rounds):
        problems = _problems(number)
        for name in in_turn(names, number):
            started = time.perf_counter()
            tokens = runs[name](problems)
            speeds[name].append(tokens / (time.perf_counter() - started))
    return {name: own[1:] for name, own in speeds.items()}


def _ask_all(model: Model, problems: Sequence[Problem]) -> int:
    """One attempt at each, all asked for at once, as a study does."""

    async def ask_all() -> list[Sampled]:
        return await asyncio.gather(*(model.sample(p.prompt, 1, 0, p.sampling) for p in problems))

    return sum(a.usage.completion_tokens or 0 for reply in asyncio.run(ask_all()) for a in reply.attempts)


def _problems(number: int) -> list[Problem]:
    sampling = Sampling(temperature=0.8, max_tokens=TOKENS)
    made = [QUESTIONS[place % len(QUESTIONS)].format(7 + place + number, 11 * place + 3) for place in range(PROMPTS)]
    return [Problem(text, "questions", (Message("user", text),), sampling) for text in made]
