"""Form and content of attempts apart, before a training and after it.

Accuracy is the share of attempts that can be read times the share of right ones among those. What a training adds to it
is divided between the two factors, each one's change counted at the mean of the other's two values, so that the parts
add up (Shapley 1953, two players). Every item weighs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from trueup.core.types import Grade, Json
from trueup.plan.estimate import Column
from trueup.plan.resample import Resampler

KINDS = 8
"""So many kinds of error go by their names, the rest together."""
REST = "other"

Grades = Sequence[Sequence[Grade]]
"""The grades of every item's attempts; none where none came."""


def error_of(grade: Grade) -> str:
    """What is wrong with an attempt: the verifier's note, or whether it could be read at all."""
    return grade.note or ("wrong" if grade.parsed else "unparsable")


def form_of(draws: Resampler, before: Grades, after: Grades) -> dict[str, Json]:
    """Shares that cannot be read, of right ones among the rest, of each kind of error; the points of form and content.

    All of the items that were attempted both times, nothing where there is none; a share of none is None.
    """
    both = [bool(a and b) for a, b in zip(before, after, strict=True)]
    if not any(both):
        return {}
    read, right = (
        [_column(grades, both, is_so) for grades in (before, after)]
        for is_so in (lambda grade: grade.parsed, lambda grade: grade.is_right)
    )
    low, high = draws.difference(read[0], read[1])
    R, A = ([float(np.nanmean(column)) for column in pair] for pair in (read, right))
    content = [accuracy / share if share else None for accuracy, share in zip(A, R, strict=True)]
    known = [share for share in content if share is not None]
    by_form = (R[1] - R[0]) * sum(known) / max(1, len(known))
    return {
        "unparsable": {
            "before": 1 - R[0],
            "after": 1 - R[1],
            "difference": {"points": 100 * (R[0] - R[1]), "ci95": [100 * low, 100 * high]},
        },
        "right_of_read": {"before": content[0], "after": content[1]},
        "points": {"form": 100 * by_form, "content": 100 * (A[1] - A[0] - by_form)},
        "errors": _errors(*(_kinds(grades, both) for grades in (before, after))),
    }


def _column(grades: Grades, both: Sequence[bool], is_so: Callable[[Grade], bool]) -> Column:
    """The share of each item's attempts of which something is so, NaN for items that are not counted."""
    counted = zip(grades, both, strict=True)
    return np.array([sum(map(is_so, item)) / len(item) if counts else float("nan") for item, counts in counted])


def _kinds(grades: Grades, both: Sequence[bool]) -> dict[str, float]:
    """The share of each kind of error among all attempts."""
    found: dict[str, float] = {}
    for item in (item for item, counts in zip(grades, both, strict=True) if counts):
        for grade in item:
            if not grade.is_right:
                found[error_of(grade)] = found.get(error_of(grade), 0.0) + 1 / len(item) / sum(both)
    return found


def _errors(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Json]:
    """Both shares of each kind, the most frequent first, the rare ones together."""
    kinds = sorted({*before, *after}, key=lambda kind: (-before.get(kind, 0.0) - after.get(kind, 0.0), kind))
    told: dict[str, Json] = {
        kind: {"before": before.get(kind, 0.0), "after": after.get(kind, 0.0)} for kind in kinds[:KINDS]
    }
    if rest := kinds[KINDS:]:
        told[REST] = {
            "before": sum(before.get(kind, 0.0) for kind in rest),
            "after": sum(after.get(kind, 0.0) for kind in rest),
        }
    return told
