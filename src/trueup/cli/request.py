"""What a study was asked to do; kept beside its ledger, so that its stages can be run again alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from trueup.core.errors import BadInput
from trueup.core.files import write_whole

FILE = "request.json"


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of `trueup study`; `sets` are its --set pairs, `methods` its --methods, `models` its --with.

    `is_gathered` once all of it was asked for, whatever came of it; `asked` says what that was, by its parts.
    """

    task: str
    model: str = "smollm2"
    samples: int = 16
    limit: int | None = None
    methods: tuple[str, ...] = ()
    seed: int | None = None
    sets: tuple[str, ...] = ()
    prices: str | None = None
    target: float = 0.9
    volume: float = 1e6
    training_usd: str | None = None
    error_usd: str | None = None
    started_in: str = ""
    models: tuple[str, ...] = ()
    is_gathered: bool = False
    asked: Mapping[str, str | int] = field(default_factory=dict)

    def task_path(self) -> str:
        """Where the task is, also when asked from another folder than the study was started in."""
        return self._find(self.task)

    def prices_path(self) -> str | None:
        """Where the price file is, if there is one, in the same way."""
        return None if self.prices is None else self._find(self.prices)

    def _find(self, path: str) -> str:
        """The path as it is written where that leads to the study's own file, else from where the study was started."""
        own = Path(self.started_in, path)
        if not Path(path).exists() or (own.exists() and not own.samefile(path)):
            return str(own)
        return path

    def check(self) -> Request:
        """This request, if its numbers make sense; BadInput otherwise."""
        if self.samples < 1:
            raise BadInput(f"--samples is {self.samples}; ask for at least 1")
        if self.limit is not None and self.limit < 1:
            raise BadInput(f"--limit is {self.limit}; ask for at least 1 item a stratum")
        if not 0 < self.target <= 1:
            raise BadInput(f"--target is {self.target}; give an accuracy above 0, at most 1")
        if not 0 < self.volume < float("inf"):
            raise BadInput(f"--volume is {self.volume}; give a number of requests above 0")
        split_models(self.models)
        dollars("--training-usd", self.training_usd)
        dollars("--error-usd", self.error_usd)
        return self

    def save(self, folder: Path) -> None:
        """Write this request into a study's folder."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot write {str(folder)!r}: {error.strerror}; choose another --out") from error
        table = asdict(self) | {"started_in": self.started_in or str(Path.cwd())}
        write_whole(folder / FILE, json.dumps(table, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Request:
        """The request of a study's folder; BadInput where there is none."""
        path = folder / FILE
        try:
            table = json.loads(path.read_text())
            return cls(**table | {name: tuple(table[name]) for name in ("methods", "sets", "models")})
        except FileNotFoundError:
            raise BadInput(f"no study in {str(folder)!r}; run `trueup study TASK --out {folder}` first") from None
        except NotADirectoryError:
            raise BadInput(f"{str(folder)!r} is a file; give the folder of a study") from None
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(f"{path} is no request of this version: {error}; run `trueup study` again") from error


def split_models(pairs: Sequence[str]) -> dict[str, str]:
    """`strong=openai:URL#NAME` and the like, by name.

    Raises BadInput for words of another form, or a name given twice.
    """
    models: dict[str, str] = {}
    for pair in pairs:
        name, equals, spec = pair.partition("=")
        if not (equals and name.isidentifier() and spec):
            raise BadInput(f"--with {pair!r} is not understood; write NAME=MODEL, such as strong=openai:URL#NAME")
        if name in models:
            raise BadInput(f"--with {name!r} is given twice; give each model a name of its own")
        models[name] = spec
    return models


def dollars(name: str, text: str | None) -> Decimal | None:
    """An option in dollars; BadInput where it is no number of 0 or more."""
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and math.isfinite(float(amount))) or amount < 0:
        raise BadInput(f"{name} is {text!r}; give dollars as a number of 0 or more")
    return amount
