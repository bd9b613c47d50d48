"""Cheap attempts first, something dearer where they disagree.

Chen et al. 2023, arXiv:2305.05176 (FrugalGPT), with the agreement of cheap attempts in the place of its learned scorer
after Yue et al. 2023, arXiv:2310.03094, section 3 (vote-based). Where a check needs no reference it decides instead,
attempt by attempt, and the first that passes is the answer.
Attempts are drawn side by side; where what follows runs calls as they are sampled, set `side_effects`: attempts then
come one at a time, and another one only where nothing could be read, for then nothing was run; a stratum that says
`side_effects = true` takes it no other way.
Cost: n samples, and `then` samples or 1 solve where they do not suffice; with a check fewer where an early one passes,
and a check per attempt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import ceil

from trueup.core.asks import Flow, check, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Grade, Problem
from trueup.methods.solve import solve
from trueup.methods.spare import spared
from trueup.methods.tally import count, elect

SOLVER = "solver"
"""The `to` that means the stratum's solver, and no model."""
FAILED = "the ask failed"


@dataclass(frozen=True, slots=True)
class Stage:
    """Cheap attempts, their grades where a check decides, and an answer where they suffice."""

    attempts: Sequence[Attempt]
    grades: Sequence[Grade] = ()
    answer: Answer | None = None


def cascade(
    problem: Problem,
    *,
    n: int = 2,
    agreement: float = 1.0,
    model: str = "",
    to: str = "strong",
    then: int = 1,
    side_effects: bool = False,
) -> Flow[Answer]:
    """The vote of n attempts of `model` if a share `agreement` of them says the same; else ask `to`.

    `to` is a model that the user named, `` the study's own, or `solver`. On the same model the `then` further attempts
    vote with the first; another model's vote alone. What the dear stage leaves open or fails at the cheap one
    answers; where all cheap attempts failed, another model or the solver is asked all the same, unless one that failed
    may have acted (`side_effects`).
    Raises BadInput for n or then below 1, or an agreement outside [0, 1].
    """
    _refuse_misfits(n, agreement, then)
    if side_effects:
        n, then = 1, 1
    others = [to] if (to == SOLVER or to != model) and not side_effects else []
    if problem.checkable:
        cheap = yield from _passing(problem, n, model, others)
    else:
        cheap = yield from _agreeing(problem, n, agreement, model, others)
    if cheap.answer is not None or (side_effects and count(cheap.attempts)):
        return cheap.answer or elect(problem, cheap.attempts)
    if to == SOLVER:
        answer = yield from _solved(problem, cheap.attempts)
    else:
        answer = yield from _asked(problem, cheap, to, then, n if to == model else 0)
    return answer if cheap.attempts else _settled(answer, f"{model or 'cheap attempts'}: {FAILED}")


def _solved(problem: Problem, cheap: Sequence[Attempt]) -> Flow[Answer]:
    """The solver's answer; where it has none, what was cheap votes, if there is any."""
    solved = yield from spared(solve(problem), count(cheap))
    if solved is not None and (solved.value is not None or not cheap):
        return solved
    return _settled(elect(problem, cheap), f"solver: {solved.note if solved else FAILED}")


def _asked(problem: Problem, cheap: Stage, to: str, n: int, start: int) -> Flow[Answer]:
    """The answer after n attempts of `to`, which go on from number `start` where it is the cheap model."""
    came = yield from spared(sample(problem.prompt, n, start=start, model=to), count(cheap.attempts))
    more = came or ()
    if problem.checkable:
        grades = (yield from check(problem, more)) if more else ()
        answer = Answer.best((*more, *cheap.attempts), (*grades, *cheap.grades))
    else:
        voters = (*cheap.attempts, *more) if start else more
        answer = elect(problem, voters if count(voters) else (*voters, *cheap.attempts))
    return _settled(answer, f"{to or 'further attempts'}: {FAILED}") if came is None else answer


def _passing(problem: Problem, n: int, model: str, others: Collection[str]) -> Flow[Stage]:
    """Attempts one by one, up to the first that passes the check, and its answer; or up to one that failed.

    Raises AskFailed where none could be read and there are no others to ask.
    """
    attempts: list[Attempt] = []
    grades: list[Grade] = []
    for number in range(n):
        more = yield from spared(sample(problem.prompt, start=number, model=model), count(attempts) or others)
        if more is None:
            break
        attempt = more[0]
        attempts.append(attempt)
        grades += yield from check(problem, [attempt])
        if grades[-1].is_right:
            return Stage(attempts, grades, Answer.of(attempt, f"attempt {number + 1} passed the check"))
    return Stage(attempts, grades)


def _agreeing(problem: Problem, n: int, agreement: float, model: str, others: Collection[str]) -> Flow[Stage]:
    """n attempts, and their vote if enough of the n agree; one that failed agrees with none.

    Raises AskFailed where all failed and there are no others to ask.
    """
    attempts = (yield from spared(sample(problem.prompt, n, model=model), others)) or ()
    most = max(count(attempts).values(), default=0)
    needed = max(1, ceil(agreement * n - 1e-9))
    return Stage(attempts, answer=elect(problem, attempts) if most >= needed else None)


def _settled(answer: Answer, why: str) -> Answer:
    """The answer of one stage, with what became of the other."""
    return replace(answer, note=f"{answer.note}; {why}".removeprefix("; "))


def _refuse_misfits(n: int, agreement: float, then: int) -> None:
    for name, value in (("n", n), ("then", then)):
        if value < 1:
            raise BadInput(f"cascade {name} is {value}; give at least 1")
    if not 0 <= agreement <= 1:
        raise BadInput(f"cascade agreement is {agreement}; give a share from 0 to 1")
