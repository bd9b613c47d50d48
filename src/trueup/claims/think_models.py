"""Models that answer in two modes, and every way of teaching them when to think.

One warm-up a seed, from which all arms begin: pairs of a direct and a worked answer to the same sum, none with a carry
that travels far. Then policy gradients on problems of all dials, whose labels no arm sees. Departures from the paper:
no KL to a reference (there its weight is .001), one update a sampling, so that hardly a ratio is clipped.
Axes: B row, P prompt token, M item, N labelled item, L length, D dial, 2 mode (short, think).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueup.claims.chains import HELD_OUT, laboratory
from trueup.claims.pieces import Pieces
from trueup.claims.start import SCRATCH, Start, Trained, kept
from trueup.claims.think_trace import Reward, Trace, Watched
from trueup.core.types import Json
from trueup.plan.estimate import Column

if TYPE_CHECKING:
    from trueup.train.laboratory import Spent, Transformer
    from trueup.train.laboratory.modes import Modes
    from trueup.train.laboratory.policy import PolicyLoss

Tokens = NDArray[np.int64]
Right = NDArray[np.bool_]

WARM_UP = "warm-up"
LABELLED = 11 * HELD_OUT
"""Added to a seed for the problems on which routers with labels learn."""
PILOT_ITEMS, RELIABLE, ROUNDS = 600, 0.97, 3
ARRAYS = ("chance_2M", "right_2M", "length_2M", "labels_2N", "flops_L")


@dataclass(frozen=True, slots=True)
class Arm:
    """A way of teaching: a loss by name, what is added to it, what is rewarded; `pace` scales the learning rate."""

    loss: str
    settings: Mapping[str, float] = field(default_factory=dict)
    entropy: float = 0.0
    divide_by_std: bool = False
    random_reward: bool = False
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class Size:
    """How large the laboratory is: `warm` are the shares of the dials in the warm-up, afterwards all are alike.

    An arm takes `updates` of `rows` samples, `group` of each problem; right answers are worth 1, or 1 - `gamma` with
    thought. It is tried on `items`; routers with labels learn from `labelled` others. `width` is that of models from
    scratch.
    """

    most: int
    width: int
    warm: Sequence[float]
    warm_steps: int
    updates: int
    items: int
    labelled: int
    arms: Mapping[str, Arm]
    warm_lr: float = 5e-3
    lr: float = 3e-4
    rows: int = 128
    group: int = 8
    gamma: float = 0.2
    start: Start = SCRATCH

    @property
    def modes(self) -> Modes:
        """The task, answered at once or in steps."""
        laboratory()
        from trueup.train.laboratory.modes import Modes
        from trueup.train.laboratory.tasks.carries import Carries

        return Modes(Carries(False, self.most), Carries(True, self.most))

    def problems(self, seed: int, count: int) -> Tokens:
        """Problems of all dials in equal parts, one dial behind the other."""
        task, rng = self.modes.direct, np.random.default_rng(seed)
        counts = [len(part) for part in np.array_split(np.arange(count), self.most)]
        return np.concatenate([task.prompts(rng, k, dial) for dial, k in enumerate(counts, 1)])


@dataclass(frozen=True, slots=True)
class Seen:
    """A model on the test items: nothing is sampled, so shares and costs are exact expectations.

    `chance_2M` is how likely it chooses each mode, `right_2M` and `length_2M` are of its likeliest answer in each,
    `labels_2N` of those on the items for routers, which took `labelling_flops`; `flops_L` are those of a completion by
    its length. `trace` is of the samples that taught it; the warm-up has none.
    """

    chance_2M: Column
    right_2M: Right
    length_2M: Tokens
    labels_2N: Right
    flops_L: Column
    labelling_flops: float
    training_flops: float
    training_tokens: float
    trace: Trace | None = None

    def to_json(self) -> Json:
        """This, as JSON."""
        table = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {name: table[name].tolist() for name in ARRAYS}
        return {**table, **arrays, "trace": None if self.trace is None else self.trace.to_json()}

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Seen:
        """What `to_json` wrote."""
        arrays = {name: np.array(table[name]) for name in ARRAYS}
        arrays["labels_2N"] = arrays["labels_2N"].astype(bool)
        return cls(**{**table, **arrays, "trace": None if table["trace"] is None else Trace.of_json(table["trace"])})


def run_seed(size: Size, seed: int, first: int, pieces: Pieces, *, labelled: str) -> dict[str, Seen]:
    """The warm-up and every arm of one seed; the arm called `labelled` is asked the items for routers too."""
    items_BP, others_BP = size.problems(HELD_OUT + first, size.items), size.problems(LABELLED + seed, size.labelled)

    def make(name: str) -> Json:
        model, spent = warm_up(size, seed, pieces)
        trace = None
        if name != WARM_UP:
            model, spent, trace = teach(size, size.arms[name], model, seed)
        return look(size, model, items_BP, others_BP if name == labelled else others_BP[:0], spent, trace).to_json()

    names = (WARM_UP, *size.arms)
    parts = {name: pieces.get(f"seed{seed}-{slug(name)}", partial(make, name)) for name in names}
    return {name: Seen.of_json(part) for name, part in parts.items()}


def slug(name: str) -> str:
    """A name that a file can have."""
    return "".join(c if c.isalnum() or c == "." else "-" for c in name)


def warm_up(size: Size, seed: int, pieces: Pieces) -> tuple[Transformer, Spent]:
    """The model that all arms of a seed begin from, as its files left it, and what it took."""
    files = pieces.file(f"seed{seed}-warm")
    trained = kept(size.start, files, lambda: _warmed(size, seed, files))
    return trained.model, laboratory().Spent(tokens=int(trained.learned_tokens or 0), flops=int(trained.flops))


def _warmed(size: Size, seed: int, files: Path) -> Trained:
    """A warm-up, with all the tokens that it was trained on.

    When steps are learned differs from seed to seed, and comes at a stroke: where a pilot finds that thought is not yet
    reliable, training goes on for half as many steps. The pilot is charged.
    """
    room, modes = laboratory(), size.modes
    from trueup.train.laboratory.modes import THINK

    model = size.start.model(width=size.width, context=5 * size.most + 16, seed=seed)
    pilot_BP, spent = size.problems(3 * HELD_OUT + seed, PILOT_ITEMS), room.Spent()
    for number in range(ROUNDS):
        recipe = room.Recipe(size.warm_steps // min(2, 1 + number), size.rows, size.warm_lr, seed=seed + 1000 * number)
        file = None if size.start.weights else files.with_name(f"{files.name}{number}.pt")
        spent += room.train(model, modes.paired(size.warm), recipe, checkpoint=file, every_steps=100)
        rows_BT = modes.answered(model, pilot_BP, THINK)
        flops = room.sampling_flops(model, pilot_BP.shape[1], modes.lengths(rows_BT), prompts=PILOT_ITEMS)
        spent += room.Spent(flops=flops)
        right_DB = modes.check(pilot_BP, rows_BT).reshape(size.most, -1)
        if right_DB.mean(1).min() >= RELIABLE:
            break
    return Trained(model, spent.flops, spent.tokens)


def teach(size: Size, arm: Arm, begin: Transformer, seed: int) -> tuple[Transformer, Spent, Trace]:
    """A taught copy, what that took, and what it sampled meanwhile."""
    from trueup.train.laboratory import Recipe
    from trueup.train.laboratory.policy import attempts_at, reinforce

    model, modes, even = deepcopy(begin), size.modes, [1.0] * size.most
    watched = Watched(modes, size.most, reward_of(size, arm, seed))
    roll = attempts_at(
        model, lambda rng, n: modes.prompts(rng, n, even), watched,
        group=size.group, most=modes.most, divide_by_std=arm.divide_by_std,
    )  # fmt: skip
    recipe = Recipe(size.updates, size.rows, arm.pace * size.lr, "cosine", 10, weight_decay=0.0, seed=seed)
    spent = reinforce(model, roll, recipe, loss=loss_of(arm))
    return model, spent, watched.trace


def reward_of(size: Size, arm: Arm, seed: int) -> Reward:
    """What an arm is paid for: right answers, less where it thinks; or nothing that it does."""
    if not arm.random_reward:
        return partial(size.modes.reward, gamma=size.gamma)
    rng = np.random.default_rng((seed, len(WARM_UP)))
    return lambda prompts_BP, completions_BT: rng.choice([-1.0, 1.0 - size.gamma, 1.0], len(prompts_BP))


def loss_of(arm: Arm) -> PolicyLoss:
    """The loss of an arm."""
    from trueup.train.losses import degrpo, policy

    losses: dict[str, Any] = {
        "grpo": policy.grpo_loss, "token": policy.dapo_loss, "weighted": degrpo.weighted_grpo_loss,
        "degrpo": degrpo.degrpo_loss, "degrpo token": degrpo.degrpo_token_loss,
    }  # fmt: skip
    plain: PolicyLoss = partial(losses[arm.loss], clip_low=0.2, clip_high=0.2, **arm.settings)
    if not arm.entropy:
        return plain

    def with_entropy(logp_BT: Any, old_logp_BT: Any, advantage_BT: Any, mask_BT: Any) -> Any:
        bonus = degrpo.sampled_entropy(logp_BT, degrpo.chosen_first(mask_BT))
        return plain(logp_BT, old_logp_BT, advantage_BT, mask_BT) - arm.entropy * bonus

    return with_entropy


def look(
    size: Size, model: Transformer, items_BP: Tokens, others_BP: Tokens, spent: Spent, trace: Trace | None
) -> Seen:
    """What a model chooses and answers on the items, and whether it is right on the others."""
    from trueup.train.laboratory.modes import SHORT, THINK, mode_chances

    cost, modes = laboratory().sampling_flops, size.modes
    own, other = ([modes.answered(model, rows, mode) for mode in (SHORT, THINK)] for rows in (items_BP, others_BP))
    prompt = items_BP.shape[1]
    flops = [cost(model, prompt, np.array([length]), prompts=1) for length in range(modes.most + 1)]
    labelling = sum(flops[length] for rows in other for length in modes.lengths(rows))
    return Seen(
        mode_chances(model, items_BP).astype(float).round(6),
        np.stack([modes.check(items_BP, rows) for rows in own]),
        np.stack([modes.lengths(rows) for rows in own]),
        np.stack([modes.check(others_BP, rows) for rows in other]),
        np.array(flops, float), float(labelling), float(spent.flops), float(spent.tokens), trace,
    )  # fmt: skip
