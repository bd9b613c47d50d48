"""n attempts, their distinct answers judged in pairs.

Zheng et al. 2023, arXiv:2306.05685: judges prefer a place, so who stands first is drawn by the problem's seed, and
the verdicts are corrected for what that preference is known to be (Lee et al. 2025, arXiv:2511.21140): q1 is the share
of pairs with the better answer first in which the judge says so, q0 the same for the better answer second; measure
both with `trueup learn judge`. With d answers a `knockout` takes d - 1 matches, a `round_robin` d (d - 1) / 2, and
there the sum of corrected verdicts wins. What differs behind `DIGITS` decimals is rounding, and a tie. Each answer
plays in the words of its first attempt.
Cost: n samples, k judge's texts a match.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from trueup.core.asks import Flow, sample
from trueup.core.errors import UnknownName
from trueup.core.types import Answer, Attempt, Problem, begun_turn
from trueup.methods.reread import put_behind
from trueup.methods.revise import opened
from trueup.methods.spare import each
from trueup.methods.tally import count
from trueup.methods.verdicts import Bench, hear_bench, share_of
from trueup.methods.weighted_best_of_n import DIGITS

WAYS = ("knockout", "round_robin")
PLACES = ("A", "B")
PAIR = (
    "Two answers were given.\n\nAnswer A:\n{first}\n\nAnswer B:\n{second}\n\n"
    "Which of them is right, or nearer to it? Reply with one letter, A or B."
)


@dataclass(frozen=True, slots=True)
class Court:
    """The problem, its judges, the votes that answers came with, and the dice for places and ties."""

    problem: Problem
    bench: Bench
    votes: Counter[str]
    dice: random.Random


def judge_pairwise(
    problem: Problem, *, n: int = 8, by: str = "knockout", k: int = 1, tokens: int = 16, judge_model: str = "",
    q0: float = 1.0, q1: float = 1.0,
) -> Flow[Answer]:  # fmt: skip
    """The answer that wins by knockout or round robin; equal ones fall by votes, then by the problem's seed.

    Raises UnknownName for another way to pair, BadInput for k or tokens below 1, or rates of a judge that is no better
    than chance.
    """
    if by not in WAYS:
        raise UnknownName("judge_pairwise by", by, WAYS)
    bench = Bench(k, tokens, judge_model, q0, q1)
    bench.refuse_misfits("judge_pairwise")
    attempts = yield from sample(problem.prompt, n)
    players = list({a.answer: a for a in reversed(attempts) if a.answer is not None}.values())
    if not players:
        return Answer.of(attempts[0], "no attempt could be read")
    court = Court(problem, bench, count(attempts), random.Random(f"{problem.sampling.seed}:{problem.id}"))
    players.sort(key=lambda attempt: attempt.index)
    court.dice.shuffle(players)
    play = _knockout if by == "knockout" else _round_robin
    winner = yield from play(court, players)
    return Answer.of(winner, f"{by} of {len(players)} answers")


def _knockout(court: Court, players: list[Attempt]) -> Flow[Attempt]:
    """Rounds of matches; who has no partner goes on.

    Raises AskFailed where the judge failed at all of them.
    """
    heard: list[float] = []
    while len(players) > 1:
        pairs = list(zip(players[::2], players[1::2], strict=False))
        leads = yield from each((_lead(court, *pair) for pair in pairs), players if len(players) > 2 else heard)
        heard += [lead for lead in leads if lead is not None]
        winners = [_of_two(court, *pair, lead) for pair, lead in zip(pairs, leads, strict=True)]
        players = [*players[2 * len(pairs) :], *winners]
    return players[0]


def _round_robin(court: Court, players: Sequence[Attempt]) -> Flow[Attempt]:
    wins = [0.0] * len(players)
    places = list(combinations(range(len(players)), 2))
    leads = yield from each(_lead(court, players[left], players[right]) for left, right in places)
    for (left, right), lead in zip(places, leads, strict=True):
        part = 0.5 if lead is None else lead
        wins[left] += part
        wins[right] += 1 - part
    ranked = [(round(won, DIGITS), court.votes[player.answer or ""]) for won, player in zip(wins, players, strict=True)]
    return players[max(range(len(players)), key=lambda place: ranked[place])]


def _lead(court: Court, left: Attempt, right: Attempt) -> Flow[float]:
    """The corrected share of verdicts for the left one; 1/2 where none could be read."""
    is_first = court.dice.random() < 0.5
    first, second = (left, right) if is_first else (right, left)
    share = share_of((yield from hear_pair(court.problem, court.bench, first, second)), PLACES)
    lead = 0.5 if share is None else court.bench.corrected(share)
    return lead if is_first else 1 - lead


def hear_pair(problem: Problem, bench: Bench, first: Attempt, second: Attempt) -> Flow[list[str]]:
    """What the bench says of two attempts, A or B, in these places; it is shown whole turns, and writes in none."""
    shown = [(begun_turn(problem.prompt) + attempt.text).strip() for attempt in (first, second)]
    prompt = put_behind(opened(problem.prompt), PAIR.format(first=shown[0], second=shown[1]))
    said = yield from hear_bench(problem, bench, prompt, PLACES)
    return said


def _of_two(court: Court, left: Attempt, right: Attempt, lead: float | None) -> Attempt:
    """The winner of a match, by votes where its judge failed; of shuffled players the left one where all is equal."""
    if lead is not None and (ahead := round(lead - 0.5, DIGITS)):
        return left if ahead > 0 else right
    return max((left, right), key=lambda player: court.votes[player.answer or ""])
