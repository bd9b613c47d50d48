"""Online training against TRL's own, the laboratory against the core, a step's memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from trueup.bench.machine import Limits, limits
from trueup.bench.tiny_llama import save_tiny_llama
from trueup.bench.train_laboratory import laboratory_rows
from trueup.bench.train_memory import memory_row
from trueup.bench.turns import in_turn
from trueup.core.types import Json
from trueup.train.profiles import require_packages

if TYPE_CHECKING:
    from trueup.bench.train_race import Lap

ROUNDS = 3
STEPS = 3
LAB_STEPS = 30
RIVAL = "trl GRPOTrainer"


def train(
    *, rounds: int = ROUNDS, steps: int = STEPS, laboratory_steps: int = LAB_STEPS, memory: bool = True
) -> list[dict[str, Json]]:
    """Tokens processed a second on one thread, median of rounds; `ratio` is to TRL's in the same round, median too.

    Every round trains all from the same three million weights for a step and `steps` more, which are timed; who goes
    first rotates, and each has run once before. `cpu_ratio` is the same by the processor's time, which a busy machine
    stretches less, `flops_ratio` by FLOPs: tokens of a prompt cost less than sampled ones, and two turns read more of
    them. Then the laboratory's share of what the core can multiply, and the peak memory of a SCoRe step on SmolLM2.

    Raises Unavailable where the packages that train are missing.
    """
    require_packages("bench train")
    from trueup.bench.train_race import SHAPE, stratum

    bounds = limits(1)
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        model = Path(folder) / "model"
        parameters = save_tiny_llama(model, stratum().items[0].problem.prompt)
        laps = _race(model, rounds, steps + 1)
    told: dict[str, Json] = {"parameters": parameters, "threads": 1, **SHAPE}
    rows = [_row(name, laps[name], laps[RIVAL], bounds) | told for name in laps]
    rows += [_limit_row(bounds), *laboratory_rows(bounds, steps=laboratory_steps)]
    return [*rows, memory_row()] if memory else rows


def _race(model: Path, rounds: int, steps: int) -> dict[str, list[Lap]]:
    from trueup.bench.train_race import TRAINERS, ours, trl

    runs: dict[str, Callable[[Path, int], Lap]] = {RIVAL: trl}
    runs |= {f"trueup {name}": partial(ours, name) for name in TRAINERS}
    names = list(runs)
    laps: dict[str, list[Lap]] = {name: [] for name in names}
    for run in runs.values():
        run(model, 1)
    for number in range(rounds):
        for name in in_turn(names, number):
            laps[name].append(runs[name](model, steps))
    return laps


def _row(name: str, laps: list[Lap], rival: list[Lap], bounds: Limits) -> dict[str, Json]:
    flops_per_second = median(lap.flops / lap.seconds for lap in laps)
    speeds: list[Json] = [lap.all_tokens / lap.seconds for lap in laps]
    return {
        "system": name, "ratio": _ratio(laps, rival, _speed),
        "cpu_ratio": _ratio(laps, rival, lambda lap: lap.all_tokens / lap.cpu_seconds),
        "flops_ratio": _ratio(laps, rival, lambda lap: lap.flops / lap.seconds),
        "tokens_per_second": median(map(_speed, laps)),
        "sampled_tokens_per_second": median(lap.tokens["sampled"] / lap.seconds for lap in laps),
        "tokens": sum(lap.all_tokens for lap in laps), "seconds": sum(lap.seconds for lap in laps),
        "flops_per_second": flops_per_second, "share_of_arithmetic_limit": flops_per_second / bounds.flops_per_second,
        **{f"{kind}_tokens": sum(lap.tokens[kind] for lap in laps) for kind in laps[0].tokens},
        "rounds": speeds,
    }  # fmt: skip


def _speed(lap: Lap) -> float:
    return lap.all_tokens / lap.seconds


def _ratio(laps: list[Lap], rival: list[Lap], speed: Callable[[Lap], float]) -> float:
    return median(speed(lap) / speed(other) for lap, other in zip(laps, rival, strict=True))


def _limit_row(bounds: Limits) -> dict[str, Json]:
    return {"system": "limit of one core", "flops_per_second": bounds.flops_per_second, "threads": 1}
