"""A library of answer frequencies from the attempts of a study.

What Huang, Ma and Zhou 2026, arXiv:2602.05395 (section 5) take for a prior where none is known: of every logged problem
the frequencies of its answers, sorted, whichever answers they are. `bayes_vote library=FILE` stops by it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from trueup.core.errors import BadInput
from trueup.core.outcome import Measured
from trueup.plan.engines import Mixture, noted

MOST = 250
LEAST_ATTEMPTS = 2


def frequencies(measured: Measured, *, most: int = MOST, seed: int = 0) -> list[list[float]]:
    """The falling frequencies of the answers to each problem, of `most` problems drawn where there are more.

    Attempts that could not be read are left out. Raises BadInput where no problem has two attempts that could.
    """
    vectors = []
    for pool in measured.pools:
        votes = Counter(attempt.answer for attempt in pool.attempts if attempt.answer is not None)
        if votes.total() >= LEAST_ATTEMPTS:
            vectors.append([number / votes.total() for number in sorted(votes.values(), reverse=True)])
    if not vectors:
        raise BadInput(
            f"stratum {measured.stratum.name!r} has no problem with two readable attempts; sample more first"
        )
    dice = random.Random(f"{seed}:{measured.stratum.name}:frequencies")
    return vectors if len(vectors) <= most else dice.sample(vectors, most)


def save_frequencies(vectors: list[list[float]], path: Path, engines: Sequence[Mixture] = ()) -> None:
    """Write the library to a file, with what engines were mixed in it."""
    path.write_text(json.dumps({"frequencies": vectors} | noted(engines)) + "\n")
