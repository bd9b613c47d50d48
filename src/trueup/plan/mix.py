"""Choose for all strata at once: a trained model is paid for once, however many of them ask it.

Where a stratum's dollars are known, its arm is the cheapest that reaches the target in the cheapest mix: for each set
of trained models the arms that ask no others compete at their price per request, and the set's training is added once.
No set is taken with which a stratum that is asked falls short of a target within its reach, or, where that is beyond
it, is right less often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations

from trueup.plan.breakeven import trained_models
from trueup.plan.choose import Choice, choose, scale_of
from trueup.plan.measure import Point
from trueup.plan.wish import Wish


@dataclass(frozen=True, slots=True)
class Mix:
    """A choice for each stratum whose dollars are known, and what all their requests cost, errors priced in."""

    choices: Mapping[str, Choice]
    usd: float


def choose_all(
    strata: Mapping[str, Sequence[Point]], requests: Mapping[str, float], wish: Wish
) -> Mapping[str, Choice]:
    """The arm to deploy in each stratum, by these points alone, whose costs are without training's.

    Raises as `choose` does.
    """
    strata = {name: [_if_known(point, wish) for point in points] for name, points in strata.items()}
    alone = {name: choose(points, wish) for name, points in strata.items()}
    priced = {name: points for name, points in strata.items() if _is_priced(points)}
    unpriced = [_point(strata[name], alone[name]) for name in strata.keys() - priced.keys()]
    paid = {model for point in unpriced for model in trained_models(point, wish)}
    costly = {model for points in priced.values() for point in points for model in trained_models(point, wish)} - paid
    mixes = (_mix(priced, alone, requests, wish, paid, bought) for bought in _subsets(sorted(costly)))
    cheapest = min((mix for mix in mixes if mix is not None), key=lambda mix: mix.usd)
    return {**alone, **cheapest.choices}


def _if_known(point: Point, wish: Wish) -> Point:
    """A point without dollars where nobody knows what the training of its models cost."""
    is_known = wish.fixed_usd(point.models) is not None
    return point if is_known else replace(point, cost=replace(point.cost, usd=None))


def _is_priced(points: Sequence[Point]) -> bool:
    return all(point.cost.usd is not None for point in points if point.is_deployable)


def _mix(
    strata: Mapping[str, Sequence[Point]],
    alone: Mapping[str, Choice],
    requests: Mapping[str, float],
    wish: Wish,
    paid: Set[str],
    bought: Set[str],
) -> Mix | None:
    """The choices among arms that ask no trained models but these; None where a stratum is worse off than `alone`."""
    choices, usd, asked = {}, 0.0, set[str]()
    for name, points in strata.items():
        open_to = [point for point in points if trained_models(point, wish) <= paid | bought]
        if not any(point.is_deployable for point in open_to):
            return None
        choices[name] = choose(open_to, wish)
        if requests[name] and _is_worse(points, choices[name], alone[name]):
            return None
        chosen = _point(points, choices[name])
        usd += requests[name] * scale_of([chosen], wish).cost(chosen)
        asked |= trained_models(chosen, wish)
    return Mix(choices, usd + float(wish.fixed_usd(asked - paid) or 0))


def _is_worse(points: Sequence[Point], choice: Choice, best: Choice) -> bool:
    """Whether it falls short of a target within reach, or, where that is beyond it, is right less often."""
    if best.reaches:
        return not choice.reaches
    return _point(points, choice).accuracy < _point(points, best).accuracy


def _point(points: Sequence[Point], choice: Choice) -> Point:
    return next(point for point in points if point.label == choice.label)


def _subsets(models: Sequence[str]) -> Iterator[Set[str]]:
    """From none of them to all."""
    for size in range(len(models) + 1):
        yield from map(frozenset, combinations(models, size))
