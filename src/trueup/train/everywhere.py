"""What all processes of a training know, each of its own rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import TypeVar

import torch
from torch import distributed
from torch.nn.utils import parameters_to_vector, vector_to_parameters

R = TypeVar("R")


def everywhere(here: list[R]) -> list[R]:
    """The rows of all processes, in the order of their ranks."""
    if not distributed.is_initialized():
        return here
    parts: list[list[R]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(parts, here)
    return [row for part in parts for row in part]


def in_turns(rows: Sequence[R], most: int, *, alike: bool) -> Iterator[Sequence[R]]:
    """The rows that this process reads, of those that all read together, so many at a time.

    Where turns are `alike` every process has as many; one that has read its share has nothing in the last.
    """
    rank, size = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    here = rows[rank::size]
    longest = ceil(len(rows) / size) if alike else len(here)
    return (here[start : start + most] for start in range(0, longest, most))


def add_up(weights: Sequence[torch.nn.Parameter]) -> None:
    """Make every weight's gradient the sum of all processes'; one without a gradient counts as 0."""
    if not distributed.is_initialized():
        return
    for weight in weights:
        weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    whole = parameters_to_vector(gradients)
    distributed.all_reduce(whole)
    vector_to_parameters(whole, gradients)
