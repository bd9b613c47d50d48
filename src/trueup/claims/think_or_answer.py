"""Whether a model can learn when to think, and whether that takes a loss of its own.

Fang, Ma and Wang 2025, Thinkless, arXiv:2505.13379: plain GRPO ends in one mode, DeGRPO keeps both and learns, without
a label of difficulty, which problem needs which. Here on sums whose carries travel more or less far, against plain
GRPO with the same freedom to be tuned and against routers that are no policies. All settings of models from scratch
were chosen on a seed that is not among the verdict's (100). The paper's alpha is for answers a hundred times as long.
What is right with thought is worth .8, as in the second part of its authors' own run: at .5 no arm came within 2 % of
always thinking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trueup.claims.chains import HELD_OUT
from trueup.claims.pieces import Pieces
from trueup.claims.start import Start, ready
from trueup.claims.think_contrasts import ALWAYS, LOGISTIC, RANDOM, Found, Rival, compare, routers_of
from trueup.claims.think_models import Arm, Size, run_seed
from trueup.claims.think_rows import arms_of, courses, note_of, statement
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED, Verdict, size_of

NAME = "think-or-answer"
SEEDS, LEAST, DIALS = 5, 4, 5
GONE, KEPT = 0.02, 0.05
START = (0.4, 0.6)
SURE, EASY, HARD = 0.95, 0.9, 0.7
RANK, NEAR, SAVED = 0.9, 0.02, 0.3
SAME_TOKENS = 1.05
UNTUNED = "updates and learning rates of pretrained models were set beforehand, by what the time allows, and not tuned"

MAIN = "DeGRPO"
GRPO, GRPO_TOKEN, MAIN_TOKEN = "GRPO", "GRPO, token mean", "DeGRPO, token mean"
PAIRS = ((GRPO, MAIN), (GRPO_TOKEN, MAIN_TOKEN))
"""Plain and decoupled: with 1 / T_i for each attempt as in the paper, with one mean over all tokens as in its code."""
WEIGHTED, ENTROPY, STD = "GRPO, choice weighted", "GRPO, entropy of the choice", "GRPO, divided by the spread"
SLOW = "GRPO, half the pace"
PLAIN = (GRPO, GRPO_TOKEN, WEIGHTED, ENTROPY, STD, SLOW)

CRITERION = (
    f"Of {SEEDS} seeds at least {LEAST} must agree. Collapse: plain GRPO, in one normalisation (1/T_i an attempt, "
    f"or one mean over tokens), leaves less than {GONE:.0%} of its last tenth of samples to the rarer mode, DeGRPO in "
    f"the same at least {KEPT:.0%}. Routing, by DeGRPO as in the paper: the chance to think rises with the dial "
    f"(Spearman over {RANK}, at least {DIALS} dials), accuracy is within {NEAR:.0%} of thinking always (lower 95 % "
    f"limit), tokens at least {SAVED:.0%} fewer, and at one cost in tokens it is right more often than random routing "
    "and than a logistic regression on the characters (lower 95 % limit over 0). Refuted where one plain GRPO (as it "
    "is, at half the pace, with the choice weighted, an entropy bonus, or advantages divided by their spread) keeps "
    f"both modes and is as right (within {NEAR:.0%}, lower 95 % limit) for at most {SAME_TOKENS - 1:.0%} more tokens. "
    "Prompts are of one length, which explains nothing. Reproduced where both halves are and nothing refutes. "
    "Inconclusive unless every warm-up thinks on "
    f"{START[0]:.0%} to {START[1]:.0%}, is right {SURE:.0%} of the time when it does at each dial, and without it at "
    f"least {EASY:.0%} at the first dial and at most {HARD:.0%} at the last."
)
ALPHA, WEIGHT, BONUS = 0.5, 8.0, 0.01
BALANCED = 0.068
"""An alpha in the geometric middle of the weights that plain GRPO gives the choices, in answers of 9 and 24 tokens."""
LEARNING = {
    GRPO: Arm("grpo"),
    GRPO_TOKEN: Arm("token"),
    MAIN: Arm("degrpo", {"alpha": ALPHA}),
    MAIN_TOKEN: Arm("degrpo token", {"alpha": ALPHA}),
    "DeGRPO, alpha balanced": Arm("degrpo", {"alpha": BALANCED}),
    WEIGHTED: Arm("weighted", {"weight": WEIGHT}),
    ENTROPY: Arm("grpo", entropy=BONUS),
    STD: Arm("grpo", divide_by_std=True),
    SLOW: Arm("grpo", pace=0.5),
}
ARMS = LEARNING | {f"{name}, random reward": replace(arm, random_reward=True) for name, arm in LEARNING.items()}
"""All that learn, and each of them from a reward that knows nothing."""
SIZES = {
    "smoke": Size(
        most=3, width=32, warm=(0.5, 0.5, 0.0), warm_steps=30, updates=4, items=60, labelled=60,
        arms=ARMS,
    ),
    "cpu": Size(
        most=5, width=64, warm=(0.2, 0.4, 0.4, 0.0, 0.0), warm_steps=680, updates=250, items=2000, labelled=2000,
        arms=ARMS,
    ),
    # Seen on an H200 with --jobs 5 beside three processes of another claim: 8 minutes for 11 of these arms. Three
    # quarters of an arm's time is sampling, which waits for small kernels.
    "gpu": Size(
        most=5, width=0, warm=(0.2, 0.4, 0.4, 0.0, 0.0), warm_steps=200, updates=32, items=2000, labelled=2000,
        arms=ARMS, warm_lr=3e-4, lr=5e-5, rows=384, start=Start("smollm2", "cuda"),
    ),
}  # fmt: skip


def think_or_answer(scale: str, seed: int, pieces: Pieces) -> Verdict:
    """A loss that sets the choice apart keeps both modes and learns which problem needs which."""
    size = size_of(NAME, scale, SIZES)
    size = replace(size, start=ready(NAME, scale, size.start))
    return put_to_test(scale, size, range(seed, seed + SEEDS), pieces)


def put_to_test(scale: str, size: Size, seeds: Sequence[int], pieces: Pieces) -> Verdict:
    """The claim at any size."""
    seen = pieces.over(seeds, lambda seed: run_seed(size, seed, seeds[0], pieces, labelled=MAIN))
    prompts_MP = size.problems(HELD_OUT + seeds[0], size.items)
    dials_M = size.modes.direct.dials(prompts_MP)
    routed = [routers_of(size, arms[MAIN], prompts_MP, seed) for seed, arms in zip(seeds, seen, strict=True)]
    found = [
        compare(arms, chances, MAIN, dials_M, seed) for seed, arms, chances in zip(seeds, seen, routed, strict=True)
    ]
    notes = [
        f"collapse: {collapse_verdict(found)}; routing: {routing_verdict(found)}; as good: {_matching(found)}",
        *statement(found, PAIRS, prompts_MP.shape[1]),
        *courses(seen),
    ]
    for seed, arms, one in zip(seeds, seen, found, strict=True):
        notes += note_of(seed, arms, one, MAIN, dials_M)
    notes += [*size.start.notes(), UNTUNED] if size.start.weights else []
    rows = arms_of(seen, routed, MAIN, dials_M, seeds[0])
    return Verdict(NAME, scale, decide(found), CRITERION, size.items, tuple(seeds), rows, notes)


def decide(found: Sequence[Found]) -> str:
    """The verdict, by the criterion alone."""
    if not all(is_graded(seed) for seed in found):
        return INCONCLUSIVE
    if matching(found):
        return REFUTED
    halves = {collapse_verdict(found), routing_verdict(found)}
    return REPRODUCED if halves == {REPRODUCED} else INCONCLUSIVE


def is_graded(seed: Found) -> bool:
    """Whether the warm-up is what the claim is about: short answers fail where the dial is high, thought does not."""
    is_even = START[0] <= seed.start <= START[1]
    return is_even and min(seed.think_D) >= SURE and seed.short_D[0] >= EASY and seed.short_D[-1] <= HARD


def collapse_verdict(found: Sequence[Found]) -> str:
    """Whether the plain loss loses a mode where the decoupled one keeps both, in one normalisation."""
    return REPRODUCED if any(collapses(found, *pair) >= LEAST for pair in PAIRS) else INCONCLUSIVE


def collapses(found: Sequence[Found], plain: str, decoupled: str) -> int:
    """In how many seeds that is so."""
    return sum(seed.minority[plain] < GONE and seed.minority[decoupled] >= KEPT for seed in found)


def routing_verdict(found: Sequence[Found]) -> str:
    """Whether thought goes where it is needed, costs no accuracy, saves tokens, and beats the trivial routers."""
    return REPRODUCED if sum(_routes(seed) for seed in found) >= LEAST else INCONCLUSIVE


def _routes(seed: Found) -> bool:
    over = seed.over
    is_near = over[ALWAYS].ci95[0] > -NEAR and seed.tokens <= 1 - SAVED
    is_ahead = over[RANDOM].ci95[0] > 0 and over[LOGISTIC].ci95[0] > 0
    return seed.spearman > RANK and len(seed.short_D) >= DIALS and is_near and is_ahead


def matching(found: Sequence[Found]) -> list[str]:
    """The plain arms that do what DeGRPO does, each in enough seeds."""
    names = [name for name in PLAIN if name in found[0].rivals]
    return [name for name in names if sum(is_as_good(seed.rivals[name]) for seed in found) >= LEAST]


def is_as_good(rival: Rival) -> bool:
    """Whether it keeps both modes, is no less right, and no more expensive."""
    return rival.minority >= KEPT and rival.accuracy.ci95[0] > -NEAR and rival.tokens <= SAME_TOKENS


def _matching(found: Sequence[Found]) -> str:
    return "; ".join(matching(found)) or "no plain arm"
