"""What a judge or a check says of graded attempts, asked as methods ask.

`judge_best` and `generative_verify` ask about each readable attempt, `judge_pairwise` about pairs of distinct answers,
here those of a right and a wrong one, with either in the first place.
Cost: k judge's texts per readable attempt, or 2 k per pair; a check per attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from trueup.core.asks import Flow, check
from trueup.core.types import Attempt, Grade, Problem
from trueup.methods.generative_verify import VERIFY
from trueup.methods.judge_best import ASK, WORDS, hear
from trueup.methods.judge_pairwise import PLACES, hear_pair
from trueup.methods.tally import count, voice_of
from trueup.methods.verdicts import Bench

PAIRWISE = "judge_pairwise"
REQUESTS = {"judge_best": ASK, "generative_verify": VERIFY}
JUDGES = (*REQUESTS, PAIRWISE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something was passed, None where a judge's text says neither, and whether it should have been.

    A pair passes where the answer in the first place is preferred.
    """

    passed: bool | None
    right: bool


def hear_judge(
    method: str, problem: Problem, bench: Bench, attempts: Sequence[Attempt], grades: Sequence[Grade]
) -> Flow[list[Verdict]]:
    """Every verdict of a bench, as the method has it judge, on attempts of which the grades are known."""
    if method == PAIRWISE:
        verdicts = yield from _pairs(problem, bench, attempts, grades)
        return verdicts
    verdicts = []
    for attempt, grade in zip(attempts, grades, strict=True):
        if attempt.answer is not None:
            said = yield from hear(problem, bench, attempt, REQUESTS[method])
            verdicts += _verdicts(said, WORDS, bench, right=grade.is_right)
    return verdicts


def hear_check(problem: Problem, attempts: Sequence[Attempt], grades: Sequence[Grade]) -> Flow[list[Verdict]]:
    """The verdict of the stratum's check on each attempt; what cannot be read is wrong, and does not pass."""
    told = yield from check(problem, attempts)
    return [Verdict(said.is_right, truth.is_right) for said, truth in zip(told, grades, strict=True)]


def _pairs(problem: Problem, bench: Bench, attempts: Sequence[Attempt], grades: Sequence[Grade]) -> Flow[list[Verdict]]:
    """On each right answer against each wrong one, both in the words of their first attempts."""
    players = [voice_of(answer, attempts) for answer in count(attempts)]
    is_right = {attempt.index: grade.is_right for attempt, grade in zip(attempts, grades, strict=True)}
    better = [player for player in players if is_right[player.index]]
    worse = [player for player in players if not is_right[player.index]]
    verdicts: list[Verdict] = []
    for right, wrong in product(better, worse):
        said = yield from hear_pair(problem, bench, right, wrong)
        verdicts += _verdicts(said, PLACES, bench, right=True)
        said = yield from hear_pair(problem, bench, wrong, right)
        verdicts += _verdicts(said, PLACES, bench, right=False)
    return verdicts


def _verdicts(said: Sequence[str], words: tuple[str, str], bench: Bench, *, right: bool) -> list[Verdict]:
    silent = [Verdict(None, right)] * (bench.k - len(said))
    return [Verdict(word == words[0], right) for word in said] + silent
