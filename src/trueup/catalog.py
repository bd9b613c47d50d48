"""Every name a user may type, and what answers to it.

A stranger's plugin adds names through the entry-point groups `trueup.methods`, `trueup.verifiers`,
`trueup.solvers`, `trueup.raters`, `trueup.sources` and `trueup.trainers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from trueup import methods, raters, solvers, tasks, verifiers
from trueup.core.errors import Unavailable, UnknownName
from trueup.core.roles import Model
from trueup.core.settings import fit_settings, settings_of
from trueup.core.stratum import Stratum
from trueup.core.types import Json
from trueup.models import HuggingFace, LlamaCpp, OpenAI, Replay, Toy, proxy
from trueup.models.words import kind_of, model_words

Maker = Callable[..., Any]

METHODS: dict[str, Maker] = {
    "once": methods.once,
    "greedy": methods.greedy,
    "vote": methods.vote,
    "adaptive_vote": methods.adaptive_vote,
    "lookahead_vote": methods.lookahead_vote,
    "probability_vote": methods.probability_vote,
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
    "warm_up": "trueup.train.offline.warm_up",
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


class Names(Mapping[str, Maker]):
    """What a kind's names stand for; a plugin's is loaded when it is asked for."""

    def __init__(self, own: Mapping[str, Maker], plugins: Mapping[str, EntryPoint]) -> None:
        """Take a plugin's name before one of ours."""
        self._own, self._plugins = own, plugins

    def __getitem__(self, name: str) -> Maker:
        """Raises Unavailable for a plugin that cannot be loaded."""
        return _plugged(self._plugins[name]) if name in self._plugins else self._own[name]

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._plugins

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._own, *self._plugins)))

    def __len__(self) -> int:
        return len(self._own.keys() | self._plugins.keys())


def names(kind: str) -> Mapping[str, Maker]:
    """Everything of a kind, plugins included.

    Raises UnknownName for a kind that there is not, Unavailable where a package that all of the kind need is missing.
    """
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    own = {name: _loaded(name, maker) for name, maker in KINDS[kind].items()}
    return Names(own, {plugin.name: plugin for plugin in entry_points(group=f"trueup.{kind}")})


def describe(kind: str) -> list[Entry]:
    """What `trueup list` shows of a kind."""
    known = names(kind)
    return [_entry(name, known, has_settings=kind != "sources") for name in known]


def open_model(spec: str, sets: Mapping[str, str] | None = None, *, repeats: bool = True) -> Model:
    """The model that a user's words name: `smollm2`, `openai:URL#NAME`, `hf:FOLDER` and the other forms.

    A folder's bare name is what a training left there, or a model of transformers. Without `repeats` none makes a call
    that failed, and may have acted, again. Raises UnknownName or BadInput for words that name none.
    """
    known = names("models")
    kind, rest = kind_of(spec, known)
    if kind not in known:
        raise UnknownName("model", spec, known, hint=f"(write {MODEL_FORMS})")
    settings = fit_settings(f"model {kind}", known[kind], sets or {})
    if not repeats and "retries" in settings_of(known[kind]):
        settings["retries"] = 0
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


def _plugged(plugin: EntryPoint) -> Maker:
    try:
        maker: Maker = plugin.load()
    except Exception as error:
        owner = plugin.dist.name if plugin.dist else plugin.value
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise Unavailable(
            f"{plugin.name} of the package {owner} cannot be loaded ({why}); mend or uninstall it"
        ) from error
    return maker


def _entry(name: str, known: Mapping[str, Maker], *, has_settings: bool) -> Entry:
    try:
        maker = known[name]
    except Unavailable as error:
        return Entry(name, {}, f"broken: {error}")
    return Entry(name, _defaults(maker) if has_settings else {}, _first_line(maker))


def _defaults(maker: Maker) -> dict[str, Json]:
    return {name: setting.default for name, setting in settings_of(maker).items()}


def _first_line(maker: Maker) -> str:
    return (maker.__doc__ or "").strip().partition("\n")[0]
