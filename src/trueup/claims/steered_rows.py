"""Steering in words and rows: every model's figures, and each comparison at equal skill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trueup.claims.equal_skill import Found, Match
from trueup.claims.gap import Difference
from trueup.claims.steered_models import Right, Seen, Trial
from trueup.core.types import Json
from trueup.plan import Resampler


def note_of(seed: int, trial: Trial, found: Found) -> list[str]:
    """What one seed says of either half of the claim."""
    small, expert, large, tuned, steered = (
        f"{seen.skill_M.mean():.1%}" for seen in (trial.small, trial.expert, trial.large, trial.tuned, trial.steered)
    )
    gap = (
        f"seed {seed}, skill: S {small}, S+ {expert}, L {large}, L+ {tuned}, proxy {steered}; it closes "
        f"{_said(found.closed)} of what tuning gains ({_said(found.gained)}), proxy minus S+ {_said(found.over_expert)}"
    )
    facts = (
        f"seed {seed}, facts: S {trial.small.facts_F.mean():.1%}, S+ {trial.expert.facts_F.mean():.1%}, "
        f"L {found.known:.1%}, L+ {trial.tuned.facts_F.mean():.1%}, proxy {trial.steered.facts_F.mean():.1%} at alpha 1"
    )
    return [gap, facts, *(_match(seed, name, match) for name, match in found.matches.items())]


def arms_of(trials: Sequence[Trial], found: Sequence[Found], seed: int) -> list[dict[str, Json]]:
    """An arm per model, per alpha and per way of tuning; an item's seeds are one cluster.

    The proxy's passes a token are its parameters over the large model's; its training is that of the small model.
    """
    first = trials[0]
    rows = [("S", [t.small for t in trials]), ("S+", [t.expert for t in trials]), ("L", [t.large for t in trials])]
    rows += [(f"L+ {name}", [t.arms[name][-1] for t in trials]) for name in first.arms]
    rows += [(f"proxy, alpha {seen.setting:g}", [t.proxy[k] for t in trials]) for k, seen in enumerate(first.proxy)]
    for name in first.arms:
        matches = [one.matches[name] for one in found]
        rows.append((f"L+ {name}, at equal skill", [match.arm for match in matches]))
        rows.append((f"proxy, at equal skill with {name}", [match.proxy for match in matches]))
    large = float(np.mean([t.large.flops_per_token for t in trials]))
    return [_arm(name, seens, large, seed) for name, seens in rows]


def _arm(name: str, seens: Sequence[Seen], large: float, seed: int) -> dict[str, Json]:
    return {
        "name": name, "n": sum(len(seen.skill_M) for seen in seens),
        **_share("skill", [seen.skill_M for seen in seens], seed),
        "facts_n": sum(len(seen.facts_F) for seen in seens), **_share("facts", [seen.facts_F for seen in seens], seed),
        "setting": float(np.mean([seen.setting for seen in seens])),
        "generated_tokens_per_request": float(np.mean([seen.generated_tokens for seen in seens])),
        "inference_flops_per_request": float(np.mean([seen.request_flops for seen in seens])),
        "flops_per_token_over_large": float(np.mean([seen.flops_per_token for seen in seens])) / large,
        "training_flops": float(np.mean([seen.training_flops for seen in seens])),
    }  # fmt: skip


def _share(name: str, rows: Sequence[Right], seed: int) -> Mapping[str, Json]:
    draws = Resampler.of([str(i) for i in range(len(rows[0]))] * len(rows), seed=seed, name=name)
    values = np.concatenate(rows).astype(float)
    return {f"{name}_accuracy": float(values.mean()), f"{name}_ci95": list(draws.mean(values))}


def _match(seed: int, name: str, match: Match) -> str:
    return (
        f"seed {seed}, proxy at alpha {match.proxy.setting:g} minus L+ {name} stopped at step {match.arm.setting:.0f}: "
        f"skill {_said(match.skill)}, facts {_said(match.facts)} ({match.proxy.facts_F.mean():.1%} and "
        f"{match.arm.facts_F.mean():.1%}), those that the base knew {_said(match.known)}"
    )


def _said(found: Difference) -> str:
    return f"{found.value:+.1%} [{found.ci95[0]:+.1%}, {found.ci95[1]:+.1%}]"
