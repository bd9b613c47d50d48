"""Choosing by difficulty how to spend a budget, against always the same way.

Snell et al. 2024, arXiv:2408.03314: a way per bin of difficulty and budget, chosen by two-fold cross-validation in the
bin, is as often right as best-of-N weighted at up to 4 times its budget. There the samples that tell difficulty are not
part of the budget, and the other side is one fixed way, not the best one. Here both are put to the test, by
plan/compute_optimal.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trueup.claims.chains import Size as LabSize
from trueup.claims.chains import Stage, laboratory
from trueup.claims.gap import Difference
from trueup.claims.pieces import Pieces
from trueup.claims.search_contrasts import BINS, Found, compare
from trueup.claims.search_logs import Logs, Size, make_logs, pooled
from trueup.claims.search_rows import arms_of, notes_of
from trueup.claims.start import Start, ready
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of

NAME = "compute-optimal"
SEEDS = 3
LEVEL = 0.01
FACTOR = 2.0
EASE = (0.3, 0.6)
FLAT = 0.05
NEAR = 0.02
CRITERION = (
    f"In each of {SEEDS} seeds, items drawn anew 2,000 times: a method per predicted bin ({BINS} of them) and budget, "
    "chosen by two-fold cross-validation inside the bin among the methods that the budget affords on all items, is as "
    "often right as best-of-N weighted at its largest budget "
    f"B for B/{FACTOR:g} or less (95 % interval of the factor above 1), again (any factor, interval above 1) with the "
    "pilot charged, and right more often than the best fixed method at some budget. Beams minus best-of-N is positive "
    f"in the middle bin and negative in the easiest (difference of the two p < {LEVEL}), and in the hardest bin "
    f"nothing adds more than {FLAT:.0%} to one sample (lower 95 % limit). Refuted where in each seed at every budget "
    "the best fixed method lies within the interval of the adaptive one or above it, the interval ending below "
    f"{NEAR:.0%}; or where that is so with the pilot charged, or the factor's interval then ends at 1 or less. "
    f"Inconclusive unless one sample is right on {EASE[0]:.0%} to {EASE[1]:.0%}."
)
SIZES = {
    "smoke": Size(
        LabSize(
            modulus=7, most=6, width=64, direct=(), worked=(Stage(6, 150),), items=90, attempts=16, verifier_items=120,
            verifier_samples=4, verifier_steps=60, lr=4e-3,
        ),
        beams=(4, 16), width=4, rollouts=4, pilot=2, truth=16, temperature=2.25,
    ),
    "cpu": Size(
        LabSize(
            modulus=7, most=6, width=64, direct=(), worked=(Stage(6, 600),), items=2000, attempts=64,
            verifier_items=1000, verifier_samples=8, verifier_steps=2000, lr=4e-3,
        ),
        beams=(4, 16), width=4, rollouts=8, pilot=4, truth=64, ease=0.45,
    ),
    # On an H200 two seeds at once took 3 minutes, a third beside five other jobs 6.
    "gpu": Size(
        LabSize(
            modulus=7, most=6, width=0, direct=(), worked=(Stage(6, 600),), items=2000, attempts=64,
            verifier_items=2000, verifier_samples=8, verifier_steps=300, rows=256, lr=3e-4,
            start=Start("smollm2", "cuda"),
        ),
        beams=(4, 16), width=4, rollouts=8, pilot=4, truth=64, ease=0.45,
    ),
}  # fmt: skip


def compute_optimal(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """A method chosen by difficulty needs half the budget of best-of-N, its pilot included."""
    size = size_of(NAME, scale, SIZES)
    size = replace(size, lab=replace(size.lab, start=ready(NAME, scale, size.lab.start)))
    return put_to_test(scale, size, range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    laboratory()

    def logs_of(seed: int) -> Logs:
        return Logs.of_json(pieces.get(f"seed{seed}-logs", lambda: make_logs(size, seed, seeds[0], pieces).to_json()))

    logs = pieces.over(seeds, logs_of)
    found = [compare(size, one, seed) for seed, one in zip(seeds, logs, strict=True)]
    every = pooled(logs)
    together = compare(size, every, seeds[0])
    named = [*((f"seed {seed}", one) for seed, one in zip(seeds, found, strict=True)), ("all seeds", together)]
    notes = [note for name, one in named for note in notes_of(name, one)] + size.lab.start.notes()
    if size.ease is not None:
        told = ", ".join(f"{one.temperature:.2f}" for one in logs)
        notes.append(f"sampled at the temperatures at which a pilot is right {size.ease:.0%} of the time: {told}")
    return Verdict(NAME, scale, decide(found), CRITERION, size.lab.items, tuple(seeds), arms_of(every, together), notes)


def decide(found: Sequence[Found]) -> str:
    """The verdict, by the criterion alone."""
    if not all(EASE[0] <= seed.once <= EASE[1] for seed in found):
        return INCONCLUSIVE
    if all(_is_matched(seed.over_fixed) for seed in found) or all(_is_eaten_by_pilot(seed) for seed in found):
        return REFUTED
    holds = all(_gains(seed) and _turns_about(seed) and seed.hardest_gain.ci95[0] <= FLAT for seed in found)
    return REPRODUCED if holds else INCONCLUSIVE


def _is_matched(over_fixed: Sequence[Difference]) -> bool:
    return bool(over_fixed) and all(at.ci95[0] <= 0 and at.ci95[1] < NEAR for at in over_fixed)


def _is_eaten_by_pilot(seed: Found) -> bool:
    return _is_matched(seed.charged_over_fixed) or seed.charged_factor.ci95[1] <= 1


def _gains(seed: Found) -> bool:
    is_cheaper = seed.factor.value >= FACTOR and seed.factor.ci95[0] > 1 and seed.charged_factor.ci95[0] > 1
    return is_cheaper and any(at.ci95[0] > 0 for at in seed.over_fixed)


def _turns_about(seed: Found) -> bool:
    turn = seed.interaction
    return turn.middle > 0 > turn.easiest and turn.p < LEVEL
