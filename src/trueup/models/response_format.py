"""A schema as OpenAI's `response_format`.

vLLM, SGLang and llama.cpp's server hold a text to its schema in any of these forms. OpenAI rejects `strict` where a
schema is not of the subset that its strict mode takes, and without `strict` takes the schema for advice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trueup.core.types import Json

ANY_OBJECT = {"type": "object"}
STRICT_KEYWORDS = frozenset(
    {
        "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "$ref", "$defs",
        "definitions", "title", "description", "pattern", "format", "multipleOf", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems",
    }
)  # fmt: skip
"""What strict mode takes; of another keyword it is not known."""
KINDS = frozenset({"type", "anyOf", "$ref"})
"""Of which strict mode wants one in every schema."""


def response_format(schema: str) -> dict[str, Any]:
    """The form for a schema as JSON text: any object by name, strict where that mode takes the schema."""
    body = json.loads(schema)
    if body == ANY_OBJECT:
        return {"type": "json_object"}
    form = {"name": "answer", "schema": body}
    return {"type": "json_schema", "json_schema": form | ({"strict": True} if is_strict(body) else {})}


def is_strict(schema: Json) -> bool:
    """Whether a schema is of the strict subset: an object, and every object closed, all its properties required."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object" or "anyOf" in schema:
        return False
    left: list[Json] = [schema]
    while left:
        part = left.pop()
        if not isinstance(part, Mapping) or not STRICT_KEYWORDS.issuperset(part) or KINDS.isdisjoint(part):
            return False
        if _is_object(part) and not _is_closed(part):
            return False
        left += _parts(part)
    return True


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return "properties" in schema or kind == "object" or (isinstance(kind, list) and "object" in kind)


def _is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether an object must have each of its properties, and may have no others."""
    named, required = schema.get("properties", {}), schema.get("required", [])
    is_read = isinstance(named, Mapping) and isinstance(required, list)
    all_required = is_read and len(named) == len(required) and all(name in required for name in named)
    return all_required and schema.get("additionalProperties") is False


def _parts(schema: Mapping[str, Any]) -> list[Json]:
    """The schemas that a schema is made of, and what stands in their place."""
    tables = [schema[name] for name in ("properties", "$defs", "definitions") if name in schema]
    ways = schema.get("anyOf", [])
    named = [part for table in tables for part in (table.values() if isinstance(table, Mapping) else [table])]
    return [*named, *(ways if isinstance(ways, list) else [ways]), *([schema["items"]] if "items" in schema else [])]
