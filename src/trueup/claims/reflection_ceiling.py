"""Whether reflection has a ceiling on structure that a model does not know.

Chen et al. 2025, LR²Bench, arXiv:2502.17848: reasoning models solve about a fifth of puzzles that need long reflection,
although most parts of their answers are right, and their reflections are fluent either way. Here with tiny models that
are taught to search in writing, with marks for what breaks and for what is taken back, and asked what they know and
what they do not: sizes between and beyond those learned, and a kind of tie that they learned to judge and never
searched with. All of it within the lengths that they learned, and with tokens that they saw.
"""

from __future__ import annotations

from collections.abc import Sequence

from trueup.claims.pieces import Pieces
from trueup.claims.reflection_contrasts import Fall, Found, compare
from trueup.claims.reflection_models import BETWEEN, BEYOND, KIND, SHOWN, TAUGHT_ONCE, Size, run_seed
from trueup.claims.reflection_published import CAVEATS, published_rows, solver_row
from trueup.claims.reflection_rows import arms_of, note_of
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of

NAME = "reflection-ceiling"
SEEDS = 3
KNOWS, JUDGES = 0.9, 0.9
FALLS, SHARE, PART = 0.2, 0.5, 0.6
BLIND = (0.4, 0.6)
FLAT = 0.01

CRITERION = (
    f"Of {SEEDS} seeds all must agree. Reproduced where for one kind of unfamiliar structure ({BETWEEN}, {BEYOND}, or "
    f"{KIND}) exact matches fall by {FALLS:.0%} or more from the familiar one (lower 95 % limit), while S-Acc stays "
    f"at {SHARE:.0%} or more and PM-0.5 at {PART:.0%} or more (lower limits), and the number of reflections does not "
    "tell exact answers from others, neither among items nor among attempts at one problem (both AUCs' intervals "
    f"within {BLIND[0]} to {BLIND[1]}; where no answer is exact there is nothing to tell, and that kind does not "
    "count as reproduced). Refuted where for every kind of structure the fall is shown to be smaller (upper limit "
    f"below {FALLS:.0%}) or reflections to tell (either AUC's interval outside {BLIND[0]} to {BLIND[1]} altogether); "
    "parts that fall with the whole refute nothing. Refuted too where exact matches fall with the take-backs that a "
    f"search needs (slope among items of one group, upper limit below -{FLAT:.0%} a take-back) only through its "
    f"length (slope among items of one length, lower limit above -{FLAT:.0%}). Inconclusive unless every seed answers "
    f"{KNOWS:.0%} of familiar items exactly; {KIND} counts for nothing unless every seed judges {JUDGES:.0%} of its "
    "ties rightly."
)
SIZES = {
    "smoke": Size(
        width=32, layers=2, steps=30, rounds=1, shown=10, pool=200, items=40, sampled=10, attempts=2, longest=90
    ),
    "cpu": Size(width=64, layers=2, steps=1000, rounds=3, shown=300, pool=10_000, items=1000, sampled=300),
}


def reflection_ceiling(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """Exact answers fall on unfamiliar structure, their parts stay right, and reflections do not tell."""
    return put_to_test(scale, size_of(NAME, scale, SIZES), range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    seen = pieces.over(seeds, lambda seed: run_seed(size, seed, seeds[0], pieces))
    found = [compare(arms[TAUGHT_ONCE], seed) for seed, arms in zip(seeds, seen, strict=True)]
    notes = [_summary(found)]
    for seed, one, arms in zip(seeds, found, seen, strict=True):
        notes += note_of(seed, one)
        after = ", ".join(f"{name} {group.right_M.mean():.1%}" for name, group in arms[SHOWN].groups.items())
        notes.append(f"seed {seed}, shown searches of every group for {size.shown} updates: {after}")
    rows = [*arms_of(seen, seeds[0]), *solver_row(), *published_rows()]
    return Verdict(NAME, scale, decide(found), CRITERION, size.items, tuple(seeds), rows, [*notes, *CAVEATS])


def decide(found: Sequence[Found]) -> str:
    """The verdict, by the criterion alone."""
    if not knows(found):
        return INCONCLUSIVE
    if only_through_length(found):
        return REFUTED
    structures = graded(found)
    if any(all(has_ceiling(seed.falls[name]) for seed in found) for name in structures):
        return REPRODUCED
    is_shown = [all(has_none(seed.falls[name]) for seed in found) for name in structures]
    return REFUTED if structures and all(is_shown) else INCONCLUSIVE


def knows(found: Sequence[Found]) -> bool:
    """Whether every seed answers what is familiar."""
    return all(seed.familiar >= KNOWS for seed in found)


def graded(found: Sequence[Found]) -> list[str]:
    """The kinds of structure that count: a tie that is not judged rightly is not merely unfamiliar."""
    is_judged = all(seed.judged >= JUDGES for seed in found)
    return [name for name in found[0].falls if name != KIND or is_judged]


def has_ceiling(one: Fall) -> bool:
    """Whether exact answers fall, their parts stay right, and reflections tell nothing."""
    is_partial = one.share.ci95[0] >= SHARE and one.half.ci95[0] >= PART
    is_blind = all(BLIND[0] <= low and high <= BLIND[1] for low, high in (one.telling.ci95, one.within.ci95))
    return one.fall.ci95[0] >= FALLS and is_partial and is_blind


def has_none(one: Fall) -> bool:
    """Whether exact answers are shown not to fall so far, or reflections to tell."""
    is_telling = any(low > BLIND[1] or high < BLIND[0] for low, high in (one.telling.ci95, one.within.ci95))
    return one.fall.ci95[1] < FALLS or is_telling


def only_through_length(found: Sequence[Found]) -> bool:
    """Whether needed take-backs cost exact answers, and none among searches of one length."""
    return all(seed.raw.ci95[1] < -FLAT < seed.adjusted.ci95[0] for seed in found)


def _summary(found: Sequence[Found]) -> str:
    if not knows(found):
        return "not every seed answers what is familiar, so that nothing is decided"
    told = [
        f"{name}: ceiling in {sum(has_ceiling(seed.falls[name]) for seed in found)}, shown to have none in "
        f"{sum(has_none(seed.falls[name]) for seed in found)} of {len(found)} seeds"
        for name in graded(found)
    ]
    length = "only through length" if only_through_length(found) else "not shown to work through length alone"
    return f"{'; '.join(told)}; needed take-backs: {length}"
