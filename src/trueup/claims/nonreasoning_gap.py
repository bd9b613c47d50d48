"""A model without reasoning does not catch up by more samples, unless something selects.

Wang et al. 2025, arXiv:2504.14047; counter-evidence in arXiv:2504.07052 and 2502.06703. Models of one shape and one
start: one trained on worked steps, up to a goal that leaves room above it; two on direct answers, one for as many
learned tokens, one for as many FLOPs. Accuracy against generated tokens for 1, 2, 4, ... samples: majority, a
verifier's choice, any right one among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from trueup.claims.chains import (
    Size,
    Stage,
    cut_short,
    laboratory,
    learned_per_row,
    measure_model,
    read_per_row,
    train_stages,
    train_until,
    trial_items,
)  # fmt: skip
from trueup.claims.curves import Curves
from trueup.claims.gap import FLAT, STEPS, SURELY_FLAT, Difference, Gap, Measured, gap, is_flat, last_doubling
from trueup.claims.gap_rows import arms_of, cut_note, note_of, statement
from trueup.claims.pieces import Pieces
from trueup.claims.start import Start, Trained, ready
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of
from trueup.core.types import Json

NAME = "nonreasoning-gap"
SEEDS = 3
PAIRS = ("tokens", "flops")
CUT_SAMPLES = 4
GOAL, ROOM = 0.75, 0.95
COSTS = ("learned_tokens", "training_flops", "flops_per_token")
CRITERION = (
    f"In each of {SEEDS} seeds and for both pairs (direct answers matched on learned tokens, on training FLOPs): "
    "majority@N(direct) - pass@1(steps) at the largest N has a 95 % interval below 0 (paired bootstrap over items) "
    "and the verifier's choice does not cross pass@1(steps); over all seeds together the last doubling adds less than "
    f"{FLAT:.1%} to majority, surely less than {SURELY_FLAT:.1%}. "
    "Refuted where in each seed, for one pair at least, majority or the verifier's choice crosses: a lower 95 % limit "
    "above 0 at some N. Inconclusive where pass@1(direct) is not below pass@1(steps) to begin with, or pass@1(steps) "
    f"is above {ROOM:.0%} and leaves no room to get ahead; for that, training on steps stops as soon as a pilot is "
    f"right {GOAL:.0%} of the time. Coverage says whether the limit is selection; cutting the steps short is a control."
)
SIZES = {
    "smoke": Size(
        modulus=5, most=3, width=48, direct=(Stage(1, 60), Stage(2, 80), Stage(3, 40)), worked=(Stage(3, 160),),
        items=120, attempts=16, verifier_items=96, verifier_samples=4, verifier_steps=30, round_steps=40,
    ),
    "cpu": Size(
        modulus=7, most=4, width=64, direct=(Stage(1, 300), Stage(2, 500), Stage(4, 800)), worked=(Stage(4, 1500),),
        items=1500, attempts=256, verifier_items=3000, verifier_samples=8, verifier_steps=1000, rows=128, lr=3e-3,
        round_steps=25,
    ),
    # Chains are too long to be learnt by heart: direct answers to 4 operations modulo 7 are right 98 % of the time.
    # The rates are those of pilots with another seed: steps at 3e-4 were right on 16 % after 300 updates, at 1e-3 on
    # 46 %, after 350 on 76 %; direct answers to one operation were right on 59 % after 200 at 3e-4, on 13 % at 1e-3.
    "gpu": Size(
        modulus=11, most=6, width=0, direct=(Stage(1, 80), Stage(2, 120), Stage(4, 150), Stage(6, 150)),
        worked=(Stage(6, 500),), items=600, attempts=64, verifier_items=1500, verifier_samples=8, verifier_steps=160,
        rows=64, lr=3e-4, worked_lr=1e-3, round_steps=25, start=Start("smollm2", "cuda"),
    ),
}  # fmt: skip


def nonreasoning_gap(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """Without a verifier no number of samples lets a direct model catch up with one that reasons."""
    size = size_of(NAME, scale, SIZES)
    size = replace(size, start=ready(NAME, scale, size.start))
    return put_to_test(scale, size, range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    laboratory()
    models = pieces.over(seeds, lambda seed: _measure_seed(size, seed, seeds[0], pieces))
    gaps = [
        [gap(of[pair].curves, of[STEPS].curves, seed) for pair in PAIRS] for seed, of in zip(seeds, models, strict=True)
    ]
    doublings = [last_doubling([of[pair].curves for of in models], seeds[0]) for pair in PAIRS]
    notes = [statement(gaps, doublings)]
    for seed, of, row in zip(seeds, models, gaps, strict=True):
        notes += [
            note_of(f"seed {seed}, matched on {pair}", size.modulus, of[pair], g)
            for pair, g in zip(PAIRS, row, strict=True)
        ]
        notes.append(cut_note(seed, of[STEPS], of[PAIRS[-1]], seeds[0]))
    notes += size.start.notes()
    return Verdict(
        NAME, scale, decide(gaps, doublings), CRITERION, size.items, tuple(seeds), arms_of(models, seeds[0]), notes
    )


def decide(gaps: Sequence[Sequence[Gap]], doublings: Sequence[Difference]) -> str:
    """The verdict over seeds and pairs, by the criterion alone; `doublings` are the last ones, a pair each."""
    every = [pair for seed in gaps for pair in seed]
    if not all(pair.once.ci95[1] < 0 and pair.steps_once <= ROOM for pair in every):
        return INCONCLUSIVE
    if all(any(pair.majority_crosses or pair.verifier_crosses for pair in seed) for seed in gaps):
        return REFUTED
    holds = all(pair.stays_behind and not pair.majority_crosses and not pair.verifier_crosses for pair in every)
    return REPRODUCED if holds and all(map(is_flat, doublings)) else INCONCLUSIVE


def matched(size: Size, pair: str, steps: Measured) -> tuple[Stage, ...]:
    """The direct model's stages, stretched to as many learned tokens, or FLOPs, as the worked ones took."""
    wanted, per_row = steps.learned_tokens, learned_per_row
    if pair != "tokens":
        wanted, per_row = steps.training_flops / steps.flops_per_token, partial(read_per_row, size)
    stretch = wanted / (size.rows * sum(stage.steps * per_row(stage, worked=False) for stage in size.direct))
    return tuple(replace(stage, steps=max(1, round(stage.steps * stretch))) for stage in size.direct)


def _measure_seed(size: Size, seed: int, first: int, pieces: Pieces) -> Mapping[str, Measured]:
    def measured(name: str, train: Callable[[Path], Trained]) -> Measured:
        part = f"seed{seed}-{name}"
        make = partial(_look, size, lambda: train(pieces.file(part)), first, seed, worked=name == STEPS)
        return _read(pieces.get(part, make))

    def learn_steps(files: Path) -> Trained:
        begin = size.start.model(width=size.width, context=size.context, seed=seed)
        return train_until(size, begin, GOAL, seed=seed, files=files)

    steps = measured(STEPS, learn_steps)

    def direct(pair: str) -> Measured:
        stages = matched(size, pair, steps)
        return measured(pair, lambda files: train_stages(size, stages, worked=False, seed=seed, files=files))

    return {STEPS: steps, **dict(zip(PAIRS, pieces.over(PAIRS, direct), strict=True))}


def _look(size: Size, train: Callable[[], Trained], first: int, seed: int, *, worked: bool) -> Json:
    from trueup.train.laboratory.loop import training_flops

    trained, items = train(), trial_items(size, first)
    cut_KM = cut_short(size, trained.model, items, n=CUT_SAMPLES, seed=seed) if worked else None
    return {
        "curves": measure_model(size, trained.model, items, worked=worked, seed=seed).to_json(),
        **dict(zip(COSTS, (trained.learned_tokens, trained.flops, training_flops(trained.model, 1)), strict=True)),
        "cut": None if cut_KM is None else cut_KM.tolist(),
    }


def _read(table: Mapping[str, Json]) -> Measured:
    cut_KM = None if table["cut"] is None else np.array(table["cut"], float)
    learned, flops, per_token = (float(table[name]) for name in COSTS)
    return Measured(Curves.of_json(table["curves"]), learned, flops, per_token, cut_KM)
