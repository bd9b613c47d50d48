"""What one seed says: how far answers fall, what parts stay right, what reflections tell, what difficulty does.

Intervals are of the bootstrap over items; two groups have items of their own, and are drawn apart.
Axes: M item, N attempt, D draw, K number of reflections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trueup.claims.gap import Difference
from trueup.claims.reflection_models import FAMILIAR, Group, Right, Seen, Tokens
from trueup.plan import Resampler
from trueup.plan.estimate import Column
from trueup.plan.resample import DRAWS, SHARE, TAIL

LENGTH_BINS = 6
SLOPE = (-1.0, 1.0)
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Fall:
    """One group beside the familiar one; `fall` is how much less often it is answered exactly.

    `telling` is the chance that an exact answer has more reflections than another (ties count half), `within` the same
    among attempts at one problem.
    """

    fall: Difference
    exact: Difference
    share: Difference
    half: Difference
    telling: Difference
    within: Difference


@dataclass(frozen=True, slots=True)
class Found:
    """One seed: what is familiar, every other group, and what a take-back that is needed does to exact answers.

    `raw` compares items of one group, `adjusted` items of one group whose searches are about as long.
    """

    familiar: float
    judged: float
    falls: Mapping[str, Fall]
    raw: Difference
    adjusted: Difference


def compare(seen: Seen, seed: int) -> Found:
    """All comparisons of one seed, over the groups that are not familiar."""
    familiar = seen.groups[FAMILIAR]
    unfamiliar = {name: group for name, group in seen.groups.items() if name != FAMILIAR}
    return Found(
        float(familiar.right_M.mean()),
        seen.judged,
        {name: fall(familiar, group, seed, name) for name, group in unfamiliar.items()},
        slope(unfamiliar, seed, bins=1),
        slope(unfamiliar, seed, bins=LENGTH_BINS),
    )


def fall(familiar: Group, group: Group, seed: int, name: str) -> Fall:
    """One group's figures beside the familiar one's."""
    draws = Resampler.of([str(i) for i in range(len(group.right_M))], seed=seed, name=name)

    def mean(values_M: Column) -> Difference:
        return Difference(float(values_M.mean()), draws.mean(values_M))

    return Fall(
        apart(familiar.right_M.astype(float), group.right_M.astype(float), seed),
        mean(group.right_M.astype(float)),
        mean(group.share_M),
        mean((group.share_M >= HALF).astype(float)),
        telling(group.marks_M, group.right_M, seed),
        within(group.marks_MN, group.right_MN, seed),
    )


def apart(first_M: Column, second_M: Column, seed: int) -> Difference:
    """The difference of the means of two groups, first minus second."""
    rng = np.random.default_rng([abs(seed), 21])
    drawn_2D = [
        np.array([values_M[rng.integers(0, len(values_M), len(values_M))].mean() for _ in range(DRAWS)])
        for values_M in (first_M, second_M)
    ]
    low, high = np.quantile(drawn_2D[0] - drawn_2D[1], [TAIL, 1 - TAIL])
    return Difference(float(first_M.mean() - second_M.mean()), (float(low), float(high)))


def telling(marks_M: Tokens, right_M: Right, seed: int) -> Difference:
    """The chance that a right item has more reflections than a wrong one; unknown where there are none of either."""
    if right_M.all() or not right_M.any():
        return Difference(float("nan"), SHARE)
    most = int(marks_M.max()) + 1
    counts_2K = np.stack([np.bincount(marks_M[right_M == is_right], minlength=most) for is_right in (True, False)])
    rng = np.random.default_rng([abs(seed), 22])
    drawn_DK = rng.multinomial(len(marks_M), (counts_2K / len(marks_M)).ravel(), DRAWS)
    values = [_more(one.reshape(2, most)) for one in drawn_DK]
    low, high = np.nanquantile(values, [TAIL, 1 - TAIL])
    return Difference(_more(counts_2K), (float(low), float(high)))


def within(marks_MN: Tokens, right_MN: Right, seed: int) -> Difference:
    """The same among the attempts at each problem, all pairs of a right and a wrong one together."""
    is_pair_MNN = right_MN[:, :, None] & ~right_MN[:, None, :]
    gap_MNN = np.sign(marks_MN[:, :, None] - marks_MN[:, None, :])
    pairs_M = is_pair_MNN.sum((1, 2)).astype(float)
    if not pairs_M.any():
        return Difference(float("nan"), SHARE)
    more_M = (is_pair_MNN * (1 + gap_MNN) / 2).sum((1, 2))
    draws = Resampler.of([str(i) for i in range(len(pairs_M))], seed=seed, name="within")
    return Difference(float(more_M.sum() / pairs_M.sum()), draws.ratio(more_M, pairs_M))


def slope(groups: Mapping[str, Group], seed: int, *, bins: int) -> Difference:
    """What one needed take-back more does to exact answers, among items of a group and a bin of search length."""
    parts = [
        (_centred(one.right_M, one.length_M, bins), _centred(one.undone_M, one.length_M, bins))
        for one in groups.values()
    ]
    right_M, undone_M = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    top_M, bottom_M = right_M * undone_M, undone_M**2
    if not bottom_M.any():
        return Difference(float("nan"), SLOPE)
    draws = Resampler.of([str(i) for i in range(len(top_M))], seed=seed, name="slope")
    return Difference(float(top_M.sum() / bottom_M.sum()), draws.unbounded_ratio(top_M, bottom_M, SLOPE))


def _centred(values_M: Right | Tokens, length_M: Tokens, bins: int) -> Column:
    """Values less the mean of those whose searches are about as long."""
    centred_M = values_M.astype(float)
    for part in np.array_split(np.argsort(length_M, kind="stable"), bins):
        centred_M[part] -= centred_M[part].mean()
    return centred_M


def _more(counts_2K: Tokens) -> float:
    """The chance that one of the first row's is greater than one of the second's, ties by half."""
    right_K, wrong_K = counts_2K
    pairs = right_K.sum() * wrong_K.sum()
    below_K = np.cumsum(wrong_K) - wrong_K
    return float((right_K * (below_K + wrong_K / 2)).sum() / pairs) if pairs else float("nan")
