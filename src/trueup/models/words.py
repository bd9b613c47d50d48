"""What a model is made from, out of the words that a user names it by."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput
from trueup.models.gguf_file import GgufFile
from trueup.models.weights import SMOLLM2


def kind_of(spec: str, known: Container[str]) -> tuple[str, str]:
    """The kind of model and the words behind it; a folder's bare name is one for transformers."""
    kind, _, rest = spec.partition(":")
    return ("hf", spec) if kind not in known and Path(spec).is_dir() else (kind, rest)


def model_words(kind: str, rest: str, spec: str) -> tuple[Any, ...]:
    """The positional arguments of a model's maker; BadInput where the words are incomplete."""
    if kind == "smollm2":
        return (SMOLLM2,)
    if kind == "gguf":
        return (GgufFile.read(Path(rest).expanduser()),)
    if kind == "openai":
        url, _, name = rest.partition("#")
        if not url or not name:
            raise BadInput(f"model {spec!r} is incomplete; write openai:http://HOST:PORT/v1#NAME")
        return url, name
    if kind == "toy":
        try:
            return (float(rest),)
        except ValueError:
            raise BadInput(f"model {spec!r} has no accuracy; write toy:P with P from 0 to 1") from None
    if kind == "proxy":
        words = rest.split(",")
        if len(words) != 3:
            raise BadInput(f"model {spec!r} is incomplete; write proxy:BASE,EXPERT,ANTIEXPERT")
        return tuple(SMOLLM2 if word == "smollm2" else word for word in words)
    if kind == "hf":
        return (SMOLLM2 if rest == "smollm2" else rest,)
    return (Path(rest),) if kind == "replay" else (rest,)
