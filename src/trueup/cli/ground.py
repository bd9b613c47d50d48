"""All that a training stands on: its items in their halves, its model, where it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trueup.arms import has_side_effects
from trueup.catalog import OpenTask, names, open_task
from trueup.cli.half import the_one
from trueup.cli.order import Order
from trueup.core.errors import BadInput
from trueup.core.outcome import Measured
from trueup.core.stratum import Stratum
from trueup.core.training import CARD
from trueup.core.types import Json
from trueup.models import SMOLLM2
from trueup.models.huggingface import converted
from trueup.models.huggingface.folder import base_of, find_folder
from trueup.models.words import kind_of
from trueup.plan import halves
from trueup.plan.past import Past, marks, read_past, without
from trueup.tasks import GENERAL
from trueup.train.ask import Engine
from trueup.train.export import write_base
from trueup.train.failures import in_one_line
from trueup.train.origin import origin_of
from trueup.train.profiles import Profile, find_profile, require

TWO_TURNS = ("star", "pair_sft", "iterated_sft", "multi_turn", "score")
LEAST_ROWS = 8
GUARD = "guard"
OFFLINE = "trueup.train.offline"
"""The room whose trainers are run by the main process alone, which the others assist."""


@dataclass(frozen=True, slots=True)
class Ground:
    """All that a training stands on: the halves of its stratum, those of the others, the base, where it runs.

    `origin` tells of all this as it was when the training began.
    """

    order: Order
    out: Path
    task: OpenTask
    training: Stratum
    held_out: Stratum
    others: tuple[Stratum, ...]
    guards: tuple[Stratum, ...]
    base: Path
    profile: Profile
    origin: Mapping[str, Json]

    @property
    def turns(self) -> int:
        """How many turns the evaluation takes."""
        return 2 if self.order.trainer in TWO_TURNS else 1

    @property
    def engine(self) -> Engine:
        """How folders are sampled in this training."""
        template = self.order.template or str(self.order.settings.get("template", ""))
        rows = max(LEAST_ROWS, self.profile.rows)
        return Engine(self.profile.device, self.profile.dtype, rows, self.order.threads, template)


def stand_on(order: Order, out: Path) -> Ground:
    """Open what an order names.

    Raises BadInput where that cannot be trained on.
    """
    profile = _profile(order)
    require(profile)
    task = open_task(order.task, limit=order.limit, seed=order.seed, sets=order.strata)
    known = {stratum.name: stratum for stratum in task.strata}
    name = the_one(known, order.stratum, str(order.task))
    if has_side_effects(known[name]):
        raise BadInput(f"stratum {name!r} has side effects, and training samples an item many times; train on another")
    training, held_out = _halves(_gradable(known[name]), task.seed)
    if not held_out.items:
        raise BadInput(f"{name!r} has {len(training.items)} independent items; half is held out, so give at least 2")
    rest = [
        _halves(stratum, task.seed) for stratum in task.strata if stratum.name != name and not has_side_effects(stratum)
    ]
    past = read_past(order.model)
    held_out, *guards = (_untrained(one, past) for one in (held_out, *_guards(order, task, [b for _, b in rest])))
    guards = [_apart(guard, training) for guard in guards]
    if not held_out.items:
        raise BadInput(f"{order.model!r} was trained on every held-out item of {name!r}; give other items or --seed")
    base, others = _base(order.model, out), tuple(a for a, _ in rest)
    guarded = tuple(guard for guard in guards if guard.items)
    origin = origin_of(training, held_out, others, guarded, base, past)
    return Ground(order, out, task, training, held_out, others, guarded, base, profile, origin)


def _profile(order: Order) -> Profile:
    """Where it runs; offline trainers shard by themselves and want no accelerate, which would shard as they load.

    Raises BadInput for a profile that a trainer has no use for.
    """
    profile = find_profile(order.profile)
    if not is_offline(order):
        return profile
    if profile.vllm:
        told = (
            f"profile {profile.name!r} has a vLLM server sample, and {order.trainer} samples with trueup's own engines"
        )
        raise BadInput(f"{told}; give --profile fsdp2-{profile.processes}, or any without vLLM")
    return replace(profile, launcher="torchrun") if profile.sharding else profile


def is_offline(order: Order) -> bool:
    """Whether texts are gathered before they are trained on, and not sampled step by step."""
    return names("trainers")[order.trainer].__module__.startswith(OFFLINE)


def _guards(order: Order, task: OpenTask, rest: Sequence[Stratum]) -> Sequence[Stratum]:
    """What must not be forgotten: the items of a task that the user names, or the held-out halves of the other strata.

    A task brings its own verifiers; a lone JSONL file is graded as any is. Raises BadInput where nothing says what is
    right.
    """
    if order.guard is None:
        return rest
    strata = open_task(_guard(order.guard), limit=order.limit, seed=task.seed, sets={}).strata
    return [_gradable(_renamed(one, GUARD if len(strata) == 1 else f"{GUARD} {one.name}")) for one in strata]


def _guard(words: str) -> str:
    """The path of a guard: one that exists goes before the name of the suite that comes with the house."""
    if os.path.exists(words):
        return words
    if words != GENERAL.name:
        raise BadInput(
            f"no task at {words!r}; give a folder with a task.toml, a TOML file, a JSONL file, or {GENERAL.name}, "
            f"the guard that comes with trueup"
        )
    return str(GENERAL)


def _renamed(stratum: Stratum, name: str) -> Stratum:
    """The stratum under a name that none of the task's has."""
    items = (replace(item, problem=replace(item.problem, stratum=name)) for item in stratum.items)
    return replace(stratum, name=name, items=tuple(items))


def _untrained(stratum: Stratum, past: Past | None) -> Stratum:
    """What an earlier training has not learned from."""
    return stratum if past is None else replace(stratum, items=past.without(stratum.items, stratum.recipe))


def _apart(guard: Stratum, training: Stratum) -> Stratum:
    """What of a guard is not among the items that are about to be learned."""
    learned = {mark for item in training.items for mark in marks(item, training.recipe)}
    return replace(guard, items=without(guard.items, learned, guard.recipe))


def _halves(stratum: Stratum, seed: int) -> tuple[Stratum, Stratum]:
    """The items that a study chooses on and those that it certifies on: the same split, so that its proof holds."""
    choosing, held_out = halves(Measured(stratum, (), (), ()), seed=seed)
    return choosing.stratum, held_out.stratum


def _gradable(stratum: Stratum) -> Stratum:
    if stratum.verifier.needs_reference and all(item.reference is None for item in stratum.items):
        raise BadInput(
            f"{stratum.name!r} has no reference answers and its verifier needs them: nothing says what is right"
        )
    return stratum


def _base(spec: str, out: Path) -> Path:
    """The folder to train; weights under an adapter are added up first."""
    kind, name = kind_of(spec, names("models"))
    if kind not in ("smollm2", "hf"):
        raise BadInput(f"model {spec!r} cannot be trained here; give smollm2, hf:FOLDER or a training's folder")
    if kind == "smollm2" or name == "smollm2":
        return converted(SMOLLM2)
    folder = find_folder(name)
    if base_of(folder) is None:
        return folder
    card = folder.parent / CARD
    with in_one_line(out, lambda: "nothing was begun"):
        made = write_base(folder, out / "base")
        if card.exists():
            shutil.copyfile(card, made / CARD)
    return made
