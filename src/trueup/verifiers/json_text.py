"""JSON in a model's text: found, and written in one canonical way."""

from __future__ import annotations

import json
import re

from trueup.core.types import Json
from trueup.verifiers.marks import fenced, spoken

CHARS_AT_MOST = 100_000
PLACES_AT_MOST = 64
OBJECT = re.compile(r'\{\s*["}]')
EMPTY = "{}"


class NotJson(ValueError):
    """A text, or a value, that JSON cannot carry."""


def decode(text: str, start: int = 0) -> tuple[Json, int]:
    """The JSON value that begins at `start`, and where it ends.

    Raises NotJson where none does; NaN and infinities are none.
    """
    try:
        value, end = json.JSONDecoder(parse_constant=_refuse).raw_decode(text, start)
    except (ValueError, RecursionError):
        raise NotJson(text[start : start + 40]) from None
    return value, end


def canonical(value: Json) -> str:
    """Sorted keys, no spaces, so that equal values are equal texts.

    Raises NotJson for a value that is no JSON, or holds half of a surrogate pair.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, TypeError, RecursionError):
        raise NotJson(repr(type(value))) from None
    return text


def read_json(text: str) -> str | None:
    """The canonical JSON of a text: all of it, else of its last code fence, else of its first object or array."""
    said = spoken(text[:CHARS_AT_MOST])
    if said is None:
        return None
    fence = fenced(said)
    for whole in [said] if fence is None else [said, fence]:
        try:
            value, end = decode(whole.strip())
            if end == len(whole.strip()):
                return canonical(value)
        except NotJson:
            continue
    return _first_embedded(said if fence is None else fence)


def objects(text: str) -> list[str]:
    """The canonical JSON of the objects in a text that stand in no other, the last first, empty ones at the end."""
    said = (spoken(text) or "")[-CHARS_AT_MOST:]
    found, end = list[str](), 0
    for opening in [match.start() for match in OBJECT.finditer(said)][-PLACES_AT_MOST:]:
        if opening < end:
            continue
        try:
            value, end = decode(said, opening)
            found.append(canonical(value))
        except NotJson:
            continue
    return sorted(found, key=EMPTY.__ne__)[::-1]


def _first_embedded(text: str) -> str | None:
    places = [place for place, sign in enumerate(text) if sign in "{["][:PLACES_AT_MOST]
    for place in places:
        try:
            return canonical(decode(text, place)[0])
        except NotJson:
            continue
    return None


def _refuse(constant: str) -> Json:
    raise ValueError(constant)
