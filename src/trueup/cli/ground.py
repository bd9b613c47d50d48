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
from trueup.cli.order import Order, demand_seed
from trueup.cli.pipeline import gradable
from trueup.core.errors import BadInput
from trueup.core.outcome import Measured
from trueup.core.stratum import Stratum
from trueup.core.training import BEGUN, CARD
from trueup.core.types import Json
from trueup.models import SMOLLM2
from trueup.models.huggingface import converted
from trueup.models.huggingface.folder import base_of, find_folder, has_weights
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

    `repeated` held-out items ask what is trained on and are left out. `origin` tells of all this as it was when the
    training began.
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
    repeated: int = 0

    @property
    def turns(self) -> int:
        """How many turns the evaluation takes."""
        return 2 if self.order.trainer in TWO_TURNS else 1

    @property
    def notes(self) -> list[str]:
        """What a person should know of the items."""
        items = f"{self.repeated} item{'s' * (self.repeated > 1)}"
        return [f"left out of the held-out half, since they ask what is trained on: {items}"] * (self.repeated > 0)

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
    demand_seed(f"the seed of {order.task!r}", task.seed)
    known = {stratum.name: stratum for stratum in task.strata}
    name = the_one(known, order.stratum, str(order.task))
    if has_side_effects(known[name]):
        raise BadInput(f"stratum {name!r} has side effects, and training samples an item many times; train on another")
    training, held_out = _halves(gradable(known[name]))
    if not held_out.items:
        found = len({item.cluster for item in training.items})
        raise BadInput(
            f"{name!r} has too few independent items ({found}: rows with one prompt or cluster are one); half is held "
            f"out, so give at least 2"
        )
    rest = [_halves(stratum) for stratum in task.strata if stratum.name != name and not has_side_effects(stratum)]
    past = read_past(order.model)
    held_out, *guards = (_untrained(one, past) for one in (held_out, *_guards(order, task, [b for _, b in rest])))
    if not held_out.items:
        raise BadInput(f"{order.model!r} was trained on every held-out item of {name!r}; give other items")
    others = tuple(a for a, _ in rest)
    learned = (training, *(others if order.settings.get("replay") else ()))
    new, *guards = (_apart(one, learned) for one in (held_out, *guards))
    if not new.items:
        raise BadInput(f"every held-out item of {name!r} asks what is trained on; give more items, or others")
    base = _base(order.model, out)
    guarded = tuple(guard for guard in guards if guard.items)
    origin, repeated = origin_of(training, new, others, guarded, base, past), len(held_out.items) - len(new.items)
    return Ground(order, out, task, training, new, others, guarded, base, profile, origin, repeated)


def demand_free(order: Order, out: Path) -> None:
    """Raise BadInput where a training in this folder would write over its base, or be read as another model.

    Only what is on disk is looked at; a model that the hub brings lies elsewhere.
    """
    kind, name = kind_of(order.model, names("models"))
    there = out.expanduser().resolve()
    if kind == "hf" and Path(name).expanduser().is_dir():
        folder = find_folder(name)
        for base in (one.resolve() for one in (folder, base_of(folder)) if one is not None):
            if there in (base, base.parent) or base in there.parents:
                raise BadInput(f"--out {str(out)!r} is where the model lies ({str(base)!r}); choose another --out")
    if has_weights(out) and not (out / BEGUN).exists():
        raise BadInput(f"--out {str(out)!r} holds a model, which would be read as what was trained; choose another")


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


def guard_name(task: OpenTask) -> str:
    """What the items of `--guard` are called: `guard`, or with a number where the task has strata of that name."""
    taken = [f"{stratum.name} " for stratum in task.strata]
    tried = (f"{GUARD}{number}" for number in ("", *range(2, len(taken) + 3)))
    return next(name for name in tried if not any(one.startswith(f"{name} ") for one in taken))


def _guards(order: Order, task: OpenTask, rest: Sequence[Stratum]) -> Sequence[Stratum]:
    """What must not be forgotten: the items of a task that the user names, or the held-out halves of the other strata.

    A task brings its own verifiers; a lone JSONL file is graded as any is. Raises BadInput where nothing says what is
    right, or what is sampled would be run.
    """
    if order.guard is None:
        return rest
    strata, name = open_task(_guard(order.guard), limit=order.limit, seed=task.seed, sets={}).strata, guard_name(task)
    for stratum in strata:
        if has_side_effects(stratum):
            raise BadInput(
                f"--guard {order.guard!r}: stratum {stratum.name!r} has side effects, and a guard is sampled many "
                f"times an item; take one without"
            )
    return [gradable(_renamed(one, name if len(strata) == 1 else f"{name} {one.name}")) for one in strata]


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


def _apart(stratum: Stratum, learned: Sequence[Stratum]) -> Stratum:
    """What of a stratum does not ask what is about to be learned."""
    known = {mark for one in learned for item in one.items for mark in marks(item, one.recipe)}
    return replace(stratum, items=without(stratum.items, known, stratum.recipe))


def _halves(stratum: Stratum) -> tuple[Stratum, Stratum]:
    """The items that a study chooses on and those that it certifies on: the same split, so that its proof holds."""
    choosing, held_out = halves(Measured(stratum, (), (), ()))
    return choosing.stratum, held_out.stratum


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
