"""Which items a limit takes: the same seed draws the same, and a smaller limit draws from a larger one's."""

from __future__ import annotations

import random


def drawn(total: int, limit: int | None, seed: int) -> list[int]:
    """Positions of at most `limit` items out of so many, in order."""
    places = list(range(total))
    if limit is None or limit >= total:
        return places
    random.Random(f"draw:{seed}").shuffle(places)
    return sorted(places[:limit])
