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
    """`vote n=8` as the name, empty where there is none, and its settings, still as text."""
    name, *words = text.split() or [""]
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"{word!r} in {text!r} is no setting; write name=value")
        if key in pairs:
            raise BadInput(f"{key} is set twice in {text!r}; set it once")
        pairs[key] = value
    return name, pairs


def one_word(name: str) -> str:
    """A name as one word, another for each: in a setting's value there is no blank, between methods stands a comma."""
    word = re.sub(r"[\s,/]+", "_", name)
    return word if word == name else f"{word}-{blake2b(name.encode(), digest_size=2).hexdigest()}"


def _fit(what: str, kind: Any, value: Json) -> Json:
    kinds = getattr(kind, "__args__", (kind,))
    if type(value) in kinds:
        return _finite(what, value)
    wanted = [k for k in kinds if k is not type(None)]
    for make in wanted:
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
