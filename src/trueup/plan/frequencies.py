"""A library of answer frequencies from the attempts of a study.

What Huang, Ma and Zhou 2026, arXiv:2602.05395 (section 5) take for a prior where none is known: of every logged problem
the frequencies of its answers, sorted, whichever answers they are. `bayes_vote library=FILE` stops by it.
Few attempts make a leader look commoner than it is, so that the vote stops too early. Of problems with 2 to 5 answers
(Dirichlet, 2 each) the leader at which `bayes_vote confidence=0.95` stopped was the mode in 52 % with libraries of 2
attempts a problem, 77 % of 4, 88 % of 8, 93 % of 16, and in 95 % of 40.
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
LEAST_ATTEMPTS = 12
"""That can be read; studies sample 16, and some cannot."""
USUAL_ATTEMPTS = 40
"""What the paper has of a problem; of fewer, a library does not quite keep the confidence that is asked."""

Votes = list[int]
"""The falling votes for the answers to one problem."""


def tallies(measured: Measured, *, most: int = MOST, seed: int = 0) -> list[Votes]:
    """The votes for the answers to each problem, of `most` problems drawn where there are more.

    Attempts that could not be read are left out, and problems of which fewer than 12 could. Raises BadInput where that
    is all of them.
    """
    counts = (Counter(a.answer for a in pool.attempts if a.answer is not None) for pool in measured.pools)
    votes = [sorted(count.values(), reverse=True) for count in counts]
    enough = [row for row in votes if sum(row) >= LEAST_ATTEMPTS]
    if not enough:
        found = max(map(sum, votes), default=0)
        raise BadInput(
            f"stratum {measured.stratum.name!r} has {found} readable attempts at a problem at most, a library takes "
            f"{LEAST_ATTEMPTS} or more; sample more, {USUAL_ATTEMPTS} if you can (--samples)"
        )
    dice = random.Random(f"{seed}:{measured.stratum.name}:frequencies")
    return enough if len(enough) <= most else dice.sample(enough, most)


def shares(votes: Votes) -> list[float]:
    """The frequencies that votes are."""
    return [number / sum(votes) for number in votes]


def save_frequencies(
    vectors: list[list[float]], path: Path, engines: Sequence[Mixture] = (), attempts: Sequence[int] = ()
) -> None:
    """Write the library to a file, with how many attempts each vector is from and what engines were mixed in it."""
    pools = {"attempts": list(attempts)} if attempts else {}
    path.write_text(json.dumps({"frequencies": vectors} | pools | noted(engines)) + "\n")
