"""The ways to learn to correct oneself, each on as many episodes an update.

An arm learns in stretches: a first one, and shorter ones behind it. A stretch begins with a fresh optimiser, as SCoRe's
Stage II does, so that the weights alone are what the next one goes on from. Axes: B row, T token.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueup.claims.self_correction_base import Size, split
from trueup.claims.self_correction_seen import Seen, Taught, flat, pilot, see

if TYPE_CHECKING:
    from trueup.train.laboratory import Recipe, Spent, Transformer
    from trueup.train.laboratory.tasks.two_turns import Problems, TwoTurns
    from trueup.train.laboratory.turns import Episodes

ANCHOR = 0.1
"""Weight of the KL that holds first attempts, where an arm is anchored: SCoRe's beta2."""
UPDATES_A_ROUND = 10
APART = 100_000
"""Between the seeds of an arm's stretches."""
RANDOM = ", random reward"


@dataclass(frozen=True, slots=True)
class Regime:
    """Who learns, and from what: how often the base copies, few problems or fresh ones, first attempts held or not."""

    name: str
    copies: float
    few: bool = False
    anchored: bool = False

    @property
    def where(self) -> str:
        """All but who learns."""
        told = f"copies {self.copies:.0%}, {'few' if self.few else 'fresh'} problems"
        return f"{told}, anchored" if self.anchored else told

    @property
    def part(self) -> str:
        """As its files are named."""
        words = [self.name.replace(" ", "-"), f"{self.copies:.0%}", "few" if self.few else "fresh"]
        return "-".join([*words, "anchored"] if self.anchored else words)


@dataclass(frozen=True, slots=True)
class Course:
    """What every arm is given for a stretch: `begins` in the first one; `mark` updates lie between two looks.

    `watch` wants to be told of every update; `sampled` takes the tokens of each batch of attempts.
    """

    model: Transformer
    reference: Transformer
    two_turns: TwoTurns
    problems: Problems
    recipe: Recipe
    anchor: float
    mark: int
    begins: bool
    watch: Callable[[int], None]
    sampled: list[int] = field(default_factory=list)

    def counted(self, use: Callable[..., Any]) -> Callable[..., Any]:
        """The same use of sampled episodes, their tokens counted."""

        def told(found: Episodes, *rest: Any) -> Any:
            self.count(found.first_BT, found.second_BT)
            return use(found, *rest)

        return told

    def count(self, *attempts: NDArray[np.int64]) -> None:
        """Count sampled tokens; padding, which is 0, is none."""
        self.sampled.append(sum(int(np.count_nonzero(attempt_BT)) for attempt_BT in attempts))


Learn = Callable[[Course], "Spent"]


def supervised(select: str, each: int, course: Course) -> Spent:
    """Learn selected second attempts, sampled anew every so many updates; 0 stands for every mark."""
    from trueup.train.laboratory import turn_tuning

    return _tune(course, getattr(turn_tuning, select), course.recipe.steps // (each or course.mark))


def off_line(select: str, course: Course) -> Spent:
    """Learn selected second attempts that the base sampled, once a stretch, whatever the model has become."""
    from trueup.train.laboratory import turn_tuning

    begun = deepcopy(course.model.state_dict())
    # What is trained is what samples: so it has the base's weights until episodes are selected.
    course.model.load_state_dict(course.reference.state_dict())

    def and_go_on(*found: Any) -> Episodes:
        course.model.load_state_dict(begun)
        chosen: Episodes = getattr(turn_tuning, select)(*found)
        return chosen

    return _tune(course, and_go_on, 1)


def _tune(course: Course, select: Callable[..., Episodes], rounds: int) -> Spent:
    from trueup.train.laboratory.turn_tuning import tune_turns

    return tune_turns(
        course.model, course.two_turns, course.problems, course.counted(select), course.recipe, rounds=max(1, rounds),
        reference=course.reference, anchor=course.anchor, watch=course.watch,
    )  # fmt: skip


def reinforced(first: float, alpha: float, course: Course, *, grade: str = "right") -> Spent:
    """Reinforce both turns through SCoRe's stages, or what is left of them; Stage I is a share of the first stretch."""
    from trueup.train.laboratory import turn_policy

    stages = turn_policy.score_stages(first=first if course.begins else 0.0, alpha=alpha, anchor=course.anchor)
    return turn_policy.reinforce_turns(
        course.model, course.two_turns, course.problems, stages, course.recipe, reference=course.reference,
        grade=course.counted(getattr(turn_policy, grade)), watch=course.watch,
    )  # fmt: skip


def single_turn(course: Course, *, grade: str = "right") -> Spent:
    """Reinforce first attempts alone, two for every episode of the others; the second turn is left as it is."""
    from dataclasses import replace

    from trueup.train.laboratory.policy import attempts_at, reinforce
    from trueup.train.laboratory.turn_policy import GROUP

    two_turns, recipe = course.two_turns, replace(course.recipe, rows=2 * course.recipe.rows)
    done, coins = itertools.count(), np.random.default_rng((recipe.seed, APART))

    def reward(prompts_BP: NDArray[np.int64], attempts_BT: NDArray[np.int64]) -> NDArray[Any]:
        course.watch(next(done))
        course.count(attempts_BT)
        right_B: NDArray[np.bool_] = two_turns.right(prompts_BP, attempts_BT)
        return right_B if grade == "right" else coins.integers(0, 2, len(right_B))

    roll = attempts_at(course.model, course.problems, reward, group=GROUP, most=two_turns.most)
    return reinforce(course.model, roll, recipe, reference=course.reference, kl=0.01 + course.anchor)


OFF_LINE: Mapping[str, Learn] = {
    "STaR": partial(supervised, "corrected", 0),
    "STaR+": partial(supervised, "ended_right", 0),
    "Pair-SFT": partial(off_line, "paired_up"),
    "Pair-SFT+": partial(off_line, "paired_up_and_kept"),
}
ITERATED: Mapping[str, Learn] = {
    "iterated SFT": partial(supervised, "corrected", UPDATES_A_ROUND),
    "iterated SFT+": partial(supervised, "ended_right", UPDATES_A_ROUND),
}
ABLATED: Mapping[str, Learn] = {
    "SCoRe - Stage I": partial(reinforced, 0.0, 10.0),
    "SCoRe - shaping": partial(reinforced, 0.5, 0.0),
}
REINFORCED: Mapping[str, Learn] = {
    "single-turn RL": single_turn,
    "multi-turn RL": partial(reinforced, 0.0, 0.0),
    "SCoRe": partial(reinforced, 0.5, 10.0),
    **ABLATED,
}
DRAWN: Mapping[str, Learn] = {
    f"{name}{RANDOM}": partial(learn, grade="coin")  # type: ignore[call-arg]
    for name, learn in REINFORCED.items()
}
"""The controls of reinforcement: each arm of it with a reward that knows nothing."""
ARMS: Mapping[str, Learn] = {
    **OFF_LINE,
    **ITERATED,
    **REINFORCED,
    f"SCoRe{RANDOM}": DRAWN[f"SCoRe{RANDOM}"],
    "reference answers": partial(supervised, "told", UPDATES_A_ROUND),
}
"""Those of the main comparison. A plus adds right first attempts, which are kept; the last two are controls."""
EVERY: Mapping[str, Learn] = {**ARMS, **DRAWN}


def trained_turn(name: str) -> int:
    """The turn by which an arm is said to be flat: the second, or the only one that it trains."""
    return 0 if name.startswith("single-turn") else 1


def train_arm(
    size: Size,
    model: Transformer,
    base: Transformer,
    regime: Regime,
    *,
    seed: int,
    number: int = 0,
    before: Taught | None = None,
) -> Seen:
    """Train a model in one regime for one stretch, and measure it; `before` is what the stretches behind it took.

    The pilot costs nothing. The model is a copy of the base in the first stretch, and goes on from itself in others.
    """
    from trueup.train.laboratory import Recipe
    from trueup.train.laboratory.tasks.two_turns import finite

    training_BP = split(size).training_BP
    before = before or Taught(0, 0, 0, 0)
    curve = list(before.curve)

    def watch(done: int) -> None:
        if done and done % size.mark == 0:
            curve.append(pilot(size, model))

    steps = size.mark if number else size.updates
    recipe = Recipe(steps, size.rows, size.lr, "constant", 10, weight_decay=0.0, seed=seed + APART * number)
    course = Course(
        model, base, size.two_turns, finite(training_BP[: size.few] if regime.few else training_BP), recipe,
        ANCHOR if regime.anchored else 0.0, size.mark, not number, watch,
    )  # fmt: skip
    spent = EVERY[regime.name](course)
    curve.append(pilot(size, model))
    taught = Taught(
        before.updates + spent.steps, before.tokens + spent.tokens, before.flops + spent.flops,
        sum(course.sampled, before.sampled_tokens or 0), tuple(curve), flat(curve, trained_turn(regime.name)),
    )  # fmt: skip
    return see(size, model, base, taught)
