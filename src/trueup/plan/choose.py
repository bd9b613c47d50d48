"""Choose a stratum's method: the cheapest that reaches the target.

Only what was measured and can be deployed is chosen: never an arm that saw the reference, needs a batch, or failed on
every item.
Where nothing reaches the target the most accurate is chosen, the cheaper of equals. A price for errors, if
there is one, is part of a method's cost: usd + error_usd (1 - accuracy - abstained), after Zellinger and Thomson 2025.
What nobody could read, or failed, is a wrong answer; an abstention is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Never

from trueup.core.errors import BadInput
from trueup.plan.measure import Point
from trueup.plan.wish import Wish
from trueup.plan.words import as_given, dollars, many, percent


class NoneDeployable(BadInput):
    """A stratum whose methods have results, and none that a server could answer requests with."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An arm, and why it."""

    label: str
    reaches: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Scale:
    """What methods are compared by: dollars, or else tokens, or else seconds."""

    cost: Callable[[Point], float]
    note: str = ""


def share_wrong(accuracy: float, abstained: float) -> float:
    """The share of requests that is answered wrongly, read or not; an abstention is no answer."""
    return 1.0 - accuracy - abstained


def wrong_share(point: Point) -> float:
    """How often an arm answers wrongly."""
    return share_wrong(point.accuracy, point.abstained / point.n)


def choose(points: Sequence[Point], wish: Wish) -> Choice:
    """The arm to deploy, by these points alone.

    Raises NoneDeployable where none can be deployed, BadInput where one of them failed on every item.
    """
    usable = [point for point in points if point.is_deployable]
    if not usable:
        _refuse(points)
    scale = scale_of(usable, wish)
    reaching = [point for point in usable if point.accuracy >= wish.target]
    if reaching:
        best = min(reaching, key=lambda point: (scale.cost(point), -point.accuracy))
    else:
        best = min(usable, key=lambda point: (-point.accuracy, scale.cost(point)))
    return Choice(best.label, bool(reaching), _reason(best, usable, scale, wish, is_reached=bool(reaching)))


def _refuse(points: Sequence[Point]) -> Never:
    """Say why none of these can be deployed."""
    broken = [point for point in points if point.is_broken]
    if broken:
        first, rest = broken[0], len(points) - len(broken)
        others = " and no other method can be deployed" if rest else ""
        raise BadInput(
            f"no plan: {first.label} failed on every item (n = {first.n}){others}: {first.failure}; "
            f"mend that, or add another method to --methods"
        )
    raise NoneDeployable(
        "every method measured saw the reference or needs a batch: none can be deployed; add `once` to --methods"
    )


def scale_of(points: Sequence[Point], wish: Wish) -> Scale:
    """How to compare these: unknown dollars are never taken for none."""
    unpriced = [point.label for point in points if point.cost.usd is None]
    if not unpriced:
        price = float(wish.error_usd or 0)
        silence = ", an abstention at nothing" if any(point.abstained for point in points) else ""
        note = f" A wrong answer is counted at {dollars(price)}{silence}." if price else ""
        return Scale(lambda point: (point.cost.usd or 0.0) + price * wrong_share(point), note)
    why = f" Dollars are unknown for {unpriced[0]}"
    unused = "" if wish.error_usd is None else "; the price of a wrong answer has no part in that"
    if all(point.cost.tokens is not None for point in points):
        return Scale(lambda point: point.cost.tokens or 0.0, f"{why}, so methods are compared by tokens{unused}.")
    return Scale(lambda point: point.cost.seconds, f"{why} and so are tokens: methods are compared by seconds{unused}.")


def _reason(best: Point, usable: Sequence[Point], scale: Scale, wish: Wish, *, is_reached: bool) -> str:
    where = f"on the {many(best.n)} items that the choice was made on"
    found, target = f"{best.label}, {percent(best.accuracy)}", as_given(wish.target)
    if is_reached:
        return f"The cheapest that reaches {target} {where}: {found}.{scale.note}"
    ties = [p for p in usable if p.accuracy == best.accuracy and scale.cost(p) > scale.cost(best)]
    tie = f", and cheaper than {ties[0].label}, which ties with it" if ties else ""
    return f"Nothing reaches {target} {where}; the most accurate there is {found}{tie}.{scale.note}"
