"""Try afresh until the check passes, as often as it pays.

Meir et al. 2026, arXiv:2601.21522 (Reset-and-Discard): every try starts from the problem alone, and a solved one takes
no more. The cap is that of Stroebl et al. 2024, arXiv:2411.17501: a check that passes wrong answers makes the accepted
ones worse with every try, for the easy problems leave first. With p, the model's chance on a problem, Beta(prior_right,
prior_wrong) over problems, a right answer worth 1 and a wrong one -cost_of_wrong, try k adds
E[r^(k-1) (p TPR - cost_of_wrong (1 - p) FPR)], where r = p (1 - TPR) + (1 - p) (1 - FPR) is the chance of a rejection.
The cap is where the sum of these is greatest, at most n. A try that fails behind a rejected one is one of them, and
the next is made all the same.
Cost: a sample and a check per try.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

from trueup.core.asks import Flow, check, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.spare import spared


def reset_and_discard(
    problem: Problem,
    *,
    n: int = 16,
    true_positive_rate: float = 1.0,
    false_positive_rate: float = 0.0,
    cost_of_wrong: float = 1.0,
    prior_right: float = 1.0,
    prior_wrong: float = 1.0,
) -> Flow[Answer]:
    """The first attempt that passes; abstains where none does within the tries that pay.

    Raises BadInput for rates outside [0, 1], a negative cost, or a prior that is not positive.
    """
    _demand(true_positive_rate, false_positive_rate, cost_of_wrong, prior_right, prior_wrong)
    cap = tries_that_pay(n, true_positive_rate, false_positive_rate, cost_of_wrong, (prior_right, prior_wrong))
    rejected: list[Attempt] = []
    for number in range(cap):
        attempts = yield from spared(sample(problem.prompt, start=number), rejected)
        if attempts is None:
            continue
        grades = yield from check(problem, attempts)
        if grades[0].is_right:
            return Answer.of(attempts[0], f"passed at try {number + 1}")
        rejected.append(attempts[0])
    lost = f", {cap - len(rejected)} failed" if len(rejected) < cap else ""
    return Answer("", None, f"none of {cap} tries passed{lost}; {n} are allowed, {cap} pay")


def tries_that_pay(n: int, tpr: float, fpr: float, cost: float, prior: tuple[float, float]) -> int:
    """The number of tries, at most n, with the greatest expected value."""
    best = total = 0.0
    cap = 0
    for k, gain in enumerate(islice(gains_of_tries(tpr, fpr, cost, prior), n), start=1):
        total += gain
        if total > best + 1e-12:
            best, cap = total, k
    return cap


def gains_of_tries(tpr: float, fpr: float, cost: float, prior: tuple[float, float]) -> Iterator[float]:
    """What each try adds, from the first on; E[f p] and E[f (1 - p)] are means of f under Betas that know one more."""
    a, b = prior
    right, wrong = _rejections(tpr, fpr, a + 1, b), _rejections(tpr, fpr, a, b + 1)
    for if_right, if_wrong in zip(right, wrong, strict=True):
        yield (tpr * a * if_right - cost * fpr * b * if_wrong) / (a + b)


def _rejections(tpr: float, fpr: float, a: float, b: float) -> Iterator[float]:
    """E[r^k] for k = 0, 1, ...: how likely all of k tries are rejected where p ~ Beta(a, b).

    The recurrence is the integral of the derivative of p^a (1 - p)^b r^(k + 1), which is nought.
    """
    if_right, if_wrong = 1 - tpr, 1 - fpr
    now, then = 1.0, (a * if_right + b * if_wrong) / (a + b)
    for k in count(1):
        yield now
        middle = a * if_right + b * if_wrong + k * (if_right + if_wrong)
        now, then = then, (middle * then - k * if_right * if_wrong * now) / (a + b + k)


def _demand(tpr: float, fpr: float, cost: float, a: float, b: float) -> None:
    for name, rate in (("true_positive_rate", tpr), ("false_positive_rate", fpr)):
        if not 0 <= rate <= 1:
            raise BadInput(f"reset_and_discard {name} is {rate}; give a share from 0 to 1")
    if cost < 0:
        raise BadInput(f"reset_and_discard cost_of_wrong is {cost}; give 0 or more, in right answers")
    if a <= 0 or b <= 0:
        raise BadInput(f"reset_and_discard prior is Beta({a}, {b}); give numbers above 0")
