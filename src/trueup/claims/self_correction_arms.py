"""The ways to learn to correct oneself, each on as many episodes and updates.

Axes: B row, P prompt token, T token, M item, K turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.self_correction_base import Size, split
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Recipe, Spent, Transformer
    from trueup.train.laboratory.tasks.two_turns import Problems, TwoTurns

ANCHOR = 0.1
"""Weight of the KL that holds first attempts, where an arm is anchored: SCoRe's beta2."""
UPDATES_A_ROUND = 10
STAR_ROUNDS = 3
MARKS = 3
"""How often the pilot is measured during training, the end included."""


@dataclass(frozen=True, slots=True)
class Course:
    """What every arm is given."""

    model: Transformer
    reference: Transformer
    two_turns: TwoTurns
    problems: Problems
    recipe: Recipe
    anchor: float
    watch: Callable[[int], None]


Learn = Callable[[Course], "Spent"]


def supervised(select: str, rounds: int, course: Course) -> Spent:
    """Learn selected second attempts; 0 rounds stand for one every few updates."""
    from trueup.train.laboratory import turn_tuning

    rounds = rounds or max(1, course.recipe.steps // UPDATES_A_ROUND)
    return turn_tuning.tune_turns(
        course.model, course.two_turns, course.problems, getattr(turn_tuning, select), course.recipe, rounds=rounds,
        reference=course.reference, anchor=course.anchor, watch=course.watch,
    )  # fmt: skip


def reinforced(first: float, alpha: float, course: Course, *, grade: str = "right") -> Spent:
    """Reinforce both turns through SCoRe's stages, or what is left of them."""
    from trueup.train.laboratory import turn_policy

    stages = turn_policy.score_stages(first=first, alpha=alpha, anchor=course.anchor)
    return turn_policy.reinforce_turns(
        course.model, course.two_turns, course.problems, stages, course.recipe, reference=course.reference,
        grade=getattr(turn_policy, grade), watch=course.watch,
    )  # fmt: skip


def single_turn(course: Course) -> Spent:
    """Reinforce first attempts alone, two for every episode of the others; the second turn is left as it is."""
    from dataclasses import replace

    from trueup.train.laboratory.policy import attempts_at, reinforce
    from trueup.train.laboratory.turn_policy import GROUP

    two_turns, recipe = course.two_turns, replace(course.recipe, rows=2 * course.recipe.rows)
    roll = attempts_at(course.model, course.problems, two_turns.right, group=GROUP, most=two_turns.most)
    return reinforce(course.model, roll, recipe, reference=course.reference, kl=0.01)


OFF_LINE: Mapping[str, Learn] = {
    "STaR": partial(supervised, "corrected", STAR_ROUNDS),
    "STaR+": partial(supervised, "ended_right", STAR_ROUNDS),
    "Pair-SFT": partial(supervised, "paired_up", 1),
    "Pair-SFT+": partial(supervised, "paired_up_and_kept", 1),
}
ITERATED: Mapping[str, Learn] = {
    "iterated SFT": partial(supervised, "corrected", 0),
    "iterated SFT+": partial(supervised, "ended_right", 0),
}
ABLATED: Mapping[str, Learn] = {
    "SCoRe - Stage I": partial(reinforced, 0.0, 10.0),
    "SCoRe - shaping": partial(reinforced, 0.5, 0.0),
}
ARMS: Mapping[str, Learn] = {
    **OFF_LINE,
    **ITERATED,
    "single-turn RL": single_turn,
    "multi-turn RL": partial(reinforced, 0.0, 0.0),
    "SCoRe": partial(reinforced, 0.5, 10.0),
    **ABLATED,
    "SCoRe, random reward": partial(reinforced, 0.5, 10.0, grade="coin"),
    "reference answers": partial(supervised, "told", 0),
}
"""A plus adds right first attempts, which are kept; the last two are controls."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model does on the test items, greedily, and what it took to train.

    `fixed_M` is whether its second attempt is right behind the base's first one instead of its own. `distances` counts
    edited tokens between its two attempts; `curve` holds the pilot's both turns, a row per mark.
    """

    first_M: NDArray[np.bool_]
    second_M: NDArray[np.bool_]
    edited_M: NDArray[np.bool_]
    fixed_M: NDArray[np.bool_]
    distances: tuple[int, ...]
    lengths: tuple[float, float]
    curve: tuple[tuple[float, float], ...]
    tokens: int
    flops: int

    def to_json(self) -> Json:
        """As JSON: flags as text of 0 and 1."""
        flags = {name: "".join("01"[int(x)] for x in getattr(self, name)) for name in FLAGS}
        return {
            **flags, "distances": list(self.distances), "lengths": list(self.lengths),
            "curve": [list(row) for row in self.curve], "tokens": self.tokens, "flops": self.flops,
        }  # fmt: skip

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Seen:
        """What `to_json` gave."""
        flags = {name: np.array([x == "1" for x in table[name]], bool) for name in FLAGS}
        return cls(
            **flags, distances=tuple(table["distances"]), lengths=tuple(table["lengths"]),
            curve=tuple(map(tuple, table["curve"])), tokens=table["tokens"], flops=table["flops"],
        )  # fmt: skip


FLAGS = ("first_M", "second_M", "edited_M", "fixed_M")


def train_arm(
    size: Size, base: Transformer, name: str, *, seed: int, anchored: bool = False, few: bool = False
) -> Seen:
    """Train a copy of the base by one arm, and measure it; the pilot costs it nothing."""
    from trueup.train.laboratory import Recipe
    from trueup.train.laboratory.tasks.two_turns import finite

    problems, model = split(size), deepcopy(base)
    training_BP = problems.training_BP[: size.few] if few else problems.training_BP
    curve: list[tuple[float, float]] = []

    def watch(done: int) -> None:
        if done and done % (size.updates // MARKS) == 0:
            curve.append(_both_turns(size, model, problems.pilot_BP))

    recipe = Recipe(size.updates, size.rows, size.lr, "constant", 10, weight_decay=0.0, seed=seed)
    course = Course(model, base, size.two_turns, finite(training_BP), recipe, ANCHOR if anchored else 0.0, watch)
    spent = ARMS[name](course)
    curve.append(_both_turns(size, model, problems.pilot_BP))
    return see(size, model, base, curve=tuple(curve), tokens=spent.tokens, flops=spent.flops)


def see(
    size: Size,
    model: Transformer,
    base: Transformer,
    *,
    curve: tuple[tuple[float, float], ...] = (),
    tokens: int = 0,
    flops: int = 0,
) -> Seen:
    """Both attempts at the test items, greedily, behind its own first ones and behind the base's."""
    from trueup.train.laboratory import greedy
    from trueup.train.laboratory.turns import answered, episodes
    from trueup.train.laboratory.vocabulary import PAD

    two_turns, test_BP = size.two_turns, split(size).test_BP
    own = episodes(model, two_turns, test_BP, temperature=0.0)
    first_BT = greedy(base, test_BP, most=two_turns.most).tokens_BT
    fixed = answered(model, two_turns, test_BP, first_BT, temperature=0.0)
    distance_M = distances(own.first_BT, own.second_BT)
    lengths = [float((attempt_BT != PAD).sum(1).mean()) for attempt_BT in (own.first_BT, own.second_BT)]
    return Seen(
        own.right_BK[:, 0], own.right_BK[:, 1], distance_M > 0, fixed.right_BK[:, 1],
        tuple(np.bincount(distance_M, minlength=2 * two_turns.most + 1).tolist()), (lengths[0], lengths[1]),
        curve, tokens, flops,
    )  # fmt: skip


def pass_at(size: Size, model: Transformer, n: int, *, seed: int) -> tuple[float, float]:
    """How often a sampled first attempt is right, and one of n."""
    from trueup.train.laboratory import generate

    two_turns, test_BP = size.two_turns, split(size).test_BP
    out = generate(model, test_BP, most=two_turns.most, n=n, seed=seed)
    right_MN = two_turns.right(test_BP.repeat(n, 0), out.tokens_BT).reshape(-1, n)
    return float(right_MN.mean()), float(right_MN.any(1).mean())


def distances(first_BT: NDArray[np.int64], second_BT: NDArray[np.int64]) -> NDArray[np.int64]:
    """Levenshtein's distance between the rows, padding left out."""
    B, T = first_BT.shape
    ends = (first_BT != 0).sum(1), (second_BT != 0).sum(1)
    table_BTT = np.zeros((B, T + 1, T + 1), np.int64)
    table_BTT[:, :, 0], table_BTT[:, 0, :] = np.arange(T + 1), np.arange(T + 1)
    for i in range(1, T + 1):
        for j in range(1, T + 1):
            changed_B = first_BT[:, i - 1] != second_BT[:, j - 1]
            either_B = 1 + np.minimum(table_BTT[:, i - 1, j], table_BTT[:, i, j - 1])
            table_BTT[:, i, j] = np.minimum(table_BTT[:, i - 1, j - 1] + changed_B, either_B)
    out: NDArray[np.int64] = table_BTT[np.arange(B), ends[0], ends[1]]
    return out


def _both_turns(size: Size, model: Transformer, prompts_BP: NDArray[np.int64]) -> tuple[float, float]:
    from trueup.train.laboratory.turns import episodes

    right_BK = episodes(model, size.two_turns, prompts_BP, temperature=0.0).right_BK
    return float(right_BK[:, 0].mean()), float(right_BK[:, 1].mean())
