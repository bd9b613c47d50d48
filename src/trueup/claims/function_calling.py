"""Preference training on wrong calls, against more imitation and against a grammar.

Manduzio et al. 2024, arXiv:2410.18890: a small model learns function calling by DPO from a large one's right and wrong
calls. They report no imitation baseline; here it gets as many gradient tokens. Others are held against the same: a
grammar of the offered functions at decoding time, negatives of the small model's own, pairs that a coin turns around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

from trueup.claims.calling_arms import BASE, DPO, LONG, TEACHER, run_arms
from trueup.claims.calling_models import Size
from trueup.claims.calling_rows import arms_of, notes_of
from trueup.claims.calling_seen import Seen, content_faults, form_faults
from trueup.claims.pieces import Pieces
from trueup.claims.start import Start, laboratory, ready
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of
from trueup.plan.paired import Paired, paired

NAME = "function-calling"
SEEDS = 3
LEVEL = 0.01
EQUAL = 0.02
HALF = 0.5
ROOM = 0.1
CRITERION = (
    f"In each of {SEEDS} seeds, greedy calls on the same requests; success is to return what was asked for. The "
    "learning rate of each way of training is chosen by its success on other requests. Reproduced "
    f"where SFT->DPO with the teacher's wrong calls succeeds more often than SFT of as many gradient tokens in all "
    f"(McNemar mid-p < {LEVEL}), and at least half of that gain comes from removed faults of form (a call that cannot "
    "be parsed, or does not fit the functions offered). Refuted where the base held to the grammar of the offered "
    f"functions, untrained, succeeds as often as SFT->DPO: 95 % interval of the difference above -{EQUAL:.0%} in each "
    f"seed. Inconclusive otherwise, and unless at least {ROOM:.0%} of the base's calls have faults of form and "
    f"{ROOM:.0%} faults of content. Apart: it matches the teacher where in each seed the 95 % interval of SFT->DPO "
    f"minus teacher lies within {EQUAL:.0%} (two one-sided tests at 2.5 %), and does not where it lies below that."
)
SIZES = {
    "smoke": Size(
        most=1, small=24, large=32, web_steps=100, teacher_steps=100, requests=160, attempts=4, steps=20, items=120,
        sft_rates=(4e-3,), second_sft_rates=(1e-3, 4e-3), dpo_rates=(1e-5, 1e-4),
    ),
    "cpu": Size(
        most=4, small=32, large=64, web_steps=500, teacher_steps=250, requests=3000, attempts=8, steps=300, items=2400,
    ),
    # Seen on an H200 with --jobs 3 beside six processes of another claim: 11 minutes. After 100 steps of pre-training
    # 4 to 5 % of the calls of bases were wrong in content; after 50, of seed 100, 13 %, and 54 % in form. A teacher
    # taught for 300 steps was wrong on 5 to 8 of its requests: no pairs to learn from.
    "gpu": Size(
        most=4, small=0, large=0, web_steps=50, teacher_steps=40, requests=2000, attempts=8, steps=100, items=2000,
        rows=128, lr=3e-4, sft_rates=(1e-4, 3e-4, 1e-3), second_sft_rates=(3e-5, 1e-4, 3e-4),
        start=Start("smollm2", "cuda"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """What one seed's verdict rests on; each difference is SFT->DPO's minus the other's, but `grammar`'s.

    `form` and `content` are the shares of the base's calls with such faults, `form_share` the part of the gain over
    longer SFT that removed faults of form make up (NaN where there is no gain), `grammar` the constrained base minus
    SFT->DPO.
    """

    form: float
    content: float
    longer: Paired
    form_share: float
    grammar: Paired
    teacher: Paired


def function_calling(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """Explicit negatives teach a small model calls, mostly by their form."""
    size = size_of(NAME, scale, SIZES)
    size = replace(size, start=ready(NAME, scale, size.start))
    return put_to_test(scale, size, range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    laboratory()
    seen = pieces.over(seeds, lambda seed: run_arms(size, seed, seeds[0], pieces))
    compared = [compare(arms) for arms in seen]
    notes = [f"matches the teacher: {match_verdict(compared)}"]
    for seed, arms, one in zip(seeds, seen, compared, strict=True):
        notes += notes_of(seed, arms, one.form_share)
    notes += size.start.notes()
    return Verdict(NAME, scale, decide(compared), CRITERION, size.items, tuple(seeds), arms_of(seen, seeds[0]), notes)


def decide(seeds: Sequence[Compared]) -> str:
    """The verdict, by the criterion alone."""
    if not all(seed.form >= ROOM and seed.content >= ROOM for seed in seeds):
        return INCONCLUSIVE
    if all(seed.grammar.ci95[0] > -EQUAL for seed in seeds):
        return REFUTED
    holds = (s.longer.difference > 0 and s.longer.p < LEVEL and s.form_share >= HALF for s in seeds)
    return REPRODUCED if all(holds) else INCONCLUSIVE


def match_verdict(seeds: Sequence[Compared]) -> str:
    """Whether the small model is as good as its teacher."""
    if all(seed.teacher.ci95[0] > -EQUAL and seed.teacher.ci95[1] < EQUAL for seed in seeds):
        return REPRODUCED
    return REFUTED if all(seed.teacher.ci95[1] < -EQUAL for seed in seeds) else INCONCLUSIVE


def compare(arms: Mapping[str, Seen]) -> Compared:
    """One seed's comparisons."""
    base, longer, preferred, teacher = (arms[name].free_M for name in (BASE, LONG, DPO, TEACHER))
    right = preferred == 0
    found = paired(right, longer == 0)
    removed = form_faults(longer).mean() - form_faults(preferred).mean()
    return Compared(
        float(form_faults(base).mean()),
        float(content_faults(base).mean()),
        found,
        float(removed / found.difference) if found.difference > 0 else nan,
        paired(arms[BASE].held_M == 0, right),
        paired(right, teacher == 0),
    )
