"""Methods with their settings, and which of them a stratum can be answered by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature

from trueup.catalog import names
from trueup.core.csp import is_program
from trueup.core.errors import BadInput, UnknownName
from trueup.core.roles import Model
from trueup.core.settings import settings_of, split_words
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Json
from trueup.methods.cascade import SOLVER as CASCADE_SOLVER
from trueup.methods.compute_optimal import read_bins
from trueup.methods.elsewhere import elsewhere
from trueup.methods.route import read_router
from trueup.methods.start import ASKED, fit_method
from trueup.solvers.program import ProgramSolver

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
UNHELD = (
    "solve", "decode_with_lexicon", "run_stored", "beam_search", "particle_filter", "tree_search", "retract",
)  # fmt: skip
"""Methods that hold nothing to the problem's schema or grammar."""
HELD_IN_PART = ("budget_forcing", "formalise_and_solve", "propose_and_assign", "vote_calls")
"""Methods that hold texts to it, and answer with more than such a text, or with something else."""
GO_BY_LOGPROBS = ("probability_vote", "confidence_vote")
OWN = ""
"""What methods call the study's own model."""
NAMING = (ASKED, "to", "judge_model", "models")
"""Settings that name a model to ask, the last one several."""
ASK_NONE = ("solve", "run_stored", "route")
"""Methods that by themselves ask no model."""
BATCH = "problems"
"""The first parameter of a method that takes a batch."""
ACTS_ONCE: Mapping[str, Mapping[str, Json]] = {
    "once": {},
    "greedy": {},
    "solve": {},
    "run_stored": {},
    "constrained": {"n": 1},
    "vote_calls": {"side_effects": True},
    "cascade": {"side_effects": True},
}
"""Methods that act on a problem at most once, with the settings that see to it."""


def make_arm(text: str) -> Arm:
    """`vote n=8` as an arm; with `model=NAME` any method for single problems asks that model.

    Raises UnknownName for a method or setting that there is not, BadInput for a value of the wrong type or
    out of its range.
    """
    name, pairs = split_words(text)
    known = names("methods")
    if name not in known:
        raise UnknownName("method", name, known, hint="(`trueup list methods` names all)")
    is_batch = next(iter(signature(known[name]).parameters)) == BATCH
    asked = None if is_batch or ASKED in settings_of(known[name]) else pairs.pop(ASKED, None)
    settings = fit_method(name, known[name], pairs)
    start = partial(known[name], **settings)
    if asked is not None:
        return Arm(name, settings | {ASKED: asked}, lambda problem: elsewhere(start(problem), asked))
    return Arm(name, settings, start, is_batch)


def arms_of(stratum: Stratum, samples: int, chosen: Sequence[str] = ()) -> tuple[Arm, ...]:
    """The arms to run on a stratum: those chosen, else those its task names, else all that apply.

    Chosen ones that cannot apply to this stratum are left out; a task's own must apply. Where attempts have side
    effects every arm must act once, chosen ones too.
    """
    own = stratum.recipe.get("methods") or ()
    if chosen:
        arms = [arm for arm in map(make_arm, chosen) if not lacks(arm.method, stratum)]
    else:
        arms = [make_arm(text) for text in own or _usual(stratum, samples)]
    for arm in arms:
        if need := lacks(arm.method, stratum):
            raise BadInput(f"stratum {stratum.name!r} cannot be answered by {arm.method!r}: it has no {need}")
    refuse_acts(stratum, arms)
    if not arms:
        need = lacks(make_arm(chosen[0]).method, stratum) if chosen else None
        raise BadInput(f"none of the methods {', '.join(chosen)} applies to stratum {stratum.name!r}: it has no {need}")
    return tuple({arm.label: replace(arm, among=tuple(with_chosen(arm)[1:])) for arm in arms}.values())


def left_out(stratum: Stratum, chosen: Sequence[str]) -> dict[str, str]:
    """By its label, what each chosen arm lacks that does not apply to a stratum."""
    needs = {arm.label: lacks(arm.method, stratum) for arm in map(make_arm, chosen)}
    return {label: need for label, need in needs.items() if need is not None}


def with_chosen(arm: Arm) -> Sequence[Arm]:
    """The arm, and those that it chooses among by a file.

    Raises BadInput for a file that cannot be read, UnknownName for a method in it that there is not.
    """
    words: Sequence[str] = ()
    if arm.method == "route":
        router = read_router(arm.settings.get("router", ""))
        words = router.cheap, router.costly
    elif arm.method == "compute_optimal":
        words = read_bins(arm.settings.get("table", "")).methods
    return [arm, *map(make_arm, words)]


def models_of(arm: Arm) -> set[str]:
    """The names of the models that an arm may ask, those of the arms that it chooses among included.

    Raises as `with_chosen` does.
    """
    first, *chosen = with_chosen(arm)
    own = arm.settings.get(ASKED, OWN)
    return _named(first) | {name or own for one in chosen for name in _named(one)}


def with_models(arm: Arm, billings: Mapping[str, str]) -> Arm:
    """The arm, and by name the models that it may ask, each with what it is billed as; raises as `models_of` does."""
    return replace(arm, models={name: billings.get(name, "") for name in sorted(models_of(arm))})


def _named(arm: Arm) -> set[str]:
    """The models that its settings name, unset ones by default, and the study's own where it asks that too."""
    known = settings_of(names("methods")[arm.method])
    given = [arm.settings.get(key, known[key].default) for key in NAMING if key in known]
    named = {name for value in given for name in re.split("[+,]", value)} - {CASCADE_SOLVER}
    if ASKED in known or arm.method in ASK_NONE:
        return named
    own = arm.settings.get(ASKED, OWN)
    return {own, *(name or own for name in named)}


def goes_by_logprobs(arm: Arm) -> bool:
    """Whether an arm, or one that it may choose, goes by log-probabilities: a pilot without them is bought again."""
    return any(one.method in GO_BY_LOGPROBS for one in with_chosen(arm))


def telling(stratum: Stratum, arms: Sequence[Arm]) -> Stratum:
    """The stratum; where an arm goes by log-probabilities all its attempts tell them, so that arms share one pool."""
    if not any(map(goes_by_logprobs, arms)):
        return stratum
    items = (
        replace(item, problem=replace(item.problem, sampling=replace(item.problem.sampling, logprobs=True)))
        for item in stratum.items
    )
    return replace(stratum, items=tuple(items))


def holds_texts(arm: Arm) -> bool:
    """Whether texts that an arm samples are held to the problem's schema or grammar."""
    return arm.method not in UNHELD


def holds_answer(arm: Arm) -> bool:
    """Whether what an arm answers, unless it abstains, is a text that was held to it from the first word on."""
    asks_solver = arm.method == "cascade" and arm.settings.get("to") == CASCADE_SOLVER
    return holds_texts(arm) and arm.method not in HELD_IN_PART and not asks_solver


def has_side_effects(stratum: Stratum) -> bool:
    """Whether what is sampled for this stratum gets run."""
    return bool(stratum.recipe.get("side_effects")) or any(item.problem.side_effects for item in stratum.items)


def refuse_acts(stratum: Stratum, arms: Sequence[Arm]) -> None:
    """Raise BadInput where attempts have side effects and an arm may act more than once."""
    if not has_side_effects(stratum):
        return
    for arm in arms:
        if not _acts_once(arm):
            raise BadInput(
                f"stratum {stratum.name!r} has side effects, and {arm.label!r} may act more than once; "
                f"take one of: {', '.join(' '.join([name, *_words(needed)]) for name, needed in ACTS_ONCE.items())}"
            )


def refuse_repeats(strata: Sequence[Stratum], models: Mapping[str, Model]) -> None:
    """Raise BadInput where attempts have side effects and a model makes a call that failed, and may have acted, again.

    Models stand under the names that a user sets them by.
    """
    acting = [stratum.name for stratum in strata if has_side_effects(stratum)]
    for name, model in models.items() if acting else ():
        if retries := getattr(model, "retries", 0):
            raise BadInput(
                f"stratum {acting[0]!r} has side effects, and {name} repeats a call that failed and may have acted, "
                f"retries={retries} times at most; give --set {name}.retries=0"
            )


def _acts_once(arm: Arm) -> bool:
    if arm.method not in ACTS_ONCE:
        return False
    given = {name: setting.default for name, setting in settings_of(names("methods")[arm.method]).items()}
    return ACTS_ONCE[arm.method].items() <= (given | dict(arm.settings)).items()


def _words(settings: Mapping[str, Json]) -> list[str]:
    return [f"{key}={value}".lower() for key, value in settings.items()]


def _usual(stratum: Stratum, samples: int) -> Iterator[str]:
    """What a study tries unless told otherwise: every method that applies, within the pool's samples."""
    if has_side_effects(stratum):
        yield from _usual_acts(stratum)
        return
    few = max(2, samples // 4)
    yield "once"
    yield "greedy"
    yield f"vote n={few}"
    yield f"vote n={samples}"
    yield f"adaptive_vote n={samples}"
    yield f"probability_vote n={samples}"
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


def _usual_acts(stratum: Stratum) -> Iterator[str]:
    """What goes by the one attempt of the pool, and at most another where nothing could be read, or by none."""
    yield "once"
    yield "cascade to= side_effects=true"
    if stratum.solver is not None:
        yield "cascade to=solver side_effects=true"
        yield "solve"


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
