"""Every name a user may type, and what answers to it.

A stranger's plugin adds names through the entry-point groups `trueup.methods`, `trueup.verifiers`,
`trueup.solvers`, `trueup.raters` and `trueup.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from inspect import signature
from pathlib import Path
from typing import Any

from trueup import methods, raters, solvers, tasks, verifiers
from trueup.core.errors import BadInput, UnknownName
from trueup.core.roles import Model
from trueup.core.settings import fit_settings, settings_of, split_words
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Json
from trueup.models import SMOLLM2, HuggingFace, LlamaCpp, OpenAI, Replay, Toy, proxy

Maker = Callable[..., Any]

METHODS: dict[str, Maker] = {
    "once": methods.once,
    "vote": methods.vote,
    "adaptive_vote": methods.adaptive_vote,
    "lookahead_vote": methods.lookahead_vote,
    "early_stop_vote": methods.early_stop_vote,
    "beta_vote": methods.beta_vote,
    "bayes_vote": methods.bayes_vote,
    "confidence_vote": methods.confidence_vote,
    "vote_calls": methods.vote_calls,
    "reread": methods.reread,
    "best_of_n": methods.best_of_n,
    "best_of_majority": methods.best_of_majority,
    "weighted_best_of_n": methods.weighted_best_of_n,
    "judge_best": methods.judge_best,
    "judge_pairwise": methods.judge_pairwise,
    "generative_verify": methods.generative_verify,
    "reset_and_discard": methods.reset_and_discard,
    "revise": methods.revise,
    "parallel_revise": methods.parallel_revise,
    "budget_forcing": methods.budget_forcing,
    "plan_then_solve": methods.plan_then_solve,
    "chain_of_verification": methods.chain_of_verification,
    "mixture_of_agents": methods.mixture_of_agents,
    "beam_search": methods.beam_search,
    "particle_filter": methods.particle_filter,
    "tree_search": methods.tree_search,
    "ab_mcts": methods.ab_mcts,
    "retract": methods.retract,
    "cascade": methods.cascade,
    "route": methods.route,
    "compute_optimal": methods.compute_optimal,
    "greedy_allocate": methods.greedy_allocate,
    "blend_asc": methods.blend_asc,
    "constrained": methods.constrained,
    "reason_then_constrain": methods.reason_then_constrain,
    "solve": methods.solve,
}
VERIFIERS: dict[str, Maker] = {
    "exact": verifiers.exact,
    "number": verifiers.number,
    "math": verifiers.math,
    "json_schema": verifiers.json_schema,
    "function_call": verifiers.function_call,
    "constraint": verifiers.constraint,
    "gym": verifiers.gym,
}
SOLVERS: dict[str, Maker] = {"sudoku": solvers.sudoku}
RATERS: dict[str, Maker] = {
    "head": raters.head,
    "constraint_prefix": raters.constraint_prefix,
    "hf_reward": raters.hf_reward,
    "hf_process": raters.hf_process,
}
SOURCES: dict[str, Maker] = {
    "jsonl": tasks.jsonl,
    "gym": tasks.gym,
    "calls": tasks.calls,
    "csp": tasks.csp,
}
MODELS: dict[str, Maker] = {
    "smollm2": LlamaCpp,
    "openai": OpenAI,
    "hf": HuggingFace,
    "proxy": proxy,
    "replay": Replay,
    "toy": Toy,
}
KINDS: dict[str, dict[str, Maker]] = {
    "methods": METHODS,
    "verifiers": VERIFIERS,
    "solvers": SOLVERS,
    "raters": RATERS,
    "sources": SOURCES,
    "models": MODELS,
}
SOLVER, RATER, CRITIC, FORM = "solver", "rater", "rater and no check", "schema or grammar for its answers"
NEEDS = {
    "solve": SOLVER,
    "retract": RATER,
    **dict.fromkeys(("beam_search", "particle_filter", "tree_search", "ab_mcts"), CRITIC),
    **dict.fromkeys(("constrained", "reason_then_constrain"), FORM),
}
"""What a method cannot do without; those that are not named take any stratum."""
BATCH = "problems"
"""The first parameter of a method that takes a batch."""
COUNTS = (
    "n",
    "k",
    "rounds",
    "step",
    "window",
    "chains",
    "layers",
    "questions",
    "width",
    "subtrees",
    "depth",
    "patience",
    "then",
    "budget",
)
MODEL_FORMS = "smollm2, openai:URL#NAME, hf:FOLDER, proxy:BASE,EXPERT,ANTIEXPERT, replay:FILE or toy:P"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name with its settings at their defaults, and its first line."""

    name: str
    settings: Mapping[str, Json]
    about: str


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task's name and seed, and its strata."""

    name: str
    seed: int
    strata: tuple[Stratum, ...]


def names(kind: str) -> Mapping[str, Maker]:
    """Everything of a kind, plugins included.

    Raises UnknownName for a kind that there is not.
    """
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    return KINDS[kind] | {plugin.name: plugin.load() for plugin in entry_points(group=f"trueup.{kind}")}


def describe(kind: str) -> list[Entry]:
    """What `trueup list` shows of a kind."""
    return [
        Entry(name, {} if kind == "sources" else _defaults(maker), _first_line(maker))
        for name, maker in names(kind).items()
    ]


def make_arm(text: str) -> Arm:
    """`vote n=8` as an arm.

    Raises UnknownName for a method or setting that there is not, BadInput for a value of the wrong type.
    """
    name, pairs = split_words(text)
    known = names("methods")
    if name not in known:
        raise UnknownName("method", name, known, hint="(`trueup list methods` names all)")
    settings = fit_settings(name, known[name], pairs)
    counts = [key for key in COUNTS if settings.get(key, 1) < 1]
    if counts:
        raise BadInput(f"{name} {counts[0]} is {settings[counts[0]]}; give at least 1")
    if not 0 < settings.get("confidence", 0.5) < 1:
        raise BadInput(f"{name} confidence is {settings['confidence']}; give a probability between 0 and 1")
    is_batch = next(iter(signature(known[name]).parameters)) == BATCH
    return Arm(name, settings, partial(known[name], **settings), is_batch)


def arms_of(stratum: Stratum, samples: int, chosen: Sequence[str] = ()) -> tuple[Arm, ...]:
    """The arms to run on a stratum: those chosen, else those its task names, else all that apply.

    Chosen ones that cannot apply to this stratum are left out; a task's own must apply.
    """
    own = stratum.recipe.get("methods") or ()
    if chosen:
        arms = [arm for arm in map(make_arm, chosen) if not lacks(arm.method, stratum)]
    else:
        arms = [make_arm(text) for text in own or _usual(stratum, samples)]
    for arm in arms:
        if need := lacks(arm.method, stratum):
            raise BadInput(f"stratum {stratum.name!r} cannot be answered by {arm.method!r}: it has no {need}")
    if not arms:
        need = lacks(make_arm(chosen[0]).method, stratum) if chosen else None
        raise BadInput(f"none of the methods {', '.join(chosen)} applies to stratum {stratum.name!r}: it has no {need}")
    return tuple({arm.label: arm for arm in arms}.values())


def open_model(spec: str, sets: Mapping[str, str] | None = None) -> Model:
    """The model that a user's words name: `smollm2`, `openai:URL#NAME`, `hf:FOLDER` and the other forms.

    Raises UnknownName or BadInput for words that name none.
    """
    kind, _, rest = spec.partition(":")
    known = names("models")
    if kind not in known:
        raise UnknownName("model", spec, known, hint=f"(write {MODEL_FORMS})")
    settings = fit_settings(f"model {kind}", known[kind], sets or {})
    model: Model = known[kind](*_model_words(kind, rest, spec), **settings)
    return model


def open_task(path: str, *, limit: int | None, seed: int | None, sets: Mapping[str, Mapping[str, str]]) -> OpenTask:
    """A task with its strata ready to run."""
    task = tasks.read_task(path, limit=limit, seed=seed, sets=sets)
    strata = tasks.build_strata(task, names=names)
    return OpenTask(task.name, task.seed, strata)


def open_stratum(name: str, recipe: Mapping[str, Json]) -> Stratum:
    """A stratum without items, from a task's own table: what a server needs of it."""
    return tasks.equip(name, recipe, names=names)


def _model_words(kind: str, rest: str, spec: str) -> tuple[Any, ...]:
    """What a model is made from, out of the words behind its kind."""
    if kind == "smollm2":
        return (SMOLLM2,)
    if kind == "openai":
        url, _, name = rest.partition("#")
        if not url or not name:
            raise BadInput(f"model {spec!r} is incomplete; write openai:http://HOST:PORT/v1#NAME")
        return url, name
    if kind == "toy":
        try:
            return (float(rest),)
        except ValueError:
            raise BadInput(f"model {spec!r} has no accuracy; write toy:P with P from 0 to 1") from None
    if kind == "proxy":
        words = rest.split(",")
        if len(words) != 3:
            raise BadInput(f"model {spec!r} is incomplete; write proxy:BASE,EXPERT,ANTIEXPERT")
        return tuple(SMOLLM2 if word == "smollm2" else word for word in words)
    if kind == "hf":
        return (SMOLLM2 if rest == "smollm2" else rest,)
    return (Path(rest),) if kind == "replay" else (rest,)


def _usual(stratum: Stratum, samples: int) -> Iterator[str]:
    """What a study tries unless told otherwise: every method that applies, within the pool's samples."""
    few = max(2, samples // 4)
    yield "once"
    yield f"vote n={few}"
    yield f"vote n={samples}"
    yield f"adaptive_vote n={samples}"
    yield f"lookahead_vote n={samples}"
    if stratum.check is not None:
        yield f"best_of_n n={samples}"
        yield f"reset_and_discard n={samples}"
    if stratum.check is not None or stratum.rater is not None:
        yield f"best_of_majority n={samples}"
    yield "revise rounds=2"
    if not lacks("constrained", stratum):
        yield "constrained"
        yield f"constrained n={few}"
    if stratum.solver is not None:
        yield "solve"


def lacks(method: str, stratum: Stratum) -> str | None:
    """What a stratum has none of and a method cannot do without; None where it applies."""
    has = {
        SOLVER: stratum.solver is not None,
        RATER: stratum.rater is not None,
        CRITIC: stratum.rater is not None or stratum.check is not None,
        FORM: all(item.problem.schema or item.problem.grammar for item in stratum.items),
    }
    need = NEEDS.get(method)
    return None if need is None or has[need] else need


def _defaults(maker: Maker) -> dict[str, Json]:
    return {name: setting.default for name, setting in settings_of(maker).items()}


def _first_line(maker: Maker) -> str:
    return (maker.__doc__ or "").strip().partition("\n")[0]
