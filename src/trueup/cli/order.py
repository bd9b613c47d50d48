"""What a training was asked to do; kept in its folder, so that only the same training goes on there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from trueup.cli.request import split_models
from trueup.core.errors import BadInput
from trueup.core.types import Json

FILE = "train.json"
DO_NOT_MATTER = ("threads", "prices")
"""What may differ when a training goes on: `threads` are those it was begun with."""


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
        split_models(self.models)
        return self

    def keep(self, folder: Path) -> Order:
        """Write this order into its folder, or take up the one that is there if it is the same.

        Raises BadInput where the folder holds another training, or cannot be written.
        """
        path = folder / FILE
        table = json.loads(json.dumps(asdict(self)))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
            kept = json.loads(path.read_bytes())
        except OSError as error:
            raise BadInput(f"cannot write {str(folder)!r}: {error.strerror}; choose another --out") from error
        except ValueError as error:
            raise BadInput(f"{path} is no order ({error}); delete the folder or choose another --out") from error
        changed = [key for key in table if key not in DO_NOT_MATTER and kept.get(key) != table[key]]
        if changed:
            told = f"{changed[0]} {kept.get(changed[0])!r}, not {table[changed[0]]!r}"
            raise BadInput(f"{str(folder)!r} holds another training: {told}; choose another --out or delete it")
        return replace(self, threads=kept.get("threads", self.threads))


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
        owner, dot, key = name.partition(".")
        if not equals or not owner or (dot and not key):
            raise BadInput(f"--set {pair!r} is not understood; write setting=value, or STRATUM.key=value")
        if dot:
            strata.setdefault(owner, {})[key] = value
        else:
            own[owner] = value
    return own, strata
