"""The policy file: the plan of a study, as the server takes it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from trueup.core.errors import BadInput
from trueup.core.files import write_whole
from trueup.core.types import Json

VERSION = 1
MEND = "write it with `trueup plan`"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PolicyStratum:
    """How requests of one kind are answered, with what the study measured of it.

    `recipe` is the stratum's table of the task file, less what was null. `accuracy` is that on the
    `held_out` items, which had no say in the choice; it and `usd` per request are None where the study does not know
    them. `proved` is the accuracy that its certificate holds it to: the target, or the bound that was proved in its
    stead; None where none was.
    """

    name: str
    method: str
    settings: Mapping[str, Json]
    recipe: Mapping[str, Json]
    accuracy: float | None = None
    usd: float | None = None
    proved: float | None = None
    held_out: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A method per stratum, for one model; `certificate` has a sentence per stratum.

    `models` are further ones that a method may ask by name, `settings` those of all models by the names that --set
    knows them by, as text. What is named by a relative path was found from `started_in`; it and `prices_date`, that of
    the list that priced the plan, are empty where unknown.
    """

    name: str
    model: str
    fingerprint: str
    target: float | None
    prices_date: str
    certificate: Mapping[str, str]
    strata: tuple[PolicyStratum, ...]
    models: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    started_in: str = ""


def write_policy(
    study: Mapping[str, Any],
    recipes: Mapping[str, Mapping[str, Json]],
    path: Path,
    *,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    started_in: str = "",
) -> None:
    """Write the choices of a study's plan, each with its stratum's recipe, and the settings of its models.

    Raises BadInput where a chosen stratum has no recipe, or the file cannot be written.
    """
    plan = study["plan"]
    if missing := sorted(plan["choices"].keys() - recipes.keys()):
        raise BadInput(f"no recipe for stratum {missing[0]!r}; plan with the task file that the study was made of")
    table = {
        "version": VERSION,
        "name": study["task"]["name"],
        "model": study["model"].get("spec", study["model"]["name"]),
        "fingerprint": study["model"]["fingerprint"],
        "target": plan["target"],
        "prices_date": study["prices"]["date"],
        "started_in": started_in or None,
        "settings": settings or None,
        "certificate": {name: _sentence(row) for name, row in plan["certificate"].items()},
        "stratum": [
            _stratum(name, choice, recipes[name], plan["certificate"][name]) for name, choice in plan["choices"].items()
        ],
    }
    if study.get("models"):
        table["models"] = {name: row["spec"] for name, row in study["models"].items()}
    write_whole(path, tomli_w.dumps(_without_nulls(table)), "choose another place")


def read_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises BadInput where it is missing, malformed, of another version, or lacks something.
    """
    table = _load(path)
    if table.get("version") != VERSION:
        raise BadInput(f"{path}: policy of version {table.get('version')!r}; this trueup reads version {VERSION}")
    strata = tuple(_read_stratum(path, row) for row in _need(path, table, "stratum", list))
    names = [stratum.name for stratum in strata]
    if not names or len(set(names)) < len(names):
        raise BadInput(f"{path}: needs at least one [[stratum]], each with a name of its own; {MEND}")
    return Policy(
        name=_need(path, table, "name", str),
        model=_need(path, table, "model", str),
        fingerprint=_need(path, table, "fingerprint", str),
        target=_number(path, table, "target"),
        prices_date=str(table.get("prices_date", "")),
        certificate={name: str(told) for name, told in _need(path, table, "certificate", dict).items()},
        strata=strata,
        models={name: str(spec) for name, spec in table.get("models", {}).items()},
        settings=_read_settings(path, table.get("settings", {})),
        started_in=str(table.get("started_in", "")),
    )


def _stratum(
    name: str, choice: Mapping[str, Any], recipe: Mapping[str, Json], proof: Mapping[str, Any]
) -> dict[str, Json]:
    kept = {key: choice[key] for key in ("method", "accuracy", "usd", "settings")}
    proved = proof["target"] if proof["status"] == "certified" else proof["bound"]
    return {"name": name, **kept, "held_out": choice["n"], "proved": proved or None, "recipe": dict(recipe)}


def _sentence(row: Mapping[str, Any]) -> str:
    """A stratum's certificate in one line."""
    return f"{row['status']}: {row['note']} (lower bound {row['bound']:.3f} at delta {row['delta']:g})"


def _without_nulls(value: Json) -> Json:
    """TOML has no null: what is absent is None."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"no policy file {str(path)!r}; {MEND}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not valid TOML: {error}; {MEND}") from None
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}; name a policy file") from None


def _read_stratum(path: Path, row: object) -> PolicyStratum:
    if not isinstance(row, dict):
        raise BadInput(f"{path}: a stratum is {row!r}; write it as a table [[stratum]]")
    name = _need(path, row, "name", str)
    where = f"stratum {name!r}"
    held_out = _number(path, row, "held_out", where)
    return PolicyStratum(
        name=name,
        method=_need(path, row, "method", str, where),
        settings=_need(path, row, "settings", dict, where),
        recipe=_need(path, row, "recipe", dict, where),
        accuracy=_number(path, row, "accuracy", where),
        usd=_number(path, row, "usd", where),
        proved=_number(path, row, "proved", where),
        held_out=None if held_out is None else int(held_out),
    )


def _read_settings(path: Path, table: object) -> dict[str, dict[str, str]]:
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise BadInput(f"{path}: the settings are {table!r}; write those of a model as a table [settings.model]")
    return {name: {key: str(value) for key, value in row.items()} for name, row in table.items()}


def _need(path: Path, table: Mapping[str, Any], key: str, kind: type[T], where: str = "the policy") -> T:
    if key not in table:
        raise BadInput(f"{path}: {where} has no {key!r}; {MEND}")
    value = table[key]
    if not isinstance(value, kind):
        raise BadInput(f"{path}: {key!r} of {where} is {value!r}; {MEND}")
    return value


def _number(path: Path, table: Mapping[str, Any], key: str, where: str = "the policy") -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadInput(f"{path}: {key!r} of {where} is {value!r}; {MEND}")
    return float(value)
