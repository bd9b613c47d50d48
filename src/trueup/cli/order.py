"""What a training was asked to do; kept in its folder, so that only the same training goes on there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from trueup.cli.pipeline import LEDGER_FILE
from trueup.cli.request import split_models
from trueup.core.errors import BadInput
from trueup.core.ledger import Ledger
from trueup.core.training import BEGUN
from trueup.core.types import Json

DO_NOT_MATTER = ("threads", "prices")
"""What may differ when a training goes on: `threads` are those it was begun with."""
BASE = "base"
PREPARED = (BASE, "rounds", "checkpoints")
NOTED = ("log.jsonl", "failures.jsonl")
"""What a training may have left in its folder before anything was trained or paid for."""
SEEDS = 2**32
"""Below this all generators that are seeded here take a seed, numpy's among them."""


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of `trueup train`; `settings` are the trainer's own, all of them."""

    trainer: str
    settings: Mapping[str, Json]
    task: str
    model: str
    profile: str
    stratum: str | None = None
    limit: int | None = None
    seed: int | None = None
    samples: int = 4
    strata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    template: str = ""
    guard: str | None = None
    prices: str | None = None
    models: tuple[str, ...] = ()
    threads: int = 1

    def check(self) -> Order:
        """This order, if its numbers make sense; BadInput otherwise."""
        if self.samples < 1:
            raise BadInput(f"--samples is {self.samples}; ask for at least 1 attempt an item")
        if self.limit is not None and self.limit < 2:
            raise BadInput(f"--limit is {self.limit}; half is trained on and half held out, so give at least 2 items")
        if self.seed is not None:
            demand_seed("--seed", self.seed)
        split_models(self.models)
        return self

    def keep(self, folder: Path) -> Order:
        """Write this order into its folder, or take up the one that is there if it is the same.

        Another's folder is taken over where nothing was done in it. Raises BadInput where it holds another training, or
        cannot be written, LedgerError where another training is at work in it.
        """
        path = folder / BEGUN
        table = json.loads(json.dumps(asdict(self)))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
            kept = json.loads(path.read_bytes())
            changed = _changes(kept, table)
            if changed and _is_untouched(folder):
                _clear(folder)
                path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
                return self
        except OSError as error:
            raise BadInput(f"cannot write {str(folder)!r}: {error.strerror}; choose another --out") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadInput(f"{path} is no order ({error}); delete the folder or choose another --out") from error
        if changed:
            raise BadInput(f"{str(folder)!r} holds another training: {changed}; choose another --out or delete it")
        return replace(self, threads=kept.get("threads", self.threads))


def demand_seed(name: str, seed: int, *, seeds: int = 1) -> None:
    """Raise BadInput where one of so many seeds from this one on is none that every generator takes."""
    if not 0 <= seed <= SEEDS - seeds:
        raise BadInput(f"{name} is {seed}; give a whole number from 0 to {SEEDS - seeds}")


def _changes(kept: Mapping[str, Json], table: Mapping[str, Json]) -> str:
    """What of an order is another than in the one that was kept, in words; empty where nothing is."""
    rows = [(key, kept.get(key), table[key]) for key in table if key not in (*DO_NOT_MATTER, "settings")]
    own, given = kept["settings"], table["settings"]
    if kept["trainer"] == table["trainer"]:
        rows += [(f"settings {key}", own.get(key), given.get(key)) for key in {**given, **own}]
    return " and ".join(f"{name} {before!r}, not {now!r}" for name, before, now in rows if before != now)


def _is_untouched(folder: Path) -> bool:
    """Whether nothing was trained or paid for in a training's folder: no weights, no checkpoint, no charge."""
    made = [path for pattern in ("*.safetensors", "*.pt") for path in folder.rglob(pattern)]
    if any(path.relative_to(folder).parts[0] != BASE for path in made):
        return False
    with Ledger(folder / LEDGER_FILE) as ledger:
        return not ledger.totals()


def _clear(folder: Path) -> None:
    """Delete what another order has prepared."""
    for name in PREPARED:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in NOTED:
        (folder / name).unlink(missing_ok=True)


def split_trainer_sets(
    pairs: Sequence[str],
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """`steps=20` for the trainer, `arithmetic.temperature=0.5` for a stratum.

    Raises BadInput for words of another form.
    """
    own: dict[str, str] = {}
    strata: dict[str, dict[str, str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        owner, dot, key = name.rpartition(".")
        if not equals or not key or (dot and not owner):
            raise BadInput(f"--set {pair!r} is not understood; write setting=value, or STRATUM.key=value")
        if dot:
            strata.setdefault(owner, {})[key] = value
        else:
            own[key] = value
    return own, strata
