"""A pilot tells how hard the problem is, a table which method then.

Snell et al. 2024, arXiv:2408.03314, section 3: the best way to spend a budget depends on difficulty, which is estimated
before it is spent. Their estimate, the mean verifier score of 2,048 samples, is not part of their budget; ours is: the
agreement, or mean rating, of `pilot` attempts. The table is fitted by `trueup route bins` on a study's outcomes.
Cost: the pilot's samples (and 1 rating of them), then what the method chosen asks for besides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.appraise import appraise
from trueup.methods.route import read_table
from trueup.methods.spare import spared
from trueup.methods.start import MOST, start
from trueup.methods.tally import count, elect

MEND = "write one with `trueup route bins DIR`"
AGREEMENT, RATING = SIGNALS = "agreement", "rating"
"""What a pilot tells of a problem: how far its attempts agree, or how well they are rated."""


@dataclass(frozen=True, slots=True)
class Table:
    """The words of a method per bin, hardest first; bin i holds what the pilot puts below edge i."""

    pilot: int
    signal: str
    edges: Sequence[float]
    methods: Sequence[str]


def compute_optimal(problem: Problem, *, table: str = "") -> Flow[Answer]:
    """The method that the table names for what the pilot says; `table` is a file.

    Where an ask of that method fails, and it has nothing to answer from, the pilot votes.
    Raises BadInput for a table that cannot be read, UnknownName for a method in it that there is not.
    """
    guide = read_bins(table)
    attempts = yield from sample(problem.prompt, guide.pilot)
    if guide.signal == RATING:
        ratings = yield from appraise(problem, attempts)
        ease = sum(ratings) / len(ratings)
    else:
        ease = agreement(attempts)
    place = bisect_right(guide.edges, ease)
    words = guide.methods[place]
    answer = yield from spared(start(words, problem), count(attempts))
    if answer is None:
        vote = elect(problem, attempts)
        answer = replace(vote, note=f"an ask failed; the pilot's vote, {vote.note}")
    return replace(answer, note=f"{words} (bin {place + 1} of {len(guide.methods)}): {answer.note}")


def agreement(attempts: Sequence[Attempt]) -> float:
    """The share of attempts that give the leading answer; what could not be read counts against it."""
    return max(count(attempts).values(), default=0) / len(attempts)


def read_bins(path: str) -> Table:
    """The table in a file.

    Raises BadInput where it is missing or malformed.
    """
    guide = Table(**read_table("table", path, Table, MEND))
    try:
        is_whole = len(guide.methods) == len(guide.edges) + 1 and list(guide.edges) == sorted(map(float, guide.edges))
        is_whole = is_whole and all(map(isfinite, guide.edges))
        is_whole = is_whole and all(isinstance(method, str) for method in guide.methods)
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    is_whole = is_whole and isinstance(guide.pilot, int) and 1 <= guide.pilot <= MOST
    if not is_whole or guide.signal not in SIGNALS:
        raise BadInput(f"table {path!r} does not fit together; {MEND}")
    return guide
