"""JSON that fits the problem's schema; needs no reference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from trueup.core.errors import BadForm, BadInput
from trueup.core.types import Grade, Json, Problem
from trueup.verifiers.json_text import read_json

NOTE_CHARS = 160


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Implements Verifier by validating against Problem.schema; made by `json_schema`."""

    name: str = "json_schema"
    needs_reference: bool = False

    def read(self, text: str) -> str | None:
        """The JSON value in a text, keys sorted and without spaces."""
        return read_json(text)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 for a valid value; the note says where another breaks the schema, or why it cannot be checked.

        Raises BadInput without a schema, BadForm for one that is none or refers to what is not in it: nothing is
        fetched.
        """
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import EMPTY_REGISTRY

        if problem.schema is None:
            raise BadInput(f"item {problem.id!r} has no schema; `json_schema` checks against one, take another check")
        if (reason := fault_of(problem.schema)) is not None:
            raise BadForm(f"item {problem.id!r}: its schema is no JSON schema: {reason}")
        validator = _rules()(_without_dialect(json.loads(problem.schema)), registry=EMPTY_REGISTRY)
        try:
            broken = best_match(validator.iter_errors(json.loads(answer)))
        except Unresolvable as error:
            raise BadForm(f"item {problem.id!r}: its schema refers to {error.ref!r}, which is not in it") from None
        except (RecursionError, OverflowError) as error:
            return Grade(0.0, note=f"nested too deep, or a number too large, to be checked: {type(error).__name__}")
        return Grade(1.0) if broken is None else Grade(0.0, note=f"{broken.json_path}: {broken.message}"[:NOTE_CHARS])


def fault_of(schema: str) -> str | None:
    """Why a text is no JSON schema, in a line; None where it is one."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except (ValueError, RecursionError, SchemaError) as error:
        return str(error).splitlines()[0]
    return None


@cache
def _rules() -> Any:
    """The rules of 2020-12, of which `multipleOf` is exact: 19.99 is a multiple of 0.01."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def multiple_of(validator: Any, factor: float, value: Json, schema: Json) -> Iterator[ValidationError]:
        if validator.is_type(value, "number") and (_exact(value) / _exact(factor)).denominator != 1:
            yield ValidationError(f"{value!r} is not a multiple of {factor}")

    return extend(Draft202012Validator, {"multipleOf": multiple_of})  # type: ignore[no-untyped-call]


def _without_dialect(schema: Json) -> Json:
    """The schema without `$schema`, for which what refers to the whole would be checked by other rules."""
    return {key: value for key, value in schema.items() if key != "$schema"} if isinstance(schema, dict) else schema


def _exact(number: float) -> Fraction:
    """The decimal that a number is written as."""
    return Fraction(Decimal(str(number)))


def json_schema() -> JsonSchema:
    """Grade by the schema that comes with the problem."""
    return JsonSchema()
