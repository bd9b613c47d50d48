"""A method by its words, for methods that choose among methods."""

from __future__ import annotations

from inspect import signature

from trueup.core.asks import Flow
from trueup.core.errors import UnknownName
from trueup.core.settings import fit_settings, split_words
from trueup.core.types import Answer, Problem

CHOOSERS = ("route", "compute_optimal")
"""What chooses by a file cannot be chosen by one, or a file that names itself would never end."""


def start(words: str, problem: Problem) -> Flow[Answer]:
    """`vote n=8` on this problem; any method of this room that answers one problem.

    Raises UnknownName for a method or setting that there is not, BadInput for a value of the wrong type.
    """
    from trueup import methods

    makers = {name: getattr(methods, name) for name in methods.__all__ if name not in CHOOSERS}
    known = {name: maker for name, maker in makers.items() if "problem" in signature(maker).parameters}
    name, pairs = split_words(words)
    if name not in known:
        raise UnknownName("method", name, known)
    flow: Flow[Answer] = known[name](problem, **fit_settings(name, known[name], pairs))
    return flow
