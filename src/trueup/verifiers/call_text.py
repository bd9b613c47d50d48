"""Function calls in a model's text: JSON or Python notation, parsed and never run."""

from __future__ import annotations

import ast
import re
import warnings
from itertools import islice

from trueup.core.types import Json
from trueup.verifiers.json_text import NotJson, canonical, decode
from trueup.verifiers.marks import spoken

CHARS_AT_MOST = 8_000
PLACES_AT_MOST = 64
BEGINNING = re.compile(r"[\[{]|[A-Za-z_][\w.]*\(")
LOOSE = re.compile(r"(?<!\w)(?<!\w )\(")
"""A parenthesis that opens no arguments, as one behind a word may."""
BETWEEN = re.compile(r"(?:[\s,;]|</?tool_call>)*")
ARGUMENTS = ("arguments", "parameters", "args")


def read_calls(text: str) -> str | None:
    """The first calls as canonical JSON: {"arguments": {...}, "name": "f"}, or a list where there are two or more.

    Reads {"name", "arguments"} (the latter as an object or as its text, under any of three names), {"f": {...}},
    an OpenAI tool call, and f(a=1). Python arguments must be literals with names. Calls with nothing but blanks,
    commas, semicolons or tool_call tags between them belong together, and those said again right away are said once;
    f() is a mention where f(a=1) follows.
    """
    said = spoken(text[:CHARS_AT_MOST]) or ""
    mentioned, its_names = None, set[str]()
    for start in _beginnings(said):
        try:
            calls = _calls_from(said, start)
            read = canonical(calls[0] if len(calls) == 1 else calls) if calls else None
        except NotJson:
            continue
        names = {call["name"] for call in calls}
        if read and (said[start] in "[{" or any(call["arguments"] for call in calls)):
            if mentioned is None or names & its_names:
                return read
        elif read and mentioned is None:
            mentioned, its_names = read, names
    return mentioned


def _beginnings(text: str) -> list[int]:
    """Where a call may begin: never inside a bracket, or the rest of a call cut short would read as another."""
    places = {match.start() for match in BEGINNING.finditer(text)}
    stray = _stray(text)
    outside, depth = [], 0
    for place, sign in enumerate(text):
        if depth == 0 and place in places:
            outside.append(place)
        depth = max(0, depth + (sign in "([{" and place not in stray) - (sign in ")]}"))
    return outside[:PLACES_AT_MOST]


def _stray(text: str) -> set[int]:
    """Where a parenthesis opens that nothing closes, and that is none of a call."""
    opened: list[int] = []
    for place, sign in enumerate(text):
        if sign in "([{":
            opened.append(place)
        elif sign in ")]}" and opened:
            opened.pop()
    return {match.end() - 1 for match in LOOSE.finditer(text)}.intersection(opened)


def _calls_from(text: str, start: int) -> list[Json]:
    """The calls that stand at `start` and right behind one another, without what repeats those right before it."""
    calls: list[Json] = []
    for _ in range(PLACES_AT_MOST):
        found, end = _calls_at(text, start)
        if not found:
            break
        if canonical(found) != canonical(calls[-len(found) :]):
            calls += found
        start = next(BETWEEN.finditer(text, end)).end()
    return calls


def _calls_at(text: str, start: int) -> tuple[list[Json], int]:
    """The calls of one notation that begins at `start`, and where it ends."""
    try:
        value, end = decode(text, start)
        if calls := _calls(value):
            return calls, end
    except NotJson:
        pass
    return _python_at(text, start)


def _calls(value: Json) -> list[Json]:
    """The calls that a JSON value stands for; none at all where a part of it is no call."""
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    calls = [_call(one) for one in (value if isinstance(value, list) else [value])]
    return [] if None in calls else calls


def _call(value: Json) -> Json | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("function"), dict):
        return _call(value["function"])
    if isinstance(name := value.get("name"), str):
        arguments = next((value[key] for key in ARGUMENTS if key in value), None)
        if isinstance(arguments, str):
            arguments = _object(arguments)
        return {"name": name, "arguments": arguments} if isinstance(arguments, dict) else None
    if len(value) == 1 and isinstance(arguments := next(iter(value.values())), dict):
        return {"name": next(iter(value)), "arguments": arguments}
    return None


def _object(text: str) -> Json:
    try:
        value, end = decode(text)
    except NotJson:
        return None
    return value if end == len(text) else None


def _python_at(text: str, start: int) -> tuple[list[Json], int]:
    if not BEGINNING.match(text, start):
        return [], start
    closing = "]" if text[start] == "[" else ")"
    ends = (place + 1 for place in range(start, len(text)) if text[place] == closing)
    for end in islice(ends, PLACES_AT_MOST):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text[start:end], mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        nodes = tree.elts if isinstance(tree, ast.List) else [tree]
        calls = [_python_call(node) for node in nodes]
        return ([] if None in calls else calls), end
    return [], start


def _python_call(node: ast.expr) -> Json | None:
    if not isinstance(node, ast.Call) or node.args:
        return None
    name = _dotted(node.func)
    try:
        arguments = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    return None if name is None or None in arguments else {"name": name, "arguments": arguments}


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    outer = _dotted(node.value) if isinstance(node, ast.Attribute) else None
    return f"{outer}.{node.attr}" if outer is not None and isinstance(node, ast.Attribute) else None
