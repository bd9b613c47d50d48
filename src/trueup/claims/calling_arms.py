"""The arms of function calling: what each is taught from, and what its stages cost together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from trueup.claims.calling_lessons import at_random
from trueup.claims.calling_models import Size, Trial
from trueup.claims.calling_seen import Seen
from trueup.claims.pieces import Pieces

BASE, TEACHER, SFT, LONG = "base", "teacher", "SFT", "SFT, 2x tokens"
ON_PAIRS = "SFT, then SFT on the pairs' chosen"
DPO_BASE, DPO, DPO_OWN = "DPO from base", "SFT->DPO", "SFT->DPO, own negatives"
DPO_NLL, DPO_RANDOM = "SFT->DPO+NLL", "SFT->DPO, random preference"
SECOND = (ON_PAIRS, DPO, DPO_OWN, DPO_NLL, DPO_RANDOM)
"""Stages that follow SFT."""
ARMS = (BASE, TEACHER, SFT, LONG, DPO_BASE, *SECOND)
NLL = 1.0
"""The weight of the likelihood beside the preference, the paper's."""


def run_arms(size: Size, seed: int, first: int, pieces: Pieces) -> dict[str, Seen]:
    """Every arm of one seed; each is a part of its own, and costs what its stages do together."""
    trial = Trial(size, seed, first, pieces)
    seen: dict[str, Seen] = {}
    for name in ARMS:
        part = pieces.get(f"seed{seed}-{_word(name)}", lambda name=name: _make(trial, name, seen).to_json())  # type: ignore[misc]
        seen[name] = Seen.of_json(part)
    return {name: _in_all(one, seen[SFT]) if name in SECOND else one for name, one in seen.items()}


def _make(trial: Trial, name: str, seen: Mapping[str, Seen]) -> Seen:
    base, steps, fast, slow = trial.base.model, trial.size.steps, trial.size.sft_rates, trial.size.dpo_rates

    def imitate_pairs() -> Seen:
        return trial.imitate(trial.taught, trial.lessons.pairs.chosen, steps, rates=trial.size.second_sft_rates)

    def prefer_at_random() -> Seen:
        lessons = at_random(trial.lessons, trial.seed)
        return trial.prefer(trial.taught, lessons, steps, rates=[seen[DPO].rate])

    makers: Mapping[str, Callable[[], Seen]] = {
        BASE: lambda: trial.look(base, training_flops=float(trial.base.flops)),
        TEACHER: lambda: trial.look(trial.teacher.model, training_flops=float(trial.teacher.flops)),
        SFT: lambda: trial.imitate(base, trial.lessons.texts, steps, rates=fast, file=trial.taught_file),
        LONG: lambda: trial.imitate(base, trial.lessons.texts, 2 * steps, rates=fast),
        ON_PAIRS: imitate_pairs,
        DPO_BASE: lambda: trial.prefer(base, trial.lessons, 2 * steps, rates=slow),
        DPO: lambda: trial.prefer(trial.taught, trial.lessons, steps, rates=slow),
        DPO_OWN: lambda: trial.prefer(trial.taught, trial.own_lessons(), steps, rates=slow),
        DPO_NLL: lambda: trial.prefer(trial.taught, trial.lessons, steps, rates=slow, nll=NLL),
        DPO_RANDOM: prefer_at_random,
    }
    return makers[name]()


def _in_all(second: Seen, first: Seen) -> Seen:
    """A second stage with the costs of the first; what was sampled is the same."""
    added = ("gradient_tokens", "training_flops", "reference_flops", "tuning_flops")
    return replace(second, **{name: getattr(first, name) + getattr(second, name) for name in added})


def _word(name: str) -> str:
    """An arm's name as that of a file."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.replace("'", "")).split()).lower()
