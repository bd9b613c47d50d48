"""Optimisation in words: `word-problems:PATH`, or a family of our own as `word-problems:production kinds=3`.

A JSONL row is {"question", "answer"}, the answer being the objective's best value; also read are the names that NL4OPT,
IndustryOR and MAMO are handed on under: "en_question" and "en_answer", "Question" and "Answer", and beside a question
"objective_value". An answer is one number and nothing else, or says that there is no solution.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.settings import fit_settings, split_words
from trueup.core.types import Item, Json, Message, Problem
from trueup.tasks.draw import drawn
from trueup.tasks.jsonl import SHOWN_CHARS, read_rows
from trueup.tasks.word_families import FAMILIES, Worded

QUESTIONS = ("question", "en_question", "Question")
ANSWERS = ("answer", "en_answer", "Answer", "objective_value")
ENDING = "\n\nEnd with the best value of the objective alone behind ####, as in `#### 12.5`."
ITEMS_UNLESS_SAID = 100
FORM = '{"question", "answer"}'
PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
VALUE = re.compile(rf"[-+]?[$€£¥]?(?:{PLAIN})(?:[eE][-+]?[0-9]{{1,3}}|/0*[1-9][0-9]*)?%?")
NO_SOLUTION = re.compile(r"(?:no (?:(?:best|optimal|feasible) )?solution|infeasible|unbounded)\.?", re.IGNORECASE)
LONGEST = 300
"""The characters of a value, or the digits that are read as a number."""


def word_problems(argument: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The problems of a file, or the first `limit` (100 unless said) of a family.

    Raises BadInput with the file and line of what cannot be used.
    """
    name = argument.split(" ", 1)[0]
    if name in FAMILIES:
        return tuple(
            _item(f"{name}-{seed}-{place}", one.statement, one.best, stratum)
            for place, one in enumerate(worded(argument, ITEMS_UNLESS_SAID if limit is None else limit, seed))
        )
    items = [
        _read(row, place, stratum) for place, row in read_rows(argument, FORM, f", or a family: {', '.join(FAMILIES)}")
    ]
    names = {item.problem.id for item in items}
    if len(names) < len(items):
        raise BadInput(f"{argument}: an id comes twice; give every row its own, or none an id")
    return tuple(items[place] for place in drawn(len(items), limit, seed))


def worded(argument: str, limit: int, seed: int) -> tuple[Worded, ...]:
    """The same problems of a family with their programs; problem i depends on the seed, the dials and i alone."""
    family, settings = split_words(argument)
    make: Callable[..., Worded] = FAMILIES[family]
    fitted = fit_settings(f"word-problems:{family}", make, settings)
    return tuple(make(random.Random(f"{family}:{seed}:{place}"), **fitted) for place in range(limit))


def _read(row: Mapping[str, Any], place: str, stratum: str) -> Item:
    question, answer = _field(row, QUESTIONS, place), _field(row, ANSWERS, place)
    if not isinstance(question, str) or not question.strip():
        raise BadInput(f"{place}: the question is {str(question)[:SHOWN_CHARS]!r}; it takes a text")
    if not _is_value(answer):
        raise BadInput(
            f"{place}: the answer is {str(answer)[:SHOWN_CHARS]!r}; it takes the objective's best value, a number and "
            f"nothing else, or 'no solution'"
        )
    name = place.rpartition("/")[2] if row.get("id") is None else row["id"]
    return _item(str(name), question.strip(), str(answer).strip(), stratum)


def _is_value(answer: Json) -> bool:
    """Whether this is one finite number, or says that there is none."""
    if isinstance(answer, bool) or not isinstance(answer, (int, float, str)):
        return False
    said = str(answer).strip()
    return len(said) <= LONGEST and bool(VALUE.fullmatch(said) or NO_SOLUTION.fullmatch(said))


def _field(row: Mapping[str, Any], names: tuple[str, ...], place: str) -> Any:
    found = next((name for name in names if name in row), None)
    if found is None:
        raise BadInput(f"{place}: no {names[0]!r}; add one to the row (also read: {', '.join(names[1:])})")
    return row[found]


def _item(name: str, question: str, answer: str, stratum: str) -> Item:
    return Item(Problem(name, stratum, (Message("user", question + ENDING),)), answer, name)
