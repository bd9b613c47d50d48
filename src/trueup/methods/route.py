"""Ask the cheap method or the dear one, by the prompt alone.

Ding et al. 2024, arXiv:2404.14618 (Hybrid LLM) and Ong et al. 2024, arXiv:2406.18665 (RouteLLM): a learned chance that
the cheap one suffices, held against a threshold. Ours is a calibrated logistic regression, fitted by `trueup route fit`
on a study's outcomes, and the two are any methods. Many routers do not beat a trivial one; the fit says whether this
one does. Cost: that of the method it chooses.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from math import exp, isfinite
from pathlib import Path
from typing import Any

from trueup.core.asks import Flow
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.prompt_features import features
from trueup.methods.start import start

MEND = "write one with `trueup route fit DIR`"


@dataclass(frozen=True, slots=True)
class Router:
    """Two methods by their words, and what is known of the cheap one.

    `weights` are of a prompt's features; `logits` and `shares` are the knots of the calibration, from the log-odds
    of the regression to the share that was right.
    """

    cheap: str
    costly: str
    threshold: float
    bias: float
    weights: Mapping[str, float]
    logits: Sequence[float]
    shares: Sequence[float]

    def chance(self, row: Mapping[str, float]) -> float:
        """The calibrated chance that the cheap method is right on a prompt of these features."""
        logit = self.bias + sum(self.weights.get(name, 0.0) * value for name, value in row.items())
        if not self.logits:
            return 1.0 / (1.0 + exp(-max(-700.0, min(700.0, logit))))
        right = bisect_right(self.logits, logit)
        if right in (0, len(self.logits)):
            return self.shares[min(right, len(self.shares) - 1)]
        low, high = self.logits[right - 1], self.logits[right]
        rise = (logit - low) / (high - low)
        return self.shares[right - 1] + rise * (self.shares[right] - self.shares[right - 1])


def route(problem: Problem, *, router: str = "", threshold: float | None = None) -> Flow[Answer]:
    """The cheap method where its chance reaches the threshold, else the dear one; `router` is a file.

    Raises BadInput for a router that cannot be read, UnknownName for a method in it that there is not.
    """
    guide = read_router(router)
    chance = guide.chance(features(problem.prompt))
    words = guide.cheap if chance >= (guide.threshold if threshold is None else threshold) else guide.costly
    answer = yield from start(words, problem)
    return replace(answer, note=f"{words} ({guide.cheap} right with chance {chance:.2f}): {answer.note}")


def read_router(path: str) -> Router:
    """The router in a file.

    Raises BadInput where it is missing or malformed.
    """
    table = read_table("router", path, Router, MEND)
    router = Router(**table)
    for name, words in (("cheap", router.cheap), ("costly", router.costly)):
        if not isinstance(words, str):
            raise BadInput(f"router {path!r} has {words!r} for its {name} method, which is no text; {MEND}")
    if not _is_whole(router):
        raise BadInput(f"router {path!r} has numbers that are not finite ones or do not fit together; {MEND}")
    return router


def _is_whole(router: Router) -> bool:
    """Whether its numbers are finite ones, with a share for each knot, and its knots rise."""
    try:
        numbers = [router.threshold, router.bias, *router.weights.values(), *router.logits, *router.shares]
        if not all(isinstance(number, (int, float)) and isfinite(number) for number in numbers):
            return False
        return len(router.logits) == len(router.shares) and all(low <= high for low, high in pairwise(router.logits))
    except (TypeError, AttributeError, OverflowError):
        return False


def read_table(what: str, path: str, kind: type[Any], mend: str) -> dict[str, Any]:
    """The fields of a dataclass out of a JSON object in a file; what else stands in it is for people."""
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError) as error:
        raise BadInput(f"{what} {path!r} cannot be read: {error}; {mend}") from error
    names = [field.name for field in fields(kind)]
    if not isinstance(table, dict) or not table.keys() >= set(names):
        given = f"{what} {path!r} is no {what}" if path else f"no {what} is given"
        raise BadInput(f"{given}; set {what}=FILE and {mend}")
    return {name: table[name] for name in names}
