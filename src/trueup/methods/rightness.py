"""How likely an answer is right, by how often it is given.

Without a table the model is taken to be calibrated: an answer is right as often as it is given. A table fitted to
logged attempts (`trueup.plan.fit_rightness`) says what holds for a model on a task; it is a JSON file
{"frequency": [...], "right": [...]}, both rising, between whose points one reads off straight lines.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from trueup.core.errors import BadInput
from trueup.core.types import Attempt
from trueup.methods.stopping import Votes

Points = tuple[tuple[float, ...], tuple[float, ...]]
CALIBRATED: Points = ((0.0, 1.0), (0.0, 1.0))


def leader_frequency(attempts: Sequence[Attempt]) -> float:
    """The posterior mean of how often the leading answer is given."""
    votes = Votes.of(attempts, len(attempts))
    return share(votes) * (votes.first + 1) / (votes.first + votes.second + 2)


def share(votes: Votes) -> float:
    """The posterior mean of how often one of the two leading answers is given."""
    return (votes.first + votes.second) / (votes.taken + 1)


def right(frequency: float, points: Points) -> float:
    """The chance that an answer of this frequency is right."""
    if points is CALIBRATED:
        return frequency
    xs, ys = points
    place = bisect_right(xs, frequency)
    if place == 0 or place == len(xs):
        return ys[min(place, len(ys) - 1)]
    low, high = xs[place - 1], xs[place]
    return ys[place - 1] + (ys[place] - ys[place - 1]) * (frequency - low) / (high - low)


@lru_cache(maxsize=16)
def read_table(path: str) -> Points:
    """The points of a table's file; those of a calibrated model where no file is named.

    Raises BadInput for a file that is no such table.
    """
    if not path:
        return CALIBRATED
    try:
        table = json.loads(Path(path).read_text())
        points = tuple(map(float, table["frequency"])), tuple(map(float, table["right"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"table {path!r} cannot be read ({error}); write one with `trueup learn rightness`") from error
    if not points[0] or len(points[0]) != len(points[1]) or not all(map(_rises, points)):
        raise BadInput(f"table {path!r} is not rising points of frequency and right; fit it again")
    return points


def _rises(row: Sequence[float]) -> bool:
    return all(low <= high for low, high in pairwise(row)) and row[0] >= 0 and row[-1] <= 1
