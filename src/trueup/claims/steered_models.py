"""A small and a large model, each before and after tuning, and what each way of tuning keeps.

Pre-training is a web in small: facts, and chains of arithmetic, first mostly in worked steps, then mostly answered at
once: the models can in part work them out and are not in the habit. Tuning shows worked steps alone, and no fact. It
has something to teach: where it brings out a habit alone, a few steps of plain tuning do, before a fact is lost.
Axes: B row, P prompt token, T token, M item, F fact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from math import log
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.chains import HELD_OUT, laboratory
from trueup.claims.pieces import Pieces
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Examples, Source, Transformer
    from trueup.train.laboratory.presets import Built, Stage
    from trueup.train.laboratory.sampling import Decoder
    from trueup.train.laboratory.tasks import Chain, Facts

Tokens = NDArray[np.int64]
Right = NDArray[np.bool_]

FULL, LORA, KL, REPLAY = "full", "LoRA", "KL to the base", "replay"
ARMS = (FULL, LORA, KL, REPLAY)
LEARN, HABIT = (0.3, 0.7, 0.0), (0.35, 0.1, 0.55)
"""Of the two stages of pre-training: facts, chains in steps, chains answered at once."""
KL_WEIGHT, REPLAY_SHARE = 0.1, 0.1
LORA_LR = 3.0
"""An adapter's learning rate over that of whole weights: it is usually set higher."""
RIGHT = ("held_M", "skill_M", "facts_F")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the models, their training and the trial are; `held` items choose settings, `items` judge them."""

    modulus: int
    most: int
    facts: int
    small: int
    large: int
    learn_steps: int
    habit_steps: int
    tuning_steps: int
    held: int
    items: int
    alphas: Sequence[float] = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0)
    rows: int = 64
    lr: float = 4e-3
    tuning_lr: float = 2e-3
    stop_ratio: float = 1.25

    @property
    def skill(self) -> Chain:
        """What tuning teaches."""
        laboratory()
        from trueup.train.laboratory.tasks import Chain

        return Chain(self.modulus, True, self.most)

    @property
    def knowledge(self) -> Facts:
        """What pre-training alone shows."""
        laboratory()
        from trueup.train.laboratory.tasks import Facts

        return Facts(self.facts, 1)

    @property
    def dials(self) -> range:
        """Lengths of chains; the trial is without those of one operation, too few to hold any out."""
        return range(1, self.most + 1)

    @property
    def stops(self) -> list[int]:
        """The steps of tuning behind which it may be stopped, each so many times the one before."""
        count = int(log(self.tuning_steps) / log(self.stop_ratio)) + 1
        return sorted({round(self.tuning_steps / self.stop_ratio**i) for i in range(count)})


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model gets right, item by item; tokens and FLOPs are those of an answer to one test item."""

    setting: float
    held_M: Right
    skill_M: Right
    facts_F: Right
    prompt_tokens: float
    generated_tokens: float
    request_flops: float
    training_flops: float

    @property
    def flops_per_token(self) -> float:
        """Of reading or writing one."""
        return self.request_flops / (self.prompt_tokens + self.generated_tokens)

    def to_json(self) -> Json:
        """This, as JSON."""
        rows = {name: getattr(self, name).astype(int).tolist() for name in RIGHT}
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, **rows}

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Seen:
        """What `to_json` wrote."""
        return cls(**{**table, **{name: np.array(table[name], bool) for name in RIGHT}})


@dataclass(frozen=True, slots=True)
class Trial:
    """One seed: the untuned models, the expert, each arm at every stop, the proxy at every alpha."""

    small: Seen
    expert: Seen
    large: Seen
    arms: Mapping[str, Sequence[Seen]]
    proxy: Sequence[Seen]

    @property
    def tuned(self) -> Seen:
        """The large model tuned directly, to the end."""
        return self.arms[FULL][-1]

    @property
    def steered(self) -> Seen:
        """The proxy at alpha 1, the paper's."""
        return next(seen for seen in self.proxy if seen.setting == 1.0)

    def to_json(self) -> Json:
        """This, as JSON."""
        return {
            **{name: getattr(self, name).to_json() for name in ("small", "expert", "large")},
            "arms": {name: [seen.to_json() for seen in stops] for name, stops in self.arms.items()},
            "proxy": [seen.to_json() for seen in self.proxy],
        }

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Trial:
        """What `to_json` wrote."""
        return cls(
            Seen.of_json(table["small"]),
            Seen.of_json(table["expert"]),
            Seen.of_json(table["large"]),
            {name: [Seen.of_json(row) for row in stops] for name, stops in table["arms"].items()},
            [Seen.of_json(row) for row in table["proxy"]],
        )


def run_trial(size: Size, seed: int, first: int, pieces: Pieces) -> Trial:
    """Pre-train both models, tune the small one and the large one every way, steer, and look at all of them."""
    look = _Look.of(size, first)
    built = [_pretrain(size, width, seed, pieces) for width in (size.small, size.large)]
    small, large = (look.at(one.model, 0, one.spent.flops) for one in built)
    antiexpert, base = (one.model for one in built)
    expert, stops = _tune(size, antiexpert, FULL, seed, look)

    def stops_of(name: str) -> list[Seen]:
        def make() -> Json:
            return [seen.to_json() for seen in _tune(size, base, name, seed, look)[1]]

        return [Seen.of_json(row) for row in pieces.get(f"seed{seed}-{name}", make)]

    arms = {name: stops_of(name) for name in ARMS}
    steered, training = laboratory().Steered, stops[-1].training_flops
    proxy = [look.at(steered(base, expert, antiexpert, alpha), alpha, training) for alpha in size.alphas]
    return Trial(small, stops[-1], large, arms, proxy)


def web(size: Size) -> Sequence[Stage]:
    """The stages of pre-training."""
    room = laboratory()
    from trueup.train.laboratory.presets import Part, Stage
    from trueup.train.laboratory.tasks import Chain

    def stage(steps: int, shares: tuple[float, float, float]) -> Stage:
        facts, worked, direct = shares
        parts = (
            Part(size.knowledge, (1,), facts),
            Part(size.skill, size.dials, worked),
            Part(Chain(size.modulus, False, size.most), size.dials, direct),
        )
        return Stage(room.Recipe(steps, size.rows, size.lr), parts)

    return [stage(size.learn_steps, LEARN), stage(size.habit_steps, HABIT)]


def watched(source: Source, stops: Sequence[int], look: Callable[[int], None]) -> Source:
    """A source that looks before the batch behind each stop; training draws one batch a step."""
    drawn = 0

    def draw(rng: np.random.Generator, n: int) -> Examples:
        nonlocal drawn
        if drawn in stops:
            look(drawn)
        drawn += 1
        return source(rng, n)

    return draw


@dataclass(frozen=True, slots=True)
class _Look:
    """The items that every model is asked, greedily."""

    size: Size
    held_BP: Tokens
    items_BP: Tokens
    facts_BP: Tokens

    @classmethod
    def of(cls, size: Size, seed: int) -> _Look:
        rng = np.random.default_rng(HELD_OUT + seed)
        held, items = (_chains(size, n, rng) for n in (size.held, size.items))
        return cls(size, held, items, size.knowledge.every())

    def at(self, model: Decoder, setting: float, training_flops: float) -> Seen:
        room, skill, facts = laboratory(), self.size.skill, self.size.knowledge
        asked_BP = np.concatenate([self.held_BP, self.items_BP])
        out = room.greedy(model, asked_BP, most=skill.longest(skill.most))
        right_M = skill.check(asked_BP, out.tokens_BT)
        held = len(self.held_BP)
        flops = room.sampling_flops(model, asked_BP.shape[1], out.lengths[held:], prompts=len(self.items_BP))
        recalled = room.greedy(model, self.facts_BP, most=facts.longest())
        facts_F = facts.check(self.facts_BP, recalled.tokens_BT)
        return Seen(
            float(setting), right_M[:held], right_M[held:], facts_F, float(asked_BP.shape[1]),
            float(out.lengths[held:].mean()), flops / len(self.items_BP), float(training_flops),
        )  # fmt: skip


def _chains(size: Size, n: int, rng: np.random.Generator) -> Tokens:
    dials = size.dials[1:]
    parts = np.array_split(np.arange(n), len(dials))
    return np.concatenate([size.skill.prompts(rng, len(p), dial) for dial, p in zip(dials, parts, strict=True)])


def _pretrain(size: Size, width: int, seed: int, pieces: Pieces) -> Built:
    room = laboratory()
    from trueup.train.laboratory.presets import Preset, build

    preset = Preset(room.Shape(width=width, context=4 * size.most + 8), web(size))
    return build(preset, seed=seed, checkpoint=pieces.file(f"seed{seed}-width{width}.pt"))


def _tune(size: Size, base: Transformer, arm: str, seed: int, look: _Look) -> tuple[Transformer, list[Seen]]:
    """A tuned copy, and what was seen at every stop of it; the costs at a stop are its share of the steps."""
    room = laboratory()
    from trueup.train.laboratory.tasks import source_of

    model = room.adapted(base, seed=seed) if arm == LORA else deepcopy(base)
    source = source_of(size.skill, size.dials)
    if arm == REPLAY:
        source = room.mixture([source, web(size)[-1].source], [1 - REPLAY_SHARE, REPLAY_SHARE])
    seen: list[Seen] = []

    def keep(step: int) -> None:
        plain = room.merged(model) if arm == LORA else model
        seen.append(look.at(plain, step, 0.0))

    lr = size.tuning_lr * (LORA_LR if arm == LORA else 1.0)
    recipe = room.Recipe(size.tuning_steps, size.rows, lr, seed=seed + 1, warmup_steps=10)
    options = {"reference": base, "kl": KL_WEIGHT} if arm == KL else {}
    spent = room.train(model, watched(source, size.stops, keep), recipe, **options)
    keep(size.tuning_steps)
    per_step = spent.flops / spent.steps
    return model, [replace(stop, training_flops=stop.setting * per_step) for stop in seen]
