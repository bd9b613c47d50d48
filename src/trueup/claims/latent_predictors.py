"""What needs no model: the mean answer, the nearest one's.

Distance is Euclidean among problems of one kind, each number of the text in units of its largest.
Axes: M item, B problem to learn from, F number of the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.latent_models import Values

if TYPE_CHECKING:
    from trueup.train.laboratory.tasks.coupled import Systems

BLOCK_ITEMS = 256


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For each item the solution of the nearest problem to learn from, and how far that is."""

    values_M2: Values
    distance_M: Values


def mean_values(items: Systems, lessons: Systems) -> Values:
    """The mean solution of the problems to learn from, by kind."""
    values_B2, values_M2 = lessons.solutions(), np.zeros((len(items), 2))
    for kind in (False, True):
        values_M2[items.held_B == kind] = values_B2[lessons.held_B == kind].mean(0)
    return values_M2


def nearest(items: Systems, lessons: Systems) -> Neighbours:
    """The nearest problem to learn from, for each item."""
    place_MF, other_BF, values_B2 = _numbers(items), _numbers(lessons), lessons.solutions()
    chosen, distances = [], []
    for begin in range(0, len(items), BLOCK_ITEMS):
        rows = slice(begin, begin + BLOCK_ITEMS)
        squared_MB = ((place_MF[rows, None] - other_BF[None]) ** 2).sum(-1)
        squared_MB[items.held_B[rows, None] != lessons.held_B] = np.inf
        chosen.append(squared_MB.argmin(1))
        distances.append(np.sqrt(squared_MB.min(1)))
    return Neighbours(values_B2[np.concatenate(chosen)], np.concatenate(distances))


def _numbers(systems: Systems) -> NDArray[np.float64]:
    digits_BF = np.column_stack([systems.share_B2, systems.given_B2, systems.limit_B])
    return np.asarray(digits_BF / [9, 9, 35, 35, 35])
