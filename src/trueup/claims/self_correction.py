"""Off-line correction traces do not teach self-correction, reinforcement over two turns does.

Kumar et al. 2024, arXiv:2409.12917; counter-evidence in Moskvoretskii et al. 2025, arXiv:2503.08681. A small model
answers sums most significant digit first, is asked again in words that reveal nothing, and would rather repeat itself.
Arms learn to correct from as many episodes and updates. The map varies habit, number of problems, source of the
targets and whether first attempts are anchored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trueup.claims.pieces import Pieces
from trueup.claims.self_correction_arms import ARMS, Seen, pass_at, see, train_arm
from trueup.claims.self_correction_base import Size, habitual, skilled
from trueup.claims.self_correction_found import (
    COLLAPSED_EDITS,
    COLLAPSED_GAIN,
    EASE,
    HEADROOM,
    LEVEL,
    MARGIN,
    Base,
    Found,
    compare,
)  # fmt: skip
from trueup.claims.self_correction_rows import Regime, arms_of, map_note, map_rows, notes_of
from trueup.claims.start import Start, laboratory, ready
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Spent, Transformer

NAME = "self-correction"
SEEDS = 3
TUNING = "updates and learning rate, one for all arms, were chosen by SCoRe's Acc@t2 on seed 100, not among these"
UNTUNED = "updates and learning rate, one for all arms, were set beforehand, by what the time allows, and not tuned"
MAPPED = ("Pair-SFT+", "iterated SFT+", "reference answers", "multi-turn RL", "SCoRe")
CRITERION = (
    f"In each of {SEEDS} seeds, greedy, paired: SCoRe's Acc@t2 is above its Acc@t1 (McNemar p < {LEVEL}), its gain "
    "above every supervised arm's and the base's (95 % interval above 0), its right-to-wrong below the base's "
    "(interval below 0), and its Acc@t2 above that of both ablations and both iterated arms (intervals above 0). "
    "Refuted where in each seed SCoRe's Acc@t2 over an iterated on-policy SFT arm's, or its gain from t1 to t2 over "
    f"the base's, is shown to be less than {MARGIN:.0%} (upper 95 % limit). Inconclusive unless the base is right on "
    f"{EASE[0]:.0%} to {EASE[1]:.0%} and one of 8 samples {HEADROOM:.0%} more often. Side findings: collapse, an edit "
    f"rate of at most {COLLAPSED_EDITS:.0%} and a gain of at most {COLLAPSED_GAIN:.1%} either way; shift, wrong first "
    "attempts of the base corrected more often than the model's own by Pair-SFT (interval above 0) and not by SCoRe."
)
SIZES = {
    "smoke": Size(
        base=3, digits=2, width=16, items=30, pilot=10, goal=0.05, skill_steps=6, habit_steps=4, updates=6, rows=16,
        copies=(0.9, 0.5), few=16,
    ),
    "cpu": Size(
        base=5, digits=3, width=48, items=2000, pilot=1000, goal=0.4, skill_steps=400, habit_steps=100, updates=450,
        rows=128, copies=(0.9, 0.5), few=512, lr=5e-4,
    ),
    # Reckoned for one H100 at 100 TFLOP/s, a tenth of its peak, 12 ms a token sampled and 40 ms a small step, as these
    # wait for their launches. A seed: a base of some 300 steps, half of them behind sampled drafts, 35 s; 13 arms of 45
    # updates, 11k tokens each, for six of them 12 tokens to sample and a reference, 7 PFLOP and 130 s; looks, 50 s. The
    # map, of one habit: 15 arms, 190 s. In all 14 minutes.
    "gpu": Size(
        base=5, digits=3, width=0, items=2000, pilot=1000, goal=0.4, skill_steps=100, habit_steps=50, updates=45,
        rows=512, copies=(0.9,), few=512, lr=5e-5, first_steps=20, round_steps=5, pace=0.1,
        start=Start("smollm2", "cuda"),
    ),
}  # fmt: skip


def self_correction(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """Traces made off-line do not teach a model to correct itself; reinforcement over two turns does."""
    size = size_of(NAME, scale, SIZES)
    size = replace(size, start=ready(NAME, scale, size.start))
    return put_to_test(scale, size, range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    laboratory()
    bases = [_base(size, seed, size.copies[0], pieces) for seed in seeds]
    seen = [{name: _arm(size, seed, (size.copies[0], False, name, False), pieces) for name in ARMS} for seed in seeds]
    found = [compare(base, of, seed) for seed, base, of in zip(seeds, bases, seen, strict=True)]
    cells = _map(size, seeds[0], pieces)
    notes = [note for seed, base, f in zip(seeds, bases, found, strict=True) for note in notes_of(seed, base, f)]
    notes += [map_note(cells), *([*size.start.notes(), UNTUNED] if size.start.weights else [TUNING])]
    arms = arms_of(bases, seen, found, seeds[0])
    arms += map_rows(cells, {copies: _base(size, seeds[0], copies, pieces) for copies in size.copies}, seeds[0])
    return Verdict(NAME, scale, decide(found), CRITERION, size.items, tuple(seeds), arms, notes)


def decide(found: Sequence[Found]) -> str:
    """The verdict, by the criterion alone."""
    if not all(seed.counts for seed in found):
        return INCONCLUSIVE
    if all(seed.fails for seed in found):
        return REFUTED
    return REPRODUCED if all(seed.holds for seed in found) else INCONCLUSIVE


def _map(size: Size, seed: int, pieces: Pieces) -> Mapping[Regime, Seen]:
    regimes = [
        (copies, few, name, anchored)
        for copies in size.copies
        for few in (False, True)
        for anchored in (False, True)
        for name in MAPPED
    ]
    return {regime: _arm(size, seed, regime, pieces) for regime in regimes}


def _base(size: Size, seed: int, copies: float, pieces: Pieces) -> Base:
    def make() -> Json:
        model, tokens, flops = _model(size, seed, copies, pieces)
        pass1, pass8 = pass_at(size, model, 8, seed=seed)
        seen = see(size, model, model, tokens=tokens, flops=flops)
        return {"seen": seen.to_json(), "pass1": pass1, "pass8": pass8}

    table = pieces.get(f"seed{seed}-base-{copies:.0%}", make)
    return Base(Seen.of_json(table["seen"]), table["pass1"], table["pass8"])


def _arm(size: Size, seed: int, regime: Regime, pieces: Pieces) -> Seen:
    copies, few, name, anchored = regime
    words = [f"seed{seed}", name.replace(" ", "-"), f"{copies:.0%}", "few" if few else "fresh"]
    part = "-".join([*words, "anchored"] if anchored else words)

    def make() -> Json:
        base, _, _ = _model(size, seed, copies, pieces)
        return train_arm(size, base, name, seed=seed, anchored=anchored, few=few).to_json()

    return Seen.of_json(pieces.get(part, make))


def _model(size: Size, seed: int, copies: float, pieces: Pieces) -> tuple[Transformer, int, int]:
    """The base, and the tokens and FLOPs of its training, from its files or trained."""

    def skill() -> tuple[Transformer, int, int]:
        return _kept(size, pieces, f"seed{seed}-skilled", lambda: skilled(size, seed))

    def habit() -> tuple[Transformer, Spent]:
        model, tokens, flops = skill()
        base, spent = habitual(size, model, copies, seed)
        return base, spent + Spent(tokens=tokens, flops=flops)

    from trueup.train.laboratory import Spent

    return _kept(size, pieces, f"seed{seed}-habit-{copies:.0%}", habit)


def _kept(
    size: Size, pieces: Pieces, part: str, make: Callable[[], tuple[Transformer, Spent]]
) -> tuple[Transformer, int, int]:
    """A model that was trained before, or is now; its file is there once its part is."""
    from trueup.train.laboratory import load_model, save_model

    path = pieces.file(f"{part}.pt")

    def train() -> Json:
        model, spent = make()
        save_model(model, path)
        return {"tokens": spent.tokens, "flops": spent.flops}

    spent = pieces.get(part, train)
    return load_model(path).to(size.start.device), spent["tokens"], spent["flops"]
