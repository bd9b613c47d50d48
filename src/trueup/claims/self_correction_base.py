"""A model that answers sums twice, and would rather repeat itself.

It is trained in three parts. First answers, until a pilot is right often enough. Then second attempts
behind its own first ones: half copies, half right answers; its own first attempts are learned beside them, so that
they stay as they are. Then the habit: the same with a share of copies of our choice. So how well it can correct
itself and how much it likes to are two dials. Axes: B row, P prompt token, T token.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.start import SCRATCH, Start, laboratory

if TYPE_CHECKING:
    from trueup.train.laboratory import Examples, Source, Spent, Transformer
    from trueup.train.laboratory.tasks.two_turns import Problems, TwoTurns

Tokens = NDArray[np.int64]

SHUFFLE = 20_240_919
"""Seeds the one split of all problems into test, pilot and training, whatever the seed of a run."""
MARKS = 3
"""How often the pilot is looked at in an arm's first updates, the end included."""
MOST_ROUNDS = 60
EVEN = 0.5
CONTEXT = 64
"""More tokens than two attempts take."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the laboratory is.

    The base: `first_steps` and then `round_steps` each round until the pilot's first attempts are right as often as
    `goal`, then `skill_steps` and `habit_steps`; `pace` scales its learning rates, `width` is that of models from
    scratch. Every arm: `updates` on `rows` episodes at one learning rate, and then up to so many `stretches` of a third
    of them, until it is flat. `copies` are the shares of copies in the habit, the first that of the main comparison;
    `few` is the size of the finite set of training problems. The first `mapped` seeds go through every regime, and
    learn from every reward that knows nothing.
    """

    base: int
    digits: int
    width: int
    items: int
    pilot: int
    goal: float
    skill_steps: int
    habit_steps: int
    updates: int
    rows: int
    copies: tuple[float, ...]
    few: int
    stretches: int
    mapped: int = 3
    lr: float = 1e-3
    first_steps: int = 100
    round_steps: int = 10
    pace: float = 1.0
    start: Start = SCRATCH

    @property
    def mark(self) -> int:
        """How many updates lie between two looks at the pilot."""
        return max(1, self.updates // MARKS)

    @property
    def cap(self) -> int:
        """How many updates an arm takes at most."""
        return self.updates + self.stretches * self.mark

    @property
    def two_turns(self) -> TwoTurns:
        """The task."""
        laboratory()
        from trueup.train.laboratory.tasks.sums import Sums
        from trueup.train.laboratory.tasks.two_turns import TwoTurns

        return TwoTurns(Sums(self.base, self.digits), 1)


@dataclass(frozen=True, slots=True)
class Problemset:
    """All problems, split: no test or pilot problem is ever trained on."""

    test_BP: Tokens
    pilot_BP: Tokens
    training_BP: Tokens


def split(size: Size) -> Problemset:
    """The one split of all problems."""
    from trueup.train.laboratory.tasks.sums import Sums

    sums = Sums(size.base, size.digits)
    order = np.random.default_rng(SHUFFLE).permutation(sums.count)
    test, pilot, training = np.split(order, [size.items, size.items + size.pilot])
    return Problemset(sums.named(test), sums.named(pilot), sums.named(training))


def skilled(size: Size, seed: int) -> tuple[Transformer, Spent]:
    """A model that answers, and corrects itself half the time that it is asked to."""
    from trueup.train.laboratory import Recipe, train
    from trueup.train.laboratory.tasks.two_turns import finite

    model, spent = _answering(size, seed)
    source = drafts_and_seconds(size, deepcopy(model), finite(split(size).training_BP), EVEN)
    spent += train(model, source, Recipe(size.skill_steps, 192, 3e-3 * size.pace, warmup_steps=10, seed=seed))
    return model, spent


def habitual(size: Size, model: Transformer, copies: float, seed: int) -> tuple[Transformer, Spent]:
    """A copy of the skilled model with the habit of repeating itself so often."""
    from trueup.train.laboratory import Recipe, train
    from trueup.train.laboratory.tasks.two_turns import finite

    base = deepcopy(model)
    source = drafts_and_seconds(size, model, finite(split(size).training_BP), copies)
    return base, train(base, source, Recipe(size.habit_steps, 128, 1e-3 * size.pace, warmup_steps=10, seed=seed + 1))


def drafts_and_seconds(size: Size, drafter: Transformer, problems: Problems, copies: float) -> Source:
    """Half the rows are the drafter's first attempts, half second ones behind them: copies, or right answers."""
    from trueup.train.laboratory import Pairs, examples, generate, stack
    from trueup.train.laboratory.policy import seed_of

    two_turns = size.two_turns

    def draw(rng: np.random.Generator, n: int) -> Examples:
        prompts_BP, half = problems(rng, n), n // 2
        draft_BT = generate(drafter, prompts_BP, most=two_turns.most, seed=seed_of(rng)).tokens_BT
        copied_B = rng.random(n) < copies
        second_BT = np.where(copied_B[:, None], draft_BT, two_turns.targets(prompts_BP))
        again_BP = two_turns.again(prompts_BP, draft_BT)
        firsts = examples(Pairs(prompts_BP[:half], draft_BT[:half]))
        return stack([firsts, examples(Pairs(again_BP[half:], second_BT[half:]))])

    return draw


def _answering(size: Size, seed: int) -> tuple[Transformer, Spent]:
    """A model trained on answers, round by round, until the pilot is right often enough."""
    from trueup.train.laboratory import Pairs, Recipe, Spent, examples, greedy, train
    from trueup.train.laboratory.tasks.two_turns import finite

    two_turns, problems = size.two_turns, split(size)
    model, spent = size.start.model(width=size.width, context=CONTEXT, seed=seed), Spent()
    draw = finite(problems.training_BP)

    def source(rng: np.random.Generator, n: int) -> Examples:
        prompts_BP = draw(rng, n)
        return examples(Pairs(prompts_BP, two_turns.targets(prompts_BP)))

    spent += train(model, source, Recipe(size.first_steps, 128, 5e-3 * size.pace, "constant", 10, seed=seed))
    for number in range(1, MOST_ROUNDS):
        recipe = Recipe(size.round_steps, 128, 3e-3 * size.pace, "constant", 3, seed=seed + 1000 * number)
        spent += train(model, source, recipe)
        attempts_BT = greedy(model, problems.pilot_BP, most=two_turns.most).tokens_BT
        if two_turns.right(problems.pilot_BP, attempts_BT).mean() >= size.goal:
            break
    return model, spent
