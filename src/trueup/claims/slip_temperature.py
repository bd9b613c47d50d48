"""The temperature at which a model comes out right as often as wanted.

The share falls as the temperature rises, so the interval is halved, by ratio. Cost: a sample of every pilot problem at
each temperature that is tried.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from trueup.claims.chains import HELD_OUT, PILOT_ITEMS, Size, laboratory, task_of, trial_items

if TYPE_CHECKING:
    from trueup.train.laboratory import Transformer

LOWEST, HIGHEST = 0.25, 16.0
HALVINGS = 8


def slip_temperature(size: Size, model: Transformer, ease: float, *, seed: int) -> tuple[float, float]:
    """The highest temperature, to 2 %, at which single samples are right so often, and the FLOPs of finding it.

    The lowest one where the model is never so good.
    """
    room, task = laboratory(), task_of(size, worked=True)
    pilot_BP = trial_items(replace(size, items=PILOT_ITEMS), 2 * HELD_OUT + seed)
    low, high, flops = LOWEST, HIGHEST, 0.0
    for _ in range(HALVINGS):
        middle = sqrt(low * high)
        out = room.generate(model, pilot_BP, most=task.longest(size.most), temperature=middle, seed=seed)
        flops += room.sampling_flops(model, pilot_BP.shape[1], out.lengths, prompts=len(pilot_BP))
        is_right = task.check(pilot_BP, out.tokens_BT).mean() >= ease
        low, high = (middle, high) if is_right else (low, middle)
    return low, flops
