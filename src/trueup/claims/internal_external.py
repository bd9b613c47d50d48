"""Training and search add up: a model that was trained to reason gains from a verifier too.

Liu et al. 2025, arXiv:2502.06703; Zhang et al. 2025, arXiv:2503.24235. A 2 x 2: a model that answers chains of
arithmetic directly, the same model trained further on worked steps; one sample, many samples that a verifier weighs.
The verifier learns from its own model's samples. Training is charged, and spread over requests in totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trueup.claims.chains import Size, Stage, laboratory, measure_model, train_stages, train_until, trial_items
from trueup.claims.crossing import MARGIN, Crossing, crossing, external, internal
from trueup.claims.curves import Curves, Right
from trueup.claims.pieces import Pieces
from trueup.claims.start import Start, Trained, ready
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.estimate import Column
from trueup.plan.paired import Paired, paired

NAME = "internal-external"
LEVEL = 0.01
REQUESTS = 1_000_000
EASE = (0.25, 0.65)
ROOM = 0.95
GOAL = 0.7
SEEDS = 3
CRITERION = (
    f"In each of {SEEDS} seeds, on the same items (McNemar mid-p < {LEVEL}): (a) trained@1 > base@1, (b) base@N with a "
    "verifier > base@1, (c) trained@N with a verifier > trained@1, (d) base@N < trained@N at the largest N. Refuted "
    f"where in each seed (c) adds less than {MARGIN:.1%} (upper 95 % limit), or base@N is within {MARGIN:.1%} of "
    f"trained@N or better (lower 95 % limit) at the most total FLOPs that both reach, one-off costs spread over "
    f"{REQUESTS:,} requests. "
    f"Inconclusive unless base@1 lies between {EASE[0]:.0%} and {EASE[1]:.0%}, and trained@1 leaves room, at most "
    f"{ROOM:.0%}; for that training stops as soon as a pilot is right {GOAL:.0%} of the time."
)
SIZES = {
    "smoke": Size(
        modulus=5, most=3, width=48, direct=(Stage(1, 60), Stage(2, 80), Stage(3, 40)), worked=(Stage(3, 200),),
        items=120, attempts=16, verifier_items=96, verifier_samples=4, verifier_steps=30,
    ),
    "cpu": Size(
        modulus=7, most=4, width=64, direct=(Stage(1, 300), Stage(2, 500), Stage(4, 800)), worked=(Stage(4, 2000),),
        items=1500, attempts=256, verifier_items=3000, verifier_samples=8, verifier_steps=1000, rows=128, lr=3e-3,
    ),
    # On an H200, beside five other jobs, 11 minutes.
    "gpu": Size(
        modulus=7, most=4, width=0, direct=(Stage(1, 200), Stage(2, 400), Stage(4, 600)), worked=(Stage(4, 1000),),
        items=2000, attempts=128, verifier_items=4000, verifier_samples=8, verifier_steps=300, rows=256, lr=3e-4,
        round_steps=25, direct_goal=0.45, start=Start("smollm2", "cuda"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """What one seed's verdict rests on; each difference is first minus second as the criterion has it."""

    base_once: float
    trained_once: float
    trained: Paired
    base_search: Paired
    trained_search: Paired
    ahead: Paired
    equal_flops: Paired | None


def internal_external(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """Training builds ability, search extracts it, and the two add up."""
    size = size_of(NAME, scale, SIZES)
    size = replace(size, start=ready(NAME, scale, size.start))
    return put_to_test(scale, size, range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    measured = pieces.over(seeds, lambda seed: _measure(size, seed, seeds[0], pieces))
    compared = [compare(base, trained, flops) for base, trained, flops in measured]
    crossings = [_crossings(s, *one) for s, one in zip(seeds, measured, strict=True)]
    notes = [_note(s, t, c) for s, t, c in zip(seeds, compared, crossings, strict=True)]
    notes += [_control(s, b, t) for s, (b, t, _) in zip(seeds, measured, strict=True)]
    voted = [compare(b.by_votes, t.by_votes, flops) for b, t, flops in measured]
    notes += [_votes(s, v, b, t) for s, v, (b, t, _) in zip(seeds, voted, measured, strict=True)]
    notes.append(f"with plain votes in the verifier's place the criterion would say {decide(voted)}")
    notes += size.start.notes()
    arms = _arms(measured, seeds[0])
    for place, name in enumerate(("break-even", "break-even against votes")):
        arms += [{"name": f"{name}, seed {s}", **c[place].row()} for s, c in zip(seeds, crossings, strict=True)]
    return Verdict(NAME, scale, decide(compared), CRITERION, size.items, tuple(seeds), arms, notes)


def decide(seeds: Sequence[Compared]) -> str:
    """The verdict, by the criterion alone."""
    if not all(EASE[0] <= seed.base_once <= EASE[1] and seed.trained_once <= ROOM for seed in seeds):
        return INCONCLUSIVE
    if all(seed.trained_search.ci95[1] < MARGIN for seed in seeds) or all(_is_matched(seed) for seed in seeds):
        return REFUTED
    arms = [arm for seed in seeds for arm in (seed.trained, seed.base_search, seed.trained_search, seed.ahead)]
    return REPRODUCED if all(arm.difference > 0 and arm.p < LEVEL for arm in arms) else INCONCLUSIVE


def _is_matched(seed: Compared) -> bool:
    return seed.equal_flops is not None and seed.equal_flops.ci95[0] > -MARGIN


def compare(base: Curves, trained: Curves, training_flops: float) -> Compared:
    """One seed's comparisons; @1 is the first sample, @N the largest number."""
    equal = at_equal_flops(base, trained, training_flops)
    return Compared(
        float(base.pass1_M.mean()),
        float(trained.pass1_M.mean()),
        paired(trained.single, base.single),
        paired(base.weighted_KM[-1], base.single),
        paired(trained.weighted_KM[-1], trained.single),
        paired(trained.weighted_KM[-1], base.weighted_KM[-1]),
        None if equal is None else paired(base.weighted_KM[equal[0]], trained.weighted_KM[equal[1]]),
    )


def at_equal_flops(base: Curves, trained: Curves, training_flops: float) -> tuple[int, int] | None:
    """The places of the most samples of both at one total, of which the base never gets the smaller part.

    None where no sample of the trained model is as cheap as the most of the base.
    """
    of_base, of_trained = total_flops(base, 0.0), total_flops(trained, training_flops)
    within = np.flatnonzero(of_trained <= of_base[-1])
    if not len(within):
        return None
    return int(np.argmax(of_base >= of_trained[within[-1]])), int(within[-1])


def total_flops(curves: Curves, training_flops: float) -> Column:
    """FLOPs a request per number of samples, with its share of what was paid once; a single one needs no verifier."""
    verifier_K = np.where(np.array(curves.sizes) > 1, curves.verifier_flops, 0.0)
    total_K: Column = curves.external.mean(1) + (training_flops + verifier_K) / REQUESTS
    return total_K


def _measure(size: Size, seed: int, first: int, pieces: Pieces) -> tuple[Curves, Curves, float]:
    """The base's curves, the trained model's, and the FLOPs that lie between them."""
    laboratory()
    items = trial_items(size, first)

    def base() -> Trained:
        files = pieces.file(f"seed{seed}-base")
        if size.direct_goal is None:
            return train_stages(size, size.direct, worked=False, seed=seed, files=files)
        begin = size.start.model(width=size.width, context=size.context, seed=seed)
        return train_until(size, begin, size.direct_goal, seed=seed, files=files, worked=False)

    def make_base() -> Json:
        return measure_model(size, base().model, items, worked=False, seed=seed).to_json()

    def make_trained() -> Json:
        trained = train_until(size, base().model, GOAL, seed=seed, files=pieces.file(f"seed{seed}-trained"))
        curves = measure_model(size, trained.model, items, worked=True, seed=seed)
        return {"curves": curves.to_json(), "training_flops": trained.flops}

    of_base, of_trained = pieces.get(f"seed{seed}-base", make_base), pieces.get(f"seed{seed}-trained", make_trained)
    return Curves.of_json(of_base), Curves.of_json(of_trained["curves"]), float(of_trained["training_flops"])


def _arms(measured: Sequence[tuple[Curves, Curves, float]], seed: int) -> list[dict[str, Json]]:
    """The cells of the 2 x 2 and all sizes between, over the seeds; an item's seeds are one cluster."""
    items = len(measured[0][0].greedy_M)
    draws = Resampler.of([str(i) for i in range(items)] * len(measured), seed=seed, name=NAME)
    arms = []
    for name, place, training in (("base", 0, False), ("trained", 1, True)):
        curves: list[Curves] = [seed_[place] for seed_ in measured]  # type: ignore[misc]
        spent = float(np.mean([seed_[2] for seed_ in measured])) if training else 0.0
        arms.append(_row(f"{name}@1, greedy", draws, [c.greedy_M for c in curves], curves, None, spent))
        for k, n in enumerate(curves[0].sizes):
            selector = "" if n == 1 else " with a verifier"
            arms.append(_row(f"{name}@{n}{selector}", draws, [c.weighted_KM[k] for c in curves], curves, k, spent))
        votes = [c.by_votes for c in curves]
        for k, n in enumerate(curves[0].sizes[1:], 1):
            arms.append(_row(f"{name}@{n} by votes", draws, [c.weighted_KM[k] for c in votes], votes, k, spent))
    return arms


def _row(
    name: str, draws: Resampler, right: Sequence[Right], curves: Sequence[Curves], place: int | None, training: float
) -> dict[str, Json]:
    """One arm; a single sample needs no verifier, and a greedy one is taken to cost what a sampled one does."""
    values, k = np.concatenate(right).astype(float), place or 0
    flops = [c.external[k] for c in curves]
    once = training + (float(np.mean([c.verifier_flops for c in curves])) if k else 0.0)
    request = float(np.mean(flops))
    return {
        "name": name, "n": len(values), "accuracy": float(values.mean()), "ci95": list(draws.mean(values)),
        "generated_tokens_per_request": float(np.mean([c.tokens_KM[k] for c in curves])),
        "inference_flops_per_request": request, "one_off_flops": once,
        "total_flops_per_request": request + once / REQUESTS,
    }  # fmt: skip


def _crossings(seed: int, base: Curves, trained: Curves, training_flops: float) -> tuple[Crossing, Crossing]:
    """Break-even against the base's verifier and against plain votes, each where both sides get to."""
    inside = internal(trained, training_flops)
    return crossing(external(base), inside, seed=seed), crossing(external(base.by_votes), inside, seed=seed)


def _note(seed: int, found: Compared, at: tuple[Crossing, Crossing]) -> str:
    named = (("a", found.trained), ("b", found.base_search), ("c", found.trained_search), ("d", found.ahead))
    said = ", ".join(f"({letter}) {_said(arm)}" for letter, arm in named)
    equal = "training alone costs more" if found.equal_flops is None else _said(found.equal_flops)
    return (
        f"seed {seed}: base@1 {found.base_once:.1%}, trained@1 {found.trained_once:.1%}; {said}; "
        f"base minus trained at equal total FLOPs: {equal}; training pays {_pays('a verifier', at[0])}, "
        f"{_pays('plain votes', at[1])}"
    )


def _pays(rival: str, at: Crossing) -> str:
    since = "never" if at.volume == float("inf") else f"from {at.volume:,.0f} requests on"
    return (
        f"{since} against {rival} (at {at.accuracy:.1%} right, base@{at.external_samples}, "
        f"trained@{at.internal_samples})"
    )


def _said(arm: Paired) -> str:
    return f"{arm.difference:+.1%} [{arm.ci95[0]:+.1%}, {arm.ci95[1]:+.1%}], p = {arm.p:.2g}"


def _control(seed: int, base: Curves, trained: Curves) -> str:
    """Search against the likeliest answer: what is left once the noise of sampling is taken out."""
    of_base, of_trained = (paired(c.weighted_KM[-1], c.greedy_M) for c in (base, trained))
    return f"seed {seed}, control against greedy answers: (b) {_said(of_base)}, (c) {_said(of_trained)}"


def _votes(seed: int, found: Compared, base: Curves, trained: Curves) -> str:
    """What plain votes of the same samples come to, and what a verifier adds to them."""
    named = (("b", found.base_search), ("c", found.trained_search), ("d", found.ahead))
    said = ", ".join(f"({letter}) {_said(arm)}" for letter, arm in named)
    of_base, of_trained = (paired(c.weighted_KM[-1], c.majority_KM[-1]) for c in (base, trained))
    return (
        f"seed {seed}, plain votes in the verifier's place: {said}; verifier minus votes: "
        f"base {_said(of_base)}, trained {_said(of_trained)}"
    )
