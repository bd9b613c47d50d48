"""From a request to what was found: open the model and the ledger, collect, and bring it together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from trueup.arms import arms_of, left_out, make_arm, refuse_repeats, telling, with_models
from trueup.catalog import open_model, open_task
from trueup.cli.progress import Meter
from trueup.cli.request import Request, make_folder
from trueup.cli.screen import warn
from trueup.cli.seal import charges_of, mend, sealing, what_is_asked
from trueup.cli.snapshot import snapshot
from trueup.core.asks import Check
from trueup.core.charge import MICRO, PICO, Total
from trueup.core.cost import CPU, Prices, read_prices
from trueup.core.errors import BadInput, UnknownName
from trueup.core.ledger import Ledger
from trueup.core.outcome import Measured
from trueup.core.roles import ModelCard
from trueup.core.stratum import Arm, Stratum
from trueup.models import Recorder
from trueup.plan.past import Past, read_past
from trueup.run import Clerk, collect, rehearse
from trueup.tasks.strata import lacks_reference

LEDGER_FILE = "ledger.sqlite"
REMOTE_LANES = 64


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a study has measured, and what it took.

    `cards` are those of its models, `pasts` the trainings behind them; "" is the study's own.
    """

    task: Mapping[str, Any]
    cards: Mapping[str, ModelCard]
    prices: Prices
    measured: tuple[Measured, ...]
    ledger: Mapping[str, Any]
    fresh_calls: int
    seconds: float
    pasts: Mapping[str, Past] = field(default_factory=dict)

    @property
    def card(self) -> ModelCard:
        """That of the study's own model."""
        return self.cards[""]

    @property
    def left_out(self) -> dict[str, int]:
        """How many items one of these models was trained on, by stratum."""
        return {measured.stratum.name: measured.stratum.left_out for measured in self.measured}


def gather(
    request: Request, folder: Path, *, sealed: bool, quiet: bool, booked: bool = False,
    tape: Path | None = None, to_plan: bool = False,
) -> Findings:  # fmt: skip
    """Collect what the request asks for, from the ledger where it has it.

    A sealed gathering asks no model; it raises BadInput where the ledger lacks a sample that an unsealed one has not
    asked for, or may not have since what is asked has changed. Unless it is `booked` it reads a copy of the ledger,
    beside any run, and what it grades anew is not kept. With a tape every new reply of the study's own model is
    recorded for `replay:`. What is gathered `to_plan` has a method that could be deployed on each stratum, or is
    refused before anything is paid.
    """
    started = time.monotonic()
    prices = price_list(request.prices_path())
    sets = split_sets(request.sets)
    specs = request.specs()
    model = open_model(specs.pop(""), sets.pop("model", {}))
    others = {name: open_model(spec, sets.pop(name, {})) for name, spec in specs.items()}
    task = open_task(request.task_path(), limit=request.limit, seed=request.seed, sets=sets)
    if not sealed:
        refuse_repeats(task.strata, {"model": model, **others})
    if tape is not None:
        model = Recorder(model, tape)
    pasts = trainings(request)
    strata = tuple(_untrained(gradable(s), pasts) for s in task.strata)
    cards = {"": model.card, **{name: other.card for name, other in others.items()}}
    arms = {s.name: _arms(s, request, pasts, cards) for s in strata}
    strata = tuple(telling(s, arms[s.name]) for s in strata)
    asked = what_is_asked(request, strata, arms, cards)
    for stratum in strata if to_plan else ():
        _refuse_unplannable(stratum, arms[stratum.name])
    if not sealed:
        _tell_left_out(strata, request.methods)
        _look_at_models([arm for s in strata for arm in arms[s.name]], cards)
        make_folder(folder)
    elif not (folder / LEDGER_FILE).exists():
        raise BadInput(f"no ledger in {str(folder)!r}; {mend(request, folder)}")
    read = snapshot if sealed and not booked else Ledger
    with read(folder / LEDGER_FILE) as ledger:
        if sealed:
            shut = sealing(request, folder, asked | {"ledger": charges_of(ledger)})
            model, others = shut(model.card), {name: shut(other.card) for name, other in others.items()}
        else:
            request.save(folder)
        clerk = Clerk(model, ledger, prices, others)
        with Meter({s.name: len(s.items) * (1 + len(arms[s.name])) for s in strata}, quiet=quiet) as meter:
            measured = asyncio.run(_collect(strata, arms, request.samples, clerk, meter))
        table = ledger_table(ledger.totals())
    if not sealed:
        replace(request, is_gathered=True, asked=asked | {"ledger": table["charges"]}).save(folder)
    about = {"name": task.name, "seed": task.seed, "path": request.task}
    seconds = time.monotonic() - started
    return Findings(about, cards, prices, measured, table, clerk.fresh_calls, seconds, pasts)


def gradable(stratum: Stratum) -> Stratum:
    """The stratum; raises BadInput where no item of it has the reference that its verifier needs."""
    if stratum.verifier.needs_reference and all(lacks_reference(item) for item in stratum.items):
        raise BadInput(
            f"{stratum.name!r} has no reference answers and its verifier needs them: nothing says what is right"
        )
    return stratum


def _refuse_unplannable(stratum: Stratum, arms: Sequence[Arm]) -> None:
    """Raise BadInput, before anything is paid, where none of a stratum's arms could be deployed."""
    if stratum.items and not any(_could_be_deployed(arm, stratum) for arm in arms):
        raise BadInput(
            f"every method for stratum {stratum.name!r} sees the reference or needs a batch: none could be deployed; "
            f"add `once` to --methods, or a check to the task"
        )


def _tell_left_out(strata: Sequence[Stratum], chosen: Sequence[str]) -> None:
    """A warning for each stratum that some of the chosen methods do not apply to."""
    for stratum in strata:
        if lacking := left_out(stratum, chosen):
            told = ", ".join(f"{label} (it has no {need})" for label, need in lacking.items())
            warn([f"stratum {stratum.name!r}: left out of --methods: {told}"])


def _look_at_models(arms: Sequence[Arm], cards: Mapping[str, ModelCard]) -> None:
    """Raise UnknownName, before anything is paid or written, for a model that an arm may ask and no --with names.

    A warning of one that --with names and no arm may ask.
    """
    for arm in arms:
        for name in arm.models:
            if name not in cards:
                hint = f"(`{arm.label}` may ask for it; give --with {name}=MODEL)"
                raise UnknownName("model", name, filter(None, cards), hint=hint)
    asked = {"", *(name for arm in arms for name in arm.models)}
    for name in (name for name in cards if name not in asked):
        warn([f"--with {name}: no method asks it; add `cascade to={name}` or `once model={name}` to --methods"])


def _could_be_deployed(arm: Arm, stratum: Stratum) -> bool:
    if arm.is_batch:
        return False
    return stratum.check is not None or Check not in rehearse(arm, stratum.items[0].problem)


def trainings(request: Request) -> dict[str, Past]:
    """The trainings behind a request's models, by their names; the study's own is ""."""
    found = {name: read_past(spec) for name, spec in request.specs().items()}
    return {name: past for name, past in found.items() if past is not None}


def _untrained(stratum: Stratum, pasts: Mapping[str, Past]) -> Stratum:
    """The stratum with the items that no model of the study was trained on.

    Raises BadInput where none is left.
    """
    items = stratum.items
    for past in pasts.values():
        items = past.without(items, stratum.recipe)
    if stratum.items and not items:
        raise BadInput(f"every item of {stratum.name!r} was trained on; give the study items of its own")
    return replace(stratum, items=items, left_out=len(stratum.items) - len(items))


def _arms(
    stratum: Stratum, request: Request, pasts: Mapping[str, Past], cards: Mapping[str, ModelCard]
) -> tuple[Arm, ...]:
    """The arms to run on a stratum, those of further models that were trained on it included, each once."""
    arms = {arm.label: arm for arm in (*arms_of(stratum, request.samples, request.methods), *_tuned(stratum, pasts))}
    billings = {name: card.billing for name, card in cards.items()}
    return tuple(with_models(arm, billings) for arm in arms.values())


def _tuned(stratum: Stratum, pasts: Mapping[str, Past]) -> tuple[Arm, ...]:
    """One attempt of each further model that was trained on this stratum: what its training bought."""
    return tuple(make_arm(f"once model={name}") for name, past in pasts.items() if name and stratum.name in past.strata)


def price_list(path: str | None) -> Prices:
    """The price list at a path, or the one that ships with trueup."""
    if path is not None:
        return read_prices(Path(path))
    with as_file(files("trueup.core") / "prices.toml") as shipped:
        return read_prices(shipped)


def split_sets(pairs: Sequence[str]) -> dict[str, dict[str, str]]:
    """`arithmetic.temperature=0.5` and the like, by what they are about.

    Raises BadInput for words of another form.
    """
    sets: dict[str, dict[str, str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        owner, dot, key = name.rpartition(".")
        if not (equals and dot and owner and key):
            raise BadInput(f"--set {pair!r} is not understood; write STRATUM.key=value or model.key=value")
        sets.setdefault(owner, {})[key] = value
    return sets


async def _collect(
    strata: Sequence[Stratum], arms: Mapping[str, Sequence[Arm]], samples: int, clerk: Clerk, meter: Meter
) -> tuple[Measured, ...]:
    lanes = lanes_for(clerk.model.card, 1 + max(map(len, arms.values())))
    try:
        return await collect(strata, arms, samples, clerk, lanes=lanes, watch=meter.watch)
    finally:
        await clerk.close()
        for stratum in strata:
            await stratum.close()


def lanes_for(card: ModelCard, jobs: int = 1) -> int:
    """Jobs to have in hand at a time, of which each problem has so many: this machine's cores run one by one.

    Where an engine answers several problems together, as many wait while it does.
    """
    together = 2 * card.prompts * jobs if card.prompts > 1 else 1
    return together if card.billing == CPU else max(together, REMOTE_LANES)


def ledger_table(totals: Sequence[Total]) -> dict[str, Any]:
    """A ledger's totals as study.json has them."""
    rows = [
        {
            "kind": total.kind, "charges": total.charges, "prompt_tokens": total.prompt_tokens,
            "cached_tokens": total.cached_tokens, "completion_tokens": total.completion_tokens,
            "seconds": total.micros / MICRO, "megaflops": total.megaflops, "usd": total.picodollars / PICO,
            "unknown_tokens": total.unknown_tokens, "unpriced": total.unpriced,
        }
        for total in totals
    ]  # fmt: skip
    return {"charges": sum(total.charges for total in totals), "totals": rows}
