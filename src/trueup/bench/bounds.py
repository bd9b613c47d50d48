"""What no rule for stopping can beat that knows the answer beforehand: no methods.

`oracle stop` knows the vote of the whole budget and makes one call of the fewest attempts from which on the leader
stays what it is in the end; `oracle first` makes one of the fewest after which it leads at all, so that no rule that
goes by counts, breaks ties as the vote does and answers as the whole one can take less. `oracle seen` makes one of the
fewest in which that answer is given at all: nothing that answers so can take less, whatever it knows of texts. What a
rule can do that must find out the answer is told by `optimum`, where the truth is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from trueup.bench.recorded import Case
from trueup.bench.spent import Spent
from trueup.core.types import Attempt, Problem
from trueup.methods.tally import count, favourite

BOUND = "bound"


def oracles(cases: Sequence[Case], n: int) -> list[Spent]:
    """`oracle stop`, `oracle first` and `oracle seen` on these cases, of votes of n."""
    leaders = [_leaders(case.problem, case.attempts[:n]) for case in cases]
    stops = [max((k + 1 for k, (a, b) in enumerate(pairwise(row), start=1) if a != b), default=1) for row in leaders]
    firsts = [1 + row.index(row[-1]) for row in leaders]
    finals = [row[-1] for row in leaders]
    seen = [1 + [a.answer for a in case.attempts].index(final) for case, final in zip(cases, finals, strict=True)]
    sizes = {"oracle stop": stops, "oracle first": firsts, "oracle seen": seen}
    return [_in_one_call(name, cases, taken, leaders) for name, taken in sizes.items()]


def _leaders(problem: Problem, attempts: Sequence[Attempt]) -> list[str | None]:
    votes = [count(attempts[: k + 1]) for k in range(len(attempts))]
    return [favourite(problem, each) if each else None for each in votes]


def _in_one_call(
    name: str, cases: Sequence[Case], sizes: Sequence[int], leaders: Sequence[Sequence[str | None]]
) -> Spent:
    finals = [_is_right(case, row[-1]) for case, row in zip(cases, leaders, strict=True)]
    return Spent.of(
        name, BOUND, [_row(case, size, right) for case, size, right in zip(cases, sizes, finals, strict=True)]
    )


def _is_right(case: Case, answer: str | None) -> float:
    rights = zip(case.attempts, case.right, strict=True)
    return float(answer is not None and any(right for attempt, right in rights if attempt.answer == answer))


def _row(case: Case, taken: int, right: float) -> tuple[float, ...]:
    written = sum(attempt.usage.completion_tokens or 0 for attempt in case.attempts[:taken])
    return right, 1, case.prompt_tokens, written
