"""A small and a large model, each before and after tuning, and what each way of tuning keeps.

Pre-training, or what goes on from pretrained weights, is a web in small: facts, and chains of arithmetic, first mostly
in worked steps, then mostly answered at once: the models can in part work them out and are not in the habit. Tuning
shows worked steps alone, and no fact. It has something to teach: where it brings out a habit alone, a few steps of
plain tuning do, before a fact is lost.
Axes: B row, P prompt token, T token, M item, F fact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.claims.chains import HELD_OUT, laboratory
from trueup.claims.pieces import Pieces
from trueup.claims.start import Start, Trained, kept
from trueup.claims.steered_size import Pace, Size
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory import Examples, Source, Transformer
    from trueup.train.laboratory.decoder import Decoder
    from trueup.train.laboratory.presets import Stage

Tokens = NDArray[np.int64]
Right = NDArray[np.bool_]

FULL, LORA, KL, REPLAY = "full", "LoRA", "KL to the base", "replay"
ARMS = (FULL, LORA, KL, REPLAY)
LEARN, HABIT = (0.3, 0.7, 0.0), (0.35, 0.1, 0.55)
"""Of the two stages of pre-training: facts, chains in steps, chains answered at once."""
KL_WEIGHT, REPLAY_SHARE = 0.1, 0.1
"""What replay mixes in is pre-training's last stage: among its rows are facts that the trial asks, with values."""
LORA_LR = 3.0
"""An adapter's learning rate over that of whole weights: it is usually set higher."""
RIGHT = ("held_M", "skill_M", "facts_F")


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
    built = [_pretrain(size, seed, pieces, is_large=is_large) for is_large in (False, True)]
    small, large = (look.at(one.model, 0, one.flops) for one in built)
    antiexpert, base = (one.model for one in built)
    expert, stops = _tune(size, size.pace, antiexpert, FULL, seed, look)

    def stops_of(name: str) -> list[Seen]:
        def make() -> Json:
            return [seen.to_json() for seen in _tune(size, size.pace_of_large, base, name, seed, look)[1]]

        return [Seen.of_json(row) for row in pieces.get(f"seed{seed}-{name}", make)]

    arms = {name: stops_of(name) for name in ARMS}
    steered, training = laboratory().Steered, stops[-1].training_flops
    proxy = [look.at(steered(base, expert, antiexpert, alpha), alpha, training) for alpha in size.alphas]
    return Trial(small, stops[-1], large, arms, proxy)


def web(size: Size, pace: Pace) -> Sequence[Stage]:
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
        return Stage(room.Recipe(steps, size.rows, pace.lr), parts)

    return [stage(pace.learn_steps, LEARN), stage(pace.habit_steps, HABIT)]


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


def _pretrain(size: Size, seed: int, pieces: Pieces, *, is_large: bool) -> Trained:
    laboratory()
    from trueup.train.laboratory.presets import Preset, build

    width, pace = (size.large, size.pace_of_large) if is_large else (size.small, size.pace)
    start = size.start if is_large else Start(device=size.start.device)
    files = pieces.file(f"seed{seed}-width{width}.pt")

    def make() -> Trained:
        model = start.model(width=width, context=4 * size.most + 8, seed=seed)
        preset = Preset(model.shape, web(size, pace))
        built = build(preset, seed=seed, begin=model, checkpoint=None if start.weights else files)
        return Trained(built.model, built.spent.flops)

    return kept(start, files, make)


def _tune(
    size: Size, pace: Pace, base: Transformer, arm: str, seed: int, look: _Look
) -> tuple[Transformer, list[Seen]]:
    """A tuned copy, and what was seen at every stop of it; the costs at a stop are its share of the steps."""
    room = laboratory()
    from trueup.train.laboratory.tasks import source_of

    model = room.adapted(base, seed=seed) if arm == LORA else deepcopy(base)
    source = source_of(size.skill, size.dials)
    if arm == REPLAY:
        source = room.mixture([source, web(size, pace)[-1].source], [1 - REPLAY_SHARE, REPLAY_SHARE])
    seen: list[Seen] = []

    def keep(step: int) -> None:
        plain = room.merged(model) if arm == LORA else model
        seen.append(look.at(plain, step, 0.0))

    lr = pace.tuning_lr * (LORA_LR if arm == LORA else 1.0)
    recipe = room.Recipe(size.tuning_steps, size.rows, lr, seed=seed + 1, warmup_steps=10)
    options = {"reference": base, "kl": KL_WEIGHT} if arm == KL else {}
    spent = room.train(model, watched(source, size.stops, keep), recipe, **options)
    keep(size.tuning_steps)
    per_step = spent.flops / spent.steps
    return model, [replace(stop, training_flops=stop.setting * per_step) for stop in seen]
