"""The two modes in words and rows: each arm's figures, each router's, and what the samples did on the way.

Axes: M item, D dial, 2 mode (short, think).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trueup.claims import think_routers as routers
from trueup.claims.gap import Difference
from trueup.claims.think_contrasts import Found
from trueup.claims.think_models import WARM_UP, Seen, Tokens
from trueup.claims.think_trace import Trace, pooled
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.estimate import Column

POINTS = 10


def statement(found: Sequence[Found], pairs: Sequence[tuple[str, str]], prompt_tokens: int) -> list[str]:
    """Which normalisation loses a mode, and what a prompt's length could tell."""
    told = [
        f"the rarer mode's share at the end, {plain} against {decoupled}: "
        + ", ".join(f"{seed.minority[plain]:.1%} / {seed.minority[decoupled]:.1%}" for seed in found)
        for plain, decoupled in pairs
    ]
    return [*told, f"all prompts are {prompt_tokens} tokens long: a router by length is the random one"]


def note_of(seed: int, seen: Mapping[str, Seen], found: Found, main: str, dials_M: Tokens) -> list[str]:
    """One seed: where it began, what its policy chooses, and against what."""
    chosen = ", ".join(f"{share:.0%}" for share in routers.by_dial(seen[main].chance_2M[1], dials_M))
    over = ", ".join(f"{name} {_said(gap)}" for name, gap in found.over.items())
    rivals = ", ".join(
        f"{name} {_said(rival.accuracy)} for {rival.tokens:.2f} of its tokens" for name, rival in found.rivals.items()
    )
    return [
        f"seed {seed}, warm-up: thinks on {found.start:.0%}; right by dial, short {_shares(found.short_D)}, "
        f"thinking {_shares(found.think_D)}",
        f"seed {seed}, {main}: thinks by dial {chosen} (Spearman {found.spearman:.2f}), {1 - found.tokens:.0%} fewer "
        f"tokens than thinking always; its accuracy minus that of {over}",
        f"seed {seed}, accuracy minus {main}'s: {rivals}",
    ]


def courses(seen: Sequence[Mapping[str, Seen]]) -> list[str]:
    """How each arm's samples changed, all seeds together."""
    taught = {name: [arms[name].trace for arms in seen] for name in seen[0] if name != WARM_UP}
    return [f"{name}: {course_of(pooled([t for t in traces if t]))}" for name, traces in taught.items()]


def course_of(trace: Trace) -> str:
    """The think-rate over time, then accuracy and length of each mode at the end."""
    right_2, length_2 = trace.by_mode(trace.end)
    cut = trace.cut_U.sum() / trace.rows_UD.sum()
    return (
        f"thinks {_shares(trace.course(POINTS))}; at the end short {_mode(right_2[0], length_2[0])}, "
        f"thinking {_mode(right_2[1], length_2[1])}; {cut:.2%} of all samples were cut at the limit"
    )


def arms_of(
    seen: Sequence[Mapping[str, Seen]], routed: Sequence[Mapping[str, Column]], main: str, dials_M: Tokens, seed: int
) -> list[dict[str, Json]]:
    """A row per arm and per router on the main arm's answers, over the seeds; an item's seeds are one cluster."""
    draws = Resampler.of([str(i) for i in range(len(dials_M))] * len(seen), seed=seed, name="arms")
    rows = []
    for name in seen[0]:
        of = [arms[name] for arms in seen]
        rows.append(_row(name, draws, of, [one.chance_2M for one in of], dials_M, labels=False))
        rows[-1] |= _samples(of)
        if name in (WARM_UP, main):
            forced = [routers.always(one, 1) for one in of]
            rows.append(_row(f"{name}, always think", draws, of, forced, dials_M, labels=False))
    policies = [arms[main] for arms in seen]
    for name in routed[0]:
        chances = [chance[name] for chance in routed]
        label = f"{main}'s answers, routed: {name}"
        rows.append(_row(label, draws, policies, chances, dials_M, labels=name.startswith("logistic")))
    return rows


def _row(
    name: str, draws: Resampler, of: Sequence[Seen], chances: Sequence[Column], dials_M: Tokens, *, labels: bool
) -> dict[str, Json]:
    pairs = list(zip(of, chances, strict=True))
    right = np.concatenate([routers.accuracy(one, chance) for one, chance in pairs])
    think_D = np.mean([routers.by_dial(chance[1], dials_M) for _, chance in pairs], axis=0)
    return {
        "name": name, "n": len(right), "accuracy": float(right.mean()), "ci95": list(draws.mean(right)),
        "think_rate": float(np.mean([chance[1].mean() for chance in chances])), "think_rate_by_dial": think_D.tolist(),
        "generated_tokens_per_request": float(np.mean([routers.tokens(one, chance).mean() for one, chance in pairs])),
        "inference_flops_per_request": float(np.mean([routers.flops(one, chance) for one, chance in pairs])),
        "training_flops": float(np.mean([one.training_flops + labels * one.labelling_flops for one in of])),
        "training_tokens": float(np.mean([one.training_tokens for one in of])),
        "short_accuracy": float(np.mean([one.right_2M[0].mean() for one in of])),
        "think_accuracy": float(np.mean([one.right_2M[1].mean() for one in of])),
    }  # fmt: skip


def _samples(of: Sequence[Seen]) -> dict[str, Json]:
    traces = [one.trace for one in of if one.trace is not None]
    if not traces:
        return {}
    return {
        "minority_at_end": [trace.minority() for trace in traces],
        "think_rate_over_time": np.mean([trace.course(POINTS) for trace in traces], axis=0).tolist(),
        "sampled_tokens": float(np.mean([trace.tokens_U2.sum() for trace in traces])),
    }


def _mode(right: float, length: float) -> str:
    return "never" if right != right else f"{right:.1%} right in {length:.1f} tokens"


def _shares(values: Sequence[float] | Column) -> str:
    return " ".join(f"{value:.0%}" for value in values)


def _said(found: Difference) -> str:
    return f"{found.value:+.1%} [{found.ci95[0]:+.1%}, {found.ci95[1]:+.1%}]"
