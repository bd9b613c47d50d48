"""A training from its order to its card: train, measure the base and what came of it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from trueup import __version__
from trueup.arms import make_arm, with_models
from trueup.catalog import names, open_model
from trueup.cli.ground import Ground, demand_free, guard_name, is_offline, stand_on
from trueup.cli.headway import Headway
from trueup.cli.order import Order
from trueup.cli.pipeline import LEDGER_FILE, ledger_table, price_list
from trueup.cli.request import split_models
from trueup.core.cost import Prices
from trueup.core.errors import BadInput, TrueupError
from trueup.core.ledger import Ledger
from trueup.core.training import BEGUN, CARD
from trueup.core.types import Json
from trueup.core.versions import versions
from trueup.models.huggingface.folder import find_folder
from trueup.train.ask import Asker, NothingSampled
from trueup.train.books import Books, training_usd
from trueup.train.card import UNGUARDED, VERSION, history_of, notes_of, write_card
from trueup.train.control_tokens import taught_tokens
from trueup.train.exam import Sitting, compared, distance, sit, together
from trueup.train.export import gguf_of, write_gguf
from trueup.train.failures import count_failures, in_one_line, read_table
from trueup.train.job import ADAPTER, MODEL, Job, Progress, Trained, append_log
from trueup.train.mode_exam import control_tokens, mode_table, moded
from trueup.train.offline.company import in_company
from trueup.train.offline.supervised import ROUNDS
from trueup.train.origin import changes, keep_origin, replayed
from trueup.train.profiles import is_launched, is_main, launch, leave, telling_launcher

TRAINED, LOG, FAILURES = "trained.json", "log.jsonl", "failures.jsonl"


def conduct(order: Order, out: Path, *, arguments: Sequence[str], quiet: bool, gguf: str | None) -> dict[str, Any]:
    """The card of a training, made now or found; a process that only trains for another ends here."""
    with telling_launcher():
        _conduct(order, out, arguments, quiet=quiet)
    if is_launched():
        leave()
    card = read_table(out / CARD, "delete it and run again, which measures anew")
    if gguf is not None:
        with in_one_line(out, lambda: "the training is kept"):
            base = gguf_of(order.model)
            write_gguf(_made(out, card), base, out / "model.gguf", gguf, card.get("template", ""))
    return card


def _conduct(order: Order, out: Path, arguments: Sequence[str], *, quiet: bool) -> None:
    if not (out / CARD).exists():
        demand_free(order, out)
    if (out / BEGUN).exists():
        order = order.keep(out)
    if not (out / CARD).exists():
        ground = stand_on(order, out)
        ground = replace(ground, order=order.keep(out))
        with in_one_line(out, lambda: "what was done is kept"):
            kept = keep_origin(out / BEGUN, ground.origin, task=order.task, model=order.model)
            _proceed(replace(ground, origin=kept), arguments, quiet=quiet)


def _proceed(ground: Ground, arguments: Sequence[str], *, quiet: bool) -> None:
    """Train here or in processes of the profile's, then measure; a process of these only trains."""
    if is_launched() or not ground.profile.launcher:
        with Headway(quiet=quiet or not is_main()) as headway:
            _train(ground, headway)
    elif not (ground.out / TRAINED).exists():
        if not is_offline(ground.order):
            _trainer(ground.order)(replace(_job(ground), is_rehearsal=True))
        if code := launch(ground.profile, arguments):
            raise BadInput(f"the processes of profile {ground.profile.name!r} ended with {code}; see above")
    if not is_launched():
        with Headway(quiet=quiet) as headway:
            _conclude(ground, headway)


def _train(ground: Ground, headway: Headway) -> None:
    """Run the trainer unless it is done; of several processes only the main one books and logs."""
    done = ground.out / TRAINED
    if done.exists():
        return
    for note in (*ground.notes, *([] if ground.guards else [UNGUARDED])):
        headway.tell(note)
    trainer = _trainer(ground.order)
    if not is_main():
        trainer(_job(ground))
        return

    def watch(progress: Progress) -> None:
        append_log(ground.out / LOG, progress)
        headway.step(progress)

    with _asker(ground, headway) as asker:
        books = _books(ground, asker)
        job = replace(_job(ground), ask=asker, charge=books.charge, watch=watch, failed=asker.failed, tell=headway.tell)
        trained: Trained = trainer(job)
        figures = {**taught_tokens(ground.base), **trained.figures}
        draft = done.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(trained) | {"figures": figures}) + "\n")
        draft.replace(done)
    for kept in (ground.out / ROUNDS).glob("*/*"):
        if kept.is_dir():
            shutil.rmtree(kept)


def _trainer(order: Order) -> Callable[[Job], Trained]:
    """The trainer with its settings; one that is offline is run by the main process, which the others assist."""
    trainer = partial(names("trainers")[order.trainer], **order.settings)
    return partial(in_company, trainer) if is_offline(order) else trainer


def _job(ground: Ground) -> Job:
    """What is trained, and nobody who books it or is told."""
    return Job(
        ground.base, ground.training, ground.out.absolute(), ground.profile, ground.task.seed, lambda passes: None,
        lambda progress: None, None, ground.others, ground.order.threads, ground.engine.template,
    )  # fmt: skip


@contextmanager
def _asker(ground: Ground, headway: Headway) -> Iterator[Asker]:
    """The training's own ledger, and what samples at it."""
    others = {name: partial(open_model, spec) for name, spec in split_models(ground.order.models).items()}
    with Ledger(ground.out / LEDGER_FILE) as ledger:
        yield Asker(
            ledger, _prices(ground), ground.engine, lambda text: with_models(make_arm(text), {}), others,
            headway.seen, headway.missed, ground.out / FAILURES,
        )  # fmt: skip


def _prices(ground: Ground) -> Prices:
    """The price list, where a second of the one GPU that samples is one of all that a launched training holds."""
    prices, gpus = price_list(ground.order.prices), ground.profile.gpus
    if not (is_launched() and gpus) or prices.gpu_hour is None:
        return prices
    return replace(prices, gpu_hour=prices.gpu_hour * gpus)


def _books(ground: Ground, asker: Asker) -> Books:
    order = ground.order
    fingerprint = asker.engine.open(ground.base).card.fingerprint
    return Books(
        asker.ledger, price_list(ground.order.prices), fingerprint, order.trainer, order.settings, ground.training.name,
        ground.task.seed, ground.profile.gpus / ground.profile.processes,
    )  # fmt: skip


def _sittings(ground: Ground, folder: Path, headway: Headway, when: str) -> list[Sitting | NothingSampled]:
    """The half that is trained on, the half held out, then what must not be forgotten, as far as it can be asked."""
    n, turns, own = ground.order.samples, ground.turns, ground.training.name
    found: list[Sitting | NothingSampled] = []
    with _asker(ground, headway) as asker:
        for part, name in ((ground.training, f"{own} trained on"), (ground.held_out, own)):
            found.append(sit(asker, folder, part, n, turns=turns, what=f"{when}: {name}"))
        for guard in ground.guards:
            try:
                found.append(sit(asker, folder, guard, n, turns=1, what=f"{when}: {guard.name}"))
            except NothingSampled as error:
                found.append(error)
    return found


def _measured(ground: Ground, folder: Path, headway: Headway) -> tuple[list[tuple[Sitting, Sitting]], list[str]]:
    """Every part before and after, and what to say of guards that cannot be asked at all: they are left out."""
    pairs, notes = list[tuple[Sitting, Sitting]](), list[str]()
    before, after = (
        _sittings(ground, one, headway, when) for one, when in ((ground.base, "before"), (folder, "after"))
    )
    for one, other in zip(before, after, strict=True):
        if isinstance(one, Sitting) and isinstance(other, Sitting):
            pairs.append((one, other))
        else:
            notes.append(f"left out of before, after and KL: {other if isinstance(one, Sitting) else one}")
    for note in notes:
        headway.tell(note)
    return pairs, notes


def _conclude(ground: Ground, headway: Headway) -> None:
    """Measure the base and what came of it, and write the card."""
    folder = _made(ground.out, _trained(ground))
    pairs, notes = _measured(ground, folder, headway)
    own, guards = pairs[1], pairs[2:]
    apart_of = [before for before, _ in pairs[1:]]
    if ground.order.guard is not None and len(guards) > 1:
        name = guard_name(ground.task)
        pairs.insert(2, (together([a for a, _ in guards], name), together([b for _, b in guards], name)))
    told = [(a.stratum.name, compared(a, b, seed=ground.task.seed)) for a, b in pairs]
    evaluation = {"trained_half": dict(told[:1]), "evaluation": dict(told[1:])}
    with _asker(ground, headway) as asker:
        books = _books(ground, asker)
        apart = distance(
            ground.base, folder, apart_of, device=ground.profile.device, template=ground.engine.template,
            charge=books.charge,
        )  # fmt: skip
        modes = _modes(ground, asker, folder, own, books)
        usd = training_usd(asker.ledger)
        totals = ledger_table(asker.ledger.totals())
    _notice(ground, headway)
    notes = [*notes_of(_trained(ground)["figures"], is_guarded=bool(guards)), *ground.notes, *notes]
    card = _card(ground, books.fingerprint, notes) | evaluation | modes | {"distance": apart} | _history(ground, usd)
    write_card(card | {"gradient_tokens": _gradient_tokens(totals), "ledger": totals}, ground.out)


def _trained(ground: Ground) -> dict[str, Any]:
    """What the trainer left word of."""
    return read_table(ground.out / TRAINED, "delete the folder and train again, or choose another --out")


def _made(out: Path, told: Mapping[str, Any]) -> Path:
    """The weights that a training has made, whatever else lies in its folder."""
    return find_folder(str(out / (ADAPTER if told["adapter"] else MODEL)))


def _history(ground: Ground, usd: Decimal | None) -> dict[str, Json]:
    order = ground.order
    own = {"trainer": order.trainer, "task": ground.task.name, "stratum": ground.training.name, "model": order.model,
           "date": time.strftime("%Y-%m-%d"), "usd": None if usd is None else str(usd)}  # fmt: skip
    return history_of(ground.origin, replayed(ground.others, ground.out / ROUNDS), own)


def _notice(ground: Ground, headway: Headway) -> None:
    """Say so where the task is no longer what this process has read."""
    try:
        changed = changes(ground.origin, stand_on(ground.order, ground.out).origin)
    except TrueupError as error:
        changed = f"({error})"
    if changed:
        headway.tell(
            f"the items {changed} in {ground.order.task!r} have changed meanwhile; the card tells of the old ones"
        )


def _modes(
    ground: Ground, asker: Asker, folder: Path, sittings: tuple[Sitting, Sitting], books: Books
) -> dict[str, Json]:
    """How often and how well the held-out items are answered in each mode, where the trainer knows of two."""
    engines = [asker.engine.open(one) for one in (ground.base, folder)]
    tokens = control_tokens(_trained(ground)["figures"], ground.order.settings, engines[0])
    if tokens is None:
        return {}
    before, after = (
        moded(*one, books.charge, step) for step, one in enumerate(zip(engines, sittings, strict=True), -2)
    )
    return {"modes": mode_table(before, after, tokens)}


def _gradient_tokens(totals: Mapping[str, Any]) -> int:
    """The targets' tokens of all steps: what trainings are alike in that learn from equally many."""
    return sum(total["completion_tokens"] for total in totals["totals"] if total["kind"] == "trained")


def _card(ground: Ground, fingerprint: str, notes: Sequence[str]) -> dict[str, Any]:
    order, trained = ground.order, _trained(ground)
    return {
        "version": VERSION,
        "trueup": __version__,
        "date": time.strftime("%Y-%m-%d"),
        "trainer": order.trainer,
        "settings": dict(order.settings),
        "task": {"name": ground.task.name, "path": order.task, "seed": ground.task.seed},
        "stratum": ground.training.name,
        "model": {
            "spec": order.model,
            "name": order.model.removeprefix("hf:"),
            "fingerprint": fingerprint,
            "digest": ground.origin["model"],
        },
        "folder": str(ground.out),
        "profile": ground.profile.name,
        "seed": ground.task.seed,
        "samples": order.samples,
        "template": ground.engine.template,
        "threads": order.threads,
        "steps": trained["steps"],
        "figures": trained["figures"],
        "adapter": trained["adapter"],
        "notes": list(notes),
        "failures": count_failures(ground.out / FAILURES),
        "versions": versions(),
    }
