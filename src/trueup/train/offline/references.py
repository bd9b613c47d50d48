"""A reference answer in words that the stratum's verifier takes for right."""

from __future__ import annotations

import json
from collections.abc import Iterator

from trueup.core.roles import Verifier
from trueup.core.types import Item, Json


def written(item: Item, verifier: Verifier, target: str = "{reference}") -> str | None:
    """The reference as a text, None where there is no wording of it that is graded right."""
    for words in _wordings(item.reference):
        text = target.replace("{reference}", words)
        answer = verifier.read(text)
        if answer is not None and verifier.check(answer, item.problem, item.reference).is_right:
            return text
    return None


def _wordings(reference: Json) -> Iterator[str]:
    """The reference itself, as JSON, and a call that a list of accepted ones allows (the first of each value)."""
    if isinstance(reference, dict) and isinstance(reference.get("ground_truth"), list):
        calls = [_call(name, accepted) for call in reference["ground_truth"] for name, accepted in call.items()]
        yield json.dumps(calls[0] if len(calls) == 1 else calls)
    if isinstance(reference, (str, int, float)):
        yield str(reference)
    yield json.dumps(reference)


def _call(name: str, accepted: Json) -> dict[str, Json]:
    """The first accepted value of every argument; an argument that may be left out is."""
    given = {key: _first(values) for key, values in accepted.items() if "" not in values}
    return {"name": name, "arguments": given}


def _first(values: Json) -> Json:
    """The first of accepted values; in an object each key has its own."""
    first = values[0]
    return {key: _first(inner) for key, inner in first.items()} if isinstance(first, dict) else first
