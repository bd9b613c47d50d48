"""Items from a generator of reasoning-gym, by name: `gym:basic_arithmetic`, with settings `min_terms=2`.

Stojanovski et al. 2025, arXiv:2505.24760. Item i depends on the seed and i alone.
"""

from __future__ import annotations

import json

from trueup.core.errors import BadInput, Unavailable, UnknownName
from trueup.core.settings import split_words
from trueup.core.types import Item, Json, Message, Problem

ITEMS_UNLESS_SAID = 100
RUNS_ANSWER = "its scorer runs the model's answer as Python"
NO_ANSWER = "it gives no answer to grade against"
REFUSED = {
    "game_of_life_halting": "its scorer gives full marks to any text",
    "prime_factorization": "its scorer fails on an answer that is no product of numbers",
    **dict.fromkeys(("boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"), NO_ANSWER),
    **dict.fromkeys(
        (
            "binary_matrix", "countdown", "intermediate_integration", "n_queens", "polynomial_multiplication",
            "puzzle24", "simple_integration", "spiral_matrix", "string_insertion",
        ),
        RUNS_ANSWER,
    ),
}  # fmt: skip
"""Datasets of reasoning-gym 0.1.25 that cannot be graded soundly, and why."""


def gym(argument: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The first `limit` items (100 unless said) that a generator makes with this seed.

    Raises BadInput for a dataset whose scorer is unsound, Unavailable where reasoning-gym is not installed.
    """
    name, settings = split_words(argument)
    if name in REFUSED:
        raise BadInput(f"gym:{name} cannot be used: {REFUSED[name]}; choose another dataset")
    try:
        import reasoning_gym
    except ImportError:
        raise Unavailable("reasoning-gym is not installed; pip install 'trueup[gym]'") from None
    if name not in reasoning_gym.factory.DATASETS:
        raise UnknownName("gym dataset", name, reasoning_gym.factory.DATASETS)
    size = ITEMS_UNLESS_SAID if limit is None else limit
    try:
        dials = {key: _value(text) for key, text in settings.items()}
        entries = reasoning_gym.create_dataset(name, seed=seed, size=size, **dials)
        return tuple(_item(name, place, entries[place], stratum, seed) for place in range(size))
    except (AssertionError, AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"gym:{argument} cannot be made: {error}; check its settings") from None


def _item(name: str, place: int, entry: Json, stratum: str, seed: int) -> Item:
    label = f"{name}-{seed}-{place}"
    if entry["answer"] is None:
        raise BadInput(f"gym:{name} cannot be used: {NO_ANSWER}; choose another dataset")
    problem = Problem(label, stratum, (Message("user", entry["question"]),))
    return Item(problem, {"dataset": name, "answer": entry["answer"], "entry": entry}, label)


def _value(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text
