"""What all processes of a training know, each of its own rows."""

from __future__ import annotations

from typing import TypeVar

from torch import distributed

R = TypeVar("R")


def everywhere(here: list[R]) -> list[R]:
    """The rows of all processes, in the order of their ranks."""
    if not distributed.is_initialized():
        return here
    parts: list[list[R]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(parts, here)
    return [row for part in parts for row in part]
