"""Break-even: where one way of answering becomes cheaper than another.

Every way is a line, fixed + requests x (usd + error_usd (1 - accuracy - abstained)). Training has a fixed cost and
crosses an arm at V* = F / (m_arm - m_trained). Two arms have none: which is cheaper is the same at every
volume, and what decides is the price of a wrong answer. The dearer, better one pays above
(usd_b - usd_a) / (wrong_a - wrong_b). Ways are compared on all items, which had their say in the choice of one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations

from trueup.core.cost import HERE
from trueup.core.outcome import Pool
from trueup.plan.choose import share_wrong, wrong_share
from trueup.plan.measure import Point
from trueup.plan.sheet import OWN, Sheet, asks_no_other
from trueup.plan.wish import Wish
from trueup.plan.words import between, dollars, many, percent, points

TRAINING = "training"
ONCE = "once"
ALONE = "; one training for several strata pays from fewer on"
NOTHING = 1e-12
"""Relative differences of costs below this are rounding."""


@dataclass(frozen=True, slots=True)
class Breakeven:
    """Two ways; the requests of this stratum, or the price of an error, from which `b` or training pays.

    `fixed_usd` is what training costs, or did; None where it is not known, or neither way is training. `trained` is the
    arm of the trained model that was measured and is compared; "" where none was. `is_less_accurate` says that this arm
    is right less often than `b`.
    """

    stratum: str
    a: str
    b: str
    volume: float | None
    error_usd: float | None
    note: str
    fixed_usd: float | None = None
    trained: str = ""
    is_less_accurate: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """What a request is taken to cost after training, and how often it is right (None: as the other way).

    `fixed_usd` is the training's own cost; None where nobody has said. `abstained` is the share that gets no answer,
    `label` the arm that was measured to do so, "" where that is assumed, and `models` those that this arm may ask.
    """

    usd: float | None
    basis: str
    accuracy: float | None
    fixed_usd: float | None = None
    abstained: float = 0.0
    label: str = ""
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def wrong(self) -> float | None:
        """The share that is answered wrongly; None: as the other way."""
        return None if self.accuracy is None else share_wrong(self.accuracy, self.abstained)


def frontier(arms: Sequence[Point]) -> list[Point]:
    """The deployable arms of known price that nothing as cheap beats, from the cheapest up."""
    priced = [point for point in arms if point.is_deployable and point.cost.usd is not None]
    best: list[Point] = []
    for point in sorted(priced, key=lambda point: (point.cost.usd or 0.0, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def trained(arms: Sequence[Point], attempt_usd: float | None, wish: Wish, *, against: Point | None = None) -> Trained:
    """What a trained model was measured to do; else the wish's assumption, or what `once` or one attempt costs now.

    Of its arms, those that can be deployed, it is the one of least cost, errors priced in, among those as accurate as
    the arm `against`; the most accurate one where there is none such, or nothing to hold it against.
    """
    tuned = [point for point in arms if point.is_deployable and trained_models(point, wish)]
    if tuned:
        return _measured(_best(tuned, wish, against), wish)
    fixed_usd = None if wish.training_usd is None else float(wish.training_usd)
    if wish.trained_usd is not None:
        return Trained(float(wish.trained_usd), "as assumed", wish.trained_accuracy, fixed_usd)
    for point in arms:
        if point.method == ONCE and asks_no_other(point.models):
            return Trained(point.cost.usd, "as `once` does now", wish.trained_accuracy, fixed_usd)
    return Trained(attempt_usd, "as one attempt does now", wish.trained_accuracy, fixed_usd)


def _best(tuned: Sequence[Point], wish: Wish, against: Point | None) -> Point:
    price = float(wish.error_usd or 0)

    def cost(point: Point) -> tuple[bool, float]:
        """What is unknown comes last."""
        return point.cost.usd is None, (point.cost.usd or 0.0) + price * wrong_share(point)

    as_good = [point for point in tuned if against is not None and point.accuracy >= against.accuracy]
    if as_good:
        return min(as_good, key=cost)
    return min(tuned, key=lambda point: (-point.accuracy, *cost(point)))


def _measured(arm: Point, wish: Wish) -> Trained:
    fixed = wish.fixed_usd(arm.models)
    return Trained(
        arm.cost.usd, f"as `{arm.label}` was measured to", arm.accuracy, None if fixed is None else float(fixed),
        arm.abstained / arm.n, arm.label, arm.models,
    )  # fmt: skip


def trained_models(point: Point, wish: Wish) -> Set[str]:
    """The models that an arm may ask and that were trained."""
    return point.models.keys() & wish.trained.keys()


def breakeven(
    sheet: Sheet, arms: Sequence[Point], chosen: str, after: Trained, wish: Wish, *, stratum: str, share: float
) -> list[Breakeven]:
    """Training against every arm of the frontier and the chosen one, then each pair of the frontier.

    What comes `after` training is chosen anew for each arm where a trained model was measured. A frontier has no arm of
    a trained model, but one of its own where the study's own model was trained.
    """
    untrained = [point for point in arms if not trained_models(point, wish)]
    best = frontier(untrained)
    against = best + [point for point in untrained if point.label == chosen and point not in best]
    rows = [
        _training(
            stratum, point, trained(arms, None, wish, against=point) if after.label else after, wish,
            wish.volume * share, _a_call(sheet.pools),
        )
        for point in against
    ]  # fmt: skip
    own = frontier([point for point in arms if trained_models(point, wish) == {OWN}])
    pairs = [*combinations(best, 2), *combinations(own, 2)]
    return rows + [_pair(sheet, stratum, cheap, dear, wish) for cheap, dear in pairs]


def _training(stratum: str, arm: Point, after: Trained, wish: Wish, requests: float, a_call: float) -> Breakeven:
    if arm.cost.usd is None or after.usd is None:
        unknown = arm.label if arm.cost.usd is None else after.label or "an attempt of the trained model"
        note = f"no crossing: what {unknown} costs is unknown"
        return Breakeven(stratum, TRAINING, arm.label, None, None, note, trained=after.label)
    saved = _saved(arm, after, wish)
    volume, uneven = None, _uneven(arm, after, a_call)
    if saved <= NOTHING * arm.cost.usd:
        note = _seems_dearer(arm, after) if uneven else _never_saves(arm, after, wish)
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
    alone = ALONE if volume is not None and requests < wish.volume else ""
    return Breakeven(
        stratum, TRAINING, arm.label, volume, None, note + uneven + alone, after.fixed_usd, after.label,
        is_less_accurate=bool(after.label) and (after.accuracy or 0.0) < arm.accuracy,
    )  # fmt: skip


def _a_call(pools: Sequence[Pool | None]) -> float:
    """How many attempts a call of the pools has brought on average."""
    leads = [attempt.usage.leads for pool in pools if pool is not None for attempt in pool.attempts]
    return len(leads) / max(1, sum(leads))


def _uneven(arm: Point, after: Trained, a_call: float) -> str:
    """Why dollars of two arms that are those of seconds do not compare, in words; empty where they do.

    An attempt costs its share of the call that it came in: those of the study's own model came as the pool was drawn,
    those of others as methods ask for them.
    """
    billings = {*arm.models.values(), *after.models.values()}
    is_uneven = arm.models and after.models and arm.models.keys() != after.models.keys()
    if not is_uneven or OWN not in {*arm.models, *after.models} or not billings <= set(HERE) or round(a_call) < 2:
        return ""
    own, other = (arm.label, after.label) if OWN in arm.models else (after.label, arm.label)
    shared = f"attempts of {own} came {many(a_call)} to a call and share its seconds"
    return f"; these are dollars of seconds, and {shared}, while {other} was sampled in calls of its own"


def _seems_dearer(arm: Point, after: Trained) -> str:
    return f"whether training pays in dollars was not measured: {_each_costs(arm, after)}"


def _each_costs(arm: Point, after: Trained) -> str:
    assert arm.cost.usd is not None and after.usd is not None
    then, now = dollars(1000 * after.usd), dollars(1000 * arm.cost.usd)
    return f"a request would cost {then} per 1,000, {arm.label} costs {now}"


def _saved(arm: Point, after: Trained, wish: Wish) -> float:
    """Dollars a request that training saves, errors priced in where both their price and number are given."""
    saved = (arm.cost.usd or 0.0) - (after.usd or 0.0)
    if wish.error_usd is not None and after.wrong is not None:
        saved += float(wish.error_usd) * (wrong_share(arm) - after.wrong)
    return saved


def _never_saves(arm: Point, after: Trained, wish: Wish) -> str:
    assert arm.cost.usd is not None and after.usd is not None
    if wish.error_usd is not None and after.accuracy is not None:
        return f"training never pays here, errors counted, {_assumed(after, arm, wish)}"
    if abs(arm.cost.usd - after.usd) <= NOTHING * arm.cost.usd:
        return f"training saves nothing a request against {arm.label}: what it can win is accuracy, not dollars"
    return f"training never pays in dollars: {_each_costs(arm, after)}"


def _assumed(after: Trained, arm: Point, wish: Wish) -> str:
    right = f"is right as often ({percent(arm.accuracy)})"
    if after.accuracy is not None and after.wrong is not None:
        then, now = percent(after.accuracy), percent(arm.accuracy)
        if arm.abstained or after.abstained:
            then, now = f"{then} and wrong {percent(after.wrong)}", f"{now} and {percent(wrong_share(arm))}"
        right = f"is right {then} of the time ({arm.label}: {now})"
        if wish.error_usd is not None:
            right += f", an error at {dollars(float(wish.error_usd))}"
    return f"if it then costs a request {after.basis} and {right}"


def _pair(sheet: Sheet, stratum: str, cheap: Point, dear: Point, wish: Wish) -> Breakeven:
    """Both prices are known: arms of the frontier."""
    assert cheap.cost.usd is not None and dear.cost.usd is not None
    more, won = dear.cost.usd - cheap.cost.usd, dear.accuracy - cheap.accuracy
    low, high = sheet.draws.difference(sheet.arms[dear.label], sheet.arms[cheap.label])
    doubt = "" if low > 0 else ", so that it may win nothing"
    price, pays = _price(more, cheap, dear, wish)
    note = (
        f"at every volume: {dear.label} costs {dollars(1000 * more)} more per 1,000 requests and is right "
        f"{points(won)} more often ({between((low, high))}{doubt}){pays}"
    )
    return Breakeven(stratum, cheap.label, dear.label, None, price, note)


def _price(more: float, cheap: Point, dear: Point, wish: Wish) -> tuple[float | None, str]:
    """The price of an error from which so many dollars more a request pay, None where none does; and that in words."""
    spared = wrong_share(cheap) - wrong_share(dear)
    if spared <= NOTHING:
        return None, ", but wrong no less often, since the cheaper abstains: no price of a wrong answer makes it pay"
    price, given = more / spared, ""
    fewer = f" and wrong {points(spared)} less often" if cheap.abstained or dear.abstained else ""
    if wish.error_usd is not None:
        verdict = "pays" if float(wish.error_usd) > price else "does not pay"
        given = f"; at {dollars(float(wish.error_usd))} it {verdict}"
    return price, f"{fewer}; it pays where a wrong answer costs more than {dollars(price)}{given}"
