"""The gap in words and rows: what each comparison says, and every arm's figures.

Axes: M item, K number of samples or of steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log

import numpy as np

from trueup.claims.gap import STEPS, Difference, Gap, Measured
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.estimate import Column


def statement(gaps: Sequence[Sequence[Gap]], doublings: Sequence[Difference]) -> str:
    """What may be said with and without a verifier, and what the last doubling adds over all seeds, pair by pair."""
    every = [pair for seed in gaps for pair in seed]
    count = len(every)
    behind, votes = sum(pair.stays_behind for pair in every), sum(pair.majority_crosses for pair in every)
    chosen = sum(pair.verifier_crosses for pair in every)
    below = sum(pair.weighted[-1].ci95[1] < 0 for pair in every)
    return (
        f"without a verifier: majority stays behind in {behind} of {count} comparisons and crosses in {votes}, "
        f"and the last doubling adds {' and '.join(map(_said, doublings))} over all seeds; "
        f"with one: its choice stays behind in {below} and crosses in {chosen}"
    )


def note_of(name: str, modulus: int, direct: Measured, found: Gap) -> str:
    """One comparison: both levers, what limits the direct model, against a blind guesser."""
    sizes, once = direct.curves.sizes, found.steps_once
    return (
        f"{name}: pass@1 {float(direct.curves.pass1_M.mean()):.1%} against {once:.1%} with steps; minus that, "
        f"majority@{sizes[-1]} {_said(found.majority[-1])}, the verifier's choice {_said(found.weighted[-1])}, "
        f"coverage {_said(found.covered[-1])}; the last doubling adds {_said(found.last_doubling)} to majority; "
        f"{limit(sizes, found, blind_guesses(modulus, once))}"
    )


def limit(sizes: Sequence[int], found: Gap, blind: int) -> str:
    """What keeps the direct model behind, by its coverage, where that comes sooner than `blind` guesses would."""
    low, high = found.covered[-1].ci95
    if high < 0:
        return "the limit is capability: right answers are among its samples less often"
    first = next((n for n, at in zip(sizes, found.covered, strict=True) if at.value >= 0), None)
    if low <= 0 or first is None:
        return "coverage does not tell selection from capability"
    if first >= blind:
        return f"coverage tells nothing: it gets there at N = {first}, a blind guesser at N = {blind}"
    return f"the limit is selection: coverage gets there at N = {first}, a blind guesser's at N = {blind}"


def blind_guesses(modulus: int, share: float) -> int:
    """How many answers drawn blindly cover this share of the items."""
    return max(1, ceil(log(max(1.0 - share, 1e-9)) / log(1.0 - 1.0 / modulus)))


def cut_note(seed: int, steps: Measured, direct: Measured, first: int) -> str:
    """The control: accuracy with the steps cut behind k of them, whether it only rises with k, and where it begins."""
    assert steps.cut_KM is not None
    draws = Resampler.of([str(i) for i in range(steps.cut_KM.shape[1])], seed=first, name="cut")
    rises = [draws.difference(after, before) for before, after in zip(steps.cut_KM, steps.cut_KM[1:], strict=False)]
    falls = sum(high < 0 for _, high in rises)
    low, high = draws.difference(steps.cut_KM[0], direct.curves.pass1_M)
    shares = ", ".join(f"{x:.1%}" for x in steps.cut_KM.mean(1))
    shape = "never falls as more steps are kept" if not falls else f"falls {falls} times as more steps are kept"
    return (
        f"seed {seed}, steps cut behind 0, 1, 2, ... of them: {shares}; it {shape}; without any step minus the "
        f"direct model matched on FLOPs: [{low:+.1%}, {high:+.1%}]"
    )


def arms_of(models: Sequence[Mapping[str, Measured]], seed: int) -> list[dict[str, Json]]:
    """An arm per model and number of samples, and per cut; an item's seeds are one cluster."""
    items = len(models[0][STEPS].curves.pass1_M)
    draws = Resampler.of([str(i) for i in range(items)] * len(models), seed=seed, name="arms")
    arms = []
    for name in models[0]:
        of = [model[name] for model in models]
        label = name if name == STEPS else f"direct, matched on {name}"
        arms += [_arm(f"{label}, N = {n}", draws, of, k) for k, n in enumerate(of[0].curves.sizes)]
    cuts = [model[STEPS].cut_KM for model in models]
    for k in range(len(cuts[0]) if cuts[0] is not None else 0):
        shares = np.concatenate([cut[k] for cut in cuts if cut is not None])
        arms.append({"name": f"steps, cut behind {k}", "n": len(shares), **_share("cut", draws, shares)})
    return arms


def _arm(name: str, draws: Resampler, of: Sequence[Measured], k: int) -> dict[str, Json]:
    curves = [measured.curves for measured in of]
    once = np.concatenate([c.pass1_M for c in curves])
    rows = {
        "majority": np.concatenate([c.majority_KM[k] for c in curves]).astype(float) if k else once,
        "verifier": np.concatenate([c.weighted_KM[k] for c in curves]).astype(float) if k else once,
        "coverage": np.concatenate([c.covered_KM[k] for c in curves]).astype(float) if k else once,
    }
    sampling, rating = (float(np.mean([getattr(c, row)[k] for c in curves])) for row in ("sampling_KM", "rating_KM"))
    return {
        "name": name, "n": len(once),
        **{key: value for row, values in rows.items() for key, value in _share(row, draws, values).items()},
        "generated_tokens_per_request": float(np.mean([c.tokens_KM[k] for c in curves])),
        "sampling_flops_per_request": sampling, "rating_flops_per_request": rating,
        "learned_tokens": float(np.mean([m.learned_tokens for m in of])),
        "training_flops": float(np.mean([m.training_flops for m in of])),
        "verifier_flops": float(np.mean([c.verifier_flops for c in curves])),
    }  # fmt: skip


def _share(name: str, draws: Resampler, values: Column) -> dict[str, Json]:
    return {f"{name}_accuracy": float(values.mean()), f"{name}_ci95": list(draws.mean(values))}


def _said(found: Difference) -> str:
    return f"{found.value:+.1%} [{found.ci95[0]:+.1%}, {found.ci95[1]:+.1%}]"
