"""From a task file to strata: items fetched and put in words, verifiers and solvers looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trueup.core.errors import BadInput, UnknownName
from trueup.core.roles import Verifier
from trueup.core.settings import fit_settings, split_words
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json, Sampling
from trueup.tasks.prompting import build_chat
from trueup.tasks.repeats import joined
from trueup.tasks.taskfile import StratumSpec, TaskFile

USUAL_VERIFIER = {
    "jsonl": "exact", "gym": "gym", "calls": "function_call", "lr2bench": "lr2bench", "power_flow": "numerical",
    "quadratic": "numerical family=quadratic", "word-problems": "objective", "stored-programs": "exact case=true",
}  # fmt: skip
SAMPLING_KEYS = ("temperature", "top_p", "max_tokens")

Source = Callable[..., Sequence[Item]]
"""(argument, *, stratum, limit, seed): the items of a source."""
Names = Callable[[str], Mapping[str, Callable[..., Any]]]
"""Everything of a kind by name: `sources`, `verifiers`, `raters`, `solvers`."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What a stratum has that needs no reference."""

    check: bool
    rating: bool


def build_strata(
    task: TaskFile, *, names: Names, limit: int | None = None, seed: int | None = None
) -> tuple[Stratum, ...]:
    """The strata of a task, every name looked up in the registries given.

    The smallest of all limits holds. Raises UnknownName for a name that is not there, BadInput for a stratum without
    items, with a check that needs the reference, or with a reference that its verifier cannot use.
    """
    seed = task.seed if seed is None else seed
    return tuple(_build(spec, names, _least(task.limit, limit, spec.recipe.get("limit")), seed) for spec in task.strata)


def equip(name: str, recipe: Mapping[str, Json], *, names: Names) -> Stratum:
    """A stratum without items, from its table: for whoever brings problems of their own."""
    kind, _, argument = str(recipe.get("source", "")).partition(":")
    spec = StratumSpec(name, kind, argument, recipe)
    return Stratum(name, (), **_parts(spec, names), recipe=recipe)


def sampling_of(recipe: Mapping[str, Json], seed: int = 0) -> Sampling:
    """The sampling settings that a stratum's table asks for; with `constrain`, held to its grammar."""
    chosen = {key: recipe[key] for key in SAMPLING_KEYS if key in recipe}
    if recipe.get("constrain") and "grammar" in recipe:
        chosen["grammar"] = recipe["grammar"]
    return replace(Sampling(seed=seed, stop=tuple(recipe.get("stop", ()))), **chosen)


def lacks_reference(item: Item) -> bool:
    """Whether nothing, or a list with nothing in it, stands for an item's right answer."""
    told = item.reference
    return told is None or (isinstance(told, list) and None in told)


def _build(spec: StratumSpec, names: Names, limit: int | None, seed: int) -> Stratum:
    sources, parts = names("sources"), _parts(spec, names)
    if spec.kind not in sources:
        raise UnknownName("source", spec.kind, sources, hint=f"in stratum {spec.name!r}")
    items = sources[spec.kind](spec.argument, stratum=spec.name, limit=limit, seed=seed)
    if not items:
        raise BadInput(f"stratum {spec.name!r} has no items; {spec.kind}:{spec.argument} gave none")
    if parts["verifier"].needs_reference:
        _require_references(items, spec.name, parts["verifier"].name)
        _refuse_unusable(items, parts["verifier"])
    offers = Offers(parts["check"] is not None, parts["rater"] is not None)
    dressed = joined([_dressed(item, spec.recipe, seed, offers) for item in items])
    return Stratum(spec.name, dressed, **parts, guess_options=spec.recipe.get("guess_options"), recipe=spec.recipe)


def _require_references(items: Sequence[Item], stratum: str, verifier: str) -> None:
    """Raise BadInput where some items lack the reference; one without any is for its user to refuse."""
    lacking = [item.problem.id for item in items if lacks_reference(item)]
    if lacking and len(lacking) < len(items):
        raise BadInput(
            f"stratum {stratum!r}: item {lacking[0]!r} has a null reference, and {verifier!r} needs one; "
            f"give the right answer, or leave the row out"
        )


def _refuse_unusable(items: Sequence[Item], verifier: Verifier) -> None:
    """Raise BadInput, before anything is asked, for a reference with no answer that its verifier could accept."""
    accepted = getattr(verifier, "accepted", None)
    if accepted is not None:
        for item in items:
            if not lacks_reference(item):
                accepted(item.problem, item.reference)


def _parts(spec: StratumSpec, names: Names) -> dict[str, Any]:
    check = _made("verifier", spec, names, spec.recipe.get("check"))
    if check is not None and check.needs_reference:
        raise BadInput(
            f"stratum {spec.name!r}: check {check.name!r} needs the reference answer, which no deployed method has; "
            f"take one that needs none, or leave check out"
        )
    usual = _csp_verifier(spec.argument) if spec.kind == "csp" else USUAL_VERIFIER.get(spec.kind, "exact")
    return {
        "verifier": _made("verifier", spec, names, spec.recipe.get("verifier", usual)),
        "check": check,
        "rater": _made("rater", spec, names, spec.recipe.get("rater")),
        "solver": _made("solver", spec, names, spec.recipe.get("solver")),
    }


def _csp_verifier(argument: str) -> str:
    """The rules of a generated puzzle's own family."""
    family = split_words(argument)[0].rstrip("0123456789")
    return f"constraint family={family}"


def _made(what: str, spec: StratumSpec, names: Names, named: Json) -> Any:
    """What `number tolerance=0.01`, or a table with a name and settings, stands for; None for None."""
    if named is None:
        return None
    name, settings = split_words(named) if isinstance(named, str) else (named.get("name"), dict(named))
    settings.pop("name", None)
    makers = names(f"{what}s")
    if name not in makers:
        raise UnknownName(what, str(name), makers, hint=f"in stratum {spec.name!r}")
    return makers[name](**fit_settings(f"{what} {name}", makers[name], settings))


def _dressed(item: Item, recipe: Mapping[str, Json], seed: int, offers: Offers) -> Item:
    """The item as its stratum's table asks it; a row's own schema or grammar goes before the table's grammar."""
    problem, sampling = item.problem, sampling_of(recipe, seed)
    own = problem.schema or problem.grammar
    grammar = problem.grammar if own else recipe.get("grammar")
    if recipe.get("constrain"):
        if not (own or grammar):
            raise BadInput(
                f"stratum {problem.stratum!r}: constrain has nothing to hold {problem.id!r} to; "
                f"add a grammar to the stratum, or a schema to the row"
            )
        sampling = sampling.held_to(problem.schema, grammar)
    dressed = replace(
        problem, prompt=build_chat(recipe, problem.prompt), sampling=sampling, grammar=grammar,
        checkable=offers.check, ratable=offers.rating, side_effects=recipe.get("side_effects", False),
    )  # fmt: skip
    return replace(item, problem=dressed)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
