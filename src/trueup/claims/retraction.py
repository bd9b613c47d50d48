"""Whether what a model lacks for backtracking is a way to take back, or training.

Ye et al. 2023, SatLM, arXiv:2305.09656; Yang et al. 2025, Self-Backtracking, arXiv:2502.04404; counter-evidence in
Gandhi et al. 2024, Stream of Search, arXiv:2404.03683, and Shah et al. 2024, arXiv:2409.10502. Maps to colour, of one
size, whose dial is how many wrong turns a complete search takes (propagation, fewest values next). Tiny models learn
from the same maps, for as many training tokens, to answer forward only, to search in a text that only grows, to search
in one from which the decoder deletes, or to write the constraints for a solver. None may write more tokens of an item
than another. Width, depth and learning rate were tried on seed 100 and other maps, not among the verdict's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trueup.claims.pieces import Pieces
from trueup.claims.retraction_formal import is_solved, of_gold
from trueup.claims.retraction_found import Found, compare
from trueup.claims.retraction_models import APPEND, DELETE, FORWARD, Size, maps_of, run_seed
from trueup.claims.retraction_rows import arms_of, notes_of
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of

NAME = "retraction"
SEEDS = 3
LEVEL = 0.01
FLAT, ALIKE = 0.02, 0.02
SOLVES, EASY, MENDS = 0.95, 0.9, 0.2
CRITERION = (
    f"In each of {SEEDS} seeds, at equal training tokens and within one number of written tokens. Architectural, and "
    "so reproduced: forward-only answers (their vote) and append-only search are right less often the more wrong "
    f"turns a search takes (slope below 0, p < {LEVEL}), true deletion's slope is above both (p < {LEVEL}), and where "
    f"there are wrong turns the last two thirds of the data brought either of the two less than {FLAT:.0%} (upper "
    f"95 % limit). Refuted where in each seed append-only search is right at least {SOLVES:.0%} of the time where "
    "there are wrong turns (lower 95 % limit: it was training), or deletion's lead over it there is less than "
    f"{ALIKE:.0%} (upper 95 % limit: it was not the missing primitive), or the last two thirds of the data brought it "
    f"at least {MENDS:.0%} there (lower 95 % limit: training mends it) although it had been right on {EASY:.0%} of "
    "items without wrong turns before them. Inconclusive unless the solver alone is right on every item, and all "
    f"three are on at least {EASY:.0%} of those without wrong turns."
)
SIZES = {
    "smoke": Size(maps=8, items=12, width=16, tokens=16_000, layers=2, rows=16),
    "cpu": Size(maps=1200, items=700, width=64, tokens=9_000_000),
}


def retraction(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """Search fails where it must backtrack unless what is wrong can be deleted, or a solver takes over."""
    return put_to_test(scale, size_of(NAME, scale, SIZES), range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    maps, items = maps_of(size, seeds[0], pieces)
    gold = [(status, values) for status, values in pieces.get("solver", lambda: of_gold(items))]
    turns_M = np.array([one.undone for one in items])
    alone_M = np.array([is_solved(one, found) for one, found in zip(items, gold, strict=True)], bool)
    seen = pieces.over(seeds, lambda seed: run_seed(size, seed, maps, items, gold, pieces))
    found = [compare(of, turns_M, seed) for seed, of in zip(seeds, seen, strict=True)]
    notes = notes_of(seeds, found, turns_M)
    rows = arms_of(seen, alone_M, turns_M, seeds[0])
    return Verdict(
        NAME, scale, decide(found, bool(alone_M.all())), CRITERION, len(items), tuple(seeds), rows, notes
    )  # fmt: skip


def decide(found: Sequence[Found], is_solved_alone: bool) -> str:
    """The verdict, by the criterion alone."""
    if not is_solved_alone or not all(is_able(seed) for seed in found):
        return INCONCLUSIVE
    if any(all(shown(seed) for seed in found) for shown in (is_trained, is_alike, is_mended)):
        return REFUTED
    return REPRODUCED if all(is_architectural(seed) for seed in found) else INCONCLUSIVE


def is_able(seed: Found) -> bool:
    """Whether each way of answering works where nothing must be taken back."""
    return all(seed.easy[name] >= EASY for name in (FORWARD, APPEND, DELETE))


def is_trained(seed: Found) -> bool:
    """Whether append-only search is shown to do with enough data."""
    return seed.deep_ci95[APPEND][0] >= SOLVES


def is_alike(seed: Found) -> bool:
    """Whether deletion is shown to bring nothing over it."""
    return seed.over_append.ci95[1] < ALIKE


def is_mended(seed: Found) -> bool:
    """Whether more data is shown to mend append-only search that could do what needs no turning back."""
    return seed.began >= EASY and seed.learned[APPEND].ci95[0] >= MENDS


def is_architectural(seed: Found) -> bool:
    """Whether what cannot take back falls, what can does not, and more data does not help."""
    falls = all(seed.slopes[name].value < 0 and seed.slopes[name].p < LEVEL for name in (FORWARD, APPEND))
    apart = all(one.value > 0 and one.p < LEVEL for one in seed.apart.values())
    is_refuted = is_trained(seed) or is_alike(seed) or is_mended(seed)
    return not is_refuted and falls and apart and all(seed.learned[name].ci95[1] < FLAT for name in (FORWARD, APPEND))
