"""Vote as long as another block of attempts is worth its price.

Look-ahead stopping with a price per sample (knowledge gradient; Frazier, Powell and Dayanik 2008; for repeated
attempts Damani et al. 2024, arXiv:2410.04707). More votes pay only if they can change the leader. So, of every block
that is still allowed, weigh E[(q2 - q1)+] after it, q1 and q2 the chances that today's leader and runner-up are right:
what deciding later wins. Sampling goes on while for some block that is more than `price` a sample, the block's prompt
counted as so many samples as it has their tokens. It stops where the leader is safe, and it gives up where no answer
is likely enough for the difference to matter, so that hopeless problems do not eat up the budget; `abstain_below`
withholds the answer of those. A rule that looks a single sample ahead would stop at any lead of two, for one vote
cannot turn it; hence blocks.
The two leading answers have a uniform prior between them, the others keep their share; a table says how likely
an answer of some frequency is right (`rightness`). Attempts come in blocks of `step` and more (`stopping`).
The default price was chosen on simulated models (Dirichlet over 4 and over 31 answers, Zipf over 16, and, with other
seeds, the populations of the equal-budget bench), which lose a sixth of a point by it at most against the vote of 40.
Cost: n samples at most; few for safe and for hopeless problems, so n may be large.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma

from trueup.core.asks import Flow
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.rightness import CALIBRATED, Points, leader_frequency, read_table, right, share
from trueup.methods.stopping import Votes, sample_until
from trueup.methods.tally import elect

BLOCKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 100, 128)
"""Votes for the two leading answers that a block may bring; the gain is smooth between them."""


def lookahead_vote(
    problem: Problem,
    *,
    n: int = 128,
    price: float = 0.00025,
    step: int = 4,
    table: str = "",
    abstain_below: float = 0.0,
) -> Flow[Answer]:
    """The vote of as many attempts as pay at `price`, the share of a right answer that a sample may cost.

    Abstains where the leader is right with less than `abstain_below`, by the table. Raises BadInput for a table that
    cannot be read, a price below 0, or an `abstain_below` that is no chance.
    """
    points = read_table(table)
    require_price("lookahead_vote", price)
    require_chance("lookahead_vote", abstain_below)

    def is_dear(votes: Votes) -> bool:
        return gain_per_sample(votes, points) <= price

    attempts = yield from sample_until(problem, is_dear, n=n, step=step, gives_up=True)
    return unless_doubtful(elect(problem, attempts), right(leader_frequency(attempts), points), abstain_below)


def require_price(method: str, price: float) -> None:
    """Raise BadInput for a price below 0, at which no sample would ever be dear enough to stop."""
    if price < 0:
        raise BadInput(f"{method} price is {price}; give 0 or more")


def require_chance(method: str, abstain_below: float) -> None:
    """Raise BadInput for an `abstain_below` outside 0 to 1, which no answer or every one would be below."""
    if not 0 <= abstain_below <= 1:
        raise BadInput(f"{method} abstain_below is {abstain_below}; it takes 0 (never abstain) to 1")


def unless_doubtful(answer: Answer, chance: float, least: float) -> Answer:
    """The answer; nothing is said, and why, where the chance that it is right is below the least."""
    return Answer("", None, f"{answer.note}; right with {chance:.0%} only") if chance < least else answer


def gain_per_sample(votes: Votes, points: Points = CALIBRATED) -> float:
    """The most right answers a sample that any block still allowed is expected to bring, its prompt counted in samples.

    Where nothing could be read yet the next attempt is taken to bring an answer with a chance of 1 / (taken + 2), which
    is that answer's frequency as well.
    """
    if votes.first == 0:
        frequency = 1 / (votes.taken + 2)
        return frequency * right(frequency, points) / (1 + votes.overhead)
    both = share(votes)
    blocks = ((m, m / both) for m in BLOCKS if m / both <= votes.left + 0.5)
    return max((_gain(votes, m, both, points) / (size + votes.overhead) for m, size in blocks), default=0.0)


def _gain(votes: Votes, m: int, both: float, points: Points) -> float:
    if points is CALIBRATED:
        return both * _switch(votes.first, votes.second, m)
    return gain_of_block(votes.first, votes.second, m, both, points)


@lru_cache(maxsize=1 << 18)
def _switch(first: int, second: int, m: int) -> float:
    """The gain of m votes where a share of the votes is a chance to be right."""
    return gain_of_block(first, second, m, 1.0, CALIBRATED)


def gain_of_block(
    first: float, second: float, m: int, both: float, points: Points, known: tuple[float, float] = (0.0, 0.0)
) -> float:
    """E[(q2 - q1)+] after m more votes for the two, k of them for the leader by a beta-binomial law.

    The votes tell how they share `both`; what they are `known` to have beside it stays.
    """
    a, b = first + 1, second + 1
    total = 0.0
    for k in range(m):
        ours, theirs = known[0] + both * (a + k) / (a + b + m), known[1] + both * (b + m - k) / (a + b + m)
        if theirs <= ours:
            break
        total += exp(_log_chance(k, m, a, b)) * (right(theirs, points) - right(ours, points))
    return total


def _log_chance(k: int, m: int, a: float, b: float) -> float:
    choose = lgamma(m + 1) - lgamma(k + 1) - lgamma(m - k + 1)
    return choose + _log_beta(a + k, b + m - k) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
