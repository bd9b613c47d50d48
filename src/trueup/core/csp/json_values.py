"""Values of a program's JSON: each is what it has to be there, or refused with its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trueup.core.csp.reader import LARGEST
from trueup.core.errors import BadInput, UnknownName
from trueup.core.types import Json

SHOWN_CHARS = 60


def number_at(value: Json, where: str) -> int | float:
    """A number that solvers hold exactly.

    Raises BadInput for another value.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise BadInput(f"{where} is {shortened(value)}; write a number of at most {LARGEST:,}")
    number: int | float = value
    return number


def of_kind(kind: type, value: Json, where: str) -> Any:
    """A value of this kind.

    Raises BadInput for another.
    """
    names = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadInput(f"{where} is {shortened(value)}; write {names[kind]}")
    return value


def line_at(text: str, where: str) -> str:
    """A text of one line.

    Raises BadInput for another.
    """
    if text.splitlines() not in ([], [text]):
        raise BadInput(f"{where} has {shortened(text)}, which holds a line break; write one line")
    return text


def placed_at(error: BadInput, where: str) -> BadInput:
    """An error with the place that it has, else with this one."""
    return error if str(error).startswith(where) else BadInput(f"{where}: {error}")


def object_at(value: Json, where: str, keys: Sequence[str]) -> dict[str, Json]:
    """An object that says nothing but this.

    Raises BadInput for another value, UnknownName for a key that is not one of these.
    """
    found: dict[str, Json] = of_kind(dict, value, where)
    odd = next((key for key in found if key not in keys), None)
    if odd is not None:
        raise UnknownName(f"key of {where}", odd, keys)
    return found


def shortened(value: Json) -> str:
    """A value as an error shows it."""
    shown = (
        repr(value) if not isinstance(value, int) or isinstance(value, bool) or abs(value) <= LARGEST else "too large"
    )
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}..."
