"""Choose on one half of the items, certify on the other.

A bound is honest only on items that had no say in what it bounds. So every cluster is in one half for good, by a coin
of its own that no seed and no other item has a part in: what was learned from the first half of one study can be
certified by another that has more items, or fewer. Where a model of the study was trained on some items, which then are
missing, a second coin splits the clusters of the second half; what is left of the first stays in it, for something else
may have been learned from that. The plan's choice is the one made on the choosing half, and the other, untouched until
then, proves it: one exact binomial test per stratum (decision: p = P(Bin(n, target) >= right) <= delta), delta shared
by the strata (Bonferroni), so that all certificates hold together with probability 1 - delta.
That is the promise of one look: decide how many items, then look once. Who grows a study until it certifies, be it to
the number that an uncertified one says it needs, looks several times and is wrong more often: in two of delta's cases
for one, within six such looks. What holds at any number of looks is `trueup audit`, of what is served.
Where a cluster has several items the seed draws one of them: the test needs independent items. What is promised is
about requests, most of which come from the larger clusters; so where sizes differ a cluster is kept with the chance of
its size over the largest of both halves, after which the one drawn of it is any request. Of requests that come from
clusters larger than any seen nothing is promised. The test needs items of one engine too: of what several have answered
nothing is proved, for nobody knows which one will serve.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from trueup.core.outcome import Measured, Outcome
from trueup.core.stratum import Stratum
from trueup.core.types import Item
from trueup.plan.engines import mixtures
from trueup.plan.estimate import lower_bound, tail
from trueup.plan.words import as_given, many

MOST_ITEMS = 1_000_000
CHUNK = 4096
COIN_BYTES = 8
HEADS = 1 << (8 * COIN_BYTES - 1)
"""Coins below it, one in two, are in the choosing half."""
SECOND = "second"
"""What tells the coin that is tossed after a training from the first."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is proved of the chosen arm: accuracy >= bound, wrong with probability delta at most.

    That holds for one look. `n` is how many of the held-out items were drawn, and `needs` how many held-out items would
    prove the target at the accuracy seen, if as large a part of them is drawn and they are looked at once; None where
    the target is proved already, or no number up to a million would do.
    """

    status: str
    target: float
    bound: float
    n: int
    right: int
    delta: float
    needs: int | None
    note: str


def halves(measured: Measured) -> tuple[Measured, Measured]:
    """The items to choose on and the items to certify on; whole clusters, each by its own coin.

    Neither half is empty where there are two clusters or more: should all coins fall alike, the one nearest to the
    other side goes there, unless a training has left it in the choosing half. With a single cluster there is nothing to
    certify on.
    """
    coins = {item.cluster: _toss(measured.stratum, item.cluster) for item in measured.stratum.items}
    heads, fixed = (sum(coin < end for coin in coins.values()) for end in (HEADS, 0))
    queue = sorted(coins, key=lambda cluster: coins[cluster])
    choosing = frozenset(queue[: max(1, fixed, min(heads, len(queue) - 1))])
    return _restrict(measured, choosing), _restrict(measured, frozenset(coins) - choosing)


def largest_cluster(measured: Measured) -> int:
    """How many items the largest cluster has, 0 without items."""
    return max(Counter(item.cluster for item in measured.stratum.items).values(), default=0)


def certify(held_out: Measured, label: str, *, target: float, delta: float, seed: int, largest: int = 1) -> Certificate:
    """Test one arm on items that had no say in choosing it; `largest` is the largest cluster's size in both halves."""
    dice, largest = _dice(held_out, seed), max(largest, largest_cluster(held_out))
    asked = [o for o in held_out.outcomes if o.arm == label]
    outcomes = _independent(asked, largest, dice)
    n, right = len(outcomes), sum(outcome.grade.is_right for outcome in outcomes)
    if told := "; ".join(row.note for row in mixtures(held_out.engines)):
        note = f"nothing is proved of a mixture: {told}"
        return Certificate("uncertified", target, 0.0, n, right, delta, None, note)
    is_proved = bool(tail(np.array([float(right)]), np.array([float(n)]), target)[0] <= delta)
    drawn = None if is_proved else needed(right, n, target, delta)
    needs = None if drawn is None else -(-drawn * len(asked) // n)
    status = "certified" if is_proved else "uncertified"
    note = _note(right, n, target, needs, is_proved=is_proved)
    note += _drawn(n, len(asked), largest) + _split(held_out.stratum.left_out)
    return Certificate(status, target, lower_bound(right, n, delta), n, right, delta, needs, note)


def needed(right: int, n: int, target: float, delta: float) -> int | None:
    """The smallest number of items that would prove the target at the accuracy seen, rights rounded down."""
    if n == 0 or right / n <= target:
        return None
    for start in range(1, MOST_ITEMS, CHUNK):
        sizes = np.arange(start, start + CHUNK)
        proved = tail((sizes * right // n).astype(float), sizes.astype(float), target) <= delta
        if proved.any():
            return int(sizes[proved.argmax()])
    return None


def _restrict(measured: Measured, clusters: Set[str]) -> Measured:
    def is_kept(item: Item) -> bool:
        return item.cluster in clusters

    return replace(
        measured,
        stratum=replace(measured.stratum, items=tuple(item for item in measured.stratum.items if is_kept(item))),
        pools=tuple(pool for pool in measured.pools if is_kept(pool.item)),
        outcomes=tuple(outcome for outcome in measured.outcomes if is_kept(outcome.item)),
    )


def _independent(outcomes: list[Outcome], largest: int, dice: random.Random) -> list[Outcome]:
    by_cluster: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_cluster.setdefault(outcome.item.cluster, []).append(outcome)
    return [
        dice.choice(group)
        for group in by_cluster.values()
        if len(group) == largest or dice.random() * largest < len(group)
    ]


def _toss(stratum: Stratum, cluster: str) -> int:
    """A cluster's coin; where a model was trained on others -1 for heads, and another coin after tails."""
    coin = _coin(stratum.name, cluster)
    if not stratum.left_out:
        return coin
    return -1 if coin < HEADS else _coin(stratum.name, cluster, SECOND)


def _coin(*words: str) -> int:
    """A number below 2 HEADS that the words alone decide."""
    return int.from_bytes(blake2b("\0".join(words).encode(), digest_size=COIN_BYTES).digest())


def _dice(measured: Measured, seed: int) -> random.Random:
    return random.Random(f"{seed}:{measured.stratum.name}:certify")


def _note(right: int, n: int, target: float, needs: int | None, *, is_proved: bool) -> str:
    seen = f"{many(right)} of {many(n)} held-out items are right"
    if n == 0:
        return "no item was left to certify on: a certificate needs at least two independent items"
    if is_proved:
        return f"{seen}; none of them had a say in the choice"
    if needs is not None:
        looks = "if that many are decided on beforehand and looked at once"
        return f"{seen}; {many(needs)} held-out items at this accuracy would certify {as_given(target)}, {looks}"
    if right / n <= target:
        return f"{seen}, no more than the target asks for: at this accuracy no number of items would certify it"
    return f"{seen}; more than a million would be needed to certify {as_given(target)} at this accuracy"


def _drawn(n: int, held_out: int, largest: int) -> str:
    """What is said where questions repeat, so that not every held-out item could be drawn."""
    told = f"{many(n)} of {many(held_out)} held-out items were drawn, since some questions repeat or share a cluster"
    return f"; {told} (up to {many(largest)} of them)" if n < held_out else ""


def _split(left_out: int) -> str:
    """What is said of the halves where a model was trained on some items."""
    told = "items are left out, since a model was trained on them, and those held out from it are split in two again"
    return f"; {many(left_out)} {told}" if left_out else ""
