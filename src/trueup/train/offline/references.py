"""A reference answer in words that the stratum's verifier takes for right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from trueup.core.errors import AskFailed, BadForm, BadInput, Unavailable
from trueup.core.roles import Verifier
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json, Problem, Sampling
from trueup.models.huggingface.constrain import make_matcher
from trueup.run.grading import is_right
from trueup.train.job import Failed

WORDING = "wording references"
BLANKS = re.compile(r"[^\S\n]+")
TIGHT = (",", ":")
"""What stands between the parts of JSON without blanks."""


def all_written(
    stratum: Stratum, failed: Failed, target: str = "{reference}", *, are_needed: bool = False
) -> list[str | None]:
    """Each item's reference as a text; None where no wording of it will do, or one could not be tried, which is told.

    Where they are needed, one without a wording is told too. Raises BadInput where none could be tried on any item.
    """
    texts, reasons = [], []
    for item in stratum.items:
        text = None
        try:
            text = written(item, stratum.verifier, target)
            if text is None and are_needed:
                failed(WORDING, item.problem.id, _unworded(item.problem))
        except (AskFailed, BadForm) as error:
            reasons.append(str(error))
            failed(WORDING, item.problem.id, str(error))
        texts.append(text)
    if reasons and len(reasons) == len(texts):
        raise BadInput(f"{WORDING}: no item of {stratum.name!r} could be checked: {reasons[0]}")
    return texts


def written(item: Item, verifier: Verifier, target: str = "{reference}") -> str | None:
    """The reference as a text that is graded right, None where it has none; one of the answer's form before others.

    Where the model is held to that form, no other will do. Raises AskFailed where the verifier breaks on a wording and
    takes no other, BadForm where what the model is held to does not compile.
    """
    texts = dict.fromkeys(
        target.replace("{reference}", words) for words in _wordings(item.reference, item.problem.schema or "")
    )
    broken: list[AskFailed] = []
    for text in _by_form(item.problem, [*texts]):
        try:
            if is_right(verifier, item, text):
                return text
        except AskFailed as error:
            broken.append(error)
    if broken:
        raise broken[0]
    return None


def _by_form(problem: Problem, texts: Sequence[str]) -> list[str]:
    """The texts of an answer's form, then the others, which a model that is held to the form can never say."""
    held = problem.sampling
    if held.schema or held.grammar:
        return _fitting(held, texts)
    fitting = list[str]()
    with suppress(BadForm):  # nothing holds the model to it
        fitting = _fitting(Sampling(schema=problem.schema, grammar=problem.grammar), texts)
    return [*dict.fromkeys([*fitting, *texts])]


def _fitting(form: Sampling, texts: Sequence[str]) -> list[str]:
    """The texts of a form, letter by letter, whatever the model's tokens; all of them where there is none."""
    if not (form.schema or form.grammar):
        return [*texts]
    try:
        from llguidance import LLTokenizer
    except ImportError:
        raise Unavailable("a schema or grammar needs llguidance; pip install 'trueup[hf]'") from None
    matcher = make_matcher(LLTokenizer("byte"), form)
    return [text for text in texts if _fits(matcher, text)]


def _fits(matcher: Any, text: str) -> bool:
    """Whether a text, and no more than it, is of a form."""
    trial = matcher.deep_copy()
    letters = list(text.encode())
    takes = trial.validate_tokens(letters) == len(letters) and trial.consume_tokens(letters)
    return bool(takes and trial.is_accepting())


def _unworded(problem: Problem) -> str:
    told, held = "the verifier takes no wording of it for right", problem.sampling
    form = "schema" if held.schema else "grammar" if held.grammar else ""
    return f"{told} that its {form} allows" if form else told


def _wordings(reference: Json, schema: str) -> Iterator[str]:
    """What may say the reference, then the same without the blanks within a line."""
    usual = list(_usual(reference, _objects(schema)))
    yield from usual
    yield from (BLANKS.sub("", words) for words in usual)


def _usual(reference: Json, objects: Sequence[Json]) -> Iterator[str]:
    """The reference itself, each of a list of accepted ones, a call that such a list allows; all of it as JSON."""
    if isinstance(reference, dict) and isinstance(reference.get("ground_truth"), list):
        calls = [_call(name, accepted) for call in reference["ground_truth"] for name, accepted in call.items()]
        yield from _in_json(calls[0] if len(calls) == 1 else calls, objects)
    if isinstance(reference, (str, int, float)):
        yield str(reference)
    for accepted in reference if isinstance(reference, list) else ():
        yield from _usual(accepted, objects)
    yield from _in_json(reference, objects)


def _in_json(value: Json, objects: Sequence[Json]) -> Iterator[str]:
    """JSON in ASCII, in the letters themselves, without blanks; then with its keys in the schema's order."""
    for one in (value, _ordered(value, objects)):
        yield json.dumps(one)
        yield json.dumps(one, ensure_ascii=False)
        yield json.dumps(one, ensure_ascii=False, separators=TIGHT)


def _objects(schema: str) -> list[Json]:
    """The properties of every object of a schema, from the outermost in; none where it is no JSON."""
    try:
        return list(_properties(json.loads(schema or "{}")))
    except ValueError:
        return []


def _properties(schema: Json) -> Iterator[Json]:
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        yield schema["properties"]
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for one in inner:
        yield from _properties(one)


def _ordered(value: Json, objects: Sequence[Json]) -> Json:
    """The value, the keys of each object in the order of the first of these that has all of them."""
    if isinstance(value, list):
        return [_ordered(one, objects) for one in value]
    if isinstance(value, dict):
        order = next((keys for keys in objects if value.keys() <= keys.keys()), value)
        return {key: _ordered(value[key], objects) for key in order if key in value}
    return value


def _call(name: str, accepted: Json) -> dict[str, Json]:
    """The first accepted value of every argument; an argument that may be left out is."""
    given = {key: _first(values) for key, values in accepted.items() if "" not in values}
    return {"name": name, "arguments": given}


def _first(values: Json) -> Json:
    """The first of accepted values, where there are some; in an object each key has its own."""
    first = values[0] if isinstance(values, list) and values else values
    return {key: _first(inner) for key, inner in first.items()} if isinstance(first, dict) else first
