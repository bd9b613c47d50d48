"""The JSON schema of a call to one of some functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueup.core.types import Json

KINDS = {
    "string": "string", "integer": "integer", "float": "number", "boolean": "boolean",
    "array": "array", "tuple": "array", "dict": "object",
}  # fmt: skip
"""BFCL's names of Python types as those of JSON schema; `any` is left open."""


def call_schema(functions: Sequence[Mapping[str, Any]], *, several: bool = False) -> Json:
    """{"name", "arguments"} of one call, in the order that a model would write them.

    With `several` it may also be a list of two or more.
    """
    options = [_call(function) for function in functions]
    call = options[0] if len(options) == 1 else {"anyOf": options}
    return {"anyOf": [call, {"type": "array", "items": call, "minItems": 2}]} if several else call


def _call(function: Mapping[str, Any]) -> Json:
    arguments = _value({**function["parameters"], "type": "dict"})
    return _object({"name": {"const": function["name"]}, "arguments": arguments}, ["name", "arguments"])


def _value(parameter: Mapping[str, Any]) -> Json:
    kind = KINDS.get(parameter["type"])
    if "enum" in parameter and kind not in ("array", "object"):
        return {"enum": list(parameter["enum"])}
    if kind == "object" and parameter.get("properties"):
        properties = {name: _value(inner) for name, inner in parameter["properties"].items()}
        return _object(properties, [name for name in parameter.get("required", []) if name in properties])
    if kind == "array" and "type" in parameter.get("items", {}):
        return {"type": kind, "items": _value(parameter["items"])}
    return {"type": kind} if kind else {}


def _object(properties: Mapping[str, Json], required: Sequence[str]) -> Json:
    return {
        "type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": False,
    }  # fmt: skip
