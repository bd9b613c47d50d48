"""What one seed says of self-correction: every comparison that a verdict rests on.

Differences are paired over the test items; their intervals come from the bootstrap over items, unless they are of two
accuracies, where they are Tango's. Axes: M item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.claims.gap import Difference
from trueup.claims.self_correction_arms import ABLATED, ITERATED, OFF_LINE
from trueup.claims.self_correction_parts import Base
from trueup.claims.self_correction_seen import Seen
from trueup.plan import Resampler
from trueup.plan.estimate import Column
from trueup.plan.paired import Paired, paired
from trueup.plan.resample import TAIL

LEVEL = 0.01
EASE = (0.3, 0.6)
HEADROOM = 0.1
COLLAPSED_EDITS = 0.05
COLLAPSED_GAIN = 0.005
MARGIN = 0.02
"""How much an advantage of SCoRe's must at least be able to reach, or it is refuted."""
PRONE = ("Pair-SFT+", "multi-turn RL")
"""The arms of which the paper says that they collapse into repeating the first attempt."""
SHIFTED = "Pair-SFT"


@dataclass(frozen=True, slots=True)
class Found:
    """One seed. `gain` is Acc@t2 over Acc@t1; `over_supervised` how much more SCoRe gains than each other arm does.

    `breaks` is SCoRe's share of right-to-wrong minus the base's, `without` SCoRe's Acc@t2 over each ablation's,
    `over_iterated` over each iterated arm's, `over_base` SCoRe's gain minus the base's. `collapsed` and `shift` are the
    two side findings: which arms repeat themselves, and how much better each corrects the base's attempts than its own.
    `unfinished` are arms that are neither flat nor at the cap, `rising` those that met the cap and are not flat.
    """

    first: float
    headroom: float
    gain: Paired
    over_supervised: Mapping[str, Difference]
    breaks: Difference
    without: Mapping[str, Paired]
    over_iterated: Mapping[str, Paired]
    over_base: Difference
    collapsed: Mapping[str, bool]
    shift: Mapping[str, Difference]
    unfinished: Sequence[str] = ()
    rising: Sequence[str] = ()

    @property
    def counts(self) -> bool:
        """Whether the base is one that the claim is about."""
        return EASE[0] <= self.first <= EASE[1] and self.headroom >= HEADROOM

    @property
    def holds(self) -> bool:
        """Whether SCoRe corrects, more than any supervised arm and the base, breaks less, and needs both its parts."""
        return (
            not self.fails
            and not self.unfinished
            and (
                self.gain.difference > 0
                and self.gain.p < LEVEL
                and all(over.ci95[0] > 0 for over in self.over_supervised.values())
                and self.breaks.ci95[1] < 0
                and all(over.ci95[0] > 0 for over in (*self.without.values(), *self.over_iterated.values()))
                and self.over_base.ci95[0] > 0
            )
        )

    @property
    def fails(self) -> bool:
        """Whether an iterated arm is shown to be as good, or all that SCoRe gains to be in first attempts.

        Only a SCoRe that has learned all it will can fail.
        """
        as_good = any(over.ci95[1] < MARGIN for over in self.over_iterated.values())
        return "SCoRe" not in self.unfinished and (as_good or self.over_base.ci95[1] < MARGIN)


def compare(base: Base, seen: Mapping[str, Seen], seed: int, *, cap: int) -> Found:
    """One seed's comparisons; an arm takes `cap` updates at most."""
    score = seen["SCoRe"]
    unflat = {name: arm for name, arm in seen.items() if not arm.taught.is_flat}
    draws = Resampler.of([str(i) for i in range(len(score.first_M))], seed=seed, name="self-correction")

    def against(first_M: Column, second_M: Column) -> Difference:
        values_M = first_M - second_M
        return Difference(float(values_M.mean()), draws.mean(values_M, (-2.0, 2.0)))

    return Found(
        float(base.seen.first_M.mean()),
        base.pass8 - float(base.seen.first_M.mean()),
        paired(score.second_M, score.first_M),
        {name: against(_gains(score), _gains(seen[name])) for name in (*OFF_LINE, *ITERATED)},
        against(_broken(score), _broken(base.seen)),
        {name: paired(score.second_M, seen[name].second_M) for name in ABLATED},
        {name: paired(score.second_M, seen[name].second_M) for name in ITERATED},
        against(_gains(score), _gains(base.seen)),
        {name: collapsed(seen[name]) for name in PRONE},
        {name: shift(base.seen, arm, draws) for name, arm in seen.items()},
        [name for name, arm in unflat.items() if arm.taught.updates < cap],
        [name for name, arm in unflat.items() if arm.taught.updates >= cap],
    )


def collapsed(arm: Seen) -> bool:
    """Whether an arm hardly edits, and hardly gains by it."""
    gain = float(_gains(arm).mean())
    return bool(arm.edited_M.mean() <= COLLAPSED_EDITS and abs(gain) <= COLLAPSED_GAIN)


def shift(base: Seen, arm: Seen, draws: Resampler) -> Difference:
    """How often the base's wrong first attempts are corrected, minus how often its own are."""
    fixed, fixed_drawn = _shares(draws, ~base.first_M & arm.fixed_M, ~base.first_M)
    own, own_drawn = _shares(draws, ~arm.first_M & arm.second_M, ~arm.first_M)
    low, high = np.quantile(fixed_drawn - own_drawn, [TAIL, 1 - TAIL])
    return Difference(fixed - own, (float(low), float(high)))


def _shares(draws: Resampler, top_M: NDArray[np.bool_], bottom_M: NDArray[np.bool_]) -> tuple[float, Column]:
    """The ratio, and the same in every draw; 0 where nothing is left to correct."""
    tops, bottoms = (draws.weights @ np.bincount(draws.codes, x.astype(float)) for x in (top_M, bottom_M))
    return float(top_M.sum() / max(1, bottom_M.sum())), tops / np.maximum(1.0, bottoms)


def _gains(seen: Seen) -> Column:
    return seen.second_M.astype(float) - seen.first_M


def _broken(seen: Seen) -> Column:
    return (seen.first_M & ~seen.second_M).astype(float)
