"""Vote with the probabilities that the engine tells of texts.

A text that is drawn with chance p need be seen only once to be worth p, which perplexity consistency sums up for an
answer (Zhou et al. 2025, arXiv:2510.15444 and 2502.00511). What has not been seen is split by votes: a text counts
there as far as it was seen by luck, n p (1 - p)^n / (1 - (1 - p)^n) votes in n attempts, for known texts and votes
together then weigh as Horvitz and Thompson (1952) would have it; how likely the leader is said to be, and what more
attempts may bring, leaves one vote to answers not seen yet. Long texts are unlikely one by one, count one vote
each and leave everything unseen: then this is `lookahead_vote`, whose rule for stopping it keeps with what is known set
fast, so that only the unseen can still change the leader. A call asks for the block that brings most a sample, and for
no less than the unseen's part of the lot that makes up for its prompt (`stopping`).
Probabilities are those that texts were drawn with, at their temperature; an engine that tells only what tokens had
before it leaves a bound below them, and above temperature 1 nothing (`drawn_logprob`). Top-p is not accounted for.
Where the engine does not tell, where all texts together have less than `KNOWN` of it, or where one came too rarely for
what it is said to have (`CONTRADICTED`), the rule is `lookahead_vote`'s to the letter, but that the first call is of
`step` attempts however long the prompt.
Cost: n samples at most, `step` at least; few where few texts have most of the probability.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, expm1, log1p, sqrt

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.lookahead_vote import (
    BLOCKS,
    gain_of_block,
    gain_per_sample,
    require_chance,
    require_price,
    unless_doubtful,
)
from trueup.methods.rightness import CALIBRATED, Points, leader_frequency, read_table, right
from trueup.methods.spare import spared
from trueup.methods.stopping import Votes, block, measured_overhead
from trueup.methods.tally import count, elect, favourite, voice_of

KNOWN = 0.1
CONTRADICTED = 0.001
"""How unlikely it is, at most, to draw a text that rarely whose chance is not believed."""
SURPLUS = 1.1
"""Chances of texts that make more than this together are none of one distribution; less is noise of the engine's."""
GRAIN = 100
"""Steps of one vote, and of the unseen, between which a gain is not told apart."""


def probability_vote(
    problem: Problem,
    *,
    n: int = 128,
    price: float = 0.00025,
    step: int = 4,
    table: str = "",
    abstain_below: float = 0.0,
) -> Flow[Answer]:
    """The likeliest answer after as many attempts as pay at `price`, the share of a right answer that each may cost.

    Abstains where it is right with less than `abstain_below`, by the table. Raises BadInput for a table that cannot be
    read, a price below 0, or an `abstain_below` that is no chance.
    """
    require_price("probability_vote", price)
    require_chance("probability_vote", abstain_below)
    points = read_table(table)
    told = None if problem.sampling.logprobs else replace(problem.sampling, logprobs=True)
    attempts: list[Attempt] = []
    belief, asked, size = None, 0, min(step, n)
    while size:
        ask = sample(problem.prompt, size, start=asked, sampling=told)
        more = (yield from spared(ask, count(attempts))) or ()
        asked += size
        attempts += more
        belief = believe(attempts)
        most = n - asked + len(attempts)
        size = _next_block(attempts, belief, most, price, step, points) if more else 0
    answer, frequency = _elect(problem, attempts, belief)
    return unless_doubtful(answer, right(frequency, points), abstain_below)


@dataclass(frozen=True, slots=True)
class Share:
    """What an answer is known to have of the probability, and the votes it has for what is unseen."""

    known: float
    votes: float


@dataclass(frozen=True, slots=True)
class Belief:
    """Shares of the answers that were read, what is unseen, and all votes for that, those for no answer included."""

    shares: Mapping[str, Share]
    unseen: float
    votes: float

    @property
    def masses(self) -> dict[str, float]:
        """The probability of each answer: what is known, and its votes' part of the unseen; one vote is for others."""
        return self._split(self.votes + 1)

    @property
    def strengths(self) -> dict[str, float]:
        """What the answers seen are elected by: what is known, and all that is unseen by votes."""
        return self._split(self.votes or 1)

    def _split(self, votes: float) -> dict[str, float]:
        each = self.unseen / votes
        return {answer: share.known + each * share.votes for answer, share in self.shares.items()}


def believe(attempts: Sequence[Attempt]) -> Belief | None:
    """What attempts tell; None where it is next to nothing beyond their counts."""
    known = chances(attempts)
    readable = {attempt.text: attempt.answer for attempt in attempts if attempt.answer is not None}
    if not readable or sum(known.values()) < KNOWN:
        return None
    shares: dict[str, Share] = {}
    votes = {text: votes_for_unseen(chance, len(attempts)) for text, chance in known.items()}
    for text, answer in readable.items():
        before = shares.get(answer, Share(0.0, 0.0))
        shares[answer] = Share(before.known + known[text], before.votes + votes[text])
    return Belief(shares, max(0.0, 1.0 - sum(known.values())), sum(votes.values()))


def chances(attempts: Sequence[Attempt]) -> dict[str, float]:
    """How likely it was to draw each text, at most 1 together; nothing where that is not told of all, or is not so.

    A text that came in one length and another, in tokens, is as likely as both. One of no tokens nobody counted: even
    an empty text has its end. Texts that are certain, at temperature 0, are only one.
    """
    spelt: dict[tuple[str, int], float] = {}
    for attempt in attempts:
        tokens = attempt.usage.completion_tokens
        if attempt.drawn_logprob is None or not tokens:
            return {}
        chance, sequence = exp(min(0.0, attempt.drawn_logprob * tokens)), (attempt.text, tokens)
        spelt[sequence] = max(chance, spelt.get(sequence, 0.0))
    whole = max(1.0, sum(spelt.values()))
    known: dict[str, float] = {}
    for (text, _), chance in spelt.items():
        known[text] = known.get(text, 0.0) + chance / whole
    drawn = Counter(attempt.text for attempt in attempts)
    return {} if whole > SURPLUS or _is_contradicted(known, drawn) else known


def _is_contradicted(known: Mapping[str, float], drawn: Counter[str]) -> bool:
    """Whether a text that likely would hardly have been drawn that rarely."""
    from scipy.special import bdtr

    n = drawn.total()
    return any(bdtr(drawn[text], n, chance) < CONTRADICTED for text, chance in known.items())


def votes_for_unseen(p: float, n: int) -> float:
    """n p (1 - p)^n / (1 - (1 - p)^n): 1 for an unlikely text, 0 for one that n attempts could not have missed."""
    if not 0.0 < p < 1.0:
        return float(p == 0.0)
    missed = n * log1p(-p)
    return n * p * exp(missed) / -expm1(missed)


def best_block(belief: Belief, left: int, overhead: float, points: Points = CALIBRATED) -> tuple[float, int]:
    """The most right answers a sample that a block brings, its prompt counted in samples, and how large it is.

    Who may overtake the leader is the runner-up, or an answer not yet seen, which has the one vote for others.
    """
    strengths = belief.strengths
    first, *others = sorted(strengths, key=lambda answer: -strengths[answer])
    ours, each = belief.shares[first], belief.unseen / (belief.votes + 1)
    rivals = [(Share(0.0, 0.0), each * (ours.votes + 1))]
    rivals += [(belief.shares[other], each * (ours.votes + belief.shares[other].votes)) for other in others[:1]]
    found = [
        (_gain(ours, theirs, m, both, points) / (max(1, round(m / both)) + overhead), -max(1, round(m / both)))
        for theirs, both in rivals
        for m in BLOCKS
        if m <= both * (left + 0.5)
    ]
    rate, size = max(found, default=(0.0, 0))
    return (rate, -size) if rate > 0 else (0.0, 0)


def _gain(ours: Share, theirs: Share, m: int, both: float, points: Points) -> float:
    if points is CALIBRATED:
        lead = round((ours.known - theirs.known) / both * GRAIN)
        return both * _switch(round(ours.votes * GRAIN), round(theirs.votes * GRAIN), m, lead)
    known = ours.known, theirs.known
    return gain_of_block(ours.votes, theirs.votes, m, both, points, known)


@lru_cache(maxsize=1 << 18)
def _switch(first: int, second: int, m: int, lead: int) -> float:
    """The gain of m votes where a share of what both have unseen is a chance to be right."""
    return gain_of_block(first / GRAIN, second / GRAIN, m, 1.0, CALIBRATED, (lead / GRAIN, 0.0))


def _next_block(
    attempts: Sequence[Attempt], belief: Belief | None, n: int, price: float, step: int, points: Points
) -> int:
    """How many attempts to ask for now, none where they are dear."""

    def is_dear(votes: Votes) -> bool:
        return gain_per_sample(votes, points) <= price

    if belief is not None:
        left, overhead = n - len(attempts), measured_overhead(attempts)
        rate, size = best_block(belief, left, overhead, points)
        lot = int(step * sqrt(1 + overhead) * belief.unseen)
        return min(left, max(size, lot)) if rate > price else 0
    votes = Votes.of(attempts, n)
    return 0 if votes.is_decided or is_dear(votes) else block(votes, is_dear, step, gives_up=True)


def _elect(problem: Problem, attempts: Sequence[Attempt], belief: Belief | None) -> tuple[Answer, float]:
    """The answer, and how often the model gives it."""
    if belief is None:
        return elect(problem, attempts), leader_frequency(attempts)
    winner = favourite(problem, belief.strengths)
    chance = belief.masses[winner]
    return Answer.of(voice_of(winner, attempts), f"{chance:.0%} likely by {len(attempts)} attempts"), chance
