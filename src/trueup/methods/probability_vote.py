"""Vote with the probabilities that the engine tells of texts.

A text that is drawn with chance p need be seen only once to be worth p, which perplexity consistency sums up for an
answer (Zhou et al. 2025, arXiv:2510.15444 and 2502.00511). What has not been seen is split by votes: a text counts
there as far as it was seen by luck, n p (1 - p)^n / (1 - (1 - p)^n) votes in n attempts, for known texts and votes
together then weigh as Horvitz and Thompson (1952) would have it; how likely the leader is said to be, and what more
attempts may bring, leaves one vote to answers not seen yet. Long texts are unlikely one by one, count one vote
each and leave everything unseen: then this is `lookahead_vote`, whose rule for stopping it keeps with what is known set
fast, so that only the unseen can still change the leader. A call asks for the block that brings most a sample, and for
no less than the unseen's part of the lot that makes up for its prompt (`stopping`).
Where the engine tells no probabilities, the temperature is below `COOLEST`, or all texts together have less than
`KNOWN` of it, the rule is `lookahead_vote`'s to the letter, but for the first call, of `step` attempts however long the
prompt.
Engines tell probabilities before temperature T. Drawn at T a token has q^(1/T) / sum q^(1/T), of which the denominator
is -(1/T - 1) times the Renyi entropy of order 1/T in logarithms; the mean surprise of the tokens drawn stands for it,
but for no more than that of whole texts or the text's own, lest a long one be credited for the doubts of others. For
T < 1 it is less than the entropy (log-sum-exp is convex): texts are taken for rarer than they are, unless some are
full of doubts and others of none. Where a text is drawn too rarely for its chance (`CONTRADICTED`), none is taken for
likelier than the engine says. Top-p is not accounted for.
Cost: n samples at most, `step` at least; few where few texts have most of the probability.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import comb, exp, expm1, log1p, sqrt

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
COOLEST = 0.7
"""Below this temperature the chances of texts say too little of how often they are drawn."""
CONTRADICTED = 0.1
"""How unlikely it is, at most, to draw a text that rarely whose chance is taken for too high."""
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
    points, temperature = read_table(table), problem.sampling.temperature
    told = None if problem.sampling.logprobs else replace(problem.sampling, logprobs=True)
    attempts: list[Attempt] = []
    belief, asked, size = None, 0, min(step, n)
    while size:
        ask = sample(problem.prompt, size, start=asked, sampling=told)
        more = (yield from spared(ask, count(attempts))) or ()
        asked += size
        attempts += more
        belief = believe(attempts, temperature)
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


def believe(attempts: Sequence[Attempt], temperature: float = 1.0) -> Belief | None:
    """What attempts drawn at this temperature tell; None where it is next to nothing beyond their counts."""
    known = chances(attempts, temperature)
    readable = {attempt.text: attempt.answer for attempt in attempts if attempt.answer is not None}
    if not readable or temperature < COOLEST or sum(known.values()) < KNOWN:
        return None
    shares: dict[str, Share] = {}
    votes = {text: votes_for_unseen(chance, len(attempts)) for text, chance in known.items()}
    for text, answer in readable.items():
        before = shares.get(answer, Share(0.0, 0.0))
        shares[answer] = Share(before.known + known[text], before.votes + votes[text])
    return Belief(shares, max(0.0, 1.0 - sum(known.values())), sum(votes.values()))


def chances(attempts: Sequence[Attempt], temperature: float = 1.0) -> dict[str, float]:
    """How likely it was to draw each text, at most 1 together; nothing where the engine does not tell of them all.

    A text of no tokens is one that nobody counted: even an empty one has its end.
    """
    pairs = [(attempt.logprob, attempt.usage.completion_tokens) for attempt in attempts]
    told = [(-logprob * tokens, tokens) for logprob, tokens in pairs if logprob is not None and tokens]
    if len(told) < len(attempts):
        return {}
    inverse = 1 / temperature if temperature > 0 else 1.0
    total = sum(surprise for surprise, _ in told)
    each, rate = total / max(1, len(told)), total / max(1, sum(tokens for _, tokens in told))
    logs = [(inverse - 1) * min(tokens * rate, max(each, surprise)) - inverse * surprise for surprise, tokens in told]
    texts = [attempt.text for attempt in attempts]
    known = {text: exp(min(0.0, log)) for text, log in zip(texts, logs, strict=True)}
    if inverse != 1 and _is_contradicted(_within_one(known), Counter(texts)):
        known = {text: min(known[text], exp(-surprise)) for text, (surprise, _) in zip(texts, told, strict=True)}
    return _within_one(known)


def _within_one(known: Mapping[str, float]) -> dict[str, float]:
    excess = max(1.0, sum(known.values()))
    return {text: chance / excess for text, chance in known.items()}


def _is_contradicted(known: Mapping[str, float], drawn: Counter[str]) -> bool:
    """Whether a text that likely would hardly have been drawn that rarely."""
    n = drawn.total()
    return any(_at_most(drawn[text], n, chance) < CONTRADICTED for text, chance in known.items())


def _at_most(k: int, n: int, p: float) -> float:
    """The chance of k draws or fewer in n."""
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


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
