"""What a study was asked to do; kept beside its ledger, so that its stages can be run again alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from trueup.catalog import names
from trueup.core.errors import BadInput
from trueup.core.files import RENAME, is_writable, write_whole
from trueup.core.types import Json
from trueup.plan.wish import MOST_REQUESTS, MOST_USD

FILE = "request.json"
OF_FILES = ("gguf", "hf", "proxy", "replay")
"""The models that are made from folders and files."""
FILES = frozenset({"router", "table", "library", "template", "expert_template", "antiexpert_template"})
"""The settings of methods and models that name a file."""


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
        return find_path(self.task, self.started_in)

    def origin(self) -> str:
        """The folder that the study was started in."""
        return self.started_in or str(Path.cwd())

    def prices_path(self) -> str | None:
        """Where the price file is, if there is one, in the same way."""
        return None if self.prices is None else find_path(self.prices, self.started_in)

    def check(self) -> Request:
        """This request, if its numbers make sense; BadInput otherwise."""
        if self.samples < 1:
            raise BadInput(f"--samples is {self.samples}; ask for at least 1")
        if self.limit is not None and self.limit < 1:
            raise BadInput(f"--limit is {self.limit}; ask for at least 1 item a stratum")
        if not 0 < self.target <= 1:
            raise BadInput(f"--target is {self.target}; give an accuracy above 0, at most 1")
        if not 1 <= self.volume <= MOST_REQUESTS:
            raise BadInput(f"--volume is {self.volume}; give requests from 1 to {MOST_REQUESTS:g}")
        split_models(self.models)
        for text in (self.task, self.model, *self.models, *self.methods, *self.sets, self.origin()):
            if not is_writable(text):
                raise BadInput(f"{text!r} is not valid UTF-8, which policy.toml has to be; {RENAME}")
        for name, told in (("--training-usd", self.training_usd), ("--error-usd", self.error_usd)):
            if (dollars(name, told) or 0) > MOST_USD:
                raise BadInput(f"{name} is {told!r}; give dollars from 0 to {MOST_USD:g}")
        return self

    def specs(self) -> dict[str, str]:
        """What opens every model, by its name (the study's own is ""), with files where the study had them."""
        given = {"": self.model, **split_models(self.models)}
        return {name: find_model(spec, self.started_in) for name, spec in given.items()}

    def save(self, folder: Path) -> None:
        """Write this request into the folder that was made for its study."""
        table = asdict(self) | {"started_in": self.origin()}
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


def make_folder(folder: Path) -> None:
    """Make a study's folder where it is missing; BadInput where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {str(folder)!r}: {error.strerror}; choose another --out") from error


def find_path(path: str, started_in: str) -> str:
    """The path as it is written where that leads to the study's own file, else from where the study was started."""
    own = Path(started_in, path)
    if not Path(path).exists() or (own.exists() and not own.samefile(path)):
        return str(own)
    return path


def find_model(spec: str, started_in: str) -> str:
    """A model's words, with the folders and files in them where the study had them."""
    kind, _, rest = spec.partition(":")
    if kind not in OF_FILES:
        return spec if kind in names("models") else _find_word(spec, started_in)
    words = rest.split(",") if kind == "proxy" else [rest]
    return f"{kind}:{','.join(_find_word(word, started_in) for word in words)}"


def find_files(settings: Mapping[str, Json], started_in: str) -> dict[str, Json]:
    """The settings of a model or a method, with the files that they name where the study had them."""
    return {name: _find_word(value, started_in) if name in FILES else value for name, value in settings.items()}


def _find_word(word: str, started_in: str) -> str:
    """A word that may name a place; others, such as a name on the hub, stay as they are."""
    is_place = word and word not in names("models") and Path(started_in, word).exists()
    return find_path(word, started_in) if is_place else word


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
