"""A small trained head on cheap features of a text.

Cobbe et al. 2021, arXiv:2110.14168, train a verifier on graded attempts; this is the least of such verifiers:
logistic regression, a vector of weights on what `features.py` says of a text. It rates whole texts.
The one that ships was fitted to the sums of examples/mixed, as an example; fit your
own with `trueup learn head` on the samples of a study.
Cost: microseconds a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from math import exp
from pathlib import Path

from trueup.core.errors import BadInput
from trueup.core.types import Problem
from trueup.raters.features import NAMES, describe


@dataclass(frozen=True, slots=True)
class Head:
    """Implements Rater by a weighted sum of features, and a bias; made by `head` or `fit_head`."""

    weights: tuple[float, ...]
    bias: float
    about: str = ""

    @property
    def fingerprint(self) -> str:
        """A digest of the features' names and their weights."""
        words = json.dumps([NAMES, self.weights, self.bias])
        return f"head-{blake2b(words.encode(), digest_size=8).hexdigest()}"

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """The probability that each text is right, as far as its features tell."""
        return [self.probability(describe(problem, text)) for text in texts]

    def probability(self, features: Sequence[float]) -> float:
        """The logistic function of the weighted sum."""
        total = self.bias + sum(w * x for w, x in zip(self.weights, features, strict=True))
        return 1 / (1 + exp(-max(-500.0, min(500.0, total))))

    def save(self, path: Path) -> None:
        """Write it as JSON that a person can read."""
        table = {"about": self.about, "bias": self.bias, "weights": dict(zip(NAMES, self.weights, strict=True))}
        path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")

    async def close(self) -> None:
        """Nothing is open."""


def head(*, file: str = "") -> Head:
    """A trained head from a file, or the one that ships as an example.

    Raises BadInput where the file is no head.
    """
    source = Path(file).expanduser() if file else files("trueup.raters") / "head.json"
    try:
        table = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"rater head cannot read {file!r}: {error.strerror}; write one with `trueup learn head`"
        ) from None
    except ValueError as error:
        raise BadInput(f"rater head: {file!r} is no JSON ({error}); write one with `trueup learn head`") from None
    return _read(table, file)


def _read(table: object, file: str) -> Head:
    weights = table.get("weights") if isinstance(table, Mapping) else None
    if not isinstance(table, Mapping) or not isinstance(weights, Mapping) or set(weights) != set(NAMES):
        raise BadInput(f"rater head: {file!r} has weights of other features than this trueup's; fit it again")
    numbers = [table.get("bias"), *(weights[name] for name in NAMES)]
    if not all(type(number) in (int, float) for number in numbers):
        raise BadInput(f"rater head: {file!r} has a weight that is no number; fit it again")
    bias, *rest = map(float, numbers)
    return Head(tuple(rest), bias, str(table.get("about", "")))
