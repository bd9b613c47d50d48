"""A reference answer in words that the stratum's verifier takes for right."""

from __future__ import annotations

import json
from collections.abc import Iterator

from trueup.core.errors import AskFailed, BadInput
from trueup.core.roles import Verifier
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json
from trueup.run.grading import is_right
from trueup.train.job import Failed

WORDING = "wording references"


def all_written(
    stratum: Stratum, failed: Failed, target: str = "{reference}", *, are_needed: bool = False
) -> list[str | None]:
    """Each item's reference as a text; None where no wording of it is right, or the verifier broke, which is told.

    Where they are needed, one without a right wording is told too.
    Raises BadInput where it broke on every item.
    """
    texts, reasons = [], []
    for item in stratum.items:
        text = None
        try:
            text = written(item, stratum.verifier, target)
            if text is None and are_needed:
                failed(WORDING, item.problem.id, "the verifier takes no wording of it for right")
        except AskFailed as error:
            reasons.append(str(error))
            failed(WORDING, item.problem.id, str(error))
        texts.append(text)
    if reasons and len(reasons) == len(texts):
        raise BadInput(f"{WORDING}: no item of {stratum.name!r} could be checked: {reasons[0]}")
    return texts


def written(item: Item, verifier: Verifier, target: str = "{reference}") -> str | None:
    """The reference as a text, None where there is no wording of it that is graded right.

    Raises AskFailed where the verifier breaks on one.
    """
    texts = (target.replace("{reference}", words) for words in _wordings(item.reference))
    return next((text for text in texts if is_right(verifier, item, text)), None)


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
