"""A method by its words, for methods that choose among methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature

from trueup.core.asks import Flow
from trueup.core.errors import BadInput, UnknownName
from trueup.core.settings import Maker, fit_settings, settings_of, split_words
from trueup.core.types import Answer, Json, Problem
from trueup.methods.elsewhere import elsewhere

Start = Callable[[Problem], Flow[Answer]]

CHOOSERS = ("route", "compute_optimal")
"""What chooses by a file cannot be chosen by one, or a file that names itself would never end."""
ASKED = "model"
"""The setting that has any method ask another model than the study's own."""

COUNTS = (
    "n", "k", "rounds", "step", "window", "chains", "layers", "questions", "width", "subtrees", "depth",
    "patience", "then", "budget",
)  # fmt: skip
MAY_BE_NONE = ("rounds",)
MOST = 100_000


def fit_method(name: str, maker: Maker, given: Mapping[str, Json]) -> dict[str, Json]:
    """The given settings of a method in the types that its signature names.

    Raises UnknownName for a setting that there is not, BadInput for a value of the wrong type or out of its range.
    """
    settings = fit_settings(name, maker, given)
    for key in COUNTS:
        value, least = settings.get(key, 1), 0 if key in MAY_BE_NONE else 1
        if value < least:
            raise BadInput(f"{name} {key} is {value}; give at least {least}")
        if value > MOST:
            raise BadInput(f"{name} {key} is {value}; give at most {MOST}")
    if not 0 < settings.get("confidence", 0.5) < 1:
        raise BadInput(f"{name} confidence is {settings['confidence']}; give a probability between 0 and 1")
    return settings


def start(words: str, problem: Problem) -> Flow[Answer]:
    """`vote n=8` on this problem; any method of this room that answers one problem.

    Raises UnknownName for a method or setting that there is not, BadInput for a value of the wrong type or out of its
    range.
    """
    return starter(words)(problem)


def starter(words: str) -> Start:
    """What starts `vote n=8` on a problem; with `model=NAME` any method asks that model.

    Raises UnknownName for a setting that there is not, or a method that there is not or no file can choose, BadInput
    for a value of the wrong type or out of its range.
    """
    from trueup import methods

    makers = {name: getattr(methods, name) for name in methods.__all__ if name not in CHOOSERS}
    known = {name: maker for name, maker in makers.items() if "problem" in signature(maker).parameters}
    name, pairs = split_words(words)
    if name not in known:
        hint = (
            "(what works on a batch, or chooses by a file itself, cannot be chosen)" if name in methods.__all__ else ""
        )
        raise UnknownName("method", name, known, hint=hint)
    asked = None if ASKED in settings_of(known[name]) else pairs.pop(ASKED, None)
    begin = partial(known[name], **fit_method(name, known[name], pairs))
    return begin if asked is None else lambda problem: elsewhere(begin(problem), asked)
