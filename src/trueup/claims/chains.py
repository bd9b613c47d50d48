"""Models of chain arithmetic: trained in stages, sampled, their samples rated.

Chains of up to k operations are learned only after shorter ones, so training goes through stages of growing length;
from scratch a stage has a checkpoint of its own. Axes: B row, P prompt token, T token, M item, N attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.curves import Curves, doublings
from trueup.claims.start import SCRATCH, Start, Trained, kept
from trueup.claims.start import laboratory as laboratory
from trueup.plan.estimate import Column

if TYPE_CHECKING:
    from trueup.train.laboratory import Completions, Recipe, Transformer, Verifier
    from trueup.train.laboratory.tasks import Chain

TEMPERATURE = 1.0
HELD_OUT = 7_000_000
"""Added to a seed for problems that are drawn apart from training; short chains are few, and so come up in both."""
BLOCK_ITEMS = 64
PILOT_ITEMS = 300

Tokens = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps of training on chains of 1 to `dial` operations."""

    dial: int
    steps: int


@dataclass(frozen=True, slots=True)
class Size:
    """How large a claim's laboratory is.

    `direct` and `worked` are the stages of training on plain answers and on worked steps; the verifier learns from
    `verifier_samples` samples of each of `verifier_items` problems, and the claim is tried on `items` more with up to
    `attempts` samples of each. They are drawn apart, but of short chains there are few: at `cpu` all or most of one
    operation and up to a quarter of two are among the verifier's, next to none of longer ones. Training up to a goal
    looks every `round_steps`; `direct_goal` is that of plain answers, where they have one. `worked_lr` is the rate for
    worked steps, where it is not that of all else. `width` is that of models from scratch.
    """

    modulus: int
    most: int
    width: int
    direct: tuple[Stage, ...]
    worked: tuple[Stage, ...]
    items: int
    attempts: int
    verifier_items: int
    verifier_samples: int
    verifier_steps: int
    rows: int = 64
    lr: float = 5e-3
    round_steps: int = 50
    direct_goal: float | None = None
    worked_lr: float | None = None
    start: Start = SCRATCH

    @property
    def context(self) -> int:
        """The longest row in tokens."""
        return 4 * self.most + 8

    def rate(self, *, worked: bool) -> float:
        """The learning rate."""
        return self.worked_lr if worked and self.worked_lr else self.lr


def task_of(size: Size, *, worked: bool) -> Chain:
    """The task, answered directly or in steps."""
    laboratory()
    from trueup.train.laboratory.tasks import Chain

    return Chain(size.modulus, worked, size.most)


def learned_per_row(stage: Stage, *, worked: bool) -> float:
    """The mean tokens of a target: two a worked step, and the answer between its mark and the end."""
    return 3.0 + (stage.dial + 1.0 if worked else 0.0)


def read_per_row(size: Size, stage: Stage, *, worked: bool) -> float:
    """The mean tokens of a row, prompt and target."""
    return 2.0 * size.most + 2.0 + learned_per_row(stage, worked=worked)


def train_stages(size: Size, stages: Sequence[Stage], *, worked: bool, seed: int, files: Path) -> Trained:
    """Train from the start through the stages; a killed run goes on where it was."""

    def make() -> Trained:
        room, task = laboratory(), task_of(size, worked=worked)
        model = size.start.model(width=size.width, context=size.context, seed=seed)
        flops = learned = 0.0
        for number, stage in enumerate(stages):
            recipe = room.Recipe(stage.steps, size.rows, size.rate(worked=worked), seed=seed + 1000 * number)
            flops += _train(size, task, model, stage, recipe, files, number)
            learned += stage.steps * size.rows * learned_per_row(stage, worked=worked)
        return Trained(model, flops, learned)

    return kept(size.start, files, make)


def train_until(size: Size, begin: Transformer, goal: float, *, seed: int, files: Path, worked: bool = True) -> Trained:
    """Train a copy, round by round, until a pilot is right as often as `goal`; the pilot is charged.

    At most through the steps of `size.worked`, or of `size.direct`. The optimizer begins each round anew.
    """

    def make() -> Trained:
        room, task, model = laboratory(), task_of(size, worked=worked), deepcopy(begin)
        pilot_BP = _problems(size, PILOT_ITEMS, np.random.default_rng(3 * HELD_OUT + seed))
        flops = learned = 0.0
        stages, steps, lr = size.worked if worked else size.direct, size.round_steps, size.rate(worked=worked)
        rounds = [stage for stage in stages for _ in range(0, stage.steps, steps)]
        for number, stage in enumerate(rounds):
            recipe = room.Recipe(steps, size.rows, lr, "constant", 10, seed=seed + 1000 * number)
            flops += _train(size, task, model, stage, recipe, files, number)
            learned += steps * size.rows * learned_per_row(stage, worked=worked)
            out = room.generate(model, pilot_BP, most=task.longest(size.most), temperature=TEMPERATURE, seed=seed)
            flops += room.sampling_flops(model, pilot_BP.shape[1], out.lengths, prompts=len(pilot_BP))
            if task.check(pilot_BP, out.tokens_BT).mean() >= goal:
                break
        return Trained(model, flops, learned)

    return kept(size.start, files, make)


def _train(
    size: Size, task: Chain, model: Transformer, stage: Stage, recipe: Recipe, files: Path, number: int
) -> float:
    from trueup.train.laboratory.tasks import source_of

    checkpoint = None if size.start.weights else files.with_name(f"{files.name}-{number}.pt")
    source = source_of(task, range(1, stage.dial + 1))
    return float(laboratory().train(model, source, recipe, checkpoint=checkpoint).flops)


def trial_items(size: Size, seed: int) -> Tokens:
    """Problems of all lengths in equal parts, the same for every model."""
    return _problems(size, size.items, np.random.default_rng(HELD_OUT + seed))


def measure_model(size: Size, model: Transformer, prompts_BP: Tokens, *, worked: bool, seed: int) -> Curves:
    """Train a verifier on the model's own samples, sample the test items, and lay out what N samples come to."""
    room, task = laboratory(), task_of(size, worked=worked)
    verifier, verifier_flops = train_verifier_of(size, model, worked=worked, seed=seed)
    most, n = task.longest(size.most), size.attempts
    out = room.generate(model, prompts_BP, most=most, n=n, temperature=TEMPERATURE, seed=seed)
    ratings_MN = room.rate(verifier, prompts_BP.repeat(n, 0), out.tokens_BT).reshape(-1, n)
    greedy = room.greedy(model, prompts_BP, most=most)
    return _curves(
        task, model, verifier, prompts_BP, out, ratings_MN, task.check(prompts_BP, greedy.tokens_BT), verifier_flops
    )


def train_verifier_of(size: Size, model: Transformer, *, worked: bool, seed: int) -> tuple[Verifier, float]:
    """An outcome verifier that begins as the model itself, and the FLOPs that it took, its examples included."""
    room, task, n = laboratory(), task_of(size, worked=worked), size.verifier_samples
    prompts_BP = _problems(size, size.verifier_items, np.random.default_rng(2 * HELD_OUT + seed))
    out = room.generate(
        model, prompts_BP, most=task.longest(size.most), n=n, temperature=TEMPERATURE, seed=HELD_OUT + seed
    )
    asked_BP = prompts_BP.repeat(n, 0)
    rows = room.outcome_rows(asked_BP, out.tokens_BT, task.check(asked_BP, out.tokens_BT))
    verifier = room.Verifier(model.shape, seed=seed, trunk=model)
    recipe = room.Recipe(size.verifier_steps, size.rows, size.lr / 5, seed=seed)
    spent = room.train_verifier(verifier, rows, recipe)
    sampled = room.sampling_flops(model, prompts_BP.shape[1], out.lengths, prompts=len(prompts_BP))
    return verifier, float(spent.flops + sampled)


def cut_short(size: Size, model: Transformer, prompts_BP: Tokens, *, n: int, seed: int) -> Column:
    """The share of right answers when steps are cut behind k of them and the answer is forced, axes KM.

    A completion that has fewer steps stays as it is; the last row is the whole one.
    """
    room, task = laboratory(), task_of(size, worked=True)
    from trueup.train.laboratory.vocabulary import ANSWER, STEP

    asked_BP = prompts_BP.repeat(n, 0)
    whole = room.generate(model, prompts_BP, most=task.longest(size.most), n=n, temperature=TEMPERATURE, seed=seed)
    rows = []
    for k in range(size.most + 1):
        long_B = (whole.tokens_BT == STEP).sum(1) > k
        right_B = task.check(asked_BP, whole.tokens_BT)
        forced_BT = np.concatenate([whole.tokens_BT[:, : 2 * k], np.full((len(asked_BP), 1), ANSWER)], 1)[long_B]
        if len(forced_BT):
            begun_BT = np.concatenate([asked_BP[long_B], forced_BT], 1)
            rest = room.generate(model, begun_BT, most=2, temperature=TEMPERATURE, seed=seed + k + 1)
            right_B[long_B] = task.check(asked_BP[long_B], np.concatenate([forced_BT, rest.tokens_BT], 1))
        rows.append(right_B.reshape(-1, n).mean(1))
    return np.stack(rows)


def _problems(size: Size, count: int, rng: np.random.Generator) -> Tokens:
    task = task_of(size, worked=False)
    counts = [len(part) for part in np.array_split(np.arange(count), size.most)]
    return np.concatenate([task.prompts(rng, k, dial) for dial, k in enumerate(counts, 1)])


def _curves(
    task: Chain,
    model: Transformer,
    verifier: Verifier,
    prompts_BP: Tokens,
    out: Completions,
    ratings_MN: NDArray[np.float32],
    greedy_M: NDArray[np.bool_],
    verifier_flops: float,
) -> Curves:
    from trueup.train.laboratory.tasks import read_answers

    M, N = ratings_MN.shape
    codes_MN, answer_M = read_answers(out.tokens_BT).reshape(M, N), task.answers(prompts_BP)
    right_MN, lengths_MN = codes_MN == answer_M[:, None], out.lengths.reshape(M, N)
    sizes = doublings(N)
    ends = np.array(sizes) - 1
    P = prompts_BP.shape[1]
    return Curves(
        sizes,
        greedy_M,
        right_MN.mean(1),
        np.stack([_chosen(codes_MN[:, :n], np.ones((M, n), np.float32)) == answer_M for n in sizes]),
        np.stack([_chosen(codes_MN[:, :n], ratings_MN[:, :n]) == answer_M for n in sizes]),
        np.maximum.accumulate(right_MN, 1)[:, ends].T,
        lengths_MN.cumsum(1)[:, ends].T.astype(float),
        _flops(model, P, lengths_MN)[:, ends].T,
        _flops(verifier, P, lengths_MN)[:, ends].T,
        verifier_flops,
    )


def _chosen(codes_MN: Tokens, ratings_MN: NDArray[np.float32]) -> Tokens:
    """Best-of-N weighted in blocks of items: the comparison of all with all is large."""
    blocks = range(0, len(codes_MN), BLOCK_ITEMS)
    choose = laboratory().weighted
    return np.concatenate([choose(codes_MN[at : at + BLOCK_ITEMS], ratings_MN[at : at + BLOCK_ITEMS]) for at in blocks])


def _flops(network: Transformer | Verifier, prompt: int, lengths_MN: Tokens) -> Column:
    """FLOPs of the first n attempts at an item, whose prompt is read once."""
    cost = laboratory().sampling_flops
    once = cost(network, prompt, np.zeros(0, np.int64), prompts=1)
    of_length = [cost(network, prompt, np.array([length]), prompts=0) for length in range(int(lengths_MN.max()) + 1)]
    flops_MN: Column = once + np.array(of_length, float)[lengths_MN].cumsum(1)
    return flops_MN
