"""Break-even: where one way of answering becomes cheaper than another.

Every way is a line, fixed + requests x (usd + error_usd (1 - accuracy)). Training has a fixed cost and
crosses an arm at V* = F / (m_arm - m_trained). Two arms have none: which is cheaper is the same at every
volume, and what decides is the price of a wrong answer. The dearer, better one pays above
(usd_b - usd_a) / (accuracy_b - accuracy_a).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from trueup.plan.measure import Point
from trueup.plan.sheet import Sheet
from trueup.plan.wish import Wish
from trueup.plan.words import between, dollars, many, percent, points

TRAINING = "training"
ONCE = "once"
MODEL = "model"
"""The setting that has a method ask another model."""
NOTHING = 1e-12
"""Relative differences of costs below this are rounding."""


@dataclass(frozen=True, slots=True)
class Breakeven:
    """Two ways; the requests of this stratum, or the price of an error, from which `b` or training pays.

    `fixed_usd` is what training costs, or did; None where it is not known, or neither way is training.
    """

    stratum: str
    a: str
    b: str
    volume: float | None
    error_usd: float | None
    note: str
    fixed_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """What a request is taken to cost after training, and how often it is right (None: as the other way).

    `fixed_usd` is the training's own cost; None where nobody has said.
    """

    usd: float | None
    basis: str
    accuracy: float | None
    fixed_usd: float | None = None


def frontier(arms: Sequence[Point]) -> list[Point]:
    """The deployable arms of known price that nothing as cheap beats, from the cheapest up."""
    priced = [point for point in arms if point.is_deployable and point.cost.usd is not None]
    best: list[Point] = []
    for point in sorted(priced, key=lambda point: (point.cost.usd or 0.0, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def trained(arms: Sequence[Point], attempt_usd: float | None, wish: Wish) -> Trained:
    """What a trained model was measured to do; else the wish's assumption, or what `once` or one attempt costs now."""
    tuned = [point for point in arms if is_trained(point, wish)]
    if tuned:
        best = max(tuned, key=lambda point: point.accuracy)
        fixed = wish.fixed_usd(asked(best))
        return Trained(
            best.cost.usd, f"as `{best.label}` was measured to", best.accuracy, None if fixed is None else float(fixed)
        )
    fixed_usd = None if wish.training_usd is None else float(wish.training_usd)
    if wish.trained_usd is not None:
        return Trained(float(wish.trained_usd), "as assumed", wish.trained_accuracy, fixed_usd)
    for point in arms:
        if point.method == ONCE:
            return Trained(point.cost.usd, "as `once` does now", wish.trained_accuracy, fixed_usd)
    return Trained(attempt_usd, "as one attempt does now", wish.trained_accuracy, fixed_usd)


def asked(point: Point) -> str | None:
    """The model that an arm asks, "" for the study's own; None for a solver's arm, which asks none."""
    return str(point.settings.get(MODEL, "")) if point.cost.calls else None


def is_trained(point: Point, wish: Wish) -> bool:
    """Whether an arm asks a model that was trained for it."""
    return asked(point) in wish.trained


def breakeven(
    sheet: Sheet, arms: Sequence[Point], chosen: str, after: Trained, wish: Wish, *, stratum: str, share: float
) -> list[Breakeven]:
    """Training against every arm of the frontier and the chosen one, then each pair of the frontier.

    A frontier has no arm of a trained model, but one of its own where the study's own model was trained.
    """
    untrained = [point for point in arms if not is_trained(point, wish)]
    best = frontier(untrained)
    against = best + [point for point in untrained if point.label == chosen and point not in best]
    rows = [_training(stratum, point, after, wish, wish.volume * share) for point in against]
    own = frontier([point for point in arms if "" in wish.trained and asked(point) == ""])
    pairs = [*combinations(best, 2), *combinations(own, 2)]
    return rows + [_pair(sheet, stratum, cheap, dear, wish) for cheap, dear in pairs]


def _training(stratum: str, arm: Point, after: Trained, wish: Wish, requests: float) -> Breakeven:
    if arm.cost.usd is None or after.usd is None:
        unknown = arm.label if arm.cost.usd is None else "an attempt of the trained model"
        return Breakeven(stratum, TRAINING, arm.label, None, None, f"no crossing: what {unknown} costs is unknown")
    saved = _saved(arm, after, wish)
    volume = None
    if saved <= NOTHING * arm.cost.usd:
        note = _never_saves(arm, after, wish)
    elif after.fixed_usd is None:
        note = (
            f"training may cost at most {dollars(saved * requests)} in all to pay at {many(requests)} requests of "
            f"this stratum, {_assumed(after, arm, wish)}"
        )
    else:
        volume = after.fixed_usd / saved
        side = "more than the plan sends here" if volume > requests else "fewer than the plan sends here"
        note = (
            f"training for {dollars(after.fixed_usd)} is cheaper from {many(volume)} requests of this stratum "
            f"on, {side} ({many(requests)}), {_assumed(after, arm, wish)}"
        )
    return Breakeven(stratum, TRAINING, arm.label, volume, None, note, after.fixed_usd)


def _saved(arm: Point, after: Trained, wish: Wish) -> float:
    """Dollars a request that training saves, errors priced in where both their price and number are given."""
    saved = (arm.cost.usd or 0.0) - (after.usd or 0.0)
    if wish.error_usd is not None and after.accuracy is not None:
        saved += float(wish.error_usd) * (after.accuracy - arm.accuracy)
    return saved


def _never_saves(arm: Point, after: Trained, wish: Wish) -> str:
    assert arm.cost.usd is not None and after.usd is not None
    if wish.error_usd is not None and after.accuracy is not None:
        return f"training never pays here, errors counted, {_assumed(after, arm, wish)}"
    if abs(arm.cost.usd - after.usd) <= NOTHING * arm.cost.usd:
        return f"training saves nothing a request against {arm.label}: what it can win is accuracy, not dollars"
    return (
        f"training never pays in dollars: a request would cost {dollars(1000 * after.usd)} per 1,000, {arm.label} "
        f"costs {dollars(1000 * arm.cost.usd)}"
    )


def _assumed(after: Trained, arm: Point, wish: Wish) -> str:
    right = f"is right as often ({percent(arm.accuracy)})"
    if after.accuracy is not None:
        right = f"is right {percent(after.accuracy)} of the time ({arm.label}: {percent(arm.accuracy)})"
        if wish.error_usd is not None:
            right += f", an error at {dollars(float(wish.error_usd))}"
    return f"if it then costs a request {after.basis} and {right}"


def _pair(sheet: Sheet, stratum: str, cheap: Point, dear: Point, wish: Wish) -> Breakeven:
    """Both prices are known: arms of the frontier."""
    assert cheap.cost.usd is not None and dear.cost.usd is not None
    more, won = dear.cost.usd - cheap.cost.usd, dear.accuracy - cheap.accuracy
    price = more / won
    low, high = sheet.draws.difference(sheet.arms[dear.label], sheet.arms[cheap.label])
    doubt = "" if low > 0 else ", so that it may win nothing"
    given = ""
    if wish.error_usd is not None:
        verdict = "pays" if float(wish.error_usd) > price else "does not pay"
        given = f"; at {dollars(float(wish.error_usd))} it {verdict}"
    note = (
        f"at every volume: {dear.label} costs {dollars(1000 * more)} more per 1,000 requests and is right "
        f"{points(won)} more often ({between((low, high))}{doubt}); it pays where a wrong answer costs more than "
        f"{dollars(price)}{given}"
    )
    return Breakeven(stratum, cheap.label, dear.label, None, price, note)
