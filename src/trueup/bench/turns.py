"""Who goes first in a round."""

from __future__ import annotations

from collections.abc import Sequence


def in_turn(names: Sequence[str], number: int) -> list[str]:
    """All names, another of them first in each round."""
    first = number % len(names)
    return [*names[first:], *names[:first]]
