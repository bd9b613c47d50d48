"""Tiny models that give the solution at once, with sweeps written out, or after reward for feasible answers.

A base of each size has learned the arithmetic of one line of a sweep, and nothing of the problems. From it begin the
model of direct answers and the one of written sweeps, on the same finite set of problems; from the direct one begins
policy gradient on the share of satisfied constraints, on those problems too.
Axes: B row, P prompt token, T token, M item.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.chains import HELD_OUT
from trueup.claims.latent_probe import Probed, probed
from trueup.claims.pieces import Pieces
from trueup.claims.start import laboratory
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Recipe, Spent, Transformer
    from trueup.train.laboratory.tasks.coupled import Coupled, Systems

Tokens = NDArray[np.int64]
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

BASE, HELD, DIRECT, WRITTEN, REWARDED = "base", "base held to the form", "direct", "sweeps written", "direct, rewarded"
MEAN, NEAREST = "mean of training", "nearest training problem"
ARMS = (BASE, HELD, DIRECT, WRITTEN, REWARDED)
SCALE = 100


@dataclass(frozen=True, slots=True)
class Size:
    """How large the laboratory is.

    `shapes` are the models' widths and layers, the smallest first. Models learn from `lessons` problems of 1 to
    `trained` sweeps in equal parts, in batches of `rows`, or `written_rows` where sweeps are written; the trial is on
    `items` others of each number of sweeps up to `most`, probes on `probe_items` of `trained` sweeps. The solver gets
    `ac_items` AC power flows besides.
    """

    shapes: Mapping[str, tuple[int, int]]
    most: int
    trained: int
    lessons: int
    base_steps: int
    direct_steps: int
    written_steps: int
    updates: int
    items: int
    probe_items: int
    ac_items: int
    rows: int = 128
    written_rows: int = 64
    lr: float = 4e-3
    reward_lr: float = 3e-4
    group: int = 8

    def task(self, *, worked: bool = False) -> Coupled:
        """The problems, answered at once or with their sweeps."""
        laboratory()
        from trueup.train.laboratory.tasks.coupled import Coupled

        return Coupled(worked, self.most)

    def problems(self, seed: int, count: int, most: int) -> Tokens:
        """So many different problems of each number of sweeps up to `most`, one number behind the other."""
        task, rng = self.task(), np.random.default_rng(seed)
        return np.concatenate([_different(task, rng, count, dial) for dial in range(1, most + 1)])


@dataclass(frozen=True, slots=True)
class Seen:
    """An arm on the test items: `values_M2` are its answers, NaN where it gave none that can be read."""

    values_M2: Values
    answer_tokens: float
    training_tokens: float = 0.0
    training_flops: float = 0.0
    flops: float = 0.0

    def to_json(self) -> Json:
        """This, as JSON; answers in hundredths."""
        hundredths = np.where(np.isnan(self.values_M2), -1, np.rint(SCALE * self.values_M2)).astype(int)
        return [hundredths.tolist(), self.answer_tokens, self.training_tokens, self.training_flops, self.flops]

    @classmethod
    def of_json(cls, row: Json) -> Seen:
        """What `to_json` wrote."""
        hundredths = np.array(row[0], float)
        return cls(np.where(hundredths < 0, np.nan, hundredths / SCALE), *row[1:])


@dataclass(frozen=True)
class Trial:
    """One seed's problems and models, made when first asked for (hence without slots)."""

    size: Size
    seed: int
    first: int
    pieces: Pieces

    @cached_property
    def items(self) -> Tokens:
        """The test items, the same in every seed."""
        return self.size.problems(HELD_OUT + self.first, self.size.items, self.size.most)

    @cached_property
    def lessons(self) -> Tokens:
        """The problems to learn from, no test item among them."""
        drawn = self.size.problems(self.seed, self.size.lessons // self.size.trained, self.size.trained)
        return drawn[~_contained(drawn, self.items)]

    @cached_property
    def systems(self) -> Systems:
        """The test items, read."""
        return read(self.items)

    @cached_property
    def solutions(self) -> Values:
        """The test items' solutions."""
        return self.systems.solutions()

    def seen(self, name: str) -> dict[str, Seen]:
        """Every arm of a size."""
        parts = {arm: self.pieces.get(self._file(name, arm), partial(self._look, name, arm)) for arm in ARMS}
        return {arm: Seen.of_json(part) for arm, part in parts.items()}

    def probed(self, name: str) -> Probed:
        """What the states of a size's direct model tell of the sweeps, beside those of one that learned nothing."""

        def make() -> Json:
            room, size = laboratory(), self.size
            rng = np.random.default_rng(2 * HELD_OUT + self.seed)
            prompts_BP = size.task().prompts(rng, size.probe_items, size.trained)
            taught, blank = self._direct(name)[0], room.Transformer(self._shape(name), seed=HELD_OUT + self.seed)
            return probed(taught, blank, prompts_BP, size.trained).to_json()

        return Probed.of_json(self.pieces.get(self._file(name, "probe"), make))

    def _look(self, name: str, arm: str) -> Json:
        """Train an arm's model, unless that was done, and let it answer the items."""
        room = laboratory()
        if arm in (BASE, HELD):
            model, spent = self._base(name)
        elif arm == WRITTEN:
            model, spent = self._taught(name, worked=True)
        else:
            model, spent = self._direct(name)
        if arm == REWARDED:
            model, more = self._rewarded(name, model)
            spent += more
        if arm == HELD:
            out_BT = held_to_form(model, self.items)
        else:
            most = self.size.task(worked=arm == WRITTEN).longest(self.size.most)
            out_BT = room.greedy(model, self.items, most=most).tokens_BT
        lengths_M = (out_BT != 0).sum(1)
        flops = room.sampling_flops(model, self.items.shape[1], lengths_M, prompts=len(self.items))
        mean = flops / len(self.items)
        return Seen(values_of(out_BT), float(lengths_M.mean()), float(spent.tokens), float(spent.flops), mean).to_json()

    def _base(self, name: str) -> tuple[Transformer, Spent]:
        room = laboratory()
        from trueup.train.laboratory.tasks.hundredths import operations

        model = room.Transformer(self._shape(name), seed=self.seed)
        file = self.pieces.file(f"{self._file(name, BASE)}.pt")
        return model, room.train(model, operations, self._recipe(self.size.base_steps, self.size.rows), checkpoint=file)

    def _direct(self, name: str) -> tuple[Transformer, Spent]:
        return self._taught(name, worked=False)

    def _taught(self, name: str, *, worked: bool) -> tuple[Transformer, Spent]:
        room, task = laboratory(), self.size.task(worked=worked)
        model, spent = self._base(name)
        rows = room.examples(room.Pairs(self.lessons, task.targets(self.lessons)))
        size = self.size
        steps, count = (size.written_steps, size.written_rows) if worked else (size.direct_steps, size.rows)
        file = self.pieces.file(f"{self._file(name, WRITTEN if worked else DIRECT)}.pt")
        return model, spent + room.train(model, room.resampled(rows), self._recipe(steps, count), checkpoint=file)

    def _rewarded(self, name: str, begin: Transformer) -> tuple[Transformer, Spent]:
        from trueup.train.laboratory import Recipe
        from trueup.train.laboratory.policy import attempts_at, reinforce

        size, model, lessons_BP = self.size, deepcopy(begin), self.lessons
        roll = attempts_at(
            model, lambda rng, n: lessons_BP[rng.integers(0, len(lessons_BP), n)], satisfied_share,
            group=size.group, most=size.task().longest(size.most),
        )  # fmt: skip
        recipe = Recipe(size.updates, 2 * size.rows, size.reward_lr, "cosine", 10, weight_decay=0.0, seed=self.seed)
        file = self.pieces.file(f"{self._file(name, REWARDED)}.pt")
        return model, reinforce(model, roll, recipe, checkpoint=file)

    def _shape(self, name: str) -> Json:
        width, layers = self.size.shapes[name]
        task = self.size.task(worked=True)
        return laboratory().Shape(width, layers, context=self.items.shape[1] + task.longest(self.size.most) + 1)

    def _recipe(self, steps: int, rows: int) -> Recipe:
        recipe: Recipe = laboratory().Recipe(steps, rows, self.size.lr, seed=self.seed)
        return recipe

    def _file(self, name: str, arm: str) -> str:
        return f"seed{self.seed}-{name}-{arm.replace(' ', '-').replace(',', '')}"


def read(prompts_BP: Tokens) -> Systems:
    """What prompts say."""
    laboratory()
    from trueup.train.laboratory.tasks.coupled import read_systems

    return read_systems(prompts_BP)


def values_of(completions_BT: Tokens) -> Values:
    """The values that completions answer."""
    from trueup.train.laboratory.tasks.coupled import read_values

    return read_values(completions_BT)


def satisfied_share(prompts_BP: Tokens, completions_BT: Tokens) -> NDArray[np.float64]:
    """The reward: which share of the two equations and the two values' limits an answer satisfies."""
    from trueup.train.laboratory.tasks.coupled import is_within, keeps_limit, read_systems, read_values

    systems, values_B2 = read_systems(prompts_BP), read_values(completions_BT)
    kept_B4 = np.concatenate([is_within(systems.residuals(values_B2)), keeps_limit(systems.excess(values_B2))], 1)
    share_B: NDArray[np.float64] = kept_B4.mean(1)
    return share_B


def held_to_form(model: Transformer, prompts_BP: Tokens) -> Tokens:
    """The likeliest answers of a model that may write nothing but `#`, two digits and the end."""
    import torch

    from trueup.train.laboratory.costs import reading
    from trueup.train.laboratory.tasks.hundredths import DIGITS
    from trueup.train.laboratory.vocabulary import ANSWER, DIGIT_0, END

    rows_BT = np.pad(prompts_BP, ((0, 0), (0, 1)), constant_values=ANSWER)
    for _ in range(2):
        with torch.inference_mode(), reading(model, rows_BT):
            logits_BV = model(torch.from_numpy(rows_BT))[:, -1, DIGIT_0 : DIGIT_0 + DIGITS]
        rows_BT = np.column_stack([rows_BT, DIGIT_0 + logits_BV.argmax(-1).numpy()])
    return np.pad(rows_BT[:, prompts_BP.shape[1] :], ((0, 0), (0, 1)), constant_values=END)


def _different(task: Coupled, rng: np.random.Generator, n: int, dial: int) -> Tokens:
    """Problems of one number of sweeps, none twice."""
    drawn = np.zeros((0, 0), np.int64)
    while len(drawn) < n:
        more = task.prompts(rng, n + n // 4 - len(drawn), dial)
        drawn = np.unique(np.concatenate([drawn, more]) if len(drawn) else more, axis=0)
    return rng.permutation(drawn)[:n]


def _contained(rows_BP: Tokens, others_MP: Tokens) -> Flags:
    """Which rows are among the others."""
    others = {row.tobytes() for row in others_MP}
    return np.array([row.tobytes() in others for row in np.ascontiguousarray(rows_BP)], bool)
