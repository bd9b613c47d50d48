"""A task file: what to ask, how to ask it and what grades it.

TOML with one [task] table and a [[stratum]] table for each kind of problem; a lone JSONL file is a task of one, or of
those that its traffic was served by.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput, UnknownName
from trueup.core.types import Json
from trueup.tasks.jsonl import strata_served
from trueup.tasks.prompting import BLANK
from trueup.tasks.word_families import FAMILIES

FILE = "task.toml"
FILE_SOURCES = frozenset({"jsonl", "lr2bench", "stored-programs"})
TASK_KEYS: dict[str, tuple[type, ...]] = {"name": (str,), "seed": (int,)}
STRATUM_KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,), "source": (str,), "verifier": (str, dict), "check": (str, dict), "rater": (str, dict),
    "solver": (str, dict),
    "limit": (int,), "guess_options": (int,), "methods": (list,), "system": (str,), "shots": (list,),
    "template": (str,), "temperature": (float, int), "top_p": (float, int), "max_tokens": (int,), "stop": (list,),
    "grammar": (str,), "constrain": (bool,), "side_effects": (bool,),
}  # fmt: skip
POSITIVE = ("limit", "guess_options", "max_tokens")
LINE = re.compile(r" \(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class StratumSpec:
    """One stratum as its author wrote it; `source` has its path resolved, `recipe` is the table itself."""

    name: str
    kind: str
    argument: str
    recipe: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A task as read; `limit` caps the items of every stratum."""

    name: str
    path: Path
    seed: int
    limit: int | None
    strata: tuple[StratumSpec, ...]


def read_task(
    path: str | Path,
    *,
    limit: int | None = None,
    seed: int | None = None,
    sets: Mapping[str, Mapping[str, Json]] | None = None,
) -> TaskFile:
    """The task in a folder, a TOML file or a lone JSONL file.

    `sets` are keys that go over a stratum's own, by the stratum's name, as text or as values. Raises BadInput with
    the file, and the line where there is one.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    table = _lone(file) if file.suffix.lower() == ".jsonl" else _table(file)
    _known(table, {"task": (dict,), "stratum": (list,)}, str(file), "table")
    task = _known(table.get("task", {}), TASK_KEYS, f"{file} [task]", "key of [task]")
    rows = table.get("stratum", [])
    if not rows:
        raise BadInput(f"{file}: no stratum; add a [[stratum]] table with a name and a source")
    strata = tuple(_stratum(row, sets or {}, file) for row in rows)
    names = [stratum.name for stratum in strata]
    for name in sets or {}:
        if name not in names:
            raise UnknownName("stratum", name, names, hint=f"in {file}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"{file}: two strata are called {twice!r}; give each a name of its own")
    title = task.get("name", file.absolute().parent.name if file.name == FILE else file.stem)
    return TaskFile(title, file, task.get("seed", 0) if seed is None else seed, limit, strata)


def _table(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BadInput(f"no task at {str(file)!r}; give a folder with a {FILE}, a TOML file or a JSONL file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(_why_unread(file, error)) from None


def _why_unread(file: Path, error: Exception) -> str:
    """What to say of a file that could not be read."""
    if isinstance(error, (tomllib.TOMLDecodeError, UnicodeDecodeError)) and file.suffix.lower() != ".toml":
        row = '{"prompt": ..., "reference": ...}'
        return f"{str(file)!r} is neither TOML nor a .jsonl file; write questions as .jsonl, a row {row} a line"
    if isinstance(error, tomllib.TOMLDecodeError):
        found = LINE.search(str(error))
        place = f"{file}:{found[1]}" if found else str(file)
        return f"{place}: not valid TOML: {LINE.sub('', str(error))}"
    return f"cannot read {str(file)!r}: {error}; give a TOML file in UTF-8"


def _lone(file: Path) -> dict[str, Any]:
    path = str(file.absolute())
    names = strata_served(path) or [file.stem]
    return {"task": {"name": file.stem}, "stratum": [{"name": name, "source": f"jsonl:{path}"} for name in names]}


def _stratum(row: Any, sets: Mapping[str, Mapping[str, Json]], file: Path) -> StratumSpec:
    name = row.get("name") if isinstance(row, dict) else None
    if not isinstance(name, str) or not name:
        raise BadInput(f'{file}: a [[stratum]] without a name; add name = "..."')
    where = f"{file} stratum {name!r}"
    given = {key: _typed(value, STRATUM_KEYS.get(key, (str,))) for key, value in sets.get(name, {}).items()}
    recipe = _known({**row, **given}, STRATUM_KEYS, where, "key of [[stratum]]")
    kind, colon, argument = str(recipe.get("source", "")).partition(":")
    if not colon or not argument.strip():
        raise BadInput(f"{where}: source is {recipe.get('source')!r}; write KIND:NAME, such as jsonl:items.jsonl")
    _check_values(recipe, where)
    if _names_file(kind, argument):
        argument = str(file.parent / argument)
    return StratumSpec(name, kind, argument, recipe)


def _names_file(kind: str, argument: str) -> bool:
    """Whether a source is a file, or a folder of them, and no family of our own."""
    return kind in FILE_SOURCES or (kind == "word-problems" and argument.split(" ", 1)[0] not in FAMILIES)


def _known(table: Any, keys: Mapping[str, tuple[type, ...]], where: str, what: str) -> dict[str, Any]:
    """The table, if all its keys are known and their values of the right types."""
    if not isinstance(table, dict):
        raise BadInput(f"{where}: {table!r} is no table")
    for key, value in table.items():
        if key not in keys:
            raise UnknownName(what, key, keys, hint=f"in {where}")
        if not isinstance(value, keys[key]) or (isinstance(value, bool) and bool not in keys[key]):
            wanted = " or ".join(kind.__name__ for kind in keys[key])
            raise BadInput(f"{where}: {key} is {value!r}; it takes {wanted}")
    return table


def _typed(value: Json, kinds: tuple[type, ...]) -> Json:
    """A value from the command line in the first type that it can be read as."""
    if not isinstance(value, str):
        return value
    if list in kinds:
        return [part.strip() for part in value.split(",")]
    if bool in kinds:
        return {"true": True, "false": False}.get(value.lower(), value)
    for kind in (kind for kind in kinds if kind in (int, float)):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _check_values(recipe: Mapping[str, Json], where: str) -> None:
    for key in POSITIVE:
        if recipe.get(key, 1) < 1:
            raise BadInput(f"{where}: {key} is {recipe[key]}; it takes 1 or more")
    if not 0 <= recipe.get("temperature", 0) < float("inf"):
        raise BadInput(f"{where}: temperature is {recipe['temperature']}; it takes 0 or more")
    if not 0 < recipe.get("top_p", 1) <= 1:
        raise BadInput(f"{where}: top_p is {recipe['top_p']}; it takes more than 0, at most 1")
    if BLANK not in recipe.get("template", BLANK):
        raise BadInput(f"{where}: the template has no {BLANK}; say where the question goes")
    for key in ("stop", "methods"):
        if not all(isinstance(part, str) and part for part in recipe.get(key, [])):
            raise BadInput(f"{where}: {key} is {recipe[key]!r}; it takes a list of strings")
    for shot in recipe.get("shots", []):
        is_whole = isinstance(shot, dict) and set(shot) == {"question", "answer"}
        if not is_whole or not all(isinstance(text, str) for text in shot.values()):
            raise BadInput(f"{where}: a shot is {shot!r}; it takes a question and an answer, both texts")
