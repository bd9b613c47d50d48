"""Settings are keyword arguments: read from a signature, typed by it, never dropped."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, get_type_hints

from trueup.core.errors import BadInput, UnknownName
from trueup.core.types import Json

Maker = Callable[..., Any]

QUOTED = """(?:"(?:[^"]|"")*"|'(?:[^']|'')*')"""
"""A text in quotes of one kind, its own quotes of that kind doubled."""
WORD = re.compile(rf"([^\s=]+=)?({QUOTED}(?!\S)|\S*)")
"""A setting with its value, or whatever else stands between blanks; only around a whole value are quotes quotes."""
PART = re.compile(rf"(?:(?<![^\s,])[^\s,=]+={QUOTED}(?![^\s,])|[^,])+")
"""What stands between commas; one in quotes is part of a value."""
UNFIT = re.compile(r"""[\s,]|^["']""")
"""What keeps a value from standing for itself without quotes."""


def settings_of(maker: Maker) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a function or class: what a user may set."""
    parameters = inspect.signature(maker).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def fit_settings(owner: str, maker: Maker, given: Mapping[str, Json]) -> dict[str, Json]:
    """The given settings in the types that the signature names.

    Raises UnknownName for a setting that is not there, BadInput for a value of the wrong type or a number that is none.
    """
    known = settings_of(maker)
    hints = get_type_hints(maker.__init__ if inspect.isclass(maker) else maker)
    for name in given:
        if name not in known:
            raise UnknownName(f"setting of {owner}", name, known)
    return {name: _fit(f"{owner} {name}", hints.get(name, str), value) for name, value in given.items()}


def split_words(text: str) -> tuple[str, dict[str, str]]:
    """`vote n=8` as the name, empty where there is none, and its settings, still as text.

    A value with blanks in it stands in quotes: `budget_forcing cue="Final answer:"`.
    """
    name, *rest = text.split(maxsplit=1) or [""]
    pairs: dict[str, str] = {}
    for key, value in (found.groups("") for found in WORD.finditer("".join(rest)) if found[0]):
        if not key:
            raise BadInput(f"{value!r} in {text!r} is no setting; write name=value, a value with blanks in quotes")
        if key[:-1] in pairs:
            raise BadInput(f"{key[:-1]} is set twice in {text!r}; set it once")
        pairs[key[:-1]] = _unquoted(value)
    return name, pairs


def join_words(name: str, settings: Mapping[str, Json]) -> str:
    """A name and its settings as `split_words` reads them."""
    return " ".join([name, *(f"{key}={in_quotes(str(value))}" for key, value in settings.items())])


def split_parts(text: str) -> tuple[str, ...]:
    """`once, vote n=8` as its parts."""
    return tuple(part.strip() for part in PART.findall(text) if part.strip())


def in_quotes(value: str) -> str:
    """A setting's value as it is written, in quotes where it needs them."""
    return '"' + value.replace('"', '""') + '"' if UNFIT.search(value) else value


def _unquoted(value: str) -> str:
    quote = value[:1]
    return value[1:-1].replace(2 * quote, quote) if re.fullmatch(QUOTED, value) else value


def one_word(name: str) -> str:
    """A name as one word, another for each: a setting's value without quotes, a file of its own."""
    word = re.sub(r"[\s,/]+", "_", name)
    return word if word == name else f"{word}-{blake2b(name.encode(), digest_size=2).hexdigest()}"


def _fit(what: str, kind: Any, value: Json) -> Json:
    kinds = getattr(kind, "__args__", (kind,))
    if type(value) in kinds:
        return _finite(what, value)
    wanted = [k for k in kinds if k is not type(None)]
    for make in wanted:
        if isinstance(value, bool) or (make is int and isinstance(value, float) and not value.is_integer()):
            continue
        try:
            return _boolean(value) if make is bool else _finite(what, make(value))
        except (TypeError, ValueError, OverflowError):
            continue
    raise BadInput(f"{what} is {value!r}; it takes {' or '.join(getattr(k, '__name__', str(k)) for k in wanted)}")


def _finite(what: str, value: Json) -> Json:
    """The value; a number that is infinite or none at all makes every comparison with it come out the same way."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{what} is {value}; give a finite number")
    return value


def _boolean(value: Json) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError(value)
    return words[str(value).lower()]
