"""Every name a user may type, and what answers to it.

A stranger's plugin adds names through the entry-point groups `trueup.methods`, `trueup.verifiers`,
`trueup.solvers`, `trueup.raters`, `trueup.sources` and `trueup.trainers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature
from typing import Any

from trueup import methods, raters, solvers, tasks, verifiers
from trueup.core.csp import is_program
from trueup.core.errors import BadInput, Unavailable, UnknownName
from trueup.core.roles import Model
from trueup.core.settings import fit_settings, settings_of, split_words
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Json
from trueup.methods.elsewhere import elsewhere
from trueup.models import HuggingFace, LlamaCpp, OpenAI, Replay, Toy, proxy
from trueup.models.words import kind_of, model_words
from trueup.solvers.program import ProgramSolver

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
    "propose_and_assign": methods.propose_and_assign,
    "formalise_and_solve": methods.formalise_and_solve,
    "decode_with_lexicon": methods.decode_with_lexicon,
    "run_stored": methods.run_stored,
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
    "lr2bench": verifiers.lr2bench,
    "numerical": verifiers.numerical,
    "objective": verifiers.objective,
}
SOLVERS: dict[str, Maker] = {
    "program": solvers.program, "csp": solvers.csp, "gym": solvers.gym, "lr2bench": solvers.lr2bench,
    "numerical": solvers.numerical, "sudoku": solvers.sudoku,
}  # fmt: skip
RATERS: dict[str, Maker] = {
    "head": raters.head,
    "constraint_prefix": raters.constraint_prefix,
    "satisfiable": solvers.satisfiable,
    "hf_reward": raters.hf_reward,
    "hf_process": raters.hf_process,
}
SOURCES: dict[str, Maker] = {
    "jsonl": tasks.jsonl, "gym": tasks.gym, "calls": tasks.calls, "csp": tasks.csp, "lr2bench": tasks.lr2bench,
    "power_flow": tasks.power_flow, "quadratic": tasks.quadratic,
    "word-problems": tasks.word_problems, "stored-programs": tasks.stored_programs,
}  # fmt: skip
MODELS: dict[str, Maker] = {
    "smollm2": LlamaCpp,
    "gguf": LlamaCpp,
    "openai": OpenAI,
    "hf": HuggingFace,
    "proxy": proxy,
    "replay": Replay,
    "toy": Toy,
}
TRAINERS = {
    "sft": "trueup.train.offline.sft",
    "star": "trueup.train.offline.star",
    "pair_sft": "trueup.train.offline.pair_sft",
    "iterated_sft": "trueup.train.offline.iterated_sft",
    "expert_iteration": "trueup.train.offline.expert_iteration",
    "dpo": "trueup.train.offline.dpo",
    "grpo": "trueup.train.real.grpo",
    "multi_turn": "trueup.train.real.multi_turn",
    "score": "trueup.train.real.score",
    "degrpo": "trueup.train.real.degrpo",
}
"""Where each trainer is: a function of the name in that file, loaded when it is asked for, since it needs torch."""
KINDS: dict[str, Mapping[str, Maker | str]] = {
    "methods": METHODS,
    "verifiers": VERIFIERS,
    "solvers": SOLVERS,
    "raters": RATERS,
    "sources": SOURCES,
    "models": MODELS,
    "trainers": TRAINERS,
}
SOLVER, RATER, CRITIC, FORM = "solver", "rater", "rater and no check", "schema or grammar for its answers"
READER = "solver that reads programs"
NEEDS = {
    "solve": SOLVER,
    "decode_with_lexicon": SOLVER,
    "run_stored": READER,
    "formalise_and_solve": READER,
    "retract": RATER,
    **dict.fromkeys(("beam_search", "particle_filter", "tree_search", "ab_mcts"), CRITIC),
    **dict.fromkeys(("constrained", "reason_then_constrain"), FORM),
}
"""What a method cannot do without; those that are not named take any stratum."""
BATCH, ASKED = "problems", "model"
"""The first parameter of a method that takes a batch; the setting that has a method ask another model."""
COUNTS = (
    "n", "k", "rounds", "step", "window", "chains", "layers", "questions", "width", "subtrees", "depth",
    "patience", "then", "budget",
)  # fmt: skip
MODEL_FORMS = "smollm2, gguf:FILE, openai:URL#NAME, hf:FOLDER, proxy:BASE,EXPERT,ANTIEXPERT, replay:FILE or toy:P"


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

    Raises UnknownName for a kind that there is not, Unavailable where a package that all of the kind need is missing.
    """
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    own = {name: _loaded(name, maker) for name, maker in KINDS[kind].items()}
    return own | {plugin.name: plugin.load() for plugin in entry_points(group=f"trueup.{kind}")}


def describe(kind: str) -> list[Entry]:
    """What `trueup list` shows of a kind."""
    return [
        Entry(name, {} if kind == "sources" else _defaults(maker), _first_line(maker))
        for name, maker in names(kind).items()
    ]


def make_arm(text: str) -> Arm:
    """`vote n=8` as an arm; with `model=NAME` any method for single problems asks that model.

    Raises UnknownName for a method or setting that there is not, BadInput for a value of the wrong type.
    """
    name, pairs = split_words(text)
    known = names("methods")
    if name not in known:
        raise UnknownName("method", name, known, hint="(`trueup list methods` names all)")
    is_batch = next(iter(signature(known[name]).parameters)) == BATCH
    asked = None if is_batch or ASKED in settings_of(known[name]) else pairs.pop(ASKED, None)
    settings = fit_settings(name, known[name], pairs)
    counts = [key for key in COUNTS if settings.get(key, 1) < 1]
    if counts:
        raise BadInput(f"{name} {counts[0]} is {settings[counts[0]]}; give at least 1")
    if not 0 < settings.get("confidence", 0.5) < 1:
        raise BadInput(f"{name} confidence is {settings['confidence']}; give a probability between 0 and 1")
    start = partial(known[name], **settings)
    if asked is not None:
        return Arm(name, settings | {ASKED: asked}, lambda problem: elsewhere(start(problem), asked))
    return Arm(name, settings, start, is_batch)


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

    A folder's bare name is what a training left there, or a model of transformers. Raises UnknownName or BadInput for
    words that name none.
    """
    known = names("models")
    kind, rest = kind_of(spec, known)
    if kind not in known:
        raise UnknownName("model", spec, known, hint=f"(write {MODEL_FORMS})")
    settings = fit_settings(f"model {kind}", known[kind], sets or {})
    model: Model = known[kind](*model_words(kind, rest, spec), **settings)
    return model


def open_task(path: str, *, limit: int | None, seed: int | None, sets: Mapping[str, Mapping[str, str]]) -> OpenTask:
    """A task with its strata ready to run."""
    task = tasks.read_task(path, limit=limit, seed=seed, sets=sets)
    strata = tasks.build_strata(task, names=names)
    return OpenTask(task.name, task.seed, strata)


def open_stratum(name: str, recipe: Mapping[str, Json]) -> Stratum:
    """A stratum without items, from a task's own table: what a server needs of it."""
    return tasks.equip(name, recipe, names=names)


def _loaded(name: str, maker: Maker | str) -> Maker:
    """A maker, or the function of this name in a file that is loaded now."""
    if not isinstance(maker, str):
        return maker
    try:
        found: Maker = getattr(import_module(maker), name)
    except ImportError as error:
        raise Unavailable(f"{name} cannot be loaded ({error}); pip install 'trueup[train]'") from None
    return found


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
        is_prose = not all(is_program(item.problem.prompt[-1].content) for item in stratum.items)
        yield "formalise_and_solve" if is_prose and not lacks("formalise_and_solve", stratum) else "solve"


def lacks(method: str, stratum: Stratum) -> str | None:
    """What a stratum has none of and a method cannot do without; None where it applies."""
    has = {
        SOLVER: stratum.solver is not None,
        READER: isinstance(stratum.solver, ProgramSolver),
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
