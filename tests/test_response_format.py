"""In what form a schema goes to an endpoint: by name, strict, or neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
from mock_endpoint import MockEndpoint, loopback
from test_serve import body, desk, post, serving

from trueup.models.openai import OpenAI
from trueup.models.response_format import is_strict, response_format

CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}}


def form(schema: Any) -> Any:
    return response_format(json.dumps(schema))


def nested(inner: Any) -> dict[str, Any]:
    return CLOSED | {"properties": {"a": inner}}


@pytest.mark.parametrize(
    "schema",
    [
        CLOSED,
        nested({"type": "array", "items": CLOSED}),
        nested({"anyOf": [CLOSED, {"type": "null"}]}),
        nested({"$ref": "#/$defs/b"}) | {"$defs": {"b": CLOSED}},
        nested({"type": ["string", "null"], "enum": ["x", None], "description": "an x"}),
        {"type": "object", "properties": {}, "additionalProperties": False},
    ],
)
def test_a_schema_of_the_strict_subset_is_sent_as_strict(schema: dict[str, Any]) -> None:
    assert form(schema) == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


@pytest.mark.parametrize(
    "schema",
    [
        OPEN,
        {**OPEN, "additionalProperties": False},
        {**OPEN, "required": ["a"]},
        {**OPEN, "required": ["a"], "additionalProperties": {"type": "string"}},
        CLOSED | {"required": ["b"]},
        CLOSED | {"required": 3},
        CLOSED | {"properties": 3},
        nested(OPEN),
        nested({"type": ["object", "null"]}),
        nested({"properties": {}}),
        nested({"type": "array", "items": OPEN}),
        nested({"type": "array", "items": True}),
        nested({"anyOf": [OPEN]}),
        nested({"anyOf": 3}),
        nested({"oneOf": [CLOSED]}),
        nested({"type": "string", "default": "x"}),
        nested({}),
        nested({"const": "x", "description": "any type"}),
        nested({"type": "array", "items": {}}),
        nested({"$ref": "#/$defs/b"}) | {"$defs": {"b": OPEN}},
        CLOSED | {"$defs": [CLOSED]},
        CLOSED | {"anyOf": [CLOSED]},
        {"type": "integer"},
        {"type": "array", "items": CLOSED},
        {},
        True,
    ],
)
def test_any_other_schema_is_sent_without_strict(schema: Any) -> None:
    assert form(schema) == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def test_any_object_is_asked_for_by_name() -> None:
    assert form({"type": "object"}) == {"type": "json_object"}


def test_a_deep_schema_is_read_to_its_end() -> None:
    for inmost, strict in ((CLOSED, True), (OPEN, False)):
        schema = inmost
        for _ in range(2000):
            schema = nested({"type": "array", "items": schema})
        assert is_strict(schema) == strict


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "strict": False, "schema": OPEN}},
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": OPEN}},
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": CLOSED}},
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": CLOSED, "strict": True}},
        ),
    ],
)
def test_a_clients_form_reaches_the_endpoint_behind_a_policy(
    tmp_path: Path, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    mock = MockEndpoint(reply=lambda told: "{}")
    with loopback(mock.app) as upstream, serving(tmp_path, OpenAI(upstream, "far"), desk("sums")) as url:
        assert post(url, body(response_format=asked)).status_code == 200
    assert mock.calls[0].body["response_format"] == sent
