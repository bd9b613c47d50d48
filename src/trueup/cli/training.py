"""A training from its order to its card: train, measure the base and what came of it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from trueup import __version__
from trueup.catalog import OpenTask, make_arm, names, open_model, open_stratum, open_task
from trueup.cli.headway import Headway
from trueup.cli.order import FILE as ORDER
from trueup.cli.order import Order
from trueup.cli.pipeline import LEDGER_FILE, ledger_table, price_list
from trueup.cli.request import split_models
from trueup.core.errors import BadInput, UnknownName
from trueup.core.ledger import Ledger
from trueup.core.outcome import Measured
from trueup.core.stratum import Stratum
from trueup.core.versions import versions
from trueup.models import SMOLLM2
from trueup.models.huggingface import converted
from trueup.models.huggingface.folder import base_of, find_folder
from trueup.models.words import kind_of
from trueup.plan import halves
from trueup.plan.past import CARD
from trueup.tasks import jsonl
from trueup.train.ask import Asker, Engine
from trueup.train.books import Books, training_usd
from trueup.train.card import VERSION, data_of, write_card
from trueup.train.exam import Sitting, compared, distance, sit
from trueup.train.export import write_base, write_gguf
from trueup.train.job import Job, Progress, Trained, append_log
from trueup.train.real.profiles import Profile, find_profile, is_launched, is_main, launch, require

TRAINED, LOG = "trained.json", "log.jsonl"
TWO_TURNS = ("star", "pair_sft", "iterated_sft", "multi_turn", "score")
LEAST_ROWS = 8
ONE_PROCESS = "trueup.train.offline"
"""The room whose trainers know nothing of other processes."""


@dataclass(frozen=True, slots=True)
class Ground:
    """All that a training stands on: the halves of its stratum, those of the others, the base, where it runs."""

    order: Order
    out: Path
    task: OpenTask
    training: Stratum
    held_out: Stratum
    others: tuple[Stratum, ...]
    guards: tuple[Stratum, ...]
    base: Path
    profile: Profile

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


def conduct(
    order: Order, out: Path, *, arguments: Sequence[str], quiet: bool, gguf: str | None
) -> dict[str, Any] | None:
    """The card of a training, made now or found; None in a process that only trains for another."""
    if (out / ORDER).exists():
        order = order.keep(out)
    ground = _ground(order, out)
    ground = replace(ground, order=order.keep(out))
    if is_launched() or not ground.profile.launcher:
        with Headway(quiet=quiet or not is_main()) as headway:
            _train(ground, headway)
    elif not (out / TRAINED).exists() and (code := launch(ground.profile, arguments)):
        raise BadInput(f"the processes of profile {ground.profile.name!r} ended with {code}; see above")
    if is_launched():
        return None
    if not (out / CARD).exists():
        with Headway(quiet=quiet) as headway:
            _conclude(ground, headway)
    if gguf is not None:
        write_gguf(find_folder(str(out)), SMOLLM2.fetch(), out / "model.gguf", gguf)
    card: dict[str, Any] = json.loads((out / CARD).read_bytes())
    return card


def _ground(order: Order, out: Path) -> Ground:
    profile = find_profile(order.profile)
    require(profile)
    if profile.processes > 1 and names("trainers")[order.trainer].__module__.startswith(ONE_PROCESS):
        raise BadInput(f"{order.trainer} runs in one process, {profile.name!r} has several; give --profile cpu or gpu")
    task = open_task(order.task, limit=order.limit, seed=order.seed, sets=order.strata)
    known = {stratum.name: stratum for stratum in task.strata}
    if order.stratum is None and len(known) > 1:
        raise BadInput(f"{order.task} has the strata {', '.join(known)}; choose one with --stratum")
    name = order.stratum or next(iter(known))
    if name not in known:
        raise UnknownName("stratum", name, known)
    training, held_out = _halves(_gradable(known[name]), task.seed)
    if not held_out.items:
        raise BadInput(f"{name!r} has {len(training.items)} independent items; half is held out, so give at least 2")
    rest = [_halves(stratum, task.seed) for stratum in task.strata if stratum.name != name]
    guards = tuple(held for _, held in rest if held.items)
    if order.guard is not None:
        items = jsonl(order.guard, stratum="guard", seed=task.seed)
        guards = (replace(open_stratum("guard", {"source": f"jsonl:{order.guard}"}), items=items),)
    base = _base(order.model, out)
    return Ground(order, out, task, training, held_out, tuple(a for a, _ in rest), guards, base, profile)


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
    return folder if base_of(folder) is None else write_base(folder, out / "base")


def _train(ground: Ground, headway: Headway) -> None:
    """Run the trainer unless it is done; of several processes only the main one books and logs."""
    done = ground.out / TRAINED
    if done.exists():
        return
    order = ground.order
    trainer = partial(names("trainers")[order.trainer], **order.settings)
    if not is_main():
        trainer(_job(ground, None, lambda passes: None, lambda progress: None))
        return

    def watch(progress: Progress) -> None:
        append_log(ground.out / LOG, progress)
        headway.step(progress)

    with _asker(ground, headway) as asker:
        trained: Trained = trainer(_job(ground, asker, _books(ground, asker).charge, watch))
        draft = done.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(trained)) + "\n")
        draft.replace(done)
    for kept in (ground.out / "rounds").glob("*/*"):
        if kept.is_dir():
            shutil.rmtree(kept)


def _job(ground: Ground, asker: Asker | None, charge: Any, watch: Any) -> Job:
    return Job(
        ground.base, ground.training, ground.out.absolute(), ground.profile, ground.task.seed, charge, watch, asker,
        ground.others, ground.order.threads, ground.engine.template,
    )  # fmt: skip


@contextmanager
def _asker(ground: Ground, headway: Headway) -> Iterator[Asker]:
    """The training's own ledger, and what samples at it."""
    others = {name: partial(open_model, spec) for name, spec in split_models(ground.order.models).items()}
    with Ledger(ground.out / LEDGER_FILE) as ledger:
        yield Asker(ledger, price_list(ground.order.prices), ground.engine, make_arm, others, headway.seen)


def _books(ground: Ground, asker: Asker) -> Books:
    order = ground.order
    fingerprint = asker.engine.open(ground.base).card.fingerprint
    is_priced = ground.profile.device == "cpu"
    return Books(
        asker.ledger, asker.prices, fingerprint, order.trainer, order.settings, ground.training.name,
        ground.task.seed, is_priced,
    )  # fmt: skip


def _sittings(ground: Ground, folder: Path, headway: Headway, when: str) -> list[Sitting]:
    """The held-out half, then what must not be forgotten."""
    n = ground.order.samples
    with _asker(ground, headway) as asker:
        own = sit(asker, folder, ground.held_out, n, turns=ground.turns, what=f"{when}: {ground.held_out.name}")
        rest = [sit(asker, folder, guard, n, turns=1, what=f"{when}: {guard.name}") for guard in ground.guards]
    return [own, *rest]


def _conclude(ground: Ground, headway: Headway) -> None:
    """Measure the base and what came of it, and write the card."""
    folder = find_folder(str(ground.out))
    before = _sittings(ground, ground.base, headway, "before")
    after = _sittings(ground, folder, headway, "after")
    evaluation = {a.stratum.name: compared(a, b, seed=ground.task.seed) for a, b in zip(before, after, strict=True)}
    with _asker(ground, headway) as asker:
        books = _books(ground, asker)
        apart = distance(
            ground.base, folder, before, device=ground.profile.device, template=ground.engine.template,
            charge=books.charge,
        )  # fmt: skip
        usd = training_usd(asker.ledger)
        totals = ledger_table(asker.ledger.totals())
    write_card(_card(ground, evaluation, apart, books.fingerprint) | {
        "training_usd": None if usd is None else str(usd), "ledger": totals,
    }, ground.out)  # fmt: skip


def _card(ground: Ground, evaluation: Mapping[str, Any], apart: Mapping[str, Any], fingerprint: str) -> dict[str, Any]:
    order, trained = ground.order, json.loads((ground.out / TRAINED).read_bytes())
    return {
        "version": VERSION,
        "trueup": __version__,
        "date": time.strftime("%Y-%m-%d"),
        "trainer": order.trainer,
        "settings": dict(order.settings),
        "task": {"name": ground.task.name, "path": order.task, "seed": ground.task.seed},
        "stratum": ground.training.name,
        "model": {"spec": order.model, "name": order.model.removeprefix("hf:"), "fingerprint": fingerprint},
        "folder": str(ground.out),
        "profile": ground.profile.name,
        "seed": ground.task.seed,
        "samples": order.samples,
        "threads": order.threads,
        "data": data_of(ground.training.items, ground.held_out.items),
        "steps": trained["steps"],
        "figures": trained["figures"],
        "adapter": trained["adapter"],
        "evaluation": dict(evaluation),
        "distance": dict(apart),
        "versions": versions(),
    }
