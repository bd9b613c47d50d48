"""Things to pack, drawn at random."""

from __future__ import annotations

from random import Random

NAMES = (
    "lamp", "vase", "clock", "radio", "drone", "globe", "kettle", "mirror", "pillow", "basket", "hammer", "ladder",
    "carpet", "guitar", "helmet", "teapot", "bucket", "candle", "tripod", "puzzle",
)  # fmt: skip
LIGHTEST, HEAVIEST = 2, 15


def drawn_weights(amount: int, rng: Random) -> dict[str, int]:
    """So many names with a weight each."""
    return {name: rng.randint(LIGHTEST, HEAVIEST) for name in rng.sample(NAMES, amount)}
